//! What a partner's answer to authorize means.

use super::call::HoldReply;
use planted::Bug;
use schemas::BetId;
use schemas::bets::HoldAnswer;
use schemas::contract::{AuthorizeResponse, HoldDecision, RowStatus};

/// Codes of a decline (contract 4); any other word is `other`.
const DECLINE_CODES: &[&str] = &[
    "insufficient_funds",
    "player_blocked",
    "limit_exceeded",
    "session_invalid",
    "currency_mismatch",
    "game_not_allowed",
    "bet_expired",
];
const DECLINE_OTHER: &str = "other";

/// What an answer to authorize means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The partner decided; this goes to the log.
    Answer(HoldAnswer),
    /// The bet is already over at the partner: voided, or at revision 3 or above. Nothing is written,
    /// and nothing is asked again.
    Standing,
    /// No answer. Nothing is written; the same bytes may be sent again.
    Unknown,
}

/// Judges what came back from the partner for `bet`: the one place that does.
///
/// A decision is a status of 200 with a body that echoes the bet and says the same in `decision` and
/// `status`; approved and declined also echo revision 1. All else is no answer, whatever the status
/// says: a 422, a redirect, a proxy's page, a body about another bet (contract 4).
///
/// Whether the partner said it at all was judged before, by its signature.
pub fn judge_hold(reply: &HoldReply, bet: &BetId) -> Judged {
    let judged = match reply {
        HoldReply::Http { status: 200, body } => judge_body(body, bet),
        HoldReply::Http { .. }
        | HoldReply::Busy { .. }
        | HoldReply::Nothing { .. }
        | HoldReply::Unsent => Judged::Unknown,
    };
    if judged == Judged::Unknown && planted::active(Bug::UnknownMeansDeclined) {
        return Judged::Answer(HoldAnswer::Declined(DECLINE_OTHER.to_owned()));
    }
    judged
}

fn judge_body(body: &[u8], bet: &BetId) -> Judged {
    let Ok(response) = serde_json::from_slice::<AuthorizeResponse>(body) else {
        return Judged::Unknown;
    };
    if !echoes(&response, bet) {
        return Judged::Unknown;
    }
    let row = (response.revision, response.decision, response.status);
    let stands = [RowStatus::Held, RowStatus::Settled, RowStatus::Voided].contains(&row.2);
    let voided = row.1 == Some(HoldDecision::Voided) && row.2 == RowStatus::Voided;
    if row == (1, Some(HoldDecision::Approved), RowStatus::Held) {
        Judged::Answer(HoldAnswer::Approved)
    } else if row == (1, Some(HoldDecision::Declined), RowStatus::Declined) {
        Judged::Answer(HoldAnswer::Declined(decline_code(response.code.as_deref())))
    } else if voided || (3 <= row.0 && stands) {
        Judged::Standing
    } else {
        Judged::Unknown
    }
}

/// True if the answer is about `bet`. A message id may be left out, but not be another's.
fn echoes(response: &AuthorizeResponse, bet: &BetId) -> bool {
    let message = response.message_id.as_str();
    let ours = message.is_empty() || message.strip_suffix(":1") == Some(bet.as_str());
    ours && response.bet_id == bet.as_str()
}

fn decline_code(code: Option<&str>) -> String {
    let known = DECLINE_CODES.iter().find(|known| Some(**known) == code);
    known.copied().unwrap_or(DECLINE_OTHER).to_owned()
}
