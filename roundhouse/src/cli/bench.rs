//! `roundhouse bench`.

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
mod hand_over;
mod isolation;
mod outage;

use super::lines::report as print;
use super::{EXIT_FINDING, EXIT_OK, Logs};
use crate::bench::trial::{Trial, Verdict, embedded};
use crate::bench::{EventsPlan, PostBetPlan, ResultPlan, post_bet, result_to_confirmed};
use anyhow::{Context, bail};
use clap::Subcommand;
use runtime::{Clock, SystemClock};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  roundhouse bench post-bet
  roundhouse bench result-to-confirmed --rounds 5 --json

Each figure stands beside that of a plain program, which does the same posts, bytes and fsyncs in the
same run with no logic. Server, plain program and client share one process; the wallets have their own.

Exit codes:
  0  measured; a floor that is not met is no failure
  1  measured, and money is amiss or a limit is passed (hand-over, outage, isolation)
  2  could not be measured";

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
    engine: cluster::Flags,
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
    /// Holds a trial, and prints what it gave.
    async fn measure<T: Trial>(self, trial: &T) -> anyhow::Result<Outcome> {
        #[cfg(feature = "cluster")]
        let report = match self.servers {
            Some(servers) => crate::bench::cluster::trial(trial, servers).await?,
            None => embedded(trial).await?,
        };
        #[cfg(not(feature = "cluster"))]
        let report = embedded(trial).await?;
        print(&report, self.json)?;
        let clean = report.audit().clean;
        let code = if clean && report.held() { EXIT_OK } else { EXIT_FINDING };
        Ok(Outcome { code, keeps: !clean })
    }
}

/// How a bench ended.
struct Outcome {
    /// The exit code.
    code: u8,
    /// Whether what is in the directory is to be looked at.
    keeps: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Embedded(Embedded),
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    Cluster(cluster::What),
}

#[derive(Debug, Subcommand)]
enum Embedded {
    /// Bets a second: POST /v1/bets, each on disk and held by its wallet before it is answered
    PostBet {
        /// Keep-alive connections, each with one bet at a time
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=999))]
        connections: u16,
        /// Length of each run
        #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
        /// Runs, each followed by one of the plain program
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
        pairs: u16,
        /// Bets a second on the cluster engine; on the embedded one as many as the connections take
        #[cfg(feature = "cluster")]
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        rate: u64,
    },
    /// From a round's result to its last settlement confirmed by the partners
    ResultToConfirmed {
        /// Bets of each round
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        bets: u32,
        /// Partners, each with a wallet of its own
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=99))]
        partners: u16,
        /// How long each wallet takes to answer
        #[arg(long, value_name = "MS", default_value_t = 20)]
        wallet_latency_ms: u64,
        /// Rounds
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// Seed of the bets and results
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// The list of events: GET /bet-maker/events
    Events {
        /// Events in the list
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        events: u16,
        /// Keep-alive connections, each with one request at a time
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=999))]
        connections: u16,
        /// Length of each run
        #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
        /// Runs, each followed by one of the plain program
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
        pairs: u16,
    },
    Outage(outage::Flags),
    Isolation(isolation::Flags),
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
    let measured = match args.what {
        #[cfg(feature = "cluster")]
        What::Cluster(what) => cluster::measure(what, servers, &data_dir, args.json).await,
        What::Embedded(what) => {
            let site = Site {
                #[cfg(feature = "cluster")]
                servers: servers.as_ref(),
                data_dir: &data_dir,
                json: args.json,
            };
            measure(what, site).await
        }
    };
    if !kept && !matches!(&measured, Ok(Outcome { keeps: true, .. })) {
        std::fs::remove_dir_all(&data_dir)
            .with_context(|| format!("{} cannot be removed", data_dir.display()))?;
    }
    measured.map(|outcome| outcome.code)
}

async fn measure(what: Embedded, site: Site<'_>) -> anyhow::Result<Outcome> {
    const MEASURED: Outcome = Outcome { code: EXIT_OK, keeps: false };
    let exe = std::env::current_exe().context("this binary is not to be found")?;
    let (data_dir, json) = (site.data_dir.to_owned(), site.json);
    match what {
        Embedded::PostBet {
            connections,
            seconds,
            pairs,
            #[cfg(feature = "cluster")]
            rate,
        } => {
            let (connections, pairs) = (usize::from(connections), usize::from(pairs));
            let plan = PostBetPlan { connections, seconds, pairs, data_dir, exe };
            #[cfg(feature = "cluster")]
            if let Some(servers) = site.servers {
                let report = crate::bench::cluster::post_at_rate(&plan, rate, servers).await?;
                print(&report, json)?;
                return Ok(MEASURED);
            }
            print(&post_bet(&plan).await?, json)?;
        }
        Embedded::ResultToConfirmed { bets, partners, wallet_latency_ms, rounds, seed } => {
            let plan = ResultPlan {
                bets: usize::try_from(bets).context("too many bets")?,
                partners: usize::from(partners),
                wallet_latency_ms,
                rounds: usize::from(rounds),
                seed,
                data_dir,
                exe,
            };
            #[cfg(feature = "cluster")]
            if let Some(servers) = site.servers {
                let report = crate::bench::cluster::result_to_confirmed(&plan, servers).await?;
                print(&report, json)?;
                return Ok(MEASURED);
            }
            print(&result_to_confirmed(&plan).await?, json)?;
        }
        Embedded::Events { events, connections, seconds, pairs } => {
            let plan = EventsPlan {
                events: usize::from(events),
                connections: usize::from(connections),
                seconds,
                pairs: usize::from(pairs),
                data_dir,
                exe,
            };
            #[cfg(feature = "cluster")]
            if let Some(servers) = site.servers {
                print(&crate::bench::cluster::events(&plan, servers).await?, json)?;
                return Ok(MEASURED);
            }
            print(&crate::bench::events(&plan).await?, json)?;
        }
        Embedded::Outage(flags) => return outage::measure(flags, site).await,
        Embedded::Isolation(flags) => return isolation::measure(flags, site).await,
    }
    Ok(MEASURED)
}
