//! Repeats from memory, the tier, and what the store is asked before anything of the tier is sent.

use super::rig::{MAIN, Rig, TIER, tier};
use crate::fixtures::{applied, ok, ok_in, settlement, status, superseded, won};
use crate::limits::Limits;
use crate::retry::{
    HEADER_ATTEMPT, HEADER_CHUNK_ITEMS_MAX, HEADER_ORIG_OFFSET, HEADER_RETRIED_SINCE,
};
use runtime::http::CallError;
use schemas::catalogue::{DELIVERIES, RETRY_5S, RETRY_30S, RetryTier, TIERS};
use schemas::contract::{ItemOutcome, StateResult};
use schemas::settlements::Target;

/// Sends `a/3`, lets it fail twice, and leaves it in the tier.
pub(super) fn in_the_tier() -> Rig {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(250);
    rig.answer_with(|_| status(500, ""));
    rig.apply();
    rig
}

#[test]
fn owed_items_come_again_from_memory_in_a_chunk_of_their_own() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3), won("c", 3)]);
    let first = rig.calls.values().next().unwrap().request.chunk_id.clone();
    rig.answer(|item| {
        let pending = StateResult { outcome: ItemOutcome::Pending, ..applied(item) };
        if item.bet_id.ends_with('b') { pending } else { applied(item) }
    });
    rig.apply();
    assert_eq!(rig.deliveries(), ["a/3/1/applied", "c/3/1/applied"]);
    assert_eq!(rig.offsets(), (1, 0), "b is not done");
    rig.advance(99);
    assert!(rig.calls.is_empty(), "not before 100 ms");
    rig.advance(151);
    assert_eq!(rig.sent(), [["b/3"]], "not after 250 ms");
    let call = rig.calls.values().next().unwrap();
    assert_ne!(call.request.chunk_id, first);
    assert_eq!(call.attempt, 2);
}

#[test]
fn a_chunk_that_failed_as_a_whole_comes_again_byte_for_byte() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3)]);
    let first = rig.calls.values().next().unwrap().clone();
    rig.answer_with(|_| Err(CallError::Broken));
    rig.advance(250);
    let second = rig.calls.values().next().unwrap();
    assert_eq!((&first.bytes, first.attempt), (&second.bytes, 1));
    assert_eq!(second.attempt, 2);
}

#[test]
fn the_second_failure_moves_it_to_the_tier_and_the_offset_goes_on() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(250);
    rig.answer_with(|_| status(500, ""));
    assert_eq!(rig.offsets(), (0, 0), "not before its copy is durable");
    rig.apply();
    assert_eq!((rig.offsets(), rig.records(RETRY_5S).len()), ((1, 0), 1));
    let record = rig.records(RETRY_5S)[0];
    assert_eq!(record.value, rig.log[&MAIN][0].value);
    assert_eq!(record.header(HEADER_ORIG_OFFSET), Some("0"));
    assert_eq!(record.header(HEADER_ATTEMPT), Some("2"));
    assert_eq!(rig.owed().partners[&"acme".parse().unwrap()].tiers[0], 1);
}

#[test]
fn the_first_tier_rests_five_seconds_and_fails_into_the_next() {
    let mut rig = in_the_tier();
    rig.read(TIER);
    rig.advance(4_999);
    assert!(rig.loads.is_empty() && rig.calls.is_empty());
    rig.advance(1);
    assert_eq!(rig.loads.len(), 1, "the store is asked first");
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
    assert_eq!(rig.calls.values().next().unwrap().attempt, 3);
    rig.answer_with(|_| Err(CallError::Connect));
    rig.advance(250);
    assert_eq!(rig.calls.values().next().unwrap().attempt, 4, "repeated from memory here too");
    rig.answer_with(|_| Err(CallError::Connect));
    rig.apply();
    assert_eq!((rig.offsets(), rig.records(RETRY_5S).len()), ((1, 1), 1));
    assert_eq!(rig.records(RETRY_30S)[0].header(HEADER_RETRIED_SINCE), Some("10250"));
    // It is heard of before, in vain: nothing is woken early.
    rig.settle(&[won("b", 3)]);
    rig.answer(applied);
    rig.apply();
    rig.read(tier(RetryTier::S30));
    rig.advance(29_999);
    assert!(rig.loads.is_empty());
    rig.advance(1);
    rig.load();
    rig.answer(applied);
    rig.apply();
    assert_eq!((rig.offsets(), rig.stored[&tier(RetryTier::S30)]), ((2, 1), 1));
    let (key, _) = rig.facts.iter().find(|(key, _)| key.subject.starts_with("r_1:a")).unwrap();
    assert_eq!((key.scope.topic, key.at), (MAIN.topic, 0), "the fact stands at the settlement");
    let ends = rig.records(DELIVERIES);
    let attempts: Vec<_> = ends.iter().map(|record| record.header(HEADER_ATTEMPT)).collect();
    assert_eq!(attempts, [Some("1"), Some("5")], "how often b and a were sent in all");
}

#[test]
fn a_final_answer_in_the_store_closes_an_item_of_the_tier() {
    let mut rig = in_the_tier();
    // Somebody else, or we before a crash, got the answer; and the epoch is known.
    rig.settle(&[won("a", 3)]);
    rig.answer(applied);
    rig.apply();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert!(rig.calls.is_empty());
    rig.apply();
    assert_eq!((rig.offsets(), rig.facts.len()), ((2, 1), 1));
}

#[test]
fn a_final_answer_closes_lower_revisions_of_the_tier_and_no_higher() {
    for (answered, sent) in [(4, false), (3, false), (2, true)] {
        let mut rig = in_the_tier();
        rig.settle(&[won("a", answered)]);
        rig.answer(applied);
        rig.apply();
        rig.read(TIER);
        rig.advance(5_000);
        rig.load();
        assert_eq!(!rig.calls.is_empty(), sent, "answered at {answered}");
    }
}

#[test]
fn an_answer_of_another_ledger_epoch_closes_nothing() {
    let mut rig = in_the_tier();
    rig.settle(&[won("a", 3)]);
    rig.answer(applied);
    rig.settle(&[won("b", 3)]);
    rig.answer_with(|call| {
        ok_in("2", &call.request, call.request.items.iter().map(applied).collect())
    });
    rig.apply();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
}

#[test]
fn while_the_epoch_is_unknown_no_answer_closes_anything() {
    let mut rig = in_the_tier();
    rig.settle(&[won("a", 3)]);
    rig.answer(applied);
    rig.apply();
    rig.crash();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
}

#[test]
fn a_parking_in_the_store_closes_nothing() {
    let mut rig = in_the_tier();
    rig.settle(&[won("a", 3), won("b", 3)]);
    rig.answer(|item| {
        let poison = item.bet_id.ends_with('a');
        if poison { crate::fixtures::rejected(item, "unknown_bet") } else { applied(item) }
    });
    rig.apply();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]], "a replay of the parked must be sent");
}

#[test]
fn what_a_parked_revision_superseded_is_never_sent_again() {
    let mut rig = in_the_tier();
    let old = rig.records(RETRY_5S)[0].value.to_vec();
    rig.settle(&[won("a", 4)]);
    rig.answer(|item| crate::fixtures::rejected(item, "correction_refused"));
    rig.apply();
    // The same record again: by a replay, or because its offset was not committed.
    rig.append(TIER, "a", old);
    rig.crash();
    while rig.read(TIER) {}
    rig.advance(5_000);
    rig.load();
    rig.apply();
    assert_eq!(rig.sent(), Vec::<Vec<String>>::new());
    assert_eq!(rig.offsets().1, 2, "both are done");
}

#[test]
fn what_is_read_from_the_tier_before_we_hear_that_it_is_durable_is_not_lost() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(250);
    rig.answer_with(|_| Err(CallError::Timeout));
    let (token, batch) = rig.applies.pop_front().unwrap();
    rig.log.entry(TIER).or_default();
    rig.take(batch.records[0][0].clone());
    rig.read(TIER);
    rig.feed(runtime::Input::Applied { token });
    rig.apply();
    assert_eq!(rig.offsets().1, 0, "the record in the tier is not done");
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
    rig.answer(applied);
    rig.apply();
    let owed = rig.owed().partners.remove(&"acme".parse().unwrap()).unwrap();
    assert_eq!(
        (owed.failed_rounds, owed.tiers),
        (0, [0; TIERS]),
        "nothing counts that is not there"
    );
}

#[test]
fn a_full_queue_goes_to_the_tier_and_back_without_a_lookup() {
    let limits = Limits { chunk_items_max: 1, partner_items_max: 5, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    // The slots are taken, one waits, the last does not fit.
    for name in ["a", "b", "c", "d", "e", "f"] {
        rig.settle(&[won(name, 3)]);
    }
    assert_eq!(rig.calls.len(), 4);
    rig.apply();
    assert_eq!(rig.records(RETRY_5S).len(), 1);
    rig.read(TIER);
    rig.advance(5_000);
    assert!(rig.loads.is_empty());
    rig.apply();
    assert_eq!((rig.offsets().1, rig.records(RETRY_30S).len()), (1, 1));
    rig.answer(applied);
    rig.answer(applied);
    rig.read(tier(RetryTier::S30));
    rig.advance(30_000);
    rig.load();
    assert_eq!(rig.sent(), [["f/3"]]);
}

/// Or a backlog would be written anew every 5 s. When the partner is back it is read ahead all the same.
#[test]
fn what_finds_no_room_again_rests_30_seconds_each_time() {
    use RetryTier::{S5, S30};
    let limits = Limits { chunk_items_max: 1, partner_items_max: 5, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    // It was heard of, so that nothing of it is woken early.
    rig.settle(&[won("z", 3)]);
    rig.answer(applied);
    rig.peek();
    for name in ["a", "b", "c", "d", "e", "f"] {
        rig.settle(&[won(name, 3)]);
    }
    rig.apply();
    for (from, count, stored) in [(S5, 1, 1), (S30, 2, 1), (S30, 3, 2)] {
        assert!(rig.read(tier(from)));
        rig.advance(i64::try_from(limits.tier_wait_ms[from.index()]).unwrap());
        rig.apply();
        let moved = rig.records(S30.topic());
        assert_eq!(moved.len(), count, "{from:?}");
        assert_eq!(moved[count - 1].header(HEADER_RETRIED_SINCE), None, "nothing failed");
        assert_eq!(rig.stored[&tier(from)], stored);
    }
    for back in [false, true] {
        for _ in 0..40 {
            rig.answer_with(|call| {
                let good = ok(&call.request, call.request.items.iter().map(applied).collect());
                if back { good } else { Err(CallError::Connect) }
            });
            rig.peek();
            rig.load();
            rig.apply();
            rig.advance(1_000);
        }
    }
    assert!(rig.deliveries().contains(&"f/3/1/applied".to_owned()));
}

#[test]
fn one_load_serves_a_round_and_few_run_at_once() {
    let limits = Limits { loads_in_flight_max: 2, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    for round in ["r_2", "r_3", "r_4", "r_2"] {
        let name = format!("{round}:{}", rig.log.get(&TIER).map_or(0, Vec::len));
        let settlement =
            schemas::settlements::Settlement { bet: name.parse().unwrap(), ..won("a", 3) };
        rig.append(TIER, &name, settlement.encode().unwrap());
    }
    rig.read(TIER);
    rig.advance(5_000);
    let rounds = |rig: &Rig| -> Vec<String> {
        rig.loads.values().map(|scope| scope.group.clone()).collect()
    };
    assert_eq!(rounds(&rig), ["r_2", "r_3"]);
    let (token, _) = rig.loads.pop_first().unwrap();
    rig.feed(runtime::Input::Loaded { token, facts: Vec::new() });
    assert_eq!(rounds(&rig), ["r_3", "r_4"]);
    let items: usize = rig.calls.values().map(|call| call.request.items.len()).sum();
    assert_eq!(items, 2, "both of r_2");
}

#[test]
fn the_head_of_the_tier_is_bounded() {
    let limits = Limits { tier_items_max: 2, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    for name in ["a", "b"] {
        rig.append(TIER, name, won(name, 3).encode().unwrap());
    }
    rig.read(TIER);
    assert!(!rig.ready_for(TIER) && rig.ready_for(MAIN));
    rig.advance(5_000);
    assert!(!rig.ready_for(TIER), "still while they are looked up");
    rig.load();
    assert!(rig.ready_for(TIER));
}

/// H21: a wallet that calls its newest revision superseded must not close a delivery.
#[test]
fn h21_a_claim_is_looked_up_and_stays_owed_without_proof() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer(|item| superseded(item, 4));
    assert_eq!(rig.loads.len(), 1);
    rig.load();
    rig.apply();
    assert_eq!((rig.offsets(), rig.facts.len()), ((0, 0), 0));
    rig.advance(250);
    assert_eq!(rig.sent(), [["a/3"]], "sent again");
}

/// Also where the ledger was restored since and the row did not fall back: the answer was given in the ledger before.
#[test]
fn h21_a_claim_is_proven_by_a_final_answer_in_the_store_of_any_ledger() {
    for epoch in ["1", "2"] {
        for (by, proven) in [(4, true), (5, false)] {
            let mut rig = Rig::new();
            rig.settle(&[won("a", 4)]);
            rig.answer(applied);
            rig.apply();
            // An older revision comes late; the newer has left the memory.
            rig.settle(&[won("a", 3)]);
            rig.answer_with(|call| {
                let items = &call.request.items;
                ok_in(epoch, &call.request, items.iter().map(|i| superseded(i, by)).collect())
            });
            rig.load();
            rig.apply();
            let ended = format!("a/3/{epoch}/superseded:{by}");
            let mut wanted = vec!["a/4/1/applied"];
            wanted.extend(proven.then_some(ended.as_str()));
            assert_eq!(rig.deliveries(), wanted, "{by} in {epoch}");
            assert_eq!(rig.offsets(), (if proven { 2 } else { 1 }, 0));
        }
    }
}

#[test]
fn planted_bug_superseded_believed_closes_a_delivery_without_proof() {
    planted::arm_thread(Some(planted::Bug::SupersededBelieved));
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer(|item| superseded(item, 4));
    rig.apply();
    planted::arm_thread(None);
    assert_eq!((rig.offsets(), rig.deliveries()), ((1, 0), vec!["a/3/1/superseded:4".to_owned()]));
}

#[test]
fn h20_after_a_restart_other_items_travel_under_another_id() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3)]);
    let first = rig.calls.values().next().unwrap().request.chunk_id.clone();
    rig.answer(|item| {
        let pending = StateResult { outcome: ItemOutcome::Pending, ..applied(item) };
        if item.bet_id.ends_with('b') { pending } else { applied(item) }
    });
    rig.apply();
    rig.crash();
    rig.publish(&[won("c", 3), settlement("d", 3, Target::Settled(0))]);
    rig.read(MAIN);
    assert_eq!(rig.sent(), [["b/3", "c/3", "d/3"]]);
    assert_ne!(rig.calls.values().next().unwrap().request.chunk_id, first);
    rig.answer_with(|call| ok(&call.request, call.request.items.iter().map(applied).collect()));
    rig.apply();
    assert_eq!(rig.offsets(), (4, 0));
}

/// Plays a wallet that cannot take `poison` until nothing is in memory; returns the calls it needed.
fn choke(rig: &mut Rig, poison: &str) -> usize {
    let mut calls = 0;
    while !rig.calls.is_empty() {
        calls += rig.calls.len();
        rig.answer_with(|call| {
            let items = call.request.items.iter();
            if items.clone().any(|item| item.bet_id.ends_with(poison)) {
                status(500, "")
            } else {
                ok(&call.request, items.map(applied).collect())
            }
        });
        rig.apply();
        rig.advance(250);
    }
    calls
}

#[test]
fn one_item_that_a_wallet_chokes_on_ends_up_alone() {
    let mut rig = Rig::new();
    let bets: Vec<_> = (0..500).map(|number| won(&format!("b{number:03}"), 3)).collect();
    rig.settle(&bets);
    let calls = choke(&mut rig, "b123");
    assert_eq!(rig.deliveries().len(), 499);
    // 500, nine halvings of two chunks each, and one repeat of the last.
    assert!(calls <= 1 + 9 * 2 + 1, "{calls} calls");
    let moved = rig.records(RETRY_5S);
    assert_eq!((moved.len(), moved[0].header(HEADER_CHUNK_ITEMS_MAX)), (1, Some("1")));
    // Behind the tier it stays alone.
    rig.settle(&[won("c", 3)]);
    let other = rig.calls.keys().next().copied().unwrap();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert!(rig.sent().contains(&vec!["b123/3".to_owned()]), "{:?}", rig.sent());
    assert!(rig.calls.contains_key(&other));
}

#[test]
fn a_wallet_that_refuses_everything_is_down_and_chunks_stay_large() {
    let limits = Limits { refusals_halved_max: 3, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    rig.settle(&(0..2_000).map(|number| won(&format!("b{number:04}"), 3)).collect::<Vec<_>>());
    while !rig.calls.is_empty() {
        rig.answer_with(|_| status(502, "<html>"));
        rig.apply();
        rig.advance(250);
    }
    let moved = rig.records(RETRY_5S);
    assert_eq!(moved.len(), 2_000);
    let whole = |max: Option<&str>| usize::from(max == Some("500"));
    let whole: usize =
        moved.iter().map(|record| whole(record.header(HEADER_CHUNK_ITEMS_MAX))).sum();
    assert_eq!(whole, 500, "three chunks were halved once");
}

#[test]
fn a_busy_wallet_is_not_choking() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3)]);
    rig.answer_with(|_| status(503, ""));
    rig.advance(250);
    assert_eq!(rig.sent(), [["a/3", "b/3"]]);
    rig.answer_with(|_| status(500, ""));
    rig.advance(250);
    assert_eq!(rig.sent(), [["a/3"], ["b/3"]]);
}
