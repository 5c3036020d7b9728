//! Rounds in JSON.

use super::body::Object;
use crate::line::Judged;
use crate::rounds_view::{Proposal, ProposalEnd, RoundInfo};
use schemas::contract::timestamp;
use schemas::rounds::{Offer, Outcome};
use schemas::{Odds, RequestId, RoundId, Selection};
use serde::{Deserialize, Serialize};

/// A selection with its odds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfferBody {
    id: Selection,
    /// A decimal as text, at most two decimals.
    odds: Odds,
}

impl From<Object<OfferBody>> for Offer {
    fn from(Object(body): Object<OfferBody>) -> Self {
        Self { selection: body.id, odds: body.odds }
    }
}

impl From<&Offer> for OfferBody {
    fn from(offer: &Offer) -> Self {
        Self { id: offer.selection.clone(), odds: offer.odds }
    }
}

/// `POST /v1/rounds`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenBody {
    pub(super) round_id: Option<RoundId>,
    pub(super) game: String,
    pub(super) selections: Vec<Object<OfferBody>>,
    /// RFC 3339 with offset; or `betting_ms`.
    pub(super) closes_at: Option<String>,
    /// Ms from now on; or `closes_at`.
    pub(super) betting_ms: Option<i64>,
    pub(super) grace_ms: Option<i64>,
    pub(super) request_id: Option<RequestId>,
}

/// `PATCH /v1/rounds/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmendBody {
    #[serde(default)]
    pub(super) selections: Vec<Object<OfferBody>>,
    pub(super) closes_at: Option<String>,
    pub(super) request_id: Option<RequestId>,
}

/// `POST /v1/rounds/{id}/close`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseBody {
    pub(super) request_id: Option<RequestId>,
}

/// `POST /v1/rounds/{id}/result` and `/correct`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultBody {
    pub(super) replaces: u32,
    pub(super) outcome: Option<String>,
    pub(super) won: Option<Vec<Selection>>,
    pub(super) void: Option<Vec<Selection>>,
    pub(super) reason: Option<String>,
    pub(super) request_id: Option<RequestId>,
}

/// `POST /v1/rounds/{id}/withdraw` and `/void`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeBackBody {
    pub(super) replaces: u32,
    pub(super) reason: String,
    pub(super) request_id: Option<RequestId>,
}

/// `?wait=true`: hold a result until the round is sealed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultParams {
    #[serde(default)]
    pub(super) wait: bool,
}

/// `?open=&limit=&cursor=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    #[serde(default)]
    pub(super) open: bool,
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<String>,
}

/// The answer to everything that is said about a round: what was admitted.
#[derive(Debug, Serialize)]
pub(super) struct AdmittedBody {
    round_id: RoundId,
    request_id: RequestId,
    admitted: &'static str,
    /// The result version after it.
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_at: Option<String>,
}

impl From<Judged> for AdmittedBody {
    fn from(judged: Judged) -> Self {
        Self {
            round_id: judged.round,
            request_id: judged.request,
            admitted: judged.kind.name(),
            version: judged.version,
            closes_at: judged.closes_at.map(timestamp),
        }
    }
}

/// A result version.
#[derive(Debug, Serialize)]
pub(super) struct OutcomeBody {
    /// `result`, `withdrawn` or `voided`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    won: Option<Vec<Selection>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<Vec<Selection>>,
}

impl From<&Outcome> for OutcomeBody {
    fn from(outcome: &Outcome) -> Self {
        let plain = |kind| Self { kind, outcome: None, won: None, void: None };
        match outcome {
            Outcome::Game(outcome) => Self { outcome: Some(outcome.clone()), ..plain("result") },
            Outcome::Named { won, void } => {
                Self { won: Some(won.clone()), void: Some(void.clone()), ..plain("result") }
            }
            Outcome::Withdrawn => plain("withdrawn"),
            Outcome::Voided => plain("voided"),
        }
    }
}

/// A round.
#[derive(Debug, Serialize)]
pub(super) struct RoundBody {
    round_id: RoundId,
    status: &'static str,
    game: String,
    rules_version: u32,
    selections: Vec<OfferBody>,
    opened_at: String,
    closes_at: String,
    grace_ms: i64,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<OutcomeBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<LineBody>,
    /// The corrections that were proposed, and what became of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<ProposalBody>,
}

/// A proposed correction.
#[derive(Debug, Serialize)]
pub(super) struct ProposalBody {
    proposal_id: String,
    /// `open`, `approved` or `rejected`.
    status: &'static str,
    proposed_by: String,
    proposed_at: String,
    replaces: u32,
    proposed: OutcomeBody,
    reason: String,
    /// Who approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Approved: the result version it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_because: Option<String>,
}

impl ProposalBody {
    pub(super) fn of(proposal: &Proposal) -> Self {
        let (status, end, version, rejected_because) = match &proposal.end {
            None => ("open", None, None, None),
            Some(ProposalEnd::Approved { by, at, version }) => {
                ("approved", Some((by, at)), Some(*version), None)
            }
            Some(ProposalEnd::Rejected { by, at, reason }) => {
                ("rejected", Some((by, at)), None, Some(reason.clone()))
            }
        };
        Self {
            proposal_id: proposal.id.to_string(),
            status,
            proposed_by: proposal.by.clone(),
            proposed_at: timestamp(proposal.at),
            replaces: proposal.replaces,
            proposed: OutcomeBody::from(&proposal.outcome),
            reason: proposal.reason.clone(),
            ended_by: end.map(|(by, _)| by.clone()),
            ended_at: end.map(|(_, at)| timestamp(*at)),
            version,
            rejected_because,
        }
    }
}

/// Something that was said, and the herald's word on it.
#[derive(Debug, Serialize)]
struct LineBody {
    at: String,
    said: &'static str,
    actor: String,
    request_id: RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&RoundInfo> for RoundBody {
    fn from(info: &RoundInfo) -> Self {
        let history = info.history.iter().map(|line| LineBody {
            at: timestamp(line.at),
            said: line.kind.name(),
            actor: line.actor.clone(),
            request_id: line.request.clone(),
            refused: line.refused.clone(),
            version: line.version,
            reason: line.reason.clone(),
        });
        Self {
            round_id: info.round.clone(),
            status: info.status.name(),
            game: info.game.clone(),
            rules_version: info.rules_version,
            selections: info.offers.iter().map(OfferBody::from).collect(),
            opened_at: timestamp(info.opened_at),
            closes_at: timestamp(info.closes_at),
            grace_ms: info.grace_ms,
            version: info.version,
            result: info.outcome.as_ref().map(OutcomeBody::from),
            history: history.collect(),
            corrections: info.proposals.iter().map(ProposalBody::of).collect(),
        }
    }
}

/// A page of rounds, newest first.
#[derive(Debug, Serialize)]
pub(super) struct RoundsBody {
    pub(super) rounds: Vec<RoundBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}
