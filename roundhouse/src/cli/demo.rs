//! `roundhouse demo`.

use super::{EXIT_FINDING, EXIT_OK, Logs};
use crate::demo::{self, Plan};
use anyhow::{Context, bail};
use runtime::{Clock, SystemClock};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  roundhouse demo
  roundhouse demo --rounds 4 --bets 10000 --partners 20 --faults --seed 7
  roundhouse demo --json | jq .figures.time_to_money

Exit codes:
  0  everything was settled, and not a cent is amiss
  1  something is amiss; the data directory is kept for `roundhouse audit --explain`
  2  the demo could not be played";

/// Settle rounds for many wallets over real HTTP, and check every cent at the end.
///
/// Starts a server on a free port and a wallet process, places bets as many players, closes and results
/// rounds, takes bets back, voids a round, corrects another, waits until every partner has confirmed
/// everything, and audits log, store and wallets' journals.
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
    /// An empty directory for everything; kept [default: a temporary one, removed if all is well]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON report instead of the tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    planted: super::planted::Planted,
}

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    logs.init("error")?;
    args.planted.arm();
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
    };
    let report = demo::run(&plan).await?;
    if args.json {
        println!("{}", serde_json::to_string(&report).context("the report is not JSON")?);
    } else {
        print!("{report}");
    }
    if report.ok && !kept {
        std::fs::remove_dir_all(&data_dir)
            .with_context(|| format!("{} cannot be removed", data_dir.display()))?;
    } else {
        eprintln!("demo: everything is kept in {}", data_dir.display());
    }
    Ok(if report.ok { EXIT_OK } else { EXIT_FINDING })
}
