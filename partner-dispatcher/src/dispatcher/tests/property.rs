//! Random answers, failures, orders and crashes: nothing owed is ever forgotten.

use super::rig::{MAIN, Rig, sources, tier};
use crate::chunk::StateCall;
use crate::fixtures::{applied, net, ok, rejected, settlement, status, superseded};
use crate::judge::Came;
use crate::limits::Limits;
use proptest::collection::vec;
use proptest::prelude::*;
use runtime::Millis;
use runtime::http::{CallError, HttpAnswer};
use schemas::catalogue::RetryTier;
use schemas::contract::{ItemOutcome, StateItem, StateResult};
use schemas::frame;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::BTreeMap;

/// The one content of each (bet, revision).
fn canonical(bet: u32, revision: u32) -> Settlement {
    let target = match (bet + revision) % 4 {
        _ if revision == 2 => Target::Voided,
        0 => Target::Voided,
        1 => Target::Settled(2_500),
        2 => Target::Settled(0),
        _ => Target::Held,
    };
    settlement(&format!("b{bet}"), revision, target)
}

/// The longest rest that is taken, in ms.
const REST_MS_MAX: u64 = 20_000;

/// How long a partner in this mood asks to be left alone, in ms: not at all, shortly, for some seconds, or by mistake for
/// an hour.
fn asks(mood: u16) -> Option<u64> {
    if mood % 8 != 1 {
        return None;
    }
    [None, Some(700), Some(9_000), Some(3_600_000)][usize::from(mood / 8 % 4)]
}

/// A register per bet, as the contract has it: what the partner really moved.
#[derive(Default)]
struct Wallet {
    rows: BTreeMap<String, (u32, i64)>,
    /// Until when whoever lives now was told to leave it alone.
    alone_until: Millis,
}

impl Wallet {
    fn apply(&mut self, item: &StateItem) -> StateResult {
        let row = self.rows.entry(item.bet_id.clone()).or_insert((1, -1_000));
        if item.revision < row.0 {
            return superseded(item, row.0);
        }
        *row = (item.revision, net(item));
        applied(item)
    }

    /// Answers a call; `mood` says how badly.
    fn answer(&mut self, call: &StateCall, mood: u16) -> Came {
        let items = call.request.items.iter();
        match mood % 8 {
            0 => return Err(CallError::Timeout),
            1 => {
                let busy = HttpAnswer { status: 503, retry_after_ms: asks(mood), body: "".into() };
                return Ok(busy);
            }
            2 => {
                // Applied, and the answer is lost.
                items.for_each(|item| drop(self.apply(item)));
                return Err(CallError::Broken);
            }
            3 => return status(200, "<html>"),
            _ => {}
        }
        let results = items.zip(0_u16..).filter_map(|(item, index)| {
            let result = match (mood / 8).wrapping_add(index) % 12 {
                0 => superseded(item, item.revision + 1),
                1 => superseded(item, item.revision + 2),
                2 => rejected(item, "unknown_bet"),
                3 => StateResult { outcome: ItemOutcome::Pending, ..applied(item) },
                4 => return None,
                5 => StateResult { collected_net: Some("7".to_owned()), ..self.apply(item) },
                _ => self.apply(item),
            };
            Some(result)
        });
        ok(&call.request, results.collect())
    }
}

/// Takes one step of the world.
fn step(rig: &mut Rig, wallet: &mut Wallet, (kind, number): (u8, u16)) {
    let pick = |count: usize| usize::from(number) % count.max(1);
    match kind {
        0..=3 => {
            let bet = u32::from(number % 5);
            let revision = if bet == 0 { 2 } else { 3 + u32::from(number / 5 % 4) };
            rig.publish(&[canonical(bet, revision)]);
        }
        4 => drop(rig.read(MAIN)),
        5 => drop(rig.read(tier(RetryTier::ALL[pick(5)]))),
        6 | 7 => {
            let token = rig.calls.keys().nth(pick(rig.calls.len())).copied();
            if let Some(token) = token {
                let answer = wallet.answer(&rig.calls[&token], number);
                let rest = asks(number).unwrap_or(0).min(REST_MS_MAX).cast_signed();
                wallet.alone_until = wallet.alone_until.max(rig.now + rest);
                rig.answer_one(token, |_| answer.clone());
            }
        }
        8 | 9 => drop(rig.apply_steps(usize::MAX)),
        10 => rig.load(),
        11 => rig.advance(i64::from(number % 6_000)),

        12 => {
            rig.apply_steps(pick(4));
            rig.crash();
            wallet.alone_until = 0;
        }
        _ => rig.peek(),
    }
    assert_accounted(rig);
    assert_left_alone(rig, wallet);
}

/// No call is made before the rest is over that the partner asked for.
#[track_caller]
fn assert_left_alone(rig: &mut Rig, wallet: &Wallet) {
    for at in std::mem::take(&mut rig.called_at) {
        let until = wallet.alone_until;
        assert!(until <= at, "called at {at}, and to be left alone until {until}");
    }
}

/// Every record below a stored offset is answered for by something durable: a final answer or a parking
/// at its revision or above, or a record of such a revision that is still to be read.
#[track_caller]
fn assert_accounted(rig: &Rig) {
    let mut covered: BTreeMap<String, u32> = BTreeMap::new();
    let mut cover = |bet: &str, revision: u32| {
        let highest = covered.entry(bet.to_owned()).or_default();
        *highest = revision.max(*highest);
    };
    for fact in rig.facts.values() {
        let delivery: DeliveryRecord = frame::decode(&fact.body).unwrap();
        cover(&delivery.bet_id, u32::try_from(delivery.revision).unwrap());
    }
    let mut below = Vec::new();
    for source in sources() {
        let stored = rig.stored.get(&source).copied().unwrap_or(0);
        for record in rig.log.get(&source).into_iter().flatten() {
            let settlement = Settlement::decode(&record.value).unwrap();
            if record.offset < stored {
                below.push((source, record.offset, settlement));
            } else {
                cover(settlement.bet.as_str(), settlement.revision);
            }
        }
    }
    for (source, offset, settlement) in below {
        let covered = covered.get(settlement.bet.as_str()).copied().unwrap_or(0);
        assert!(settlement.revision <= covered, "{source} {offset}: {} is lost", settlement.id());
    }
}

/// Faults stop: everything is read, answered well, and made durable.
fn heal(rig: &mut Rig, wallet: &mut Wallet) {
    for _ in 0..50 {
        for source in sources() {
            rig.read(source);
        }
        rig.peek();
        rig.load();
        let tokens: Vec<u64> = rig.calls.keys().copied().collect();
        for token in tokens {
            rig.answer_one_with(token, wallet);
        }
        rig.apply();
        rig.advance(1_000);
        assert_accounted(rig);
        assert_left_alone(rig, wallet);
    }
}

impl Rig {
    fn answer_one_with(&mut self, token: u64, wallet: &mut Wallet) {
        let call = self.calls[&token].clone();
        let results = call.request.items.iter().map(|item| wallet.apply(item)).collect();
        self.answer_one(token, |call| ok(&call.request, results));
    }
}

proptest! {
    #[test]
    fn nothing_owed_is_forgotten(steps in vec((0..14_u8, any::<u16>()), 0..150), small in any::<bool>()) {
        let limits = Limits {
            tier_wait_ms: [1_000, 1_500, 2_000, 2_500, 3_000],
            last_tier_after_ms: 10_000,
            park_after_ms: 30_000,
            retry_after_ms_max: REST_MS_MAX,
            ..Limits::PRODUCTION
        };
        let tight = Limits {
            chunk_items_max: 2,
            partner_items_max: 4,
            breaker_failures_min: 2,
            chunks_in_flight_max: 1,
            ..limits
        };
        let mut rig = Rig::with(if small { tight } else { limits });
        let mut wallet = Wallet::default();
        for one in steps {
            step(&mut rig, &mut wallet, one);
        }
        heal(&mut rig, &mut wallet);
        let ends = |source| rig.log.get(&source).map_or(0, Vec::len);
        for source in sources() {
            let stored = rig.stored.get(&source).copied().unwrap_or(0);
            prop_assert_eq!(usize::try_from(stored).unwrap(), ends(source), "all is done");
        }

        let mut newest: BTreeMap<String, Settlement> = BTreeMap::new();
        for record in rig.log.get(&MAIN).into_iter().flatten() {
            let settlement = Settlement::decode(&record.value).unwrap();
            let entry = newest.entry(settlement.bet.to_string()).or_insert(settlement.clone());
            if entry.revision < settlement.revision {
                *entry = settlement;
            }
        }
        for (bet, settlement) in newest {
            let parked = rig.facts.values().any(|fact| {
                let delivery: DeliveryRecord = frame::decode(&fact.body).unwrap();
                delivery.outcome == DeliveryOutcome::Parked
                    && delivery.bet_id == bet
                    && delivery.revision == i64::from(settlement.revision)
            });
            let row = wallet.rows.get(&bet).copied();
            let wanted = (settlement.revision, crate::judge::net_of(&settlement).unwrap());
            prop_assert!(parked || row == Some(wanted), "{}: {:?}, not {:?}", bet, row, wanted);
        }
    }
}
