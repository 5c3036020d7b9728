//! `roundhouse bench outage`.

use super::{Outcome, Site, exe};
use crate::bench::{Illness, OutagePlan};
use anyhow::Context;
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};

const EXAMPLES: &str = "\
Examples:
  roundhouse bench outage
  roundhouse bench outage --minutes 1 --owed 20000 --rounds 10 --json
  roundhouse bench outage --owed 1000000 --rounds 100 --illness all

Exit codes:
  0  measured; a floor that is not met is no failure
  1  the audit found something, a wallet was called more often at once than it may be, more settlements were in
     memory than may be (some 107,000 for each that is away; where less is owed, that is not put to the test),
     memory grew by more than --growth-mib-max, or an ill wallet was not seen as what it is
  2  could not be measured";

/// The fewest rounds before, where nobody says how many.
const CONTROL_ROUNDS_MIN: usize = 2;
/// All of the five ways.
const ALL: &str = "all";
/// MiB. Of what is owed a dispatcher holds 100,000 settlements or so, of 1 KB each; a million that this bench waits for
/// are 300 MB more.
const GROWTH_MIB_MAX: u64 = 1_024;

/// A partner that is away while settlements fall due for it, and what the others notice
///
/// The bets of the one are placed first. Then results fall due for it while it is there, as a measure, of
/// rounds as large and as far apart as later; then it is away, and at its return everything it is owed is
/// confirmed. All the time the others play. Then a plain program brings up to 100,000 of what was owed to a wallet of
/// its own, with as many calls at once and no logic. At the end the audit reads the whole log, the facts and the
/// wallets' journals.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Flags {
    /// How long the one is away
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    minutes: u64,
    /// What is amiss with it; given several times, or `all` for five ways, so many partners are away and share what
    /// falls due
    #[arg(long, value_name = "NAME", default_value = "resets", value_parser = illness())]
    illness: Vec<String>,
    /// The most that memory may grow by while it is away and until it has everything. What falls due is also remembered
    /// by this bench, which shares the process with the server, until it is confirmed
    #[arg(long, value_name = "MIB", default_value_t = GROWTH_MIB_MAX)]
    growth_mib_max: u64,
    /// Settlements that fall due for it meanwhile
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    owed: u32,
    /// Rounds that these are spread over
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rounds as large and as far apart while it is still there [default: half of --rounds, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    control_rounds: Option<u16>,
    /// Partners that stay, each with a wallet of its own
    #[arg(long, value_name = "N", default_value_t = 19, value_parser = clap::value_parser!(u16).range(1..=98))]
    others: u16,
    /// Bets of each round of the others
    #[arg(long, value_name = "N", default_value_t = 190, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    bets: u32,
    /// Between the beginnings of two rounds of the others
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    every_ms: u64,
    /// How long each wallet takes to answer
    #[arg(long, value_name = "MS", default_value_t = 20)]
    wallet_latency_ms: u64,
    /// Seed of the bets
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Measures and prints.
pub(super) async fn measure(flags: Flags, site: Site<'_>) -> anyhow::Result<Outcome> {
    anyhow::ensure!(flags.rounds <= flags.owed, "a round has a bet or more: --rounds, --owed");
    let rounds = usize::try_from(flags.rounds).context("too many rounds")?;
    let plan = OutagePlan {
        others: usize::from(flags.others),
        illnesses: illnesses(&flags.illness),
        growth_mib_max: flags.growth_mib_max,
        owed: usize::try_from(flags.owed).context("too many settlements")?,
        rounds,
        away_s: flags.minutes * 60,
        control_rounds: flags.control_rounds.map_or_else(|| half_of(rounds), usize::from),
        bets: usize::try_from(flags.bets).context("too many bets")?,
        every_ms: flags.every_ms,
        wallet_latency_ms: flags.wallet_latency_ms,
        seed: flags.seed,
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    site.hold(&plan).await
}

/// The names of illnesses, and `all`.
fn illness() -> PossibleValuesParser {
    let names = Illness::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(
        names.chain([PossibleValue::new(ALL).help("Five of these: all but resets")]),
    )
}

fn illnesses(names: &[String]) -> Vec<Illness> {
    let of = |name: &String| match name.as_str() {
        ALL => Illness::FIVE.to_vec(),
        name => Illness::from_str(name, false).into_iter().collect(),
    };
    names.iter().flat_map(of).collect()
}

/// How many rounds come before, where nobody says it.
fn half_of(rounds: usize) -> usize {
    rounds.div_ceil(2).max(CONTROL_ROUNDS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_an_illness_and_all_are_five() {
        let named = |names: &[&str]| {
            illnesses(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(named(&["resets"]), [Illness::Resets]);
        assert_eq!(named(&["refuses", "slow"]), [Illness::Refuses, Illness::Slow]);
        assert_eq!(named(&[ALL]), Illness::FIVE);
        let all = Illness::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        assert_eq!(
            illnesses(&all.map(|one| one.get_name().to_owned()).collect::<Vec<_>>()),
            Illness::value_variants()
        );
    }

    #[test]
    fn half_as_many_rounds_come_before_and_two_at_least() {
        assert_eq!([1, 2, 4, 5, 20].map(half_of), [2, 2, 2, 3, 10]);
    }
}
