//! The timeline of a bet: who said what, and when.
//!
//! Two reads, however many bets the round has: the bet's own story, and what was admitted about its round.

use super::ApiState;
use super::body::Id;
use super::credentials::Operator;
use super::history_bodies::AttemptBody;
use super::round_bodies::OutcomeBody;
use crate::auth::Duty;
use crate::history::story::{Delivery, Hold, Logged, Story, Tried};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use runtime::Engine;
use schemas::bets::Bet;
use schemas::contract::{MoneyBody, timestamp};
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::settlements::{REVISION_HELD, Settlement, Target};
use schemas::wire::DeliveryOutcome;
use schemas::{BetId, ClientRef, Odds, PartnerId, PlayerId, RoundId, Selection};
use serde::Serialize;
use std::collections::BTreeMap;

/// A bet and its life.
#[derive(Debug, Serialize)]
pub(super) struct TimelineBody {
    bet_id: BetId,
    round_id: RoundId,
    partner_id: PartnerId,
    partner_player_id: PlayerId,
    client_ref: ClientRef,
    selection: Selection,
    stake: MoneyBody,
    odds: Odds,
    status: &'static str,
    /// Ordered by time. Clocks of processes differ by some ms.
    timeline: Vec<SaidBody>,
}

/// Something that was said.
#[derive(Debug, Default, Serialize)]
struct SaidBody {
    #[serde(skip)]
    ms: i64,
    at: String,
    /// `player`, the partner, `placing`, `settler`, `dispatcher`, `operator`, or by name who said a result.
    who: String,
    said: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    /// The result version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<OutcomeBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<MoneyBody>,
    /// Why: a code, or the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The partner's code of a decline, or why a settlement was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i64>,
    /// The first of these and the last nine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempt_log: Vec<AttemptBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_epoch: Option<String>,
}

/// `GET /v1/bets/{id}/timeline`. A bet that has no decision has no timeline yet.
pub(super) async fn timeline<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(bet): Id<BetId>,
) -> Result<axum::Json<TimelineBody>, Problem> {
    operator.on(Duty::Read)?;
    let story = api.story(&bet).await?;
    let unknown = || {
        let problem = Problem::new(Kind::BET_UNKNOWN, format!("no bet {bet} is known here"));
        problem.is_final(false)
    };
    let (told, standing) = story.bet().zip(story.standing()).ok_or_else(unknown)?;
    let results = results(api.admitted(&bet.round()).await?);
    let Bet { id, partner, player, client_ref, selection, stake, odds, .. } = told.clone();
    Ok(axum::Json(TimelineBody {
        round_id: id.round(),
        bet_id: id,
        partner_id: partner,
        partner_player_id: player,
        client_ref,
        selection,
        stake: stake.into(),
        odds,
        status: standing.name(),
        timeline: said(&story, told, results),
    }))
}

/// What was admitted as each result version, as it was said first.
fn results(events: Vec<RoundEvent>) -> BTreeMap<u32, SaidBody> {
    let mut results = BTreeMap::new();
    for event in events {
        let RoundSaid::Version { replaces, outcome, reason } = &event.said else { continue };
        let version = replaces.saturating_add(1);
        results.entry(version).or_insert_with(|| SaidBody {
            version: Some(version),
            result: Some(OutcomeBody::from(outcome)),
            reason: Some(reason.clone()).filter(|reason| !reason.is_empty()),
            request_id: Some(event.request.to_string()),
            ..SaidBody::new(event.said_at, &event.actor, event.kind().name())
        });
    }
    results
}

fn said(story: &Story, bet: &Bet, results: BTreeMap<u32, SaidBody>) -> Vec<SaidBody> {
    let mut said = vec![SaidBody::new(bet.placed_at, "player", "placed")];
    said.extend(hold(story, &bet.partner));
    for Logged { at, said: decision } in story.decisions.values() {
        said.extend(decided(*at, decision));
    }
    for Logged { at, said: refused } in story.refused.values() {
        let request_id = Some(refused.request.to_string());
        let asked = SaidBody::new(refused.caused_at, "player", "cancel");
        said.push(SaidBody { request_id: request_id.clone(), ..asked });
        let reason = Some(refused.reason.clone());
        let answer = SaidBody::new(*at, "settler", "cancel_refused");
        said.push(SaidBody { request_id, reason, ..answer });
    }
    said.extend(results.into_values());
    said.extend(story.settlements.values().map(settled));
    said.extend(story.deliveries.iter().map(|told| delivered(told, &bet.partner)));
    let open = story.tried.iter().filter(|(revision, tried)| !is_told(story, **revision, tried));
    said.extend(open.filter_map(|(revision, tried)| in_vain(*revision, tried)));
    said.extend(story.replays.iter().map(|Logged { at, said }| SaidBody {
        revision: Some(*said),
        ..SaidBody::new(*at, "operator", "replayed")
    }));
    said.sort_by_key(|body| body.ms);
    said
}

/// Whether an answer or a parking tells of the last attempt.
fn is_told(story: &Story, revision: u32, tried: &Tried) -> bool {
    if revision == REVISION_HELD {
        return !matches!(story.hold(), None | Some((_, Hold::Unanswered)));
    }
    let mut of = story.deliveries.iter().filter(|told| told.said.revision() == Some(revision));
    of.any(|told| told.said.attempt_log.last() == tried.log.last())
}

/// What was tried and has no answer, as of the last attempt.
fn in_vain(revision: u32, tried: &Tried) -> Option<SaidBody> {
    let last = tried.log.last()?;
    let who = if revision == REVISION_HELD { "placing" } else { "dispatcher" };
    Some(SaidBody {
        revision: Some(revision),
        attempts: Some(tried.count),
        attempt_log: AttemptBody::all(&tried.log),
        ..SaidBody::new(last.at, who, "tried")
    })
}

/// The partner's answer to the hold, as the decision that it caused tells it.
fn hold(story: &Story, partner: &PartnerId) -> Option<SaidBody> {
    let (at, hold) = story.hold()?;
    let (said, code) = match hold {
        Hold::Approved => ("approved", None),
        Hold::Declined(code) => ("declined", Some(code)),
        Hold::Unanswered => return None,
    };
    let tried = story.tried.get(&REVISION_HELD);
    Some(SaidBody {
        code,
        revision: Some(REVISION_HELD),
        attempts: tried.map(|tried| tried.count),
        attempt_log: tried.map(|tried| AttemptBody::all(&tried.log)).unwrap_or_default(),
        ..SaidBody::new(at?, partner.as_str(), said)
    })
}

fn decided(at: i64, decision: &Decision) -> Vec<SaidBody> {
    let by_settler = |said| SaidBody::new(at, "settler", said);
    match &decision.verdict {
        Verdict::Accepted => vec![by_settler("accepted")],
        Verdict::Rejected(reason) => {
            let code = match reason {
                RejectReason::Declined(code) => Some(code.clone()),
                RejectReason::Expired
                | RejectReason::Closed
                | RejectReason::NotOpen
                | RejectReason::Thawed => None,
            };
            let reason = Some(reason.code().to_owned());
            vec![SaidBody { reason, code, ..by_settler("rejected") }]
        }
        Verdict::Cancelled(request) => {
            let request_id = Some(request.to_string());
            let asked = SaidBody::new(decision.caused_at, "player", "cancel");
            vec![
                SaidBody { request_id: request_id.clone(), ..asked },
                SaidBody { request_id, ..by_settler("cancelled") },
            ]
        }
    }
}

fn settled(Logged { at, said }: &Logged<Settlement>) -> SaidBody {
    let payout = match said.target {
        Target::Settled(units) => Some(said.stake.with_units(units).into()),
        Target::Held | Target::Voided => None,
    };
    SaidBody {
        revision: Some(said.revision),
        version: Some(said.result_version()).filter(|version| 0 < *version),
        reason: Some(said.reason.code().to_owned()),
        payout,
        ..SaidBody::new(*at, "settler", said.target.name())
    }
}

fn delivered(Logged { at, said }: &Logged<Delivery>, partner: &PartnerId) -> SaidBody {
    let record = &said.record;
    let who = match record.outcome {
        DeliveryOutcome::Applied | DeliveryOutcome::Superseded => partner.as_str(),
        DeliveryOutcome::Parked | DeliveryOutcome::Unknown => "dispatcher",
    };
    SaidBody {
        revision: said.revision(),
        attempts: said.attempts,
        attempt_log: AttemptBody::all(&said.attempt_log),
        code: record.code.clone(),
        superseded_by: record.superseded_by,
        ledger_epoch: Some(record.ledger_epoch.clone()).filter(|epoch| !epoch.is_empty()),
        ..SaidBody::new(*at, who, record.outcome.name())
    }
}

impl SaidBody {
    fn new(ms: i64, who: &str, said: &'static str) -> Self {
        Self { ms, at: timestamp(ms), who: who.to_owned(), said, ..Self::default() }
    }
}
