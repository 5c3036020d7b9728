//! One item of an answer.

use super::{Asked, Verdict};
use planted::Bug;
use runtime::telemetry::plain;
use schemas::contract::{ItemOutcome, RowStatus, StateResult, parse_units};
use schemas::settlements::{Settlement, Target};

/// Why an item is set aside: the stable codes of parked records and cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkCode {
    /// The partner has another content under this revision; or we have.
    RevisionConflict,
    /// The partner has no row of the bet.
    UnknownBet,
    /// The partner's row cannot become what is asked.
    InvalidTransition,
    /// The agreed window for corrections is over.
    CorrectionRefused,
    /// The money that the partner says it moved is not what the target says (R17).
    CollectedNet,
    /// The partner says it applied the target and names another state.
    Status,
    /// There was no answer for as long as retries go on.
    RetentionExhausted,
}

impl ParkCode {
    /// The code on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::RevisionConflict => "revision_conflict",
            Self::UnknownBet => "unknown_bet",
            Self::InvalidTransition => "invalid_transition",
            Self::CorrectionRefused => "correction_refused",
            Self::CollectedNet => "collected_net",
            Self::Status => "status",
            Self::RetentionExhausted => "retention_exhausted",
        }
    }

    /// The code of a `rejected` item; `None` for one this build does not know, which stays owed.
    fn of_rejected(code: &str) -> Option<Self> {
        let known = [
            Self::RevisionConflict,
            Self::UnknownBet,
            Self::InvalidTransition,
            Self::CorrectionRefused,
        ];
        known.into_iter().find(|known| known.code() == code)
    }
}

/// What the partner must have moved on the bet in total, in minor units; `None` if it cannot be held.
///
/// # Source
/// Contract 1: net(held) = -stake, net(settled) = payout - stake, net(voided) = 0.
pub(crate) fn net(settlement: &Settlement) -> Option<i64> {
    let stake = settlement.stake.units;
    match settlement.target {
        Target::Held => stake.checked_neg(),
        Target::Settled(payout) => payout.checked_sub(stake),
        Target::Voided => Some(0),
    }
}

/// Whether the result that names the bet says what became of revision `sent`, or asks for patience.
pub(super) fn says(sent: u32, result: &StateResult) -> bool {
    match result.outcome {
        ItemOutcome::Applied => result.revision == sent,
        ItemOutcome::Superseded => sent < result.revision,
        ItemOutcome::Rejected => {
            result.revision == sent
                && result.code.as_deref().and_then(ParkCode::of_rejected).is_some()
        }
        ItemOutcome::Pending => true,
        ItemOutcome::Other => false,
    }
}

/// Judges the result that names the bet.
pub(super) fn judge(asked: Asked<'_>, result: &StateResult) -> Verdict {
    let sent = asked.settlement.revision;
    match result.outcome {
        ItemOutcome::Applied if result.revision == sent => applied(asked.settlement, result),
        ItemOutcome::Superseded => superseded(asked, result.revision),
        ItemOutcome::Rejected if result.revision == sent => {
            let code = result.code.as_deref().and_then(ParkCode::of_rejected);
            code.map_or(Verdict::Owed, |code| Verdict::Park { code, said: "rejected".to_owned() })
        }
        ItemOutcome::Pending => Verdict::Pending,
        ItemOutcome::Applied | ItemOutcome::Rejected | ItemOutcome::Other => Verdict::Owed,
    }
}

/// R17: `applied` is final only if the money is what the target says.
fn applied(sent: &Settlement, result: &StateResult) -> Verdict {
    let moved = result.collected_net.as_deref().and_then(parse_units);
    let short = result.shortfall.as_deref().map_or(Some(0), parse_units);
    let counted = match (moved, short) {
        (Some(moved), Some(short)) if 0 <= short => moved.checked_sub(short),
        (Some(_) | None, Some(_) | None) => None,
    };
    let differs = counted.is_none() || counted != net(sent);
    if differs && !planted::active(Bug::NetBelieved) {
        return Verdict::Park { code: ParkCode::CollectedNet, said: amounts(sent, result) };
    }
    let wanted = match sent.target {
        Target::Held => RowStatus::Held,
        Target::Settled(_) => RowStatus::Settled,
        Target::Voided => RowStatus::Voided,
    };
    let shortfall = short.unwrap_or(0);
    match result.status {
        // Absent, or a newer word for what the money proves.
        None | Some(RowStatus::Other) => Verdict::Applied { shortfall },
        Some(status) if status == wanted => Verdict::Applied { shortfall },
        Some(status) => {
            Verdict::Park { code: ParkCode::Status, said: format!("the row is {status:?}") }
        }
    }
}

/// R17: `superseded` is final only if it names a higher revision that exists.
fn superseded(asked: Asked<'_>, by: u32) -> Verdict {
    if planted::active(Bug::SupersededBelieved) {
        return Verdict::Superseded { by };
    }
    if by <= asked.settlement.revision {
        Verdict::Owed
    } else if by <= asked.newest_read {
        Verdict::Superseded { by }
    } else {
        Verdict::Claimed { by }
    }
}

fn amounts(sent: &Settlement, result: &StateResult) -> String {
    // The partner's text goes to people; it is cut, not trusted, and ends no line of a log.
    let text = |said: &Option<String>| -> String {
        let said: String = said.as_deref().unwrap_or("nothing").chars().take(24).collect();
        plain(&said).into_owned()
    };
    let wanted = net(sent).map_or_else(|| "more than 64 bits".to_owned(), |net| net.to_string());
    let (collected, short) = (text(&result.collected_net), text(&result.shortfall));
    format!("collected_net {collected}, shortfall {short}, and the target says {wanted}")
}
