//! `roundhouse bench settle`, `result-to-topic` and `growth`: settlers without servers around them.

use super::{Outcome, PARTNERS, SEED, Site};
use crate::bench::{GrowthPlan, SettlePlan, TopicPlan};
use anyhow::Context;

/// Bets of a round of `settle`.
const ROUND_BETS: usize = 10_000;

/// What a core-second of a settler can do with bets that wait in the log, and the memory it takes
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SettleFlags {
    /// Bets of a run
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    bets: u32,
    /// Runs, each followed by the plain program
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
}

/// From a round's result to the last of its settlements in the topic
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TopicFlags {
    /// Bets of each round
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    bets: u32,
    /// Rounds, each followed by the plain program
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// What a settlement costs with more partners and with larger rounds
///
/// A settler's work alone, with 1, 20 and 1,000 partners and with rounds of 1,000 bets, 10,000 and so on. Every run
/// settles equally many bets, and the points take turns; behind each a plain program reads as many records and writes
/// as much. Printed are the CPU time of a settlement at each point by that of the cheapest and by the plain program's,
/// and memory at rest and at the most.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GrowthFlags {
    /// Bets of the largest round, and settlements of every run; of what is no power of ten, the one below
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    bets_max: u32,
    /// Runs of each point, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: u16,
    /// Seed of the bets and results
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(super) async fn settle(flags: SettleFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = SettlePlan {
        bets: usize::try_from(flags.bets).context("too many bets")?,
        round_bets: ROUND_BETS,
        partners: PARTNERS,
        pairs: usize::from(flags.pairs),
        seed: SEED,
        data_dir: site.data_dir.to_owned(),
    };
    site.measure(&plan).await
}

/// Measures and prints.
pub(super) async fn result_to_topic(flags: TopicFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = TopicPlan {
        bets: usize::try_from(flags.bets).context("too many bets")?,
        partners: PARTNERS,
        rounds: usize::from(flags.rounds),
        seed: SEED,
        data_dir: site.data_dir.to_owned(),
    };
    site.measure(&plan).await
}

/// Measures and prints.
pub(super) async fn growth(flags: GrowthFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = GrowthPlan {
        bets_max: usize::try_from(flags.bets_max).context("too many bets")?,
        runs: usize::from(flags.runs),
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
    };
    site.measure(&plan).await
}
