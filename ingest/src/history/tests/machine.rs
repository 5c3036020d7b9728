//! What is written, when, and how often.

use super::*;
use crate::history::{GATHER_MS, REST_MS_MAX, REST_TIMES, WAITING_RECORDS_MAX, WRITE_RECORDS_MAX};

/// Every kind of record, some of them twice.
fn log() -> Log {
    let mut log = Log::default();
    let (won, corrected, cancelled_bet) = (bet("won"), bet("corrected"), bet("cancelled"));
    for bet in [&won, &corrected, &cancelled_bet] {
        log.decide(bet, Verdict::Accepted);
    }
    log.decide(&bet("no"), declined());
    log.decide(&cancelled_bet, cancelled());
    log.settle(&cancelled_bet, 2, Target::Voided);
    for (revision, target) in [(3, Target::Settled(2_500)), (4, Target::Settled(0))] {
        log.settle(&won, 3, Target::Settled(2_500));
        log.settle(&corrected, revision, target);
        log.deliver(&corrected, revision, DeliveryOutcome::Applied, "1");
    }
    log.deliver(&won, 3, DeliveryOutcome::Parked, "4");
    log.replay(&won, 3, Target::Settled(2_500));
    log.deliver(&won, 3, DeliveryOutcome::Applied, "1");
    log
}

#[test]
fn a_replay_writes_the_same_rows() {
    let log = log();
    let once = log.all_rows();
    assert!(!once.0.is_empty());
    for records in 1..5 {
        let mut again = once.clone();
        // Rows with another body under a key that stands would not be taken.
        again.write(log.rows(&log.sources(), records).of(|_| true));
        assert_eq!(again, once, "{records} records at a time");
    }
}

#[test]
fn topics_may_be_read_in_any_order() {
    let log = log();
    let mut sources = log.sources();
    for _ in 0..sources.len() {
        sources.rotate_left(1);
        assert_eq!(log.rows(&sources, 2), log.all_rows());
        let backwards: Vec<Source> = sources.iter().copied().rev().collect();
        assert_eq!(log.rows(&backwards, 3), log.all_rows());
    }
}

/// What a settler or a reconciler publishes again is told once and listed once, as it stood first.
#[tokio::test]
async fn duplicates_vanish() {
    let (partner, player) = ("acme".parse().unwrap(), "p_9".parse().unwrap());
    let bet = bet("won");
    let mut log = Log::default();
    let say = |log: &mut Log| {
        log.decide(&bet, Verdict::Accepted);
        log.settle(&bet, 3, Target::Settled(2_500));
        log.deliver(&bet, 3, DeliveryOutcome::Applied, "1");
    };
    say(&mut log);
    let once = log.all_rows();
    say(&mut log);
    let twice = log.all_rows();
    assert!(once.0.len() < twice.0.len(), "both records are kept");
    assert_eq!(once.story(&bet.id), twice.story(&bet.id));
    for list in [List::Player(&partner, &player), List::Partner(&partner)] {
        assert_eq!(once.list(list).await, twice.list(list).await);
    }
    let movements = [format!("{}/3", bet.id), format!("{}/1", bet.id)];
    assert_eq!(twice.list(List::Partner(&partner)).await, movements);
    assert_eq!(twice.list(List::Player(&partner, &player)).await, [bet.id.to_string()]);
}

/// A cancelled bet was asked for once: by its hold, or not at all where it had been accepted before.
#[tokio::test]
async fn a_hold_is_listed_once() {
    let partner = "acme".parse().unwrap();
    let mut log = Log::default();
    log.decide(&bet("pending"), cancelled());
    log.decide(&bet("later"), Verdict::Accepted);
    log.decide(&bet("later"), cancelled());
    let holds = log.all_rows().list(List::Partner(&partner)).await;
    let wanted: BTreeSet<String> =
        ["pending", "later"].map(|name| format!("{}/1", bet(name).id)).into();
    assert_eq!(holds.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(holds.len(), wanted.len());
}

/// Offsets cover what is written and nothing else; what is listed has its story.
#[test]
fn many_records_are_written_in_pieces() {
    let mut log = Log::default();
    (0..WRITE_RECORDS_MAX * 2 + 1).for_each(|n| log.decide(&bet(&n.to_string()), declined()));
    let (source, records) = log.topics.first_key_value().unwrap();
    let mut world = World::new(log.sources());
    world.read(*source, records.clone());
    for written in [WRITE_RECORDS_MAX, 2 * WRITE_RECORDS_MAX, 2 * WRITE_RECORDS_MAX + 1] {
        let batch = world.batch.as_ref().unwrap();
        assert_eq!(batch.records, Vec::<Vec<Append>>::new());
        let [stories, places, indexes] = &batch.facts[..] else { panic!("three waves") };
        assert!(stories.len() <= WRITE_RECORDS_MAX && stories.len() < places.len());
        let wanted = if written == WRITE_RECORDS_MAX { 2 } else { 0 };
        assert_eq!(indexes.len(), wanted, "one day and one minute, and they stand from then on");
        world.apply(1);
        assert_eq!(world.stored[source], u64::try_from(written).unwrap());
        world.wake();
    }
    assert!(world.batch.is_none());
}

#[test]
fn it_rests_for_many_times_as_long_as_it_wrote() {
    let source = Log::default().sources()[0];
    let mut log = Log::default();
    (0..WAITING_RECORDS_MAX).for_each(|n| log.decide(&bet(&n.to_string()), declined()));
    let records = log.topics[&source].clone();
    for (waits, took, rest) in [
        (1, 2, GATHER_MS),
        (1, 40, 40 * REST_TIMES),
        (1, 10_000, REST_MS_MAX),
        (WAITING_RECORDS_MAX, 2, 2 * REST_TIMES),
    ] {
        let mut world = World::new(log.sources());
        world.read(source, records[..waits].to_vec());
        world.apply(took);
        assert_eq!(world.timer, Some(world.now + rest), "{waits} records, {took} ms");
        world.read(source, records[..1].to_vec());
        assert!(world.batch.is_none(), "it rests");
    }
}

#[test]
fn it_reads_no_more_than_it_can_write() {
    let source = Log::default().sources()[0];
    let mut log = Log::default();
    (0..WAITING_RECORDS_MAX).for_each(|n| log.decide(&bet(&n.to_string()), declined()));
    let mut world = World::new(log.sources());
    world.read(source, log.topics[&source].clone());
    assert!(world.machine.ready_for(source), "a write is on its way");
    world.read(source, log.topics[&source][..WRITE_RECORDS_MAX].to_vec());
    assert!(!world.machine.ready_for(source));
}

#[test]
fn what_cannot_be_read_is_passed() {
    let mut log = Log::default();
    log.decide(&bet("one"), Verdict::Accepted);
    let source = log.sources()[0];
    let mut broken = log.topics[&source][0].clone();
    broken.value = Bytes::from_static(b"\0\0\0\0\x03no datum");
    let good = Record { offset: 1, ..log.topics[&source][0].clone() };
    let mut world = World::new(log.sources());
    world.read(source, vec![broken, good]);
    world.settle();
    assert_eq!(world.alarms.len(), 1);
    assert_eq!(world.alarms[0].name, "history_unreadable");
    assert!(world.rows.story(&bet("one").id).decision().is_some());
    assert_eq!(world.stored[&source], 2);
}
