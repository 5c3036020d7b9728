//! A process: the machines of its roles on an engine, and the HTTP API over them.
//!
//! On the embedded engine one process has every role. On the cluster engine any number of processes have
//! any roles; they meet at the log.
//!
//! **Order at the end.** The API stops first, while the machines still answer what is in flight; then the
//! machines finish their batches; then the engine closes. A crash at any point instead leaves the same
//! money: what is not durable was not told to anybody.

mod api;
mod connections;
mod loops;
pub mod open;
mod partners;
mod ready;
mod reconcilers;
mod roles;
mod rules;
mod simple;
mod tails;

pub use open::Opened;
pub use roles::{Role, Roles};

use crate::config::Config;
use anyhow::Context;
use connections::Connections;
use ready::Ready;
use runtime::embedded::Embedded;
use runtime::telemetry::Metrics;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running process.
pub struct Running<E: Opened = Embedded> {
    /// Where the API listens.
    pub address: SocketAddr,
    engine: E,
    stop_api: CancellationToken,
    stop_loops: CancellationToken,
    api: JoinHandle<()>,
    loops: loops::Loops,
}

impl Running {
    /// Starts every role on the data directory of the configuration and returns once the API can be
    /// asked.
    ///
    /// # Errors
    /// If the data directory or the port cannot be had, or the configuration names a partner or operator
    /// that cannot be.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let listener = listen(config).await?;
        Self::with(config, listener, open::embedded(config).await?, &Roles::all()).await
    }
}

/// Takes the port of the configuration: before the engine is opened, so that a second process on the same
/// port does no harm.
///
/// # Errors
/// If it cannot be had.
pub async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

impl<E: Opened> Running<E> {
    /// Starts `roles` on an open engine and returns once the API can be asked.
    ///
    /// # Errors
    /// If the configuration names a partner or operator that cannot be, or the engine cannot be read.
    pub async fn with(
        config: &Config,
        listener: TcpListener,
        engine: E,
        roles: &Roles,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the port cannot be told")?;
        let metrics = Metrics::default();
        let stop_loops = CancellationToken::new();
        let (loops, asks) = loops::start(config, &engine, roles, &metrics, &stop_loops)?;
        let stop_api = CancellationToken::new();
        let ready = Ready::watch(&asks, &loops.memberships, &stop_api);
        let router = api::router(config, &engine, roles, &asks, &metrics, ready)?;
        let api = Connections {
            listener,
            router,
            connections_max: config.server.connections_max,
            header_wait_max: Duration::from_millis(config.server.header_wait_ms_max),
            drain_wait_max: Duration::from_millis(config.server.drain_wait_ms_max),
        };
        let api = tokio::spawn(api.serve(stop_api.clone()));
        tracing::info!(%address, %roles, "serving");
        Ok(Self { address, engine, stop_api, stop_loops, api, loops })
    }

    /// The engine, to be read while everything runs.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Waits for `shutdown`.
    ///
    /// # Errors
    /// Why the process cannot go on, if that comes first: it must end at once and be started again.
    pub async fn until(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            why = self.engine.failed() => Err(anyhow::anyhow!(why)).context("the engine failed"),
            why = self.loops.broken() => Err(why).context("a machine's task ended"),
        }
    }

    /// Stops: the API, then the machines, then the engine.
    ///
    /// # Errors
    /// If a part of it panicked; the rest is stopped all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        let engine = self.engine.clone();
        let left = self.leave().await;
        engine.close().await;
        tracing::info!("stopped");
        left
    }

    /// Stops the API, then the machines; the engine stays open for others in this process.
    ///
    /// # Errors
    /// If a part of it panicked; the rest is stopped all the same.
    pub async fn leave(self) -> anyhow::Result<()> {
        self.stop_api.cancel();
        let api = self.api.await;
        self.stop_loops.cancel();
        let loops = self.loops.ended().await;
        api.context("the API broke down")?;
        loops.context("a machine's task broke down")
    }
}
