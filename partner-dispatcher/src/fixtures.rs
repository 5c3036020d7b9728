//! Settlements and answers for the tests of this crate.

use crate::judge::Came;
use bytes::Bytes;
use runtime::http::HttpAnswer;
use schemas::BetId;
use schemas::contract::{
    ItemOutcome, RowStatus, StateItem, StateRequest, StateResponse, StateResult, TargetBody,
    parse_units,
};
use schemas::settlements::{Reason, Settlement, Target};

/// Stake of every bet here, in cents.
pub(crate) const STAKE: i64 = 1_000;

pub(crate) fn bet(name: &str) -> BetId {
    format!("r_1:{name}").parse().unwrap()
}

/// `target` of a bet of partner `acme`.
pub(crate) fn settlement(name: &str, revision: u32, target: Target) -> Settlement {
    settlement_of("acme", name, revision, target)
}

pub(crate) fn settlement_of(
    partner: &str,
    name: &str,
    revision: u32,
    target: Target,
) -> Settlement {
    Settlement {
        bet: bet(name),
        revision,
        partner: partner.parse().unwrap(),
        player: "p \"9\"".parse().unwrap(),
        stake: schemas::Money::new(STAKE, "EUR".parse().unwrap(), 2).unwrap(),
        target,
        previous: Target::Held,
        reason: Reason::Result,
        caused_at: 1_000,
    }
}

/// A won bet: 2.50 for 1.00.
pub(crate) fn won(name: &str, revision: u32) -> Settlement {
    settlement(name, revision, Target::Settled(2_500))
}

/// What the target of an item says of the money, computed from the wire alone.
pub(crate) fn net(item: &StateItem) -> i64 {
    let units = |text: &str| parse_units(text).unwrap();
    match item.target {
        TargetBody::Held => -units(&item.stake.units),
        TargetBody::Settled => {
            units(&item.payout.as_ref().unwrap().units) - units(&item.stake.units)
        }
        TargetBody::Voided => 0,
    }
}

/// An honest `applied`.
pub(crate) fn applied(item: &StateItem) -> StateResult {
    StateResult {
        bet_id: item.bet_id.clone(),
        revision: item.revision,
        outcome: ItemOutcome::Applied,
        status: Some(match item.target {
            TargetBody::Held => RowStatus::Held,
            TargetBody::Settled => RowStatus::Settled,
            TargetBody::Voided => RowStatus::Voided,
        }),
        moved: None,
        collected_net: Some(net(item).to_string()),
        shortfall: None,
        replayed: false,
        code: None,
        partner_ref: None,
    }
}

pub(crate) fn superseded(item: &StateItem, by: u32) -> StateResult {
    StateResult { revision: by, outcome: ItemOutcome::Superseded, ..applied(item) }
}

pub(crate) fn rejected(item: &StateItem, code: &str) -> StateResult {
    StateResult {
        outcome: ItemOutcome::Rejected,
        code: Some(code.to_owned()),
        collected_net: None,
        ..applied(item)
    }
}

/// A 200 with these results, in ledger epoch `1`.
pub(crate) fn ok(request: &StateRequest, results: Vec<StateResult>) -> Came {
    ok_in("1", request, results)
}

pub(crate) fn ok_in(epoch: &str, request: &StateRequest, results: Vec<StateResult>) -> Came {
    let body = StateResponse {
        chunk_id: request.chunk_id.clone(),
        ledger_epoch: epoch.to_owned(),
        results,
    };
    status(200, &serde_json::to_string(&body).unwrap())
}

pub(crate) fn status(status: u16, body: &str) -> Came {
    Ok(HttpAnswer { status, retry_after_ms: None, body: Bytes::from(body.to_owned()) })
}
