//! What is sent, what an answer leaves behind, and what the offset waits for.

use super::retry::in_the_tier;
use super::rig::{MAIN, Rig, TIER};
use crate::chunk::StateCall;
use crate::fixtures::{
    applied, ok, ok_in, rejected, settlement, settlement_of, status, superseded, won,
};
use crate::judge::Answer;
use crate::limits::Limits;
use crate::retry::HEADER_ORIG_OFFSET;
use runtime::http::CallError;
use runtime::{Input, Source, Topic};
use schemas::catalogue::{DELIVERIES, PARKED, SETTLEMENTS};
use schemas::contract::{StateResult, Traffic};
use schemas::facts::{DELIVERED, UNREADABLE};
use schemas::frame;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::sync::Arc;

fn bets(count: usize) -> Vec<Settlement> {
    (0..count).map(|number| won(&format!("b{number:05}"), 3)).collect()
}

#[test]
fn one_read_travels_together_and_ends_in_one_batch() {
    let mut rig = Rig::new();
    rig.settle(&bets(3));
    assert_eq!(rig.sent(), [["b00000/3", "b00001/3", "b00002/3"]]);
    let call = rig.calls.values().next().unwrap().clone();
    assert_eq!((call.attempt, call.path), (1, "/wallet/v1/bets/state"));
    rig.answer(applied);
    assert_eq!(rig.offsets(), (0, 0), "nothing is durable yet");
    let (_, batch) = rig.applies.front().unwrap();
    assert_eq!(batch.closing.len(), 3);
    assert!(batch.closing.iter().all(|fact| fact.key.kind == DELIVERED));
    let at: Vec<u64> = batch.closing.iter().map(|fact| fact.key.at).collect();
    assert_eq!(at, [0, 1, 2], "each stands at its settlement");
    assert_eq!(batch.records[0].len(), 3);
    rig.apply();
    assert_eq!(rig.offsets(), (3, 0));
    let wanted = ["b00000/3/1/applied", "b00001/3/1/applied", "b00002/3/1/applied"];
    assert_eq!(rig.deliveries(), wanted);
    assert!(rig.owed().partners.values().all(|owed| owed.items.is_empty()));
}

#[test]
fn chunks_are_full_and_few_and_the_traffics_do_not_wait_for_each_other() {
    let mut rig = Rig::new();
    let mut all = bets(2_600);
    all.push(settlement("void", 2, Target::Voided));
    all.push(won("again", 4));
    rig.settle(&all);
    let sizes: Vec<usize> = rig.sent().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 500, 500, 500, 500, 1], "voids first, 4 of a kind at once");
    let traffics: Vec<Traffic> = rig.calls.values().map(|call| call.request.traffic).collect();
    assert_eq!(
        (traffics[0], traffics[1], traffics[5]),
        (Traffic::Void, Traffic::Live, Traffic::Correction)
    );
    let first = *rig.calls.keys().nth(1).unwrap();
    rig.answer_one(first, |call| {
        ok(&call.request, call.request.items.iter().map(applied).collect())
    });
    let sizes: Vec<usize> = rig.sent().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 500, 500, 500, 1, 500], "a free slot is filled at once");
}

#[test]
fn a_chunk_has_one_partner() {
    let mut rig = Rig::new();
    let other = settlement_of("beta", "z", 3, Target::Settled(0));
    rig.settle(&[won("a", 3), other, won("b", 3)]);
    assert_eq!(rig.sent(), [vec!["a/3", "b/3"], vec!["z/3"]]);
}

#[test]
fn the_offset_waits_for_the_lowest_undone_record() {
    let mut rig = Rig::new();
    for name in ["a", "b", "c"] {
        rig.settle(&[won(name, 3)]);
    }
    let tokens: Vec<u64> = rig.calls.keys().copied().collect();
    let good = |call: &crate::StateCall| {
        ok(&call.request, call.request.items.iter().map(applied).collect())
    };
    rig.answer_one(tokens[2], good);
    rig.answer_one(tokens[1], good);
    rig.apply();
    assert_eq!((rig.offsets(), rig.deliveries().len()), ((0, 0), 2));
    rig.answer_one(tokens[0], good);
    assert_eq!(rig.offsets(), (0, 0));
    rig.apply();
    assert_eq!(rig.offsets(), (3, 0));
}

#[test]
fn answers_that_come_while_a_batch_is_on_its_way_share_the_next() {
    let mut rig = Rig::new();
    for name in ["a", "b", "c"] {
        rig.settle(&[won(name, 3)]);
    }
    rig.answer(applied);
    assert_eq!(rig.applies.len(), 1);
    assert_eq!(rig.applies[0].1.closing.len(), 1);
    rig.apply_steps(usize::MAX);
    assert_eq!(rig.applies[0].1.closing.len(), 2);
    assert_eq!(rig.offsets(), (1, 0));
}

/// R3: what the store closes is not said again.
#[test]
fn an_answer_closes_in_the_store_once_it_was_said() {
    for steps in 0..=2 {
        let mut rig = in_the_tier();
        // Another bet, so that the epoch is known.
        let again = |rig: &mut Rig, other| {
            rig.settle(&[won(other, 3)]);
            rig.answer(applied);
            rig.apply();
            rig.read(TIER);
            rig.advance(5_000);
            rig.load();
            rig.answer(applied);
        };
        again(&mut rig, "b");
        assert!(!rig.apply_steps(steps));
        rig.crash();
        rig.read(MAIN);
        again(&mut rig, "c");
        rig.apply();
        assert_eq!(rig.offsets(), (3, 1));
        let told = rig.deliveries().iter().filter(|told| told.starts_with("a/3/")).count();
        assert_eq!(told, if steps == 1 { 2 } else { 1 }, "after {steps} steps");
    }
}

#[test]
fn a_crash_at_every_step_sends_again_and_writes_the_same() {
    for steps in 0..=2 {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3)]);
        rig.answer(applied);
        assert!(!rig.apply_steps(steps));
        rig.crash();
        assert!(rig.read(MAIN));
        assert_eq!(rig.sent(), [["a/3"]], "after {steps} steps it is still owed");
        rig.answer(applied);
        rig.apply();
        assert_eq!((rig.offsets(), rig.facts.len()), ((1, 0), 1));
    }
}

#[test]
fn a_rejected_item_is_parked_with_a_case_and_the_rest_goes_on() {
    let mut rig = Rig::new();
    rig.settle(&bets(3));
    rig.answer(|item| {
        if item.bet_id.ends_with('1') { rejected(item, "unknown_bet") } else { applied(item) }
    });
    rig.apply();
    assert_eq!(rig.offsets(), (3, 0), "parked does not hold the offset");
    assert_eq!(rig.alarms, ["delivery_parked"]);
    assert_eq!(rig.parked(), ["r_1:b00001/3"]);
    let parked = rig.records(PARKED)[0];
    assert_eq!(parked.header(HEADER_ORIG_OFFSET), Some("1"));
    assert_eq!(parked.header("code"), Some("unknown_bet"));
    assert_eq!(parked.value, rig.log[&MAIN][1].value, "byte for byte");
    let delivery: DeliveryRecord = frame::decode(&rig.records(DELIVERIES)[1].value).unwrap();
    assert_eq!(delivery.outcome, DeliveryOutcome::Parked);
    assert_eq!(delivery.code.as_deref(), Some("unknown_bet"));
    let cases = rig.cases();
    assert_eq!((cases.len(), cases[0].code.as_str()), (1, "unknown_bet"));
    assert_eq!((cases[0].bet_id.as_deref(), cases[0].revision), (Some("r_1:b00001"), Some(3)));
    assert_eq!(rig.owed().partners[&"acme".parse().unwrap()].parked, 1);
}

#[test]
fn applied_with_the_wrong_money_is_no_end_but_a_case() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer(|item| StateResult { collected_net: Some("-1000".to_owned()), ..applied(item) });
    rig.apply();
    assert_eq!(rig.deliveries(), ["a/3/1/parked:collected_net"]);
    let case = &rig.cases()[0];
    assert_eq!(case.code, "collected_net");
    assert!(case.text.contains("collected_net -1000"), "{}", case.text);
    assert!(case.text.contains("the target says 1500"), "{}", case.text);
}

/// H22: parked items never hold up the partner, the partition, or a newer revision of the same bet.
#[test]
fn h22_parked_blocks_nothing() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), settlement("v", 2, Target::Voided)]);
    rig.answer(|item| rejected(item, "invalid_transition"));
    rig.apply();
    assert_eq!((rig.offsets(), rig.parked().len()), ((2, 0), 2));
    rig.settle(&[settlement("a", 4, Target::Settled(0)), won("b", 3)]);
    assert_eq!(rig.sent(), [["b/3"], ["a/4"]]);
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.offsets(), (4, 0));
    assert!(rig.deliveries().contains(&"a/4/1/applied".to_owned()));
}

#[test]
fn a_second_content_of_one_settlement_is_parked_and_never_sent() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), settlement("a", 3, Target::Settled(0))]);
    assert_eq!(rig.sent(), [["a/3"]]);
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.offsets(), (2, 0));
    let mut deliveries = rig.deliveries();
    deliveries.sort();
    assert_eq!(deliveries, ["a/3//parked:revision_conflict", "a/3/1/applied"]);
    assert_eq!(rig.cases()[0].code, "revision_conflict");
}

#[test]
fn what_cannot_be_read_becomes_a_fact_and_the_offset_goes_on() {
    let mut rig = Rig::new();
    rig.append(MAIN, "x", b"not a settlement".to_vec());
    rig.append(TIER, "y", won("a", 3).encode().unwrap()[..9].to_vec());
    rig.publish(&[won("b", 3)]);
    rig.read(MAIN);
    rig.read(TIER);
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.offsets(), (2, 1));
    assert_eq!(rig.alarms, ["settlement_unreadable"; 2]);
    let unreadable: Vec<_> =
        rig.facts.keys().filter(|key| key.kind == UNREADABLE).map(|key| key.scope.topic).collect();
    assert_eq!(unreadable, [MAIN.topic, TIER.topic]);
}

#[test]
fn a_new_ledger_epoch_pages_and_keys_the_answers_behind_it() {
    let mut rig = Rig::new();
    for (epoch, name) in [("7", "a"), ("7", "b"), ("8", "c")] {
        rig.settle(&[won(name, 3)]);
        rig.answer_with(|call| {
            ok_in(epoch, &call.request, call.request.items.iter().map(applied).collect())
        });
        rig.apply();
    }
    assert_eq!(rig.deliveries(), ["a/3/7/applied", "b/3/7/applied", "c/3/8/applied"]);
    assert_eq!(rig.alarms, ["ledger_epoch_changed"]);
}

#[test]
fn memory_is_bounded_and_a_partner_that_hangs_spills_alone() {
    let limits = Limits {
        chunk_items_max: 5,
        partner_items_max: 20,
        items_held_max: 60,
        ..Limits::PRODUCTION
    };
    let mut rig = Rig::with(limits);
    rig.settle(&bets(100));
    // 20 queued of which 20 sent; read at once: the queue holds 20 while the read lasts.
    let moved = rig.applies.front().unwrap().1.records[0].len();
    assert_eq!(moved, 80);
    let other = settlement_of("beta", "z", 3, Target::Settled(0));
    rig.settle(&[other]);
    assert!(rig.sent().contains(&vec!["z/3".to_owned()]), "a healthy partner does not notice");
    assert!(rig.ready_for(MAIN), "121 held: just above the bound while the engine is busy");
}

#[test]
fn nothing_more_is_read_while_too_much_is_held() {
    let limits = Limits {
        chunk_items_max: 5,
        partner_items_max: 20,
        items_held_max: 40,
        ..Limits::PRODUCTION
    };
    let mut rig = Rig::with(limits);
    rig.settle(&bets(100));
    assert!(!rig.ready_for(MAIN) && !rig.ready_for(TIER));
    rig.apply();
    assert!(rig.ready_for(MAIN) && rig.ready_for(TIER), "what went to the tier left the memory");
    assert!(!rig.ready_for(Source { topic: Topic("x"), partition: 0 }) || rig.calls.len() == 4);
}

#[test]
fn owed_is_counted_until_its_end_is_durable() {
    let mut rig = Rig::new();
    let void = Settlement { caused_at: 700, ..settlement("v", 2, Target::Voided) };
    rig.settle(&[void, won("a", 3)]);
    rig.answer(applied);
    let acme = "acme".parse().unwrap();
    let owed = rig.owed().partners[&acme].clone();
    assert_eq!(owed.items[&Traffic::Void] + owed.items[&Traffic::Live], 2);
    assert_eq!((owed.oldest_void_at, owed.in_flight), (Some(700), 0));
    assert_eq!(owed.oldest_at, Some(won("a", 3).caused_at.min(700)));
    rig.apply();
    let owed = rig.owed().partners[&acme].clone();
    assert_eq!((owed.items.len(), owed.oldest_void_at, owed.oldest_at), (0, None, None));
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.feed(Input::Answered { token: 999, answer: Answer::from(&Err(CallError::Timeout)) });
    rig.feed(Input::Applied { token: 998 });
    rig.feed(Input::Timer { token: 997 });
    rig.feed(Input::Loaded { token: 996, facts: Vec::new() });
    assert_eq!(rig.sent(), [["a/3"]]);
    rig.answer_with(|_| status(200, "{}"));
    rig.apply();
    assert_eq!((rig.offsets(), rig.deliveries().len()), ((0, 0), 0));
    let lie = |item: &schemas::contract::StateItem| superseded(item, 3);
    rig.advance(250);
    rig.answer(lie);
    rig.apply();
    assert_eq!(rig.deliveries().len(), 0);
}

/// R20: whoever has no row of a bet that it once held is told it anew, once people have signed that off.
#[test]
fn a_bet_that_a_restored_ledger_does_not_know_is_told_anew_once() {
    let unknown = |call: &StateCall| {
        let results = call.request.items.iter().map(|item| rejected(item, "unknown_bet"));
        ok_in("2", &call.request, results.collect())
    };
    for signed_off in [None, Some("3")] {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3)]);
        rig.sign_off(signed_off);
        rig.answer_with(unknown);
        rig.apply();
        assert_eq!(rig.parked(), ["r_1:a/3"], "nobody signed this one off");
    }

    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3)]);
    rig.sign_off(Some("2"));
    let request = |rig: &Rig| Arc::clone(&rig.calls.values().next().unwrap().request);
    let first = request(&rig);
    assert!(first.items.iter().all(|item| !item.recover));
    rig.answer_with(unknown);
    rig.apply();
    assert!(rig.parked().is_empty());
    rig.advance(250);
    let anew = request(&rig);
    assert!(anew.items.iter().all(|item| item.recover));
    assert_ne!(anew.chunk_id, first.chunk_id, "another content under another id");
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.deliveries().len(), 2);

    rig.settle(&[won("c", 3)]);
    rig.answer_with(unknown);
    rig.advance(250);
    rig.answer_with(unknown);
    rig.apply();
    assert_eq!(rig.parked(), ["r_1:c/3"], "once is enough");
    rig.sign_off(None);
    rig.settle(&[won("d", 3)]);
    rig.answer_with(unknown);
    rig.apply();
    assert_eq!(rig.parked().len(), 2, "that is long ago");
}

/// R20: the operator may know of the restored ledger before it is heard of here.
#[test]
fn what_was_final_in_the_ledger_before_is_sent_again_after_the_sign_off() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    let value = rig.records(SETTLEMENTS)[0].value.to_vec();
    rig.answer_with(|call| {
        ok_in("1", &call.request, call.request.items.iter().map(applied).collect())
    });
    rig.apply();
    rig.sign_off(Some("2"));
    rig.append(TIER, "a", value);
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
    assert_eq!(rig.owed().partners[&"acme".parse().unwrap()].epoch, None, "nothing to compare yet");
}
