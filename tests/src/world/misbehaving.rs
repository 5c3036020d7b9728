//! What partners do wrong in the field, by the names of the catalogue.
//!
//! A seed plays one of them, and the wallet stays as honest as the misbehaviour leaves it. What moves no wrong money must be right
//! at rest. Where the wallet itself is wrong, that must have been noticed, and nothing else may be wrong.

use super::calls::{Answer, Call, Endpoint};
use super::slot::SlotRef;
use super::wallet::{Arrival, Manner, Wallets, answer, said};
use super::{Event, Micros, World};
use bytes::Bytes;
use partner_kit::misbehaviours::{Misbehaviour, garble};
use schemas::PartnerId;
use schemas::contract::{ItemOutcome, StateItem, StateResult, TargetBody, parse_units};
use schemas::settlements::REVISION_VOID;
use std::collections::{BTreeMap, BTreeSet};

/// When a stake that is held late expires: it does not matter to the wallet.
const NEVER: &str = "2999-01-01T00:00:00.000Z";

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Play {
    /// Nothing is applied; one of these statuses comes back.
    Refused(&'static [u16]),
    /// Nothing is applied; 200 with these bytes comes back.
    Said(&'static [u8]),
    /// Nothing is applied, and nothing that counts comes back.
    Unreached,
    /// It is applied, and nothing that counts comes back: soon.
    Unheard,
    /// It is applied, and the caller waits in vain.
    Silent,
    /// The caller waits in vain, and long after that it is applied.
    Late,
    /// All is refused for a while, and then applied at once.
    Flood,
    /// The caller waits in vain for a stake, which is held later, behind a void that found nothing.
    HoldLate,
    /// It is answered late, or otherwise than it stands.
    Misstated,
    /// It is taken, and its answer spoilt so.
    Taken(Spoilt),
}

/// An answer on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// 500 in its place.
    Failed,
    /// 200 without a body.
    Empty,
    /// Half of it.
    Cut,
    /// In other words.
    Garbled,
    /// With another digest, or with another stake in its first row.
    Misstated,
    /// As if the wallet knew none of the bets that it is asked about.
    Unknown,
    /// As it is: something else is wrong.
    Not,
}

/// The decision for each of the catalogue. This world has no bytes: what production's client makes of broken ones, of
/// TLS and of signatures is that no answer counts, applied or not.
///
/// Of TLS the field has certificates that are over or for another host. No call goes out then, which is `Unreached` here. The
/// wallet of the kit speaks plain HTTP and shows no certificate, so it sends an alert in the place of an answer; certificates
/// that are wrong meet the client in the tests of `runtime` (`http/tests/tls.rs`).
pub(super) const fn play(which: Misbehaviour) -> Play {
    use Misbehaviour as M;
    match which {
        M::GatewayError => Play::Refused(&[502, 503, 504]),
        M::TooManyRequests => Play::Refused(&[429]),
        M::Redirect => Play::Refused(&[307]),
        M::ConflictFirst => Play::Refused(&[409]),
        M::ErrorInside => Play::Said(b"{\"error\":\"internal\"}"),
        M::HtmlPage | M::TlsAlert | M::ClosedKeepAlive => Play::Unreached,
        M::ReplyDropped
        | M::ResetMidBody
        | M::HugeAnswer
        | M::KeyUnknown
        | M::ClockOff
        | M::OtherAnswer => Play::Unheard,
        M::EndlessChunks | M::ByteASecond => Play::Silent,
        M::LateApply => Play::Late,
        M::Maintenance => Play::Flood,
        M::ErrorAfterApply | M::ShortMemory => Play::Taken(Spoilt::Failed),
        M::EmptyAnswer => Play::Taken(Spoilt::Empty),
        M::TruncatedJson => Play::Taken(Spoilt::Cut),
        M::OddNumbers | M::WrongBet | M::IdsFolded | M::OtherVersion => {
            Play::Taken(Spoilt::Garbled)
        }
        M::DoubleApply | M::WrongAmount | M::DebitRefused => Play::Taken(Spoilt::Not),
        M::HoldAfterVoid => Play::HoldLate,
        M::UnknownThenKnown => Play::Taken(Spoilt::Unknown),
        M::WrongStatement => Play::Misstated,
    }
}

/// Whether it befalls calls of this kind: what is about rows is of state calls, what is about words of those of money, and
/// what is about rounds of those that ask how a round stands.
fn befalls(which: Misbehaviour, endpoint: &Endpoint) -> bool {
    let state = *endpoint == Endpoint::State;
    let of_money = state || *endpoint == Endpoint::Authorize;
    if which == Misbehaviour::UnknownThenKnown {
        return !of_money;
    }
    if which == Misbehaviour::WrongStatement {
        return !of_money && *endpoint != Endpoint::Query;
    }
    let of_rows = [
        Misbehaviour::DoubleApply,
        Misbehaviour::ShortMemory,
        Misbehaviour::OtherAnswer,
        Misbehaviour::DebitRefused,
        Misbehaviour::WrongAmount,
    ];
    if of_rows.contains(&which) {
        state
    } else if matches!(play(which), Play::Taken(Spoilt::Garbled) | Play::HoldLate) {
        of_money
    } else {
        true
    }
}

/// What wallets that misbehave keep of it.
#[derive(Debug, Default)]
pub(super) struct Mischief {
    /// Until when a partner refuses all.
    flood_at: BTreeMap<PartnerId, Micros>,
    /// What was moved for a message that the wallet forgot: bet, revision.
    forgotten: BTreeMap<(String, u32), i64>,
    /// Messages whose repeat is answered otherwise.
    contradicted: BTreeSet<(String, u32)>,
    /// Bets whose stakes are held later.
    late: BTreeSet<String>,
}

impl World {
    /// The misbehaviour that befalls a call, if one does.
    pub(super) fn befallen(&mut self, call: &Call) -> Option<Misbehaviour> {
        let (which, rate) = self.faults.misbehaves?;
        if !befalls(which, &call.endpoint) {
            return None;
        }
        let flooded = self.wallets.mischief.flood_at.get(&call.partner);
        let flooded = flooded.is_some_and(|at| self.now < *at);
        (flooded || self.rng.chance(rate)).then_some(which)
    }

    /// Sends a call on its way to a partner that misbehaves.
    pub(super) fn misbehave(
        &mut self,
        which: Misbehaviour,
        caller: (SlotRef, u64),
        call: Call,
        epoch: String,
    ) {
        self.fault();
        self.reach.misbehaved(which);
        let (arrives, deadline) = (self.soon(40), self.now + call.budget_ms * 1_000);
        let back = arrives + self.rng.between(20, 30_000);
        let (at, reply, manner) = match play(which) {
            Play::Refused(statuses) => {
                let status = *self.rng.pick(statuses);
                let said = self.refusal(status);
                self.at(back, answer(caller, said));
                return;
            }
            Play::Said(body) => {
                self.at(back, answer(caller, Answer::of(200, Bytes::from_static(body))));
                return;
            }
            Play::Unreached => {
                self.at(back, answer(caller, Answer::Nothing));
                return;
            }
            Play::HoldLate => return self.hold_late(caller, call, epoch),
            Play::Misstated if call.endpoint == Endpoint::Close && self.rng.chance(500) => {
                (arrives, Some((deadline, Answer::Nothing)), Manner::Unheard)
            }
            Play::Misstated => (arrives, None, Manner::Wrong(which, Some(Spoilt::Misstated))),
            Play::Unheard => (arrives, Some((back, Answer::Nothing)), Manner::Wrong(which, None)),
            Play::Silent => (arrives, Some((deadline, Answer::Nothing)), Manner::Unheard),
            Play::Late => {
                let late = deadline + self.rng.between(0, 9_000_000);
                (late, Some((deadline, Answer::Nothing)), Manner::Unheard)
            }
            Play::Flood => {
                let until = self.now + self.rng.between(500_000, 6_000_000);
                let flood_at = &mut self.wallets.mischief.flood_at;
                let until = match flood_at.get(&call.partner) {
                    Some(at) if self.now < *at => *at,
                    Some(_) | None => until,
                };
                flood_at.insert(call.partner.clone(), until);
                let busy = self.refusal(503);
                (until, Some((back, busy)), Manner::Unheard)
            }
            Play::Taken(spoilt) => (arrives, None, Manner::Wrong(which, Some(spoilt))),
        };
        if let Some((when, reply)) = reply {
            self.at(when, answer(caller, reply));
        }
        self.at(at, Event::Wallet(Arrival { call, manner, caller, epoch }));
    }

    /// A stake is asked for in vain and held later, whatever `expires_at` says; a void that comes before finds nothing.
    fn hold_late(&mut self, caller: (SlotRef, u64), call: Call, epoch: String) {
        let (arrives, deadline) = (self.soon(40), self.now + call.budget_ms * 1_000);
        let wrong = Manner::Wrong(Misbehaviour::HoldAfterVoid, Some(Spoilt::Not));
        let body = serde_json::from_slice::<serde_json::Value>(&call.body);
        let asked = body.ok().filter(|_| call.endpoint == Endpoint::Authorize);
        let bet = asked.as_ref().and_then(|body| body["bet_id"].as_str()).map(ToOwned::to_owned);
        let new = |bet: &String| self.wallets.revision_of(&call.partner, bet) == 0;
        let (Some(mut body), Some(bet)) = (asked, bet.filter(new)) else {
            self.at(arrives, Event::Wallet(Arrival { call, manner: wrong, caller, epoch }));
            return;
        };
        if self.wallets.mischief.late.insert(bet) {
            body["expires_at"] = NEVER.into();
            let held = Call { body: Bytes::from(body.to_string()), ..call };
            let when = self.now + self.rng.between(1_000_000, 15_000_000);
            let late = Arrival { call: held, manner: Manner::Unheard, caller, epoch };
            self.at(when, Event::Wallet(late));
        }
        self.at(deadline, answer(caller, Answer::Nothing));
    }

    /// A 200 as the partner spoils it.
    pub(super) fn spoilt(&mut self, which: Misbehaviour, spoilt: Spoilt, body: Bytes) -> Answer {
        let body = match spoilt {
            Spoilt::Failed => return Answer::of(500, Bytes::new()),
            Spoilt::Empty => Bytes::new(),
            Spoilt::Cut => body.slice(..body.len() / 2),
            Spoilt::Misstated => edited(&body, misstate),
            Spoilt::Unknown => edited(&body, forget_rows),
            Spoilt::Garbled => match serde_json::from_slice(&body) {
                Ok(mut words) => {
                    garble(which, self.rng.below(6), &mut words);
                    Bytes::from(words.to_string())
                }
                Err(_) => body,
            },
            Spoilt::Not => body,
        };
        Answer::of(200, body)
    }
}

impl Wallets {
    /// What a wallet that misbehaves says of an item without doing it.
    pub(super) fn refuses(
        &mut self,
        manner: Manner,
        partner: &PartnerId,
        item: &StateItem,
    ) -> Option<StateResult> {
        let id = (item.bet_id.clone(), item.revision);
        let code = if self.mischief.contradicted.remove(&id) {
            "revision_conflict"
        } else if matches!(manner, Manner::Wrong(Misbehaviour::DebitRefused, _))
            && wanted(item)? < self.net_of(partner, &item.bet_id)
        {
            "correction_refused"
        } else if matches!(manner, Manner::Wrong(Misbehaviour::HoldAfterVoid, _))
            && item.revision == REVISION_VOID
            && self.revision_of(partner, &item.bet_id) == 0
        {
            "unknown_bet"
        } else {
            return None;
        };
        let code = Some(code.to_owned());
        Some(StateResult { code, ..said(item, ItemOutcome::Rejected, item.revision) })
    }

    /// What a wallet that misbehaves does behind a message that moved `moved`, or nothing: minor units that it moves
    /// besides.
    pub(super) fn astray(&mut self, manner: Manner, item: &StateItem, moved: Option<i64>) -> i64 {
        let id = (item.bet_id.clone(), item.revision);
        let Some(moved) = moved else { return self.mischief.forgotten.remove(&id).unwrap_or(0) };
        let Manner::Wrong(which, _) = manner else { return 0 };
        if which == Misbehaviour::DoubleApply {
            return moved;
        }
        if which == Misbehaviour::WrongAmount {
            let payout = item.payout.as_ref().and_then(|payout| parse_units(&payout.units));
            return payout.filter(|units| 0 < *units).map_or(0, |units| 100 - units % 100);
        }
        if which == Misbehaviour::ShortMemory {
            self.mischief.forgotten.insert(id, moved);
        } else if which == Misbehaviour::OtherAnswer {
            self.mischief.contradicted.insert(id);
        }
        0
    }

    /// True if the wallet itself moved wrong money at this revision.
    pub(super) fn is_wrong(&self, partner: &PartnerId, bet: &str, revision: u32) -> bool {
        let row = self.registers.get(partner).and_then(|register| register.row(bet));
        row.is_some_and(|row| row.revision == revision && row.astray != 0)
    }
}

/// An answer with something changed in it.
fn edited(body: &Bytes, change: impl FnOnce(&mut serde_json::Value)) -> Bytes {
    let Ok(mut answer) = serde_json::from_slice(body) else { return body.clone() };
    change(&mut answer);
    Bytes::from(answer.to_string())
}

/// Another digest of a round, or another stake in the first of its rows.
fn misstate(answer: &mut serde_json::Value) {
    if answer.get("digest").is_some() {
        answer["digest"] = "0".repeat(64).into();
    } else if let Some(units) = answer.pointer_mut("/rows/0/stake/units") {
        *units = "1".into();
    }
}

/// Of what was asked about by name, none is known; rows of a round were left out before.
fn forget_rows(answer: &mut serde_json::Value) {
    if answer.get("round_id").is_some() {
        return;
    }
    for row in answer["rows"].as_array_mut().into_iter().flatten() {
        *row = serde_json::json!({"bet_id": row["bet_id"], "revision": 0, "status": "absent"});
    }
}

/// What the target of an item is worth to the player, minor units.
pub(super) fn wanted(item: &StateItem) -> Option<i64> {
    let stake = parse_units(&item.stake.units)?;
    let payout = item.payout.as_ref().and_then(|payout| parse_units(&payout.units));
    Some(match item.target {
        TargetBody::Held => -stake,
        TargetBody::Settled => payout? - stake,
        TargetBody::Voided => 0,
    })
}

/// Names revisions that were never said.
pub(super) fn above(answer: &mut serde_json::Value) {
    let revision = |of: &mut serde_json::Value| {
        if let Some(revision) = of["revision"].as_u64() {
            of["revision"] = (revision + 7).into();
        }
    };
    match answer.get_mut("results").and_then(serde_json::Value::as_array_mut) {
        Some(results) => results.iter_mut().for_each(revision),
        None => revision(answer),
    }
}
