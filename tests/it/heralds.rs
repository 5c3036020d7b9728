//! H11, H12: who writes markers and ticks, and when.

use crate::stage::{Player, Stage, holds_without};
use ingest::herald::Herald;
use pipeline_tests::world::cast::round_rules;
use planted::Bug;
use runtime::{Append, Effect, Input, Machine, Source, Topic};
use schemas::bets::{BetEvent, BetSaid, Marker, MarkerBody};
use schemas::catalogue::{BETS, ROUNDS};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::{Odds, RequestId};
use std::collections::BTreeMap;

const PARTITIONS: Partitions = Partitions { rounds: 1, lanes: 3, cases: 1 };
const ROUNDS_0: Source = Source { topic: Topic(ROUNDS), partition: 0 };

fn herald(stage: &Stage) -> Herald {
    Herald::new(0, PARTITIONS, round_rules(), stage.stored(ROUNDS_0))
}

fn say(stage: &mut Stage, request: &str, said: RoundSaid) {
    let request: RequestId = request.parse().unwrap();
    let (round, actor) = ("r1".parse().unwrap(), "operator".to_owned());
    let event = RoundEvent { round, request, actor, said_at: stage.now, said };
    stage.append(Append::from(outgoing::round(&event, PARTITIONS).unwrap().into_parts()));
}

fn open(stage: &mut Stage) {
    let offer =
        |name: &str| Offer { selection: name.parse().unwrap(), odds: Odds::new(200).unwrap() };
    let opened = Opened {
        game: "two_way".to_owned(),
        rules_version: settlement::RULES_VERSION,
        offers: vec![offer("first"), offer("second")],
        closes_at: stage.now + 5_000,
        grace_ms: 200,
    };
    say(stage, "open", RoundSaid::Opened(opened));
}

fn result(stage: &mut Stage, request: &str, replaces: u32, winner: &str) {
    let outcome = Outcome::Game(winner.to_owned());
    say(stage, request, RoundSaid::Version { replaces, outcome, reason: String::new() });
}

/// Reads and waits until nothing more comes of it.
fn settle_down(stage: &mut Stage, player: &mut Player<Herald>) {
    stage.start(player);
    for _ in 0..8 {
        stage.let_time_pass(player);
    }
}

/// The markers of every partition in the order in which they first stand there.
fn markers(stage: &Stage) -> Vec<Vec<Marker>> {
    let of = |partition| {
        let source = Source { topic: Topic(BETS), partition };
        let mut first: Vec<Marker> = Vec::new();
        for record in stage.log.all(source) {
            if let BetSaid::Marker(marker) = BetEvent::decode(&record.value).unwrap().said
                && !first.iter().any(|known| known.number == marker.number)
            {
                first.push(marker);
            }
        }
        first
    };
    (0..PARTITIONS.lanes).map(of).collect()
}

/// Every partition has the same markers, numbered without a gap, the cut-off before any outcome.
fn check(stage: &Stage, versions: usize) -> Result<(), String> {
    let all = markers(stage);
    for (partition, markers) in all.iter().enumerate() {
        let numbers: Vec<u32> = markers.iter().map(|marker| marker.number).collect();
        if !numbers.iter().copied().eq(1..=u32::try_from(versions).unwrap() + 2) {
            return Err(format!("partition {partition} has markers {numbers:?}"));
        }
        if *markers != all[0] {
            return Err(format!("partition {partition} differs from partition 0"));
        }
        if !matches!(markers[1].body, MarkerBody::Closed) {
            return Err(format!(
                "partition {partition}: {:?} where the cut-off stands",
                markers[1]
            ));
        }
    }
    Ok(())
}

#[test]
fn h11_of_two_results_every_partition_has_the_first() {
    let mut stage = Stage { now: 1_000, ..Stage::default() };
    open(&mut stage);
    let mut one = Player::new(herald(&stage));
    settle_down(&mut stage, &mut one);
    result(&mut stage, "a", 0, "first");
    result(&mut stage, "b", 0, "second");
    // Two heralds for a while: the second only repeats.
    let mut two = Player::new(herald(&stage));
    settle_down(&mut stage, &mut two);
    stage.run(&mut one);
    assert_eq!(check(&stage, 1), Ok(()));
}

#[test]
fn h11_a_result_waits_for_sealed() {
    holds_without(Bug::ResultBeforeSealed, || {
        let mut stage = Stage { now: 1_000, ..Stage::default() };
        open(&mut stage);
        say(&mut stage, "closing", RoundSaid::Closing);
        let mut player = Player::new(herald(&stage));
        stage.start(&mut player);
        result(&mut stage, "early", 0, "first");
        stage.run(&mut player);
        settle_down(&mut stage, &mut player);
        result(&mut stage, "again", 0, "first");
        stage.run(&mut player);
        check(&stage, 1)
    });
}

#[test]
fn h11_markers_are_acknowledged_everywhere_before_anything_follows() {
    holds_without(Bug::MarkerUnacknowledged, || {
        for parts in 1..=20 {
            let mut stage = Stage { now: 1_000, backwards: true, ..Stage::default() };
            open(&mut stage);
            let mut dying = Player::dying_after(herald(&stage), parts);
            settle_down(&mut stage, &mut dying);
            let mut next = Player::new(herald(&stage));
            settle_down(&mut stage, &mut next);
            result(&mut stage, "a", 0, "first");
            stage.run(&mut next);
            check(&stage, 1).map_err(|error| format!("death after {parts}: {error}"))?;
        }
        Ok(())
    });
}

#[test]
fn h11_a_feed_that_repeats_its_first_result_corrects_nothing() {
    holds_without(Bug::NoBaseVersion, || {
        let mut stage = Stage { now: 1_000, ..Stage::default() };
        open(&mut stage);
        let mut player = Player::new(herald(&stage));
        settle_down(&mut stage, &mut player);
        result(&mut stage, "a", 0, "first");
        result(&mut stage, "b", 1, "second");
        result(&mut stage, "feed-2", 0, "first");
        stage.run(&mut player);
        check(&stage, 2)
    });
}

/// One herald ticks, one tick at a time per partition, a second after the last was acknowledged.
#[test]
fn h12_ticks_come_from_one_herald_and_never_catch_up() {
    let mut first = Herald::new(0, PARTITIONS, round_rules(), 0);
    let ticks = |effects: &[Effect<Herald>]| {
        effects.iter().filter(|effect| matches!(effect, Effect::Apply { .. })).count()
    };
    let started = first.start(10_000);
    assert_eq!(ticks(&started), usize::try_from(PARTITIONS.lanes).unwrap());
    let mut tokens = BTreeMap::new();
    for effect in &started {
        if let Effect::Apply { token, batch } = effect {
            tokens.insert(batch.records[0][0].partition, *token);
        }
    }
    // The acknowledgement is 20 s late: one tick follows, a second behind it.
    let late = first.handle(30_000, Input::Applied { token: tokens[&1] });
    let [Effect::Timer { token, at: 31_000 }] = late.as_slice() else { panic!("{late:?}") };
    let next = first.handle(31_000, Input::Timer { token: *token });
    assert_eq!((next.len(), ticks(&next)), (1, 1));
    let mut second = Herald::new(1, Partitions { rounds: 2, ..PARTITIONS }, round_rules(), 0);
    assert_eq!(second.start(10_000).len(), 0, "only the herald of partition 0 ticks");
}
