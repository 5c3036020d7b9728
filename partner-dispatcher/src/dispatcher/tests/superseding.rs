//! R15: an older revision is dropped only for a newer one that was read.

use super::retry::in_the_tier;
use super::rig::{MAIN, Rig, TIER};
use crate::fixtures::{applied, superseded, won};
use planted::Bug;
use runtime::http::CallError;
use schemas::frame;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};

/// H19: the last record under a bet is not the newest one: a zombie may say an older revision again.
#[test]
fn h19_the_newest_is_the_highest_revision_not_the_last_arrival() {
    let (sent, offsets) = zombie_repeats_an_older_revision();
    assert_eq!((sent, offsets), (vec![vec!["a/4".to_owned()]], (2, 0)));
}

#[test]
fn planted_bug_last_arrival_newest_loses_the_newest_revision() {
    planted::arm_thread(Some(Bug::LastArrivalNewest));
    let (sent, _) = zombie_repeats_an_older_revision();
    planted::arm_thread(None);
    assert_eq!(sent, [["a/3"]]);
}

/// Revisions 4 and 3 in one read; what is sent, and the offsets once all of it is answered.
fn zombie_repeats_an_older_revision() -> (Vec<Vec<String>>, (u64, u64)) {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 4), won("a", 3)]);
    let sent = rig.sent();
    rig.answer(applied);
    rig.apply();
    (sent, rig.offsets())
}

#[test]
fn a_newer_revision_takes_the_place_of_an_older_in_the_queue() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("b", 3), won("a", 5), won("a", 4)]);
    assert_eq!(rig.sent(), [["b/3"], ["a/5"]]);
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.offsets(), (4, 0));
    assert_eq!(rig.deliveries(), ["b/3/1/applied", "a/5/1/applied"]);
}

#[test]
fn the_offset_does_not_pass_the_newer_revision() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("a", 4)]);
    rig.apply();
    assert_eq!(rig.offsets(), (1, 0), "3 is done because 4, which is not, stands behind it");
}

#[test]
fn a_revision_on_its_way_is_dropped_only_when_it_fails() {
    for fails in [false, true] {
        let mut rig = Rig::new();
        rig.settle(&[won("a", 3)]);
        let first = *rig.calls.keys().next().unwrap();
        rig.settle(&[won("a", 4)]);
        assert_eq!(rig.sent(), [["a/3"], ["a/4"]], "a correction does not wait");
        rig.answer_one(first, |call| {
            let good = crate::fixtures::ok(
                &call.request,
                call.request.items.iter().map(applied).collect(),
            );
            if fails { Err(CallError::Timeout) } else { good }
        });
        rig.advance(300);
        assert_eq!(rig.sent(), [["a/4"]], "3 is not repeated");
        rig.apply();
        assert_eq!(rig.offsets(), (1, 0));
        assert_eq!(rig.deliveries().len(), usize::from(!fails));
    }
}

#[test]
fn superseded_by_what_was_read_is_final() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    let first = *rig.calls.keys().next().unwrap();
    rig.settle(&[won("a", 4)]);
    rig.answer_one(first, |call| {
        crate::fixtures::ok(
            &call.request,
            call.request.items.iter().map(|i| superseded(i, 4)).collect(),
        )
    });
    assert!(rig.loads.is_empty());
    rig.apply();
    assert_eq!(rig.deliveries(), ["a/3/1/superseded:4"]);
    assert_eq!(rig.offsets(), (1, 0));
}

#[test]
fn a_newer_revision_drops_what_rests_in_the_tier() {
    let mut rig = Rig::new();
    rig.append(TIER, "a", won("a", 3).encode().unwrap());
    rig.read(TIER);
    rig.settle(&[won("a", 4)]);
    rig.advance(5_000);
    assert!(rig.loads.is_empty());
    rig.apply();
    assert_eq!(rig.offsets(), (0, 1));
    assert_eq!(rig.sent(), [["a/4"]]);
}

#[test]
fn one_settlement_read_twice_is_sent_once_and_both_records_are_done() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("a", 3)]);
    rig.append(TIER, "a", won("a", 3).encode().unwrap());
    rig.read(TIER);
    assert_eq!(rig.sent(), [["a/3"]]);
    rig.answer(applied);
    // A third one, while the end is being written.
    rig.publish(&[won("a", 3)]);
    rig.read(MAIN);
    rig.apply();
    assert_eq!(rig.offsets(), (3, 1));
    assert_eq!(rig.deliveries(), ["a/3/1/applied"]);
}

/// What stands in the store was answered in a word that a newer build wrote.
fn in_a_word_of_later(rig: &mut Rig) {
    assert!(!rig.facts.is_empty());
    for fact in rig.facts.values_mut() {
        let mut record: DeliveryRecord = frame::decode(&fact.body).unwrap();
        record.outcome = DeliveryOutcome::Unknown;
        fact.body = frame::encode(&record).unwrap().into();
    }
}

#[test]
fn an_answer_in_a_word_that_is_not_known_proves_no_claim() {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 4)]);
    rig.answer(applied);
    rig.apply();
    in_a_word_of_later(&mut rig);
    rig.settle(&[won("a", 3)]);
    rig.answer(|item| superseded(item, 4));
    rig.load();
    rig.apply();
    assert_eq!((rig.deliveries(), rig.offsets()), (vec!["a/4/1/applied".to_owned()], (1, 0)));
}

#[test]
fn an_answer_in_a_word_that_is_not_known_closes_nothing() {
    let mut rig = in_the_tier();
    rig.settle(&[won("a", 3)]);
    rig.answer(applied);
    rig.apply();
    in_a_word_of_later(&mut rig);
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
}
