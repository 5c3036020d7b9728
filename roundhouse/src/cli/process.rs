//! `roundhouse ingest`, `settler`, `dispatcher`: processes with a part of the roles; and the running of
//! any process until it is asked to stop.

use super::{EXIT_FINDING, EXIT_OK, Logs};
use crate::config::{Config, EngineFlags, EngineKind, Overrides};
use crate::serve::{Opened, Reread, Role, Roles, Running, listen, open};
use anyhow::Context;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use runtime::hangup::{Hangup, Hangups};
use runtime::{Clock, SystemClock, shutdown};
use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Examples:
  roundhouse ingest     --engine cluster --config roundhouse.toml --instance ingest-1
  roundhouse settler    --engine cluster --config roundhouse.toml --instance settler-1
  roundhouse dispatcher --engine cluster --config roundhouse.toml --instance dispatcher-1

Start any number of each; they share the partitions out among themselves. A process that is stopped or
killed loses nothing: another takes its partitions, and it gets them back under the same --instance.
SIGHUP makes a process that answers operators read its configuration again, for their keys and roles alone.

Exit codes:
  0    stopped as asked
  1    could not go on, such as when the log took no record any more; start it again
  2    could not start: configuration, port, servers
  130  stopped by a second signal";

/// Roles of `ingest` where none is named.
const INGEST: [Role; 4] = [Role::Line, Role::Herald, Role::Bets, Role::History];
/// Roles that `ingest` may run apart.
const INGEST_APART: [Role; 6] =
    [Role::Line, Role::Herald, Role::Bets, Role::History, Role::LineProvider, Role::BetMaker];

/// Flags of every process on the cluster engine.
#[derive(Debug, clap::Args)]
pub(super) struct Process {
    /// Address and port of the API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address and port of /metrics, /readyz and what else is for you alone [default: 127.0.0.1:9190]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// A configuration file; `roundhouse serve --print-config` shows every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the base URLs of the API and of the admin port, a line each, once they can be asked
    #[arg(long)]
    announce: bool,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    parent: super::parent::Parent,
    #[command(flatten)]
    planted: super::planted::Planted,
}

/// Take rounds and bets: the API, the herald that judges rounds, histories. Needs the cluster engine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ingest {
    /// A role of this process; may be repeated [default: line, herald, bets and history]
    #[arg(long = "role", value_name = "ROLE", value_parser = ingest_roles())]
    roles: Vec<Role>,
    #[command(flatten)]
    process: Process,
}

/// Decide bets, say what each is worth, reconcile, and watch results. Needs the cluster engine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Settler {
    #[command(flatten)]
    process: Process,
}

/// Carry settlements to partners. Needs the cluster engine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dispatcher {
    #[command(flatten)]
    process: Process,
}

fn ingest_roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(INGEST_APART.iter().filter_map(ValueEnum::to_possible_value))
        .try_map(|name| Role::from_str(&name, false))
}

pub(super) async fn ingest(args: Ingest, logs: Logs) -> anyhow::Result<u8> {
    let roles = if args.roles.is_empty() { INGEST.to_vec() } else { args.roles };
    part(args.process, roles, logs).await
}

pub(super) async fn settler(args: Settler, logs: Logs) -> anyhow::Result<u8> {
    part(args.process, vec![Role::Settler, Role::Reconciler, Role::Cases], logs).await
}

pub(super) async fn dispatcher(args: Dispatcher, logs: Logs) -> anyhow::Result<u8> {
    part(args.process, vec![Role::Dispatcher], logs).await
}

async fn part(args: Process, roles: Vec<Role>, logs: Logs) -> anyhow::Result<u8> {
    let hangups = Hangups::watch().context("signals cannot be watched")?;
    args.planted.arm();
    let log = logs.filter.clone();
    let flags = Overrides {
        listen: args.listen,
        admin_listen: args.admin_listen,
        log,
        engine: args.engine,
        ..Overrides::default()
    };
    let file = args.config;
    let read = move || Config::load(file.as_deref(), std::env::vars(), flags.clone());
    let config = read()?;
    logs.init(&config.telemetry.log)?;
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    let roles = roles.into_iter().collect();
    run(&config, &roles, &shutdown, Again { hangups, read: Arc::new(read) }, |urls| {
        if args.announce {
            tell(&urls.announced());
        }
    })
    .await
}

/// Tells whoever started this process. If nobody listens any more, that is no reason to stop serving.
pub(super) fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "nobody reads what this process prints");
    }
}

/// Where a process can be asked.
pub(super) struct Urls {
    /// The API's base URL.
    pub(super) api: String,
    admin: String,
}

impl Urls {
    /// As `--announce` prints them.
    pub(super) fn announced(&self) -> String {
        format!("{}\n{}\n", self.api, self.admin)
    }
}

/// How the configuration is read again.
pub(super) struct Again {
    /// When. Made before anything else, so that no SIGHUP ends the process.
    pub(super) hangups: Hangups,
    /// Reads it as at the start, from the same file, environment and flags.
    pub(super) read: Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>,
}

impl Again {
    /// Does what each SIGHUP says, those before it too.
    async fn serve(mut self, reread: Option<Reread>, shutdown: &CancellationToken) -> Infallible {
        loop {
            match (self.hangups.next().await, &reread) {
                (Hangup::ReadAgain, Some(reread)) => {
                    // Before it is read: a file that is written meanwhile is not what is in force.
                    let now = SystemClock.now();
                    reread.take(self.read_apart().await, now);
                }
                (Hangup::ReadAgain, None) => {
                    tracing::info!(
                        "this process asks no operator for a key: nothing is read again"
                    );
                }
                (Hangup::TerminalGone, _) => {
                    tracing::info!("stopping, since the terminal is gone");
                    shutdown.cancel();
                }
            }
        }
    }

    /// On a thread that nobody waits for at the end: a file system that does not answer must not keep a process from
    /// ending.
    async fn read_apart(&self) -> anyhow::Result<Config> {
        let (told, heard) = oneshot::channel();
        let read = Arc::clone(&self.read);
        let thread = std::thread::Builder::new().name("config-read".to_owned());
        let reading = thread.spawn(move || {
            // Nobody listens any more once the process ends.
            told.send(read()).ok();
        });
        drop(reading.context("no thread can be had")?);
        heard.await.context("reading broke down")?
    }
}

/// Runs `roles` on the engine of the configuration until `shutdown`. `ready` learns where it can be asked
/// once it can be.
pub(super) async fn run(
    config: &Config,
    roles: &Roles,
    shutdown: &CancellationToken,
    again: Again,
    ready: impl FnOnce(&Urls),
) -> anyhow::Result<u8> {
    match config.engine.kind {
        EngineKind::Embedded => {
            run_on(config, roles, shutdown, again, ready, open::embedded(config)).await
        }
        EngineKind::Cluster => {
            run_on(config, roles, shutdown, again, ready, open::cluster(config)).await
        }
    }
}

async fn run_on<E: Opened>(
    config: &Config,
    roles: &Roles,
    shutdown: &CancellationToken,
    again: Again,
    ready: impl FnOnce(&Urls),
    opening: impl Future<Output = anyhow::Result<E>>,
) -> anyhow::Result<u8> {
    roles.check::<E>()?;
    let listeners = listen(config).await?;
    let mut running = Running::with(config, listeners, opening.await?, roles).await?;
    let url = |address: SocketAddr| format!("http://{address}");
    ready(&Urls { api: url(running.address), admin: url(running.admin) });
    let reread = running.reread();
    let ended = tokio::select! {
        biased;
        ended = running.until(shutdown) => ended,
        never = again.serve(reread, shutdown) => match never {},
    };
    if let Err(why) = ended {
        // What is in flight is as after a crash: nothing of it was told to anybody, and whoever takes the
        // partitions does it again. Waiting for it would wait for what just failed.
        tracing::error!("this process cannot go on and must be started again: {why:#}");
        eprintln!("roundhouse: cannot go on, start it again: {why:#}");
        std::process::exit(i32::from(EXIT_FINDING));
    }
    running.stop().await?;
    Ok(EXIT_OK)
}
