//! `bench events` on this engine.

use super::ground::{Ground, Servers};
use crate::bench::events::{EventsPlan, EventsReport, events_on};

/// Measures.
///
/// # Errors
/// If a part cannot be started, or an answer is not 200.
pub async fn events(plan: &EventsPlan, servers: &Servers) -> anyhow::Result<EventsReport> {
    let ground = Ground::make(servers).await?;
    let measured = events_on(plan, |_| (), async |_: &_| ground.open("bench-house").await).await;
    ground.drop_all().await;
    measured
}
