//! `roundhouse bench result-to-confirmed` and `correct-old`.

use super::{Outcome, PARTNERS, SEED, Site, exe};
use crate::bench::{ResultPlan, Said};
use anyhow::Context;

/// How long each wallet takes to answer a correction, in ms.
const LATENCY_MS: u64 = 20;

/// From a round's result to its last settlement confirmed by the partners
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResultFlags {
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
}

/// From a correction of a round that the settlers have forgotten to its last confirmation
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CorrectFlags {
    /// Bets of each round
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    bets: u32,
    /// Rounds; all but the newest are corrected
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    rounds: u16,
}

/// Measures and prints.
pub(super) async fn result_to_confirmed(
    flags: ResultFlags,
    site: Site<'_>,
) -> anyhow::Result<Outcome> {
    let plan = ResultPlan {
        said: Said::Result,
        bets: usize::try_from(flags.bets).context("too many bets")?,
        partners: usize::from(flags.partners),
        wallet_latency_ms: flags.wallet_latency_ms,
        rounds: usize::from(flags.rounds),
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    site.measure(&plan).await
}

/// Measures and prints.
pub(super) async fn correct_old(flags: CorrectFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = ResultPlan {
        said: Said::Correction,
        bets: usize::try_from(flags.bets).context("too many bets")?,
        partners: PARTNERS,
        wallet_latency_ms: LATENCY_MS,
        rounds: usize::from(flags.rounds),
        seed: SEED,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    site.measure(&plan).await
}
