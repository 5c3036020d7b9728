//! `roundhouse bench returning`.

use super::{Outcome, Site, exe};
use crate::bench::ReturningPlan;
use anyhow::Context;

const EXAMPLES: &str = "\
Examples:
  roundhouse bench returning
  roundhouse bench returning --partners 20 --bets 10000 --away-s 10 --json

Exit codes:
  0  measured, and every limit was held
  1  the audit found something, or a limit was not held
  2  could not be measured";

/// All partners are away while settlements fall due for them, and come back at once
///
/// While they are away, one in three gives no answer, one answers 503, and one 503 with `Retry-After`. Printed are the
/// calls of each second, how soon what failed came again, the most that came at once beside what the limits allow,
/// whether `Retry-After` was honoured, and how long it took until all was confirmed. At the end the audit reads the
/// whole log, the facts and the wallets' journals.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Flags {
    /// Partners, each with a wallet of its own
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(3..=500))]
    partners: u16,
    /// Settlements that fall due while they are away, of all partners together
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    bets: u32,
    /// Rounds that these are spread over
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long they are away
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=7_200))]
    away_s: u64,
    /// How long each wallet takes to answer
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    wallet_latency_ms: u64,
    /// Seed of the bets
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(super) async fn measure(flags: Flags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = ReturningPlan {
        partners: usize::from(flags.partners),
        bets: usize::try_from(flags.bets).context("too many bets")?,
        rounds: usize::try_from(flags.rounds).context("too many rounds")?,
        away_s: flags.away_s,
        wallet_latency_ms: flags.wallet_latency_ms,
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    let each = plan.bets / plan.rounds;
    anyhow::ensure!(plan.partners <= each, "each partner needs a bet in each round: --bets");
    site.hold(&plan).await
}
