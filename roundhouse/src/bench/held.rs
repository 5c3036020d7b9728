//! How many settlements dispatchers have in memory, as the admin port tells while something is measured.

use crate::rig::api::Api;
use http::Method;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often it is looked; the figure is a new one once a second.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
const METRIC: &str = "roundhouse_partner_held_records ";

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    most: Arc<AtomicU64>,
    _looks: JoinSet<()>,
}

impl Held {
    /// Begins to look.
    pub(super) fn watch(admin: SocketAddr) -> Self {
        let (most, mut looks) = (Arc::<AtomicU64>::default(), JoinSet::new());
        let seen = Arc::clone(&most);
        looks.spawn(async move {
            let admin = Api::new(format!("http://{admin}"), String::new());
            loop {
                let shown = admin.call(Method::GET, "/metrics", "", None).await;
                let held = shown.ok().and_then(|shown| held(shown.body.as_str()?));
                seen.fetch_max(held.unwrap_or_default(), Ordering::Relaxed);
                sleep(LOOK_PERIOD).await;
            }
        });
        Self { most, _looks: looks }
    }

    /// The most that was seen.
    pub(super) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

fn held(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(METRIC))?.parse().ok()
}
