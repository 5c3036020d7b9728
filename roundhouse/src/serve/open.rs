//! Opening the engine that the configuration names: the one place that knows each of them.

use crate::config::Config;
use crate::engine;
use anyhow::Context;
use runtime::embedded::{Embedded, Options};
use runtime::{Engine, SystemClock};
use schemas::outgoing::Partitions;
use std::future::{Future, pending};

/// Ms in a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// An engine that this binary opens, runs on and closes.
pub trait Opened: Engine {
    /// How many partitions its topics have.
    const PARTITIONS: Partitions;
    /// Whether several processes may have it open at once.
    const SHARED: bool;

    /// Finishes what was queued and lets go of everything.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Resolves with the reason when this process can no longer use the engine and must be started
    /// again; pending until then.
    fn failed(&self) -> impl Future<Output = String> + Send;
}

impl Opened for Embedded {
    const PARTITIONS: Partitions = Partitions::EMBEDDED;
    const SHARED: bool = false;

    async fn close(&self) {
        Self::close(self).await;
    }

    async fn failed(&self) -> String {
        pending().await
    }
}

/// Opens the data directory of the configuration.
///
/// # Errors
/// If it cannot be had.
pub async fn embedded(config: &Config) -> anyhow::Result<Embedded> {
    let storage = &config.storage;
    let options = Options {
        retention_ms: i64::from(storage.retention_days) * DAY_MS,
        reserve_bytes: storage.reserve_mb << 20,
        cache_bytes: storage.cache_mb << 20,
        ..Options::new(&storage.data_dir)
    };
    let opening = tokio::task::spawn_blocking(move || {
        Embedded::open(&options, engine::catalogue(), SystemClock)
    });
    let opened = opening.await.context("the engine broke down while it was opened")?;
    opened.with_context(|| {
        format!(
            "the data directory {} cannot be opened (--data-dir, storage.data_dir)",
            storage.data_dir.display()
        )
    })
}
