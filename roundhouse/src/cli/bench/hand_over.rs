//! `roundhouse bench hand-over`.

use super::{Outcome, Site, exe, print};
use crate::bench::cluster::{HandOverPlan, hand_over};
use crate::cli::{EXIT_FINDING, EXIT_OK};
use anyhow::{Context, bail};

const EXAMPLES: &str = "\
Examples:
  roundhouse bench hand-over --engine cluster --brokers kafka:9092 --store-nodes scylla:9042
  roundhouse bench hand-over --engine cluster --profile single --kill

Exit codes:
  0  measured, and nothing is lost or doubled
  1  the audit found something, whose topics, keyspace and journals are left to be looked at; or the
     ratio is above --fail-above; or the load is more than the place carries
  2  could not be measured";

/// Settlers that come and go under load: nothing lost or doubled, and how long confirmations take
///
/// One process has every other role. Settlers are processes of their own: one at first, then more, one
/// after the other, until all run; then those that were there first are stopped (SIGTERM), one after the
/// other. At the end the audit reads the whole log, the store and the wallets' journals.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Flags {
    /// Settlers at the most; there is one at the beginning and one at the end
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=24))]
    settlers: u16,
    /// Partners, each with a wallet of its own
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=99))]
    partners: u16,
    /// How long each wallet takes to answer
    #[arg(long, value_name = "MS", default_value_t = 20)]
    wallet_latency_ms: u64,
    /// Bets of each round
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    bets: u32,
    /// Between the beginnings of two rounds
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    every_ms: u64,
    /// For how long a round takes bets; longer than --every-ms, rounds overlap
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    betting_ms: u64,
    /// Load before anything is measured
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    warm_up_s: u64,
    /// Length of the phase with one settler
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    steady_s: u64,
    /// Behind each start and each stop of a settler
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    step_s: u64,
    /// At the end start one more settler and kill it (SIGKILL); reported as a phase of its own
    #[arg(long)]
    kill: bool,
    /// Exit with 1 if the p99 of the hand-over is more than so many times that of the steady phase
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    fail_above: u64,
    /// Seed of the bets and results
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(super) async fn measure(flags: Flags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let Some(servers) = site.servers else {
        bail!(
            "this is measured on Kafka and a CQL store: add --engine cluster, --brokers, --store-nodes"
        );
    };
    let plan = HandOverPlan {
        servers: servers.clone(),
        settlers: usize::from(flags.settlers),
        partners: usize::from(flags.partners),
        wallet_latency_ms: flags.wallet_latency_ms,
        bets: usize::try_from(flags.bets).context("too many bets")?,
        every_ms: flags.every_ms,
        betting_ms: flags.betting_ms,
        warm_up_s: flags.warm_up_s,
        steady_s: flags.steady_s,
        step_s: flags.step_s,
        kill: flags.kill,
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    let report = hand_over(&plan).await?;
    print(&report, site.json)?;
    let bound = flags.fail_above.saturating_mul(1_000);
    let clean = report.audit.clean;
    let within = !report.overloaded && report.p99_per_mille <= bound;
    let code = if clean && within { EXIT_OK } else { EXIT_FINDING };
    Ok(Outcome { code, keeps: !clean })
}
