//! Grades and payouts once more, from the published rules and with integers alone.
//!
//! Written apart from the settler's rules on purpose: a mistake in one of the two shows as a violation.

use schemas::bets::Bet;
use schemas::rounds::Outcome;
use schemas::settlements::Target;

/// The state of an accepted bet under `outcome`, the newest of its round; `None` before any.
///
/// Err carries words for the report: the game has no such outcome or selection.
pub(super) fn state(game: &str, bet: &Bet, outcome: Option<&Outcome>) -> Result<Target, String> {
    let selection = bet.selection.as_str();
    match outcome {
        None | Some(Outcome::Withdrawn) => Ok(Target::Held),
        Some(Outcome::Voided) => Ok(Target::Voided),
        Some(Outcome::Game(outcome)) => {
            let won = wins(game, selection, outcome).ok_or_else(|| {
                format!("{selection} of a {game} has no grade under outcome {outcome}")
            })?;
            Ok(Target::Settled(if won { payout(bet)? } else { 0 }))
        }
        Some(Outcome::Named { won, void }) => {
            let named = |list: &[schemas::Selection]| list.iter().any(|s| s.as_str() == selection);
            match (named(won), named(void)) {
                (true, true) => Err(format!("{selection} is named both won and void")),
                (true, false) => Ok(Target::Settled(payout(bet)?)),
                (false, true) => Ok(Target::Voided),
                (false, false) => Ok(Target::Settled(0)),
            }
        }
    }
}

/// stake x odds, rounded down to the minor unit.
fn payout(bet: &Bet) -> Result<i64, String> {
    let exact = i128::from(bet.stake.units) * i128::from(bet.odds.hundredths());
    i64::try_from(exact.div_euclid(100)).map_err(|_| "the payout does not fit 64 bits".to_owned())
}

fn wins(game: &str, selection: &str, outcome: &str) -> Option<bool> {
    match game {
        "die" => {
            let thrown: u8 = outcome.parse().ok().filter(|n| (1..=6).contains(n))?;
            match selection {
                "odd" => Some(thrown % 2 == 1),
                "even" => Some(thrown.is_multiple_of(2)),
                "low" => Some(thrown <= 3),
                "high" => Some(4 <= thrown),
                number => {
                    number.parse().ok().filter(|n| (1..=6).contains(n)).map(|n: u8| n == thrown)
                }
            }
        }
        "two_way" => {
            let side = |text: &str| matches!(text, "first" | "second");
            (side(selection) && side(outcome)).then(|| selection == outcome)
        }
        _ => None,
    }
}

/// What a bet in this state is worth to the player, against a stake that was free before.
pub(super) fn net(target: Target, stake: i64) -> i128 {
    match target {
        Target::Held => -i128::from(stake),
        Target::Settled(payout) => i128::from(payout) - i128::from(stake),
        Target::Voided => 0,
    }
}
