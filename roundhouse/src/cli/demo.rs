//! `roundhouse demo`.

use super::lines::report as print;
use super::{EXIT_FINDING, EXIT_OK, Logs};
use crate::config::{Config, EngineFlags, EngineKind, Overrides};
use crate::demo::prepared::{Prepared, prepare};
use crate::demo::{self, DemoReport, Plan, Target};
use crate::serve::{Opened, open};
use anyhow::{Context, bail};
use runtime::{Clock, SystemClock};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  roundhouse demo
  roundhouse demo --rounds 4 --bets 10000 --partners 20 --faults --seed 7
  roundhouse demo --json | jq .figures.time_to_money
  roundhouse demo --wallet-command 'venv/bin/python examples/wallet/wallet.py serve'

  Against servers on the cluster engine: keys and files for them, then the rounds
    roundhouse demo --prepare ./demo --partners 20 --wallet-url http://wallets:9100 --profile single
    roundhouse demo --target http://localhost:8080,http://localhost:8081 --prepared ./demo

Exit codes:
  0  everything was settled, and not a cent is amiss
  1  something is amiss; the data directory is kept for `roundhouse audit --explain`
  2  the demo could not be played";

/// Settle rounds for many wallets over real HTTP, and check every cent at the end.
///
/// Starts a server on a free port and a wallet process, places bets as many players, closes and results
/// rounds, takes bets back, voids a round, corrects another, waits until every partner has confirmed
/// everything, and audits log, store and wallets' journals. With --target it plays on servers that run
/// already, and audits all that their log holds.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Rounds to play; the second is voided, the first corrected, the fourth withdrawn and resulted again
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Bets of each round
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    bets: usize,
    /// Partners, each with a wallet of its own
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=99))]
    partners: u16,
    /// Let the wallets lose, repeat and swap answers, decline, fall silent, and be killed once
    #[arg(long)]
    faults: bool,
    /// Seed of the bets and the faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Players' requests at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    at_once: usize,
    /// A command that is the wallet of the last partner. It is started with --partner, --keys, --listen, --journal-dir
    /// and --opening-balance as `roundhouse wallet` is, prints where it is as that does, and leaves its journal there
    /// when it is told to stop. Faults are not its business
    #[arg(long, value_name = "COMMAND")]
    wallet_command: Option<String>,
    /// An empty directory for everything; kept [default: a temporary one, removed if all is well]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON report instead of the tables
    #[arg(long)]
    json: bool,
    /// Play on the servers at these URLs, in turn, instead of one of its own
    #[arg(long, value_name = "URL,...", value_delimiter = ',', conflicts_with_all = ["faults", "data_dir", "prepare", "wallet_command"])]
    target: Vec<String>,
    /// What was prepared for those servers [default: ./demo, or ./deploy/state where docker-compose.yml prepares it]
    #[arg(long, value_name = "DIR", requires = "target")]
    prepared: Option<PathBuf>,
    /// Make keys and files for servers and wallets to be started by others, and play nothing. Keys that
    /// are there stay. The flags of the engine say where --target will find the log
    #[arg(long, value_name = "DIR")]
    prepare: Option<PathBuf>,
    /// Where the servers will find the first wallet; the others are on the ports behind it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9100", requires = "prepare")]
    wallet_url: String,
    /// With --prepare: also a partner `sandbox`, and the simple APIs for anybody who asks
    #[arg(long, requires = "prepare")]
    sandbox: bool,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    planted: super::planted::Planted,
}

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    logs.init("error")?;
    args.planted.arm();
    if let Some(directory) = &args.prepare {
        let config = engine(None, args.engine)?;
        let partners = usize::from(args.partners);
        prepare(directory, partners, args.sandbox, &args.wallet_url, &config)?;
        return Ok(EXIT_OK);
    }
    if !args.target.is_empty() {
        return against(args).await;
    }
    let kept = args.data_dir.is_some();
    let data_dir = args.data_dir.unwrap_or_else(|| {
        let name = format!("roundhouse-demo-{}-{}", std::process::id(), SystemClock.now());
        std::env::temp_dir().join(name)
    });
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("{} cannot be made", data_dir.display()))?;
    if crate::engine::has_data(&data_dir) {
        bail!("{} holds data already; give an empty directory", data_dir.display());
    }
    let plan = Plan {
        rounds: args.rounds,
        bets: args.bets,
        partners: usize::from(args.partners),
        faults: args.faults,
        seed: args.seed,
        at_once: args.at_once,
        data_dir: data_dir.clone(),
        exe: std::env::current_exe().context("this binary is not to be found")?,
        wallet_command: args.wallet_command,
    };
    let report = demo::run(&plan).await?;
    print(&report, args.json)?;
    if report.ok && !kept {
        std::fs::remove_dir_all(&data_dir)
            .with_context(|| format!("{} cannot be removed", data_dir.display()))?;
    } else {
        eprintln!("demo: everything is kept in {}", data_dir.display());
    }
    Ok(if report.ok { EXIT_OK } else { EXIT_FINDING })
}

/// The configuration of who reads the log of other processes: `flags` over `file`.
fn engine(file: Option<&Path>, flags: EngineFlags) -> anyhow::Result<Config> {
    let kind = flags.engine.unwrap_or(EngineKind::Cluster);
    if kind == EngineKind::Embedded {
        bail!("a data directory is one process's: only the cluster engine is read beside a server");
    }
    let engine = EngineFlags { engine: Some(kind), ..flags };
    let flags = Overrides { engine, ..Overrides::default() };
    Config::load(file, std::env::vars(), flags)
}

/// What is prepared below `here`: `demo`, or what docker-compose.yml prepares if that alone is there.
fn prepared_by_default(here: &Path) -> PathBuf {
    let [demo, compose] = ["demo", "deploy/state"].map(|directory| here.join(directory));
    if !demo.exists() && compose.exists() { compose } else { demo }
}

async fn against(args: Args) -> anyhow::Result<u8> {
    let directory = args.prepared.unwrap_or_else(|| prepared_by_default(Path::new(".")));
    let prepared = Prepared::read(&directory)?;
    let config = engine(Some(&Prepared::config(&directory)), args.engine)?;
    let plan = Plan {
        rounds: args.rounds,
        bets: args.bets,
        partners: prepared.keys.len(),
        faults: false,
        seed: args.seed,
        at_once: args.at_once,
        data_dir: directory,
        exe: PathBuf::new(),
        wallet_command: None,
    };
    let target = Target { urls: args.target, prepared };
    let report = play(&plan, &target, open::cluster_reader(&config).await?).await?;
    print(&report, args.json)?;
    Ok(if report.ok { EXIT_OK } else { EXIT_FINDING })
}

async fn play<E: Opened>(plan: &Plan, target: &Target, engine: E) -> anyhow::Result<DemoReport> {
    let report = demo::run_against(plan, target, &engine).await;
    engine.close().await;
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_prepared_is_found_where_nothing_else_is() {
        let here = tempfile::tempdir().unwrap();
        let found = || prepared_by_default(here.path());
        assert_eq!(found(), here.path().join("demo"));
        std::fs::create_dir_all(here.path().join("deploy/state")).unwrap();
        assert_eq!(found(), here.path().join("deploy/state"));
        std::fs::create_dir(here.path().join("demo")).unwrap();
        assert_eq!(found(), here.path().join("demo"));
    }
}
