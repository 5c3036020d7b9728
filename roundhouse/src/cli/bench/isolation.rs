//! `roundhouse bench isolation`.

use super::{Outcome, Site, exe};
use crate::bench::IsolationPlan;
use anyhow::Context;

const EXAMPLES: &str = "\
Examples:
  roundhouse bench isolation
  roundhouse bench isolation --pairs 9 --seconds 20 --json

Exit codes:
  0  measured, and the healthy partners notice no more than they may
  1  the audit found something, the whole interval of the ratio is above 1.10, or an ill wallet was not seen as what it is
  2  could not be measured";

/// What healthy partners notice of five that are ill, in pairs of phases with and without
///
/// One wallet hangs, one answers 500, one takes 30 s, one refuses everything (with 400, 401, 403 or 422, by turns), one
/// sends bodies without end; printed is as what their dispatcher saw them. The
/// same settlements fall due in both phases of a pair. Printed is the ratio of the healthy partners' p99 from result
/// to confirmation, with its interval; and the same of a plain program, which brings the same settlements to wallets of
/// its own that are ill in the same phases, with no logic. At the end the audit reads the whole log, the facts and the
/// wallets' journals.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Flags {
    /// Partners that are well all the time, each with a wallet of its own
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=94))]
    healthy: u16,
    /// Pairs of phases
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(6..=60))]
    pairs: u16,
    /// Length of each phase
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Bets of each round of the healthy ones
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    bets: u32,
    /// Between the beginnings of two of their rounds
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    every_ms: u64,
    /// Bets of the ill ones that fall due every 500 ms
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    ill_bets: u32,
    /// How long each wallet takes to answer
    #[arg(long, value_name = "MS", default_value_t = 20)]
    wallet_latency_ms: u64,
    /// Seed of the bets
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(super) async fn measure(flags: Flags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = IsolationPlan {
        healthy: usize::from(flags.healthy),
        pairs: usize::from(flags.pairs),
        seconds: flags.seconds,
        bets: usize::try_from(flags.bets).context("too many bets")?,
        every_ms: flags.every_ms,
        ill_bets: usize::try_from(flags.ill_bets).context("too many bets")?,
        wallet_latency_ms: flags.wallet_latency_ms,
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    site.hold(&plan).await
}
