//! A process: the machines of its roles on an engine, the HTTP API over them, and a port for those who run
//! it.
//!
//! On the embedded engine one process has every role. On the cluster engine any number of processes have
//! any roles; they meet at the log.
//!
//! **Order at the end.** `/readyz` says so first, so that load balancers turn away; then the API stops, while
//! the machines still answer what is in flight; then the machines finish their batches; then the engine
//! closes; the admin port is there to the end. A crash at any point instead leaves the same money: what is
//! not durable was not told to anybody.

mod admin;
mod api;
mod cases;
mod clock;
mod connections;
mod corrections;
mod descriptors;
mod loops;
mod measured;
pub mod open;
mod partners;
mod pausing;
mod ready;
mod reconcilers;
mod reread;
mod roles;
mod rules;
mod simple;
mod tails;
mod unread;

pub use open::Opened;
pub use reread::Reread;
pub use roles::{Role, Roles};

use crate::config::Config;
use admin::Checks;
use anyhow::Context;
use connections::Connections;
use ingest::auth::InForce;
use ready::Ready;
use runtime::embedded::Embedded;
use runtime::telemetry::Metrics;
use runtime::{Clock, SystemClock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Connections to the admin port held at once.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Longest wait for requests in flight at the admin port when everything else has ended.
const ADMIN_DRAIN_WAIT_MAX: Duration = Duration::from_secs(1);

/// The ports of a process.
pub struct Listeners {
    api: TcpListener,
    admin: TcpListener,
}

/// A running process.
pub struct Running<E: Opened = Embedded> {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where metrics, readiness and the log's filter are.
    pub admin: SocketAddr,
    engine: E,
    /// How long `/readyz` says that the process stops before the API does.
    notice: Duration,
    stopping: CancellationToken,
    api: Port,
    admin_port: Port,
    stop_loops: CancellationToken,
    loops: loops::Loops,
    reread: Option<Reread>,
}

/// A port that is served.
struct Port {
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Port {
    fn serve(connections: Connections) -> Self {
        let stop = CancellationToken::new();
        Self { served: tokio::spawn(connections.serve(stop.clone())), stop }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.served.await.context("a port broke down")
    }
}

impl Running {
    /// Starts every role on the data directory of the configuration and returns once the API can be
    /// asked.
    ///
    /// # Errors
    /// If the data directory or a port cannot be had, or the configuration names a partner or operator
    /// that cannot be.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let listeners = listen(config).await?;
        Self::with(config, listeners, open::embedded(config).await?, &Roles::all()).await
    }
}

/// Takes the ports of the configuration: before the engine is opened, so that a second process on the same
/// ports does no harm.
///
/// # Errors
/// If one cannot be had.
pub async fn listen(config: &Config) -> anyhow::Result<Listeners> {
    let server = &config.server;
    Ok(Listeners {
        api: bind(server.listen, "--listen, server.listen").await?,
        admin: bind(server.admin_listen, "--admin-listen, server.admin_listen").await?,
    })
}

async fn bind(address: SocketAddr, set_by: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address} ({set_by})"))
}

impl<E: Opened> Running<E> {
    /// Starts `roles` on an open engine and returns once the API can be asked.
    ///
    /// # Errors
    /// If the configuration names a partner or operator that cannot be, or the engine cannot be read.
    pub async fn with(
        config: &Config,
        listeners: Listeners,
        engine: E,
        roles: &Roles,
    ) -> anyhow::Result<Self> {
        let server = &config.server;
        let address = listeners.api.local_addr().context("the port cannot be told")?;
        let admin = listeners.admin.local_addr().context("the admin port cannot be told")?;
        let metrics = Metrics::default();
        let stop_loops = CancellationToken::new();
        let directory = partners::read(&engine, config, roles).await.context("partners")?;
        directory.partners.wallets().measure(&metrics);
        let (loops, asks) = loops::start(config, &engine, directory, roles, &metrics, &stop_loops)?;
        let operators = InForce::new(partners::operators(config)?);
        let reread = Reread::of(config, roles, &operators, &metrics, SystemClock.now())?;
        let stopping = CancellationToken::new();
        let ready = Ready::watch(&asks, &loops.memberships, &stopping);
        let checks: Checks = Arc::new(move || ready.checks());
        let header_wait_max = Duration::from_millis(server.header_wait_ms_max);
        let api = Port::serve(Connections {
            listener: listeners.api,
            router: api::router(config, &engine, roles, &asks, operators, &metrics, &checks)?,
            connections_max: descriptors::connections_max(server.connections_max),
            header_wait_max,
            drain_wait_max: Duration::from_millis(server.drain_wait_ms_max),
        });
        let admin_port = Port::serve(Connections {
            listener: listeners.admin,
            router: admin::router(&metrics, checks),
            connections_max: ADMIN_CONNECTIONS_MAX,
            header_wait_max,
            drain_wait_max: ADMIN_DRAIN_WAIT_MAX,
        });
        let notice = Duration::from_millis(server.drain_notice_ms);
        tracing::info!(%address, %admin, %roles, "serving");
        Ok(Self {
            address,
            admin,
            engine,
            notice,
            stopping,
            api,
            admin_port,
            stop_loops,
            loops,
            reread,
        })
    }

    /// The engine, to be read while everything runs.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// What takes the configuration when it is read again; `None` for a process that asks no operator for a key.
    pub fn reread(&self) -> Option<Reread> {
        self.reread.clone()
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

    /// Stops: tells load balancers, then the API, the machines, the engine.
    ///
    /// # Errors
    /// If a part of it panicked; the rest is stopped all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        let engine = self.engine.clone();
        let left = self.end(engine.close()).await;
        tracing::info!("stopped");
        left
    }

    /// Stops all but the engine, which stays open for others in this process.
    ///
    /// # Errors
    /// If a part of it panicked; the rest is stopped all the same.
    pub async fn leave(self) -> anyhow::Result<()> {
        self.end(std::future::ready(())).await
    }

    async fn end(self, last: impl Future<Output = ()>) -> anyhow::Result<()> {
        self.stopping.cancel();
        tokio::time::sleep(self.notice).await;
        let api = self.api.stop().await;
        self.stop_loops.cancel();
        let loops = self.loops.ended().await;
        last.await;
        let admin = self.admin_port.stop().await;
        api.context("the API broke down")?;
        loops.context("a machine's task broke down")?;
        admin.context("the admin port broke down")
    }
}
