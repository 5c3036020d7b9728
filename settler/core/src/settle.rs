//! From a decision and the result versions to settlements.

use crate::{Game, Grade, RuleError, grade, knows, payout};
use planted::Bug;
use schemas::bets::Bet;
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::rounds::Outcome;
use schemas::settlements::{REVISION_VOID, Reason, Settlement, Target, revision_of};

/// The state of an accepted, uncancelled bet once `outcome` is the round's newest; `None` is
/// version 0, before any result.
///
/// A void grade is [`Target::Voided`], never settled with the stake.
///
/// # Errors
/// [`RuleError::UnknownRules`] if this build lacks the bet's rules version (R6);
/// [`RuleError::Ungraded`] and [`RuleError::Payout`] as [`grade`] and [`payout`] say.
///
/// # Source
/// `docs/rules/result-versions.md`.
pub fn state(game: Game, bet: &Bet, outcome: Option<&Outcome>) -> Result<Target, RuleError> {
    let rules_version = bet.rules_version;
    if !knows(rules_version) {
        return Err(RuleError::UnknownRules { rules_version });
    }
    match outcome {
        None | Some(Outcome::Withdrawn) => Ok(Target::Held),
        Some(Outcome::Voided) => Ok(Target::Voided),
        Some(outcome @ (Outcome::Game(_) | Outcome::Named { .. })) => {
            match grade(game, &bet.selection, outcome)? {
                Grade::Won => Ok(Target::Settled(payout(bet)?.units)),
                Grade::Lost => Ok(Target::Settled(0)),
                Grade::Void => Ok(Target::Voided),
            }
        }
    }
}

/// The settlement of an accepted, uncancelled bet at result version `version`, or `None` if that
/// version changes nothing for it (R14).
///
/// `outcomes` are those of versions 1, 2, ... in order, at least up to `version`; later ones are
/// not looked at. `caused_at` is the `said_at` of the version's marker, ms since the epoch. The
/// revision is `version + 2`.
///
/// # Errors
/// [`RuleError::MissingVersion`] if `version` is 0 or beyond `outcomes`; else as [`state`].
///
/// # Source
/// `docs/rules/result-versions.md`.
pub fn settlement_at(
    game: Game,
    bet: &Bet,
    outcomes: &[Outcome],
    version: u32,
    caused_at: i64,
) -> Result<Option<Settlement>, RuleError> {
    let index = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
    let Some((index, outcome)) = index.and_then(|index| Some((index, outcomes.get(index)?))) else {
        let known = outcomes.len();
        return Err(RuleError::MissingVersion { bet: bet.id.clone(), version, known });
    };
    let before = if planted::active(Bug::ComparedWithFirst) && 0 < index {
        outcomes.first()
    } else {
        outcomes[..index].last()
    };
    let previous = state(game, bet, before)?;
    let target = state(game, bet, Some(outcome))?;
    if target == previous {
        return Ok(None);
    }
    let revision = revision_of(version);
    let reason = reason(version, outcome);
    Ok(Some(Settlement::of(bet, revision, previous, target, reason, caused_at)))
}

fn reason(version: u32, outcome: &Outcome) -> Reason {
    match outcome {
        Outcome::Withdrawn => Reason::ResultWithdrawn,
        Outcome::Voided => Reason::RoundVoided,
        Outcome::Game(_) | Outcome::Named { .. } if version == 1 => Reason::Result,
        Outcome::Game(_) | Outcome::Named { .. } => Reason::ResultCorrected,
    }
}

/// The final void, at revision 2, of a bet that was rejected or cancelled (R11); `None` for an
/// accepted one.
///
/// Made of the decision alone: whoever reads the decision makes the same settlement.
///
/// # Source
/// `docs/rules/final-void.md`.
pub fn final_void(decision: &Decision) -> Option<Settlement> {
    let reason = match &decision.verdict {
        Verdict::Accepted => return None,
        Verdict::Rejected(RejectReason::Thawed) => Reason::Thawed,
        Verdict::Rejected(
            RejectReason::Declined(_)
            | RejectReason::Expired
            | RejectReason::Closed
            | RejectReason::NotOpen,
        ) => Reason::BetRejected,
        Verdict::Cancelled(_) => Reason::BetCancelled,
    };
    Some(Settlement::of(
        &decision.bet,
        REVISION_VOID,
        Target::Held,
        Target::Voided,
        reason,
        decision.caused_at,
    ))
}

/// Every settlement that one bet is owed, in the order of revisions: what the reconciler compares
/// with final answers, and an audit with what was sent.
///
/// `decision` is the bet's last: a cancelled one in place of the accepted one before it.
/// `versions` are the outcomes of versions 1, 2, ... in order, each with its marker's `said_at`.
/// The result is either one void at revision 2, or settlements at revision 3 and above (R10).
///
/// # Errors
/// As [`settlement_at`].
pub fn expected(
    game: Game,
    decision: &Decision,
    versions: &[(Outcome, i64)],
) -> Result<Vec<Settlement>, RuleError> {
    if let Some(void) = final_void(decision) {
        return Ok(vec![void]);
    }
    let outcomes: Vec<Outcome> = versions.iter().map(|(outcome, _)| outcome.clone()).collect();
    (1..)
        .zip(versions)
        .filter_map(|(version, (_, caused_at))| {
            settlement_at(game, &decision.bet, &outcomes, version, *caused_at).transpose()
        })
        .collect()
}

#[cfg(test)]
mod tests;
