//! Bets in JSON.

use super::body::Object;
use super::round_bodies::OutcomeBody;
use crate::bet_view::{Delivered, Moment};
use schemas::contract::{MoneyBody, timestamp};
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::{BetId, ClientRef, Currency, Odds, RequestId, RoundId, Selection};
use serde::{Deserialize, Serialize};

/// `POST /v1/bets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    pub(super) client_ref: ClientRef,
    pub(super) round_id: RoundId,
    pub(super) selection: Selection,
    pub(super) stake: Object<StakeBody>,
    pub(super) odds: Odds,
}

/// A stake. Units are text, so that no reader loses precision above 2^53.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StakeBody {
    pub(super) units: String,
    pub(super) currency: Currency,
    pub(super) exponent: i64,
}

/// `POST /v1/bets/{id}/cancel`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelBody {
    /// Shows that a bet without a decision is the player's.
    pub(super) client_ref: Option<ClientRef>,
    pub(super) request_id: Option<RequestId>,
}

/// A bet.
#[derive(Debug, Serialize)]
pub(super) struct BetBody {
    bet_id: BetId,
    /// `accepted`, `rejected`, `cancelled` or `pending`.
    status: &'static str,
    /// False while there is no decision.
    #[serde(rename = "final")]
    last: bool,
    #[serde(flatten)]
    decided: Option<DecidedBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<MomentBody>>,
}

/// What a decision says of its bet.
#[derive(Debug, Serialize)]
pub(super) struct DecidedBody {
    round_id: RoundId,
    client_ref: ClientRef,
    selection: Selection,
    stake: MoneyBody,
    odds: Odds,
    placed_at: String,
    decided_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<RequestId>,
}

impl BetBody {
    /// A bet without a decision.
    pub(super) fn pending(bet_id: BetId) -> Self {
        Self { bet_id, status: "pending", last: false, decided: None, timeline: None }
    }

    /// A decided bet.
    pub(super) fn decided(decision: &Decision) -> Self {
        let (bet_id, status) = (decision.bet.id.clone(), word(&decision.verdict));
        let decided = Some(DecidedBody::from(decision));
        Self { bet_id, status, last: true, decided, timeline: None }
    }

    /// The bet with its life so far.
    pub(super) fn with_timeline(self, moments: &[Moment]) -> Self {
        Self { timeline: Some(moments.iter().map(MomentBody::from).collect()), ..self }
    }
}

impl From<&Decision> for DecidedBody {
    fn from(decision: &Decision) -> Self {
        let (reason, decline_code, cancelled_by) = match &decision.verdict {
            Verdict::Accepted => (None, None, None),
            Verdict::Rejected(RejectReason::Declined(code)) => {
                (Some("declined"), Some(code.clone()), None)
            }
            Verdict::Rejected(reason) => (Some(reason.code()), None, None),
            Verdict::Cancelled(request) => (None, None, Some(request.clone())),
        };
        let bet = &decision.bet;
        Self {
            round_id: bet.id.round(),
            client_ref: bet.client_ref.clone(),
            selection: bet.selection.clone(),
            stake: bet.stake.into(),
            odds: bet.odds,
            placed_at: timestamp(bet.placed_at),
            decided_at: timestamp(decision.caused_at),
            reason,
            decline_code,
            cancelled_by,
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Rejected(_) => "rejected",
        Verdict::Cancelled(_) => "cancelled",
    }
}

/// One step of a bet's life.
#[derive(Debug, Serialize)]
struct MomentBody {
    /// `placed`, a decision, `voided` (the final void), `closed`, `version` or `frozen`.
    said: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The result version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<OutcomeBody>,
    /// The partner's final answers to what it made of the bet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delivered: Vec<DeliveredBody>,
}

#[derive(Debug, Serialize)]
struct DeliveredBody {
    revision: u32,
    outcome: &'static str,
}

impl MomentBody {
    fn plain(said: &'static str, at: Option<i64>) -> Self {
        let at = at.map(timestamp);
        Self { said, at, version: None, result: None, delivered: Vec::new() }
    }
}

impl From<&Moment> for MomentBody {
    fn from(moment: &Moment) -> Self {
        let told = |delivered: &[Delivered]| {
            let told = delivered.iter().map(|answer| DeliveredBody {
                revision: answer.revision,
                outcome: answer.outcome.name(),
            });
            told.collect()
        };
        match moment {
            Moment::Placed { at } => Self::plain("placed", Some(*at)),
            Moment::Decided { at, verdict } => Self::plain(word(verdict), Some(*at)),
            Moment::Voided { delivered } => {
                Self { delivered: told(delivered), ..Self::plain("voided", None) }
            }
            Moment::Closed { at } => Self::plain("closed", Some(*at)),
            Moment::Version { at, version, outcome, delivered } => {
                let result = OutcomeBody::from(outcome);
                Self {
                    version: Some(*version),
                    delivered: told(delivered),
                    ..Self { result: Some(result), ..Self::plain("version", Some(*at)) }
                }
            }
            Moment::Frozen => Self::plain("frozen", None),
        }
    }
}
