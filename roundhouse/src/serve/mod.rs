//! Everything in one process on the embedded engine: heralds, settlers, dispatchers, reconcilers, bet
//! placing, the line, and the HTTP API.
//!
//! **Order at the end.** The API stops first, while the machines still answer what is in flight; then the
//! machines finish their batches; then the engine closes its file. A crash at any point instead leaves
//! the same money: what is not durable was not told to anybody.

mod api;
mod connections;
mod loops;
mod partners;
mod rules;

pub use loops::Asks;

use crate::config::Config;
use crate::engine;
use anyhow::Context;
use connections::Connections;
use runtime::SystemClock;
use runtime::embedded::{Embedded, Options};
use runtime::telemetry::Metrics;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Ms in a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A running server.
pub struct Running {
    /// Where the API listens.
    pub address: SocketAddr,
    engine: Embedded,
    asks: Asks,
    stop_api: CancellationToken,
    stop_loops: CancellationToken,
    api: JoinHandle<()>,
    loops: loops::Loops,
}

impl Running {
    /// Starts everything and returns once the API can be asked.
    ///
    /// # Errors
    /// If the data directory or the port cannot be had, or the configuration names a partner or operator
    /// that cannot be.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.server.listen))?;
        let address = listener.local_addr().context("the port cannot be told")?;
        let engine = open(config).await?;
        let metrics = Metrics::default();
        let stop_loops = CancellationToken::new();
        let (loops, asks) = loops::start(config, &engine, &metrics, &stop_loops).await?;
        let stop_api = CancellationToken::new();
        let router = api::router(config, &engine, &asks, &metrics, &stop_api)?;
        let api = Connections {
            listener,
            router,
            connections_max: config.server.connections_max,
            header_wait_max: Duration::from_millis(config.server.header_wait_ms_max),
            drain_wait_max: Duration::from_millis(config.server.drain_wait_ms_max),
        };
        let api = tokio::spawn(api.serve(stop_api.clone()));
        tracing::info!(%address, data_dir = %config.storage.data_dir.display(), "serving");
        Ok(Self { address, engine, asks, stop_api, stop_loops, api, loops })
    }

    /// The machines that can be asked directly.
    pub fn asks(&self) -> &Asks {
        &self.asks
    }

    /// The engine, to be read while everything runs.
    pub fn engine(&self) -> &Embedded {
        &self.engine
    }

    /// Stops: the API, then the machines, then the engine.
    ///
    /// # Errors
    /// If a part of it panicked; the rest is stopped all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop_api.cancel();
        let api = self.api.await;
        self.stop_loops.cancel();
        let loops = self.loops.ended().await;
        self.engine.close().await;
        api.context("the API broke down")?;
        loops.context("a machine's task broke down")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// As [`Running::start`] and [`Running::stop`].
pub async fn serve(config: &Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let running = Running::start(config).await?;
    shutdown.cancelled().await;
    running.stop().await
}

async fn open(config: &Config) -> anyhow::Result<Embedded> {
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
