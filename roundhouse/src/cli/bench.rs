//! `roundhouse bench`.

mod all;
#[cfg(feature = "cluster")]
mod engine;
#[cfg(feature = "cluster")]
mod hand_over;
mod isolation;
mod outage;
mod returning;
mod rounds;
mod server;
mod settling;

use super::lines::report as print;
use super::{EXIT_FINDING, EXIT_OK, Logs};
use crate::bench::trial::{Trial, Verdict, hold};
use crate::bench::{Bench, Directory};
use anyhow::{Context, bail};
use clap::Subcommand;
use runtime::{Clock, SystemClock};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  roundhouse bench post-bet
  roundhouse bench result-to-confirmed --rounds 5 --json
  roundhouse bench growth --bets-max 100000
  roundhouse bench all --quick

Each figure stands beside that of a plain program, which does the same posts, bytes and fsyncs in the
same run with no logic. Server, plain program and client share one process; the wallets have their own.

Exit codes:
  0  measured; a floor that is not met is no failure
  1  measured, and money is amiss or a limit is passed (hand-over, isolation, outage, returning)
  2  could not be measured";

/// Partners, where a bench has a fixed number of them.
const PARTNERS: usize = 20;
/// Seed of bets and results, where a bench has a fixed one.
const SEED: u64 = 1;

/// Measure the server, beside a plain program that does the same I/O.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// An empty directory, on the disk to be measured; kept [default: a temporary one, removed]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON report instead of the table
    #[arg(long, global = true)]
    json: bool,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    engine: engine::Flags,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Row(Row),
    All(all::Flags),
    #[cfg(feature = "cluster")]
    HandOver(hand_over::Flags),
}

/// What is measured on every engine.
#[derive(Debug, Subcommand)]
enum Row {
    ResultToConfirmed(rounds::ResultFlags),
    ResultToTopic(settling::TopicFlags),
    Settle(settling::SettleFlags),
    Isolation(isolation::Flags),
    PostBet(server::PostBetFlags),
    Events(server::EventsFlags),
    CorrectOld(rounds::CorrectFlags),
    Outage(outage::Flags),
    Returning(returning::Flags),
    Growth(settling::GrowthFlags),
}

/// Where a bench runs, and how it tells.
#[derive(Clone, Copy)]
struct Site<'a> {
    #[cfg(feature = "cluster")]
    servers: Option<&'a crate::bench::cluster::Servers>,
    data_dir: &'a Path,
    json: bool,
}

impl Site<'_> {
    /// Measures, and prints what was found.
    async fn measure<B: Bench>(self, bench: &B) -> anyhow::Result<Outcome> {
        #[cfg(feature = "cluster")]
        if let Some(servers) = self.servers {
            print(&bench.measure(servers).await?, self.json)?;
            return Ok(Outcome::MEASURED);
        }
        print(&bench.measure(&Directory::new(self.data_dir)).await?, self.json)?;
        Ok(Outcome::MEASURED)
    }

    /// Holds a trial, and prints what it gave.
    async fn hold<T: Trial>(self, trial: &T) -> anyhow::Result<Outcome> {
        let directory = Directory::new(self.data_dir);
        #[cfg(feature = "cluster")]
        let report = match self.servers {
            Some(servers) => hold(trial, servers).await?,
            None => hold(trial, &directory).await?,
        };
        #[cfg(not(feature = "cluster"))]
        let report = hold(trial, &directory).await?;
        print(&report, self.json)?;
        let clean = report.audit().clean;
        let code = if clean && report.held() { EXIT_OK } else { EXIT_FINDING };
        Ok(Outcome { code, keeps: !clean })
    }
}

/// How a bench ended.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// The exit code.
    code: u8,
    /// Whether what is in the directory is to be looked at.
    keeps: bool,
}

impl Outcome {
    const MEASURED: Self = Self { code: EXIT_OK, keeps: false };
}

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    logs.init("error")?;
    let kept = args.data_dir.is_some();
    let data_dir = args.data_dir.unwrap_or_else(|| {
        let name = format!("roundhouse-bench-{}-{}", std::process::id(), SystemClock.now());
        std::env::temp_dir().join(name)
    });
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("{} cannot be made", data_dir.display()))?;
    if crate::engine::has_data(&data_dir) {
        bail!("{} holds data already; give an empty directory", data_dir.display());
    }
    #[cfg(feature = "cluster")]
    let servers = args.engine.servers();
    let site = Site {
        #[cfg(feature = "cluster")]
        servers: servers.as_ref(),
        data_dir: &data_dir,
        json: args.json,
    };
    let measured = match args.what {
        What::Row(row) => measure(row, site).await,
        What::All(flags) => all::measure(&flags, site).await,
        #[cfg(feature = "cluster")]
        What::HandOver(flags) => hand_over::measure(flags, site).await,
    };
    let to_look_at = matches!(&measured, Ok(Outcome { keeps: true, .. }));
    if to_look_at {
        eprintln!("bench: what it left is kept in {}", data_dir.display());
    } else if !kept {
        std::fs::remove_dir_all(&data_dir)
            .with_context(|| format!("{} cannot be removed", data_dir.display()))?;
    }
    measured.map(|outcome| outcome.code)
}

async fn measure(row: Row, site: Site<'_>) -> anyhow::Result<Outcome> {
    match row {
        Row::ResultToConfirmed(flags) => rounds::result_to_confirmed(flags, site).await,
        Row::ResultToTopic(flags) => settling::result_to_topic(flags, site).await,
        Row::Settle(flags) => settling::settle(flags, site).await,
        Row::Isolation(flags) => isolation::measure(flags, site).await,
        Row::PostBet(flags) => server::post_bet(flags, site).await,
        Row::Events(flags) => server::events(flags, site).await,
        Row::CorrectOld(flags) => rounds::correct_old(flags, site).await,
        Row::Outage(flags) => outage::measure(flags, site).await,
        Row::Returning(flags) => returning::measure(flags, site).await,
        Row::Growth(flags) => settling::growth(flags, site).await,
    }
}

/// This binary, whose wallets and services are started.
fn exe() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this binary is not to be found")
}
