//! A partner that is down, one that is back, and one that stays away for too long.

use super::rig::{MAIN, Rig, TIER, sources, tier};
use crate::breaker::Circuit;
use crate::fixtures::{STAKE, applied, settlement_of, status, won};
use crate::limits::Limits;
use crate::retry::{HEADER_ASKED, HEADER_CODE, HEADER_ORIG_OFFSET, HEADER_REPLAYED};
use planted::Bug;
use runtime::http::CallError;
use runtime::{Append, Record, RecordHeaders};
use schemas::PartnerId;
use schemas::catalogue::{PARKED, RETRY_5S, RETRY_30S, RetryTier};
use schemas::contract::Traffic;
use schemas::outgoing::{self, SettlementTopic};
use schemas::settlements::{Settlement, Target};

/// Small chunks, so that few items fill the slots.
const LIMITS: Limits = Limits { chunk_items_max: 5, partner_items_max: 100, ..Limits::PRODUCTION };

fn acme() -> PartnerId {
    "acme".parse().unwrap()
}

fn bets(count: usize) -> Vec<Settlement> {
    (0..count).map(|number| won(&format!("b{number:03}"), 3)).collect()
}

fn circuit(rig: &mut Rig) -> Circuit {
    rig.owed().partners[&acme()].circuits[&Traffic::Live]
}

/// Reads whatever a source has, and makes durable what comes of it.
fn read_all(rig: &mut Rig) {
    for source in sources() {
        while rig.read(source) {}
        rig.apply();
    }
}

/// `count` settlements of a partner that does not answer; its breaker is open.
pub(super) fn down(count: usize) -> Rig {
    let mut rig = Rig::with(LIMITS);
    rig.settle(&bets(count));
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(249);
    let mut ms = 0..1_000;
    while circuit(&mut rig) == Circuit::Closed {
        assert!(ms.next().is_some(), "{count} items make too few chunks to open it");
        rig.answer_with(|_| Err(CallError::Connect));
        rig.advance(1);
    }
    rig.answer_with(|_| Err(CallError::Connect));
    rig.apply();
    rig
}

/// What rests in the first tier falls due while the partner is away, and moves to the next.
pub(super) fn due_in_vain(rig: &mut Rig) {
    rig.read(TIER);
    rig.advance(5_000);
    rig.answer_with(|_| Err(CallError::Connect));
    rig.load();
    rig.apply();
}

#[test]
fn what_is_owed_to_a_partner_that_is_down_goes_to_the_tier_and_one_probe_at_a_time_goes_out() {
    let mut rig = down(40);
    assert_eq!((rig.offsets().0, rig.records(RETRY_5S).len()), (40, 40), "the probes too");
    rig.settle(&[won("late", 3), settlement_of("beta", "z", 3, Target::Settled(0))]);
    assert_eq!(rig.sent(), [["z/3"]], "a healthy partner does not notice");
    rig.answer(applied);
    rig.apply();
    assert_eq!(rig.offsets().0, 42);
    for _ in 0..10 {
        rig.advance(5_000);
        assert_eq!(rig.sent().concat().len(), 1, "one item");
        assert_eq!(circuit(&mut rig), Circuit::HalfOpen);
        rig.answer_with(|_| Err(CallError::Connect));
        assert_eq!(circuit(&mut rig), Circuit::Open);
    }
    assert_eq!(rig.facts.len(), 1, "nothing of it is final");
}

#[test]
fn what_is_due_while_the_breaker_is_open_moves_on_tier_by_tier() {
    let mut rig = down(20);
    due_in_vain(&mut rig);
    assert_eq!((rig.offsets().1, rig.records(RETRY_30S).len()), (20, 20));
    assert!(rig.calls.is_empty(), "no call but the probe");
}

/// Answers and reads ahead until nothing more comes; never more in flight than there are slots.
fn drain(rig: &mut Rig) {
    while !rig.calls.is_empty() || !rig.peeks.is_empty() || !rig.loads.is_empty() {
        rig.peek();
        rig.load();
        let most = LIMITS.chunks_in_flight_max * LIMITS.chunk_items_max;
        assert!(rig.sent().concat().len() <= most, "{} in flight", rig.sent().concat().len());
        rig.answer(applied);
        rig.apply();
    }
}

#[test]
fn a_partner_that_is_back_is_drained_at_once_and_the_heads_come_on_behind() {
    let mut rig = down(60);
    // Some rest in memory, the others stand unread in two tiers.
    due_in_vain(&mut rig);
    rig.settle(&(60..90).map(|n| won(&format!("b{n:03}"), 3)).collect::<Vec<_>>());
    rig.apply();
    assert_eq!((rig.records(RETRY_30S).len(), rig.records(RETRY_5S).len()), (60, 90));
    rig.advance(5_000);
    rig.answer(applied);
    drain(&mut rig);
    assert_eq!(rig.deliveries().len(), 90, "all is confirmed, nothing was due");
    assert_eq!(rig.stored.get(&tier(RetryTier::S30)), None, "the head stays where it is");
    read_all(&mut rig);
    rig.load();
    rig.apply();
    assert!(rig.calls.is_empty(), "what has its final answer is skipped");
    let stored = |rig: &Rig, source| rig.stored.get(&source).copied();
    assert_eq!(stored(&rig, tier(RetryTier::S30)), Some(60), "and need not rest");
    assert_eq!((rig.offsets(), rig.deliveries().len()), ((90, 90), 90));
    assert_eq!(rig.owed().partners[&acme()].tiers, [0; 5]);
}

/// Else a partner that comes and goes a few times a minute is well at last and has its money ten minutes later.
#[test]
fn what_was_woken_before_its_time_and_fails_rests_no_longer_than_before() {
    let mut rig = down(20);
    due_in_vain(&mut rig);
    rig.read(tier(RetryTier::S30));
    rig.advance(5_000);
    rig.answer(applied);
    rig.load();
    assert!(!rig.calls.is_empty(), "it is back: what rests is sent");
    for _ in 0..2 {
        rig.answer_with(|_| Err(CallError::Timeout));
        rig.advance(150);
    }
    rig.apply();
    let records = |tier: RetryTier| rig.records(tier.topic()).len();
    assert_eq!((records(RetryTier::S30), records(RetryTier::M2)), (40, 0));
}

#[test]
fn what_was_on_its_way_to_the_tier_at_the_return_is_drained_too() {
    let mut rig = down(20);
    rig.settle(&bets(30)[20..]);
    assert_eq!(rig.records(RETRY_5S).len(), 20, "10 are on their way");
    rig.advance(500);
    rig.answer(applied);
    rig.peek();
    drain(&mut rig);
    assert_eq!(rig.deliveries().len(), 30);
}

#[test]
fn a_crash_in_a_drain_loses_nothing() {
    let mut rig = down(60);
    rig.advance(500);
    rig.answer(applied);
    rig.peek();
    rig.load();
    rig.answer(applied);
    // Half of the batch is durable, and the process dies.
    rig.apply_steps(1);
    rig.crash();
    read_all(&mut rig);
    rig.advance(5_000);
    rig.load();
    drain(&mut rig);
    assert_eq!((rig.offsets(), rig.facts.len()), ((60, 60), 60));
}

#[test]
fn what_was_read_ahead_and_failed_is_owed_by_its_head() {
    let mut rig = down(60);
    rig.advance(500);
    rig.answer(applied);
    rig.peek();
    rig.load();
    assert!(1 < rig.sent().concat().len(), "read ahead of the head");
    // The partner is away again before it answers.
    for _ in 0..20 {
        rig.answer_with(|_| Err(CallError::Connect));
        rig.advance(300);
        rig.load();
        rig.apply();
    }
    assert_ne!(circuit(&mut rig), Circuit::Closed);
    for _ in 0..20 {
        read_all(&mut rig);
        rig.advance(5_000);
        rig.load();
        rig.answer(applied);
        drain(&mut rig);
    }
    assert_eq!((rig.offsets(), rig.facts.len()), ((60, 60), 60));
}

#[test]
fn planted_bug_probe_not_moved_is_lost_in_a_crash() {
    for (bug, moved) in [(None, 40), (Some(Bug::ProbeNotMoved), 36)] {
        planted::arm_thread(bug);
        let rig = down(40);
        planted::arm_thread(None);
        assert_eq!((rig.offsets().0, rig.records(RETRY_5S).len()), (40, moved), "{bug:?}");
    }
}

#[test]
fn a_successor_asks_a_partner_that_is_known_by_old_debts_alone() {
    let mut rig = down(30);
    due_in_vain(&mut rig);
    rig.crash();
    rig.read(tier(RetryTier::S30));
    rig.load();
    assert_eq!(rig.sent().concat().len(), 1, "one item, before it is due");
    rig.answer_with(|_| Err(CallError::Connect));
    rig.apply();
    assert_eq!(circuit(&mut rig), Circuit::Open, "the first word decides");
    rig.advance(500);
    rig.answer(applied);
    drain(&mut rig);
    assert_eq!(rig.deliveries().len(), 30, "25 s before it is due");
}

#[test]
fn a_wallet_that_chokes_on_the_probe_gets_another_one() {
    let mut rig = down(40);
    let mut probes = Vec::new();
    for _ in 0..3 {
        rig.advance(5_000);
        probes.extend(rig.sent().concat());
        rig.answer_with(|_| status(500, ""));
    }
    assert!(probes[0] != probes[1] && probes[1] != probes[2], "{probes:?}");
}

/// Lets nothing be answered until what is owed has had its time.
fn exhausted() -> Rig {
    let mut rig = Rig::with(Limits {
        tier_wait_ms: [1_000, 1_000, 1_000, 1_000, 1_000],
        last_tier_after_ms: 4_000,
        park_after_ms: 8_000,
        ..Limits::PRODUCTION
    });
    rig.settle(&[won("a", 3)]);
    for _ in 0..40 {
        rig.answer_with(|_| Err(CallError::Connect));
        read_all(&mut rig);
        rig.load();
        rig.apply();
        rig.advance(500);
    }
    rig
}

#[test]
fn what_is_not_answered_in_time_is_parked_and_still_owed() {
    let mut rig = exhausted();
    assert_eq!(rig.parked(), ["r_1:a/3"]);
    assert_eq!(rig.deliveries(), ["a/3//parked:retention_exhausted"]);
    let record = rig.records(PARKED)[0].clone();
    assert_eq!(record.header(HEADER_CODE), Some("retention_exhausted"));
    assert_eq!(record.value, rig.log[&MAIN][0].value, "the same content");
    assert_eq!((rig.alarms.as_slice(), rig.offsets().0), (["delivery_parked"].as_slice(), 1));
    for source in sources() {
        let end = rig.log.get(&source).map_or(0, Vec::len);
        assert_eq!(rig.stored.get(&source).map_or(0, |at| usize::try_from(*at).unwrap()), end);
    }
    assert_eq!(rig.owed().partners[&acme()].parked, 1);
}

#[test]
fn what_is_replayed_is_sent_once_and_is_parked_no_more() {
    let mut rig = exhausted();
    rig.answer_with(|_| Err(CallError::Connect));
    let record = rig.records(PARKED)[0].clone();
    let headers: RecordHeaders =
        [(HEADER_ORIG_OFFSET, "0"), (HEADER_REPLAYED, "true")].into_iter().collect();
    for _ in 0..2 {
        let tier = rig.log.entry(TIER).or_default();
        let offset = u64::try_from(tier.len()).unwrap();
        let (key, value, headers) = (record.key.clone(), record.value.clone(), headers.clone());
        tier.push(Record { offset, appended_at: rig.now, key, headers, value });
    }
    read_all(&mut rig);
    for _ in 0..20 {
        rig.advance(500);
        rig.load();
        rig.answer(applied);
        rig.apply();
    }
    assert_eq!(rig.deliveries()[1..], ["a/3/1/applied"]);
    assert_eq!(rig.owed().partners[&acme()].parked, 0);
}

/// What it answered before it asked closes nothing, or nobody would ever be told again while it was away for a moment.
#[test]
fn what_a_partner_asked_for_is_sent_until_it_answers_again() {
    let told = |asked: bool| {
        let mut rig = Rig::with(LIMITS);
        let one = won("a", 3);
        rig.settle(std::slice::from_ref(&one));
        rig.answer(applied);
        rig.apply();
        let topic = SettlementTopic::Settlements;
        let mut again = outgoing::settlement(&one, topic, MAIN.partition).unwrap();
        again.headers.extend(asked.then(|| (HEADER_ASKED, "post_1".to_owned())));
        rig.take(again.into_parts().into());
        rig.read(MAIN);
        rig.answer_with(|_| Err(CallError::Timeout));
        rig.advance(250);
        rig.answer_with(|_| Err(CallError::Timeout));
        rig.apply();
        rig.crash();
        rig.read(MAIN);
        rig.read(TIER);
        rig.advance(5_000);
        // Any answer of the partner names its ledger.
        rig.settle(&[won("b", 3)]);
        rig.answer(applied);
        rig.apply();
        rig.load();
        let sent = rig.calls.len();
        rig.answer(applied);
        rig.apply();
        rig.load();
        assert_eq!(rig.owed().partners[&acme()].items.values().sum::<u64>(), 0);
        let at = rig.facts.keys().filter(|key| key.subject == "r_1:a").map(|key| key.at);
        (sent, at.collect::<Vec<_>>())
    };
    assert_eq!(told(true), (1, vec![0, 1]));
    assert_eq!(told(false), (0, vec![0]));
}

/// `one`, as a partner asked for it, at this offset of the settlements.
fn asked_again(one: &Settlement, topic: SettlementTopic, orig: Option<&str>) -> Append {
    let mut again = outgoing::settlement(one, topic, MAIN.partition).unwrap();
    again.headers.push((HEADER_ASKED, "post_1".to_owned()));
    again.headers.extend(orig.map(|orig| (HEADER_ORIG_OFFSET, orig.to_owned())));
    again.into_parts().into()
}

#[test]
fn a_second_request_is_not_closed_by_the_answer_to_the_first() {
    let mut rig = Rig::with(LIMITS);
    let one = won("a", 3);
    for _ in 0..2 {
        rig.take(asked_again(&one, SettlementTopic::Settlements, None));
    }
    rig.read_some(MAIN, 1);
    rig.answer(applied);
    rig.apply();
    rig.read(MAIN);
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(250);
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.apply();
    // Left over from the first, which went there before it was answered.
    rig.take(asked_again(&one, SettlementTopic::Retry(RetryTier::S5), Some("0")));
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    assert_eq!(rig.sent(), [["a/3"]]);
}

#[test]
fn what_is_asked_for_while_the_answer_before_is_written_is_sent() {
    let mut rig = Rig::with(LIMITS);
    let one = won("a", 3);
    rig.settle(std::slice::from_ref(&one));
    rig.answer(applied);
    rig.take(asked_again(&one, SettlementTopic::Settlements, None));
    rig.read(MAIN);
    rig.apply();
    assert_eq!((rig.sent(), rig.offsets().0), (vec![vec!["a/3".to_owned()]], 1));
    rig.answer(applied);
    rig.apply();
    assert_eq!((rig.offsets().0, rig.facts.len()), (2, 2));
}

/// What pauses a partner's betting: what failed, not what is new, from the first move to a tier until its end is durable.
#[test]
fn what_failed_is_told_by_rounds_money_and_the_oldest_void() {
    let of = |round: u32, revision| {
        let target = if revision == 2 { Target::Voided } else { Target::Settled(70) };
        let mut one = settlement_of("acme", "x", revision, target);
        one.bet = format!("r_{round}:x").parse().unwrap();
        one
    };
    let told = |rig: &mut Rig| {
        let owed = rig.owed().partners[&acme()].clone();
        let units = owed.failed_units.get(&"EUR".parse().unwrap()).copied().unwrap_or_default();
        (owed.failed_rounds, owed.void_failing_since, units)
    };
    let all = 2 * 70 + i128::from(STAKE);
    let mut rig = Rig::with(LIMITS);
    rig.settle(&[of(1, 3), of(2, 3), of(3, 2)]);
    assert_eq!(told(&mut rig), (0, None, 0), "nothing of it failed");
    let failed_at = rig.now + 250;
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(250);
    rig.answer_with(|_| Err(CallError::Timeout));
    assert_eq!(told(&mut rig), (3, Some(failed_at), all), "on their way to the tier");
    rig.apply();
    assert_eq!(told(&mut rig), (3, None, all), "nobody has read them there");
    rig.read(TIER);
    assert_eq!(told(&mut rig), (3, Some(failed_at), all), "they rest");
    // Another owner knows as much once it has read the tier.
    rig.crash();
    rig.read(TIER);
    assert_eq!(told(&mut rig), (3, Some(failed_at), all));
    rig.advance(5_000);
    rig.load();
    rig.answer(applied);
    assert_eq!(told(&mut rig), (0, None, 0), "their end is on its way");
    rig.apply();
    assert_eq!(told(&mut rig), (0, None, 0));
}

fn failed_units(rig: &mut Rig) -> i128 {
    rig.owed().partners[&acme()].failed_units.values().sum()
}

/// Its record rests in a tier and a copy of it is sent as a probe, again and again.
#[test]
fn money_that_failed_counts_once_however_often_it_is_tried() {
    let mut rig = Rig::with(LIMITS);
    let one = bets(1);
    rig.settle(&one);
    let (mut counted, mut probed) = (0, 0);
    for _ in 0..200 {
        rig.answer_with(|_| Err(CallError::Timeout));
        rig.advance(5_000);
        rig.load();
        rig.apply();
        // Before anybody has read it in the next tier, and behind.
        let unread = failed_units(&mut rig);
        read_all(&mut rig);
        let units = failed_units(&mut rig);
        for units in [unread, units] {
            assert!(units == 0 || units == one[0].credit(), "{units}");
        }
        counted += usize::from(units != 0);
        probed += usize::from(circuit(&mut rig) != Circuit::Closed);
    }
    assert!(190 < counted && 100 < probed, "{counted} {probed}");
}

#[test]
fn rounds_that_were_drained_count_no_more_before_the_heads_have_come_to_them() {
    let mut rig = down(20);
    let failed = |rig: &mut Rig| {
        let owed = rig.owed().partners.remove(&acme()).unwrap();
        (owed.failed_rounds, owed.failed_units.into_values().sum::<i128>())
    };
    assert_eq!(failed(&mut rig).0, 1);
    let (_, units) = failed(&mut rig);
    assert!(0 < units);
    rig.advance(5_000);
    rig.answer(applied);
    assert!(failed(&mut rig).1 <= units, "what is read ahead counts once");
    drain(&mut rig);
    assert_eq!(rig.owed().partners[&acme()].tiers[0], 20, "the head has read nothing");
    assert_eq!(failed(&mut rig), (0, 0));
}
