//! Partners that ask for a rest, and those that refuse all until something is mended.

use super::rig::Rig;
use crate::breaker::Circuit;
use crate::fixtures::{applied, ok, status, won};
use crate::judge::Came;
use crate::limits::Limits;
use crate::retry::HEADER_CHUNK_ITEMS_MAX;
use runtime::Record;
use runtime::http::{CallError, HttpAnswer};
use schemas::PartnerId;
use schemas::catalogue::RETRY_5S;
use schemas::contract::{ItemOutcome, StateResult, Traffic};

#[test]
fn a_partner_that_asks_for_time_gets_it_up_to_a_bound() {
    for asked_ms in [2_000, 5_000] {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3)]);
        rig.answer_with(|_| busy(asked_ms));
        rig.settle(&[won("b", 3)]);
        rig.advance(i64::try_from(asked_ms).unwrap() - 1);
        assert!(rig.calls.is_empty(), "neither the repeat nor the next");
        rig.advance(1);
        assert_eq!(rig.sent(), [["a/3", "b/3"]]);
    }
}

/// A 429 that asks for so long.
fn busy(asked_ms: u64) -> Came {
    Ok(HttpAnswer { status: 429, retry_after_ms: Some(asked_ms), body: bytes::Bytes::new() })
}

/// It ends with the longest that anybody can ask for.
#[test]
fn a_clock_that_is_set_back_makes_no_rest_longer() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer_with(|_| busy(4_000));
    rig.now -= 3_600_000;
    rig.settle(&[won("b", 3)]);
    rig.advance(599_999);
    rig.settle(&[won("c", 3)]);
    assert!(rig.calls.is_empty());
    rig.advance(1);
    assert_eq!(rig.sent(), [["b/3", "c/3"]]);
}

/// What a partner asks for that is longer than anything waits here is waited for in the tiers; one settlement asks then.
#[test]
fn a_long_rest_holds_no_memory_and_ends_with_a_probe() {
    for (asked_ms, waits_ms) in [(5_001, 5_001), (60_000, 60_000), (3_600_000, 600_000)] {
        let limits = Limits { chunk_items_max: 1, ..Limits::PRODUCTION };
        let mut rig = Rig::with(limits);
        rig.settle(&[won("a", 3), won("b", 3), won("c", 2)]);
        let calls: Vec<u64> = rig.calls.keys().copied().collect();
        rig.answer_one(calls[0], |_| busy(asked_ms));
        // What was on its way before does not end it; nor does another traffic.
        for call in &calls[1..] {
            rig.answer_one(*call, |call| {
                ok(&call.request, call.request.items.iter().map(applied).collect())
            });
        }
        rig.settle(&[won("d", 3), won("e", 2)]);
        rig.apply();
        assert_eq!((rig.records(RETRY_5S).len(), rig.offsets().0), (3, 5), "{asked_ms}");
        rig.advance(waits_ms - 1);
        assert!(rig.calls.is_empty(), "{:?} before {asked_ms} are over", rig.sent());
        rig.advance(1);
        assert_eq!(rig.sent().len(), 2, "a probe of each: {:?}", rig.sent());
        rig.answer(applied);
        for _ in 0..10 {
            rig.apply();
            rig.peek();
            rig.load();
            rig.answer(applied);
        }
        let mut delivered = rig.deliveries();
        delivered.sort();
        delivered.dedup();
        assert_eq!(delivered.len(), 5, "{delivered:?}");
        // That of corrections has nothing that it could ask with.
        let of = rig.owed().partners.remove(&"acme".parse().unwrap()).unwrap();
        assert!(of.circuits.values().all(|it| *it == Circuit::Closed), "{:?}", of.circuits);
    }
}

/// A header that a proxy puts on every answer stops nobody for long.
#[test]
fn who_is_not_busy_is_not_left_alone_for_long() {
    for code in [200, 404, 500] {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3)]);
        rig.answer_with(|call| {
            let good = ok(&call.request, call.request.items.iter().map(applied).collect());
            let answer = if code == 200 { good } else { status(code, "") };
            answer.map(|answer| HttpAnswer { retry_after_ms: Some(600_000), ..answer })
        });
        rig.settle(&[won("b", 3)]);
        rig.advance(5_000);
        assert_eq!(rig.calls.len(), 1, "{code}");
        let of = rig.owed().partners.remove(&"acme".parse().unwrap()).unwrap();
        assert!(of.circuits.values().all(|it| *it == Circuit::Closed), "{code}");
    }
}

/// What a partner has and has not dealt with yet did not fail: the budget of repeats is not for it.
#[test]
fn what_is_pending_comes_again_at_once_however_much_it_is() {
    let mut rig = Rig::with(Limits { chunk_items_max: 1, ..Limits::PRODUCTION });
    let bets = 200;
    for bet in 0..bets {
        rig.settle(&[won(&format!("b{bet:04}"), 3)]);
        rig.answer_with(|call| {
            let pending = |item| StateResult { outcome: ItemOutcome::Pending, ..applied(item) };
            ok(&call.request, call.request.items.iter().map(pending).collect())
        });
    }
    for _ in 0..bets {
        rig.advance(10);
        rig.answer(applied);
        rig.apply();
    }
    assert!(rig.records(RETRY_5S).is_empty(), "{} moved", rig.records(RETRY_5S).len());
    assert_eq!(rig.deliveries().len(), bets);
    let owed = rig.owed().partners.remove(&"acme".parse().unwrap());
    assert!(owed.is_none_or(|owed| owed.withheld.values().all(|withheld| *withheld == 0)));
}

/// Never often enough in a row to open its breaker.
#[test]
fn a_partner_that_fails_every_second_call_gets_few_of_them_again_at_once() {
    let mut rig = Rig::with(Limits { chunk_items_max: 1, ..Limits::PRODUCTION });
    let (mut first, mut again, mut number) = (0_u64, 0_u64, 0_u64);
    let begun = rig.now;
    for bet in 0..1_000 {
        rig.settle(&[won(&format!("b{bet:04}"), 3)]);
        while let Some(token) = rig.calls.keys().next().copied() {
            number += 1;
            let fails = number.is_multiple_of(2);
            let is_first = rig.calls[&token].attempt == 1;
            *(if is_first { &mut first } else { &mut again }) += 1;
            rig.answer_one(token, |call| match fails {
                true => status(503, ""),
                false => ok(&call.request, call.request.items.iter().map(applied).collect()),
            });
        }
        rig.apply();
        rig.advance(10);
    }
    let passed_ms = u64::try_from(rig.now - begun).unwrap();
    assert_eq!(first, 1_000);
    assert!(1_000 * again <= 40_000 + 200 * first + 4 * passed_ms, "{again} in {passed_ms} ms");
    let owed = rig.owed().partners.remove(&"acme".parse().unwrap()).unwrap();
    assert_eq!(owed.circuits[&Traffic::Live], Circuit::Closed);
    assert!(0 < owed.withheld[&Traffic::Live]);
    // What was withheld rests in the tier.
    let moved = u64::try_from(rig.records(RETRY_5S).len()).unwrap();
    assert!(owed.withheld[&Traffic::Live] <= moved, "{moved}");
}

/// Contract 4, `fix_then_retry`: who calls, and in which version, has nothing to do with what is sent.
#[test]
fn what_refuses_everything_pauses_its_traffic_at_once_and_tells_people_once() {
    for refusal in [401, 406] {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3), won("b", 3), won("v", 2)]);
        rig.answer_with(|call| match call.request.traffic {
            Traffic::Live => status(refusal, ""),
            Traffic::Void | Traffic::Correction => {
                ok(&call.request, call.request.items.iter().map(applied).collect())
            }
        });
        rig.apply();
        let moved = rig.records(RETRY_5S);
        let whole = |record: &&&Record| record.header(HEADER_CHUNK_ITEMS_MAX) == Some("500");
        assert_eq!((moved.len(), moved.iter().filter(whole).count()), (2, 2), "none was halved");
        let partner: PartnerId = "acme".parse().unwrap();
        let of = rig.owed().partners.remove(&partner).unwrap();
        assert_eq!(of.to_fix, [Traffic::Live].into());
        assert_eq!(of.circuits[&Traffic::Live], Circuit::Open);
        assert_eq!(of.circuits[&Traffic::Void], Circuit::Closed);
        for _ in 0..20 {
            rig.advance(5_000);
            rig.answer_with(|_| status(refusal, ""));
        }
        assert_eq!(rig.alarms, ["partner_refuses"]);
        // Mended: the probe passes.
        rig.advance(5_000);
        rig.answer(applied);
        let of = rig.owed().partners.remove(&partner).unwrap();
        assert_eq!((of.to_fix.len(), of.circuits[&Traffic::Live]), (0, Circuit::Closed));
    }
}

/// A firewall that answers once for a wallet that is down.
#[test]
fn one_refusal_of_a_partner_that_is_down_tells_nobody_and_those_that_go_on_do() {
    let mut rig = Rig::with(Limits { chunk_items_max: 1, ..Limits::PRODUCTION });
    rig.settle(&(0..10).map(|number| won(&format!("b{number:02}"), 3)).collect::<Vec<_>>());
    for _ in 0..4 {
        rig.answer_with(|_| Err(CallError::Timeout));
        rig.advance(250);
    }
    let probe = |rig: &mut Rig, refuses: bool| {
        rig.apply();
        rig.advance(5_000);
        assert_eq!(rig.calls.len(), 1, "one probe");
        rig.answer_with(|_| if refuses { status(403, "") } else { Err(CallError::Timeout) });
    };
    for refuses in [true, true, true, true, false, true, true, true, true] {
        probe(&mut rig, refuses);
        assert!(rig.alarms.is_empty(), "{:?}", rig.alarms);
    }
    probe(&mut rig, true);
    assert_eq!(rig.alarms, ["partner_refuses"]);
}

/// Of these an item may be the cause: people are told once halving has not helped.
#[test]
fn what_refuses_chunks_is_told_once_its_breaker_is_open() {
    for (refusal, told) in [(400, true), (403, true), (422, true), (409, false), (500, false)] {
        let limits = Limits { refusals_halved_max: 3, chunk_items_max: 10, ..Limits::PRODUCTION };
        let mut rig = Rig::with(limits);
        rig.settle(&(0..90).map(|number| won(&format!("b{number:02}"), 3)).collect::<Vec<_>>());
        rig.answer_with(|_| status(refusal, ""));
        assert!(rig.alarms.is_empty(), "one item may be to blame");
        for _ in 0..20 {
            rig.advance(250);
            rig.answer_with(|_| status(refusal, ""));
            rig.apply();
        }
        assert_eq!(rig.alarms, ["partner_refuses"][..usize::from(told)], "{refusal}");
    }
}
