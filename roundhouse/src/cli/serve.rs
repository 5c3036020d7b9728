//! `roundhouse serve`.

use super::process::Again;
use super::{EXIT_OK, Logs, process};
use crate::config::{Config, DEFAULTS, EngineFlags, EngineKind, Overrides};
use crate::sandbox::Sandbox;
use crate::serve::Roles;
use anyhow::{Context, bail};
use runtime::hangup::Hangups;
use runtime::shutdown;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  Try it: a wallet, keys, and curl lines that work when pasted:
    roundhouse serve --sandbox

  With operators and partners of your own, on a directory or on Kafka and ScyllaDB:
    roundhouse serve --print-config > roundhouse.toml
    roundhouse serve --config roundhouse.toml --listen 0.0.0.0:8080 --data-dir /var/lib/roundhouse
    roundhouse serve --config roundhouse.toml --engine cluster --brokers kafka:9092 --store-nodes scylla:9042

Configuration: defaults, then --config, then ROUNDHOUSE__SECTION__KEY, then flags.
SIGINT and SIGTERM stop it in order: /readyz says so, no new connections, requests in flight are answered,
batches are finished, the file is closed. A second signal stops at once, which loses nothing either.
SIGHUP reads the configuration again, for the keys and roles of operators alone; the log says what came of it.

Exit codes:
  0    stopped as asked
  1    could not go on, such as when the log took no record any more; start it again
  2    could not start: configuration, port or data directory
  130  stopped by a second signal";

/// Run everything in one process, on one data directory or on the cluster engine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Address and port of the API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address and port of /metrics, /readyz and what else is for you alone [default: 127.0.0.1:9190]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Where everything is kept; made if it is not there [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A configuration file; --print-config shows every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also run a wallet, with an operator, a partner and a player made up, and print curl lines.
    /// Their keys are kept in DIR/sandbox. Not for real money
    #[arg(long)]
    sandbox: bool,
    /// Print every configuration key with its default and a comment, and exit
    #[arg(long)]
    print_config: bool,
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

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    if args.print_config {
        print!("{DEFAULTS}");
        return Ok(EXIT_OK);
    }
    let hangups = Hangups::watch().context("signals cannot be watched")?;
    args.planted.arm();
    let flags = Overrides {
        listen: args.listen,
        admin_listen: args.admin_listen,
        data_dir: args.data_dir,
        log: logs.filter.clone(),
        engine: args.engine,
    };
    let file = args.config;
    let read = move || Config::load(file.as_deref(), std::env::vars(), flags.clone());
    let mut config = read()?;
    logs.init(&config.telemetry.log)?;
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    if args.sandbox && config.engine.kind != EngineKind::Embedded {
        bail!("--sandbox is for trying it on a data directory: leave --engine cluster away");
    }
    let sandbox = match args.sandbox {
        true => Some(Sandbox::start(&config).await?),
        false => None,
    };
    let own = sandbox.as_ref().map(Sandbox::own);
    let join = move |config: &mut Config| own.iter().for_each(|own| own.join(config));
    join(&mut config);
    let read = move || {
        let mut config = read()?;
        join(&mut config);
        Ok(config)
    };
    let again = Again { hangups, read: Arc::new(read) };
    let code = process::run(&config, &Roles::all(), &shutdown, again, |urls| {
        if args.announce {
            process::tell(&urls.announced());
        }
        if let Some(sandbox) = &sandbox {
            process::tell(&format!("{}\n", sandbox.lines(&urls.api)));
        }
    })
    .await?;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await?;
    }
    Ok(code)
}
