//! 200 partners that are away, and come back at once: how soon what failed comes again, how often they are called, and how
//! long it takes until all is told. By a clock that no machine makes late, so that this judges the rules alone; what they
//! come to with sockets and a busy machine `roundhouse bench returning` measures.

use super::rig::{MAIN, Rig, sources};
use crate::chunk::StateCall;
use crate::fixtures::{applied, ok, settlement_of, status};
use crate::judge::{Answer, Came};
use crate::limits::Limits;
use runtime::http::{CallError, HttpAnswer};
use runtime::{Input, Millis};
use schemas::catalogue::DELIVERIES;
use schemas::settlements::{Settlement, Target};
use std::collections::BTreeMap;

const PARTNERS: usize = 200;
/// Settlements that fall due for each while they are away, in so many rounds.
const BETS: usize = 50;
const ROUNDS: usize = 10;
const AWAY_MS: Millis = 30_000;
/// How long a wallet takes to answer, or a closed port.
const ANSWER_MS: Millis = 20;
/// What busy wallets ask for.
const RETRY_AFTER_MS: u64 = 3_000;
/// The most that 99 of 100 first repeats may take.
const REPEAT_MS_MAX: Millis = 250;
/// The most that may pass from the return until all is told.
const DRAINED_MS_MAX: Millis = 60_000;
/// What is looked at together, as a moment of a real machine.
const STEP_MS: Millis = 5;
/// Calls to a partner in any second, at most: while it is away, and when it is back.
const CALLS_AWAY_MAX: usize = 8;
const CALLS_BACK_MAX: usize = 8;

fn name(partner: usize) -> String {
    format!("p{partner:03}")
}

/// How a partner that is away sends callers off: it is not there, it is busy, or busy for a while.
fn refused(partner: &str) -> Came {
    let number: usize = partner[1..].parse().unwrap();
    match number % 3 {
        0 => Err(CallError::Connect),
        1 => status(503, ""),
        _ => Ok(HttpAnswer { status: 503, retry_after_ms: Some(RETRY_AFTER_MS), body: "".into() }),
    }
}

/// One call: when it was made, when it failed, if it did, and what was in it.
struct Made {
    at: Millis,
    failed_at: Option<Millis>,
    items: Vec<String>,
}

#[derive(Default)]
struct World {
    /// Calls by partner, in their order.
    made: BTreeMap<String, Vec<Made>>,
    /// When calls on their way are answered: token to time.
    due: BTreeMap<u64, Millis>,
    /// The most calls to one partner at once.
    at_once: usize,
}

impl World {
    /// A moment passes.
    fn step(&mut self, rig: &mut Rig, is_away: bool) {
        for source in sources() {
            rig.read(source);
        }
        rig.load();
        rig.peek_by(1_000);
        rig.apply();
        self.note(rig);
        rig.advance(STEP_MS);
        self.note(rig);
        let due: Vec<u64> =
            self.due.iter().filter(|(_, at)| **at <= rig.now).map(|(token, _)| *token).collect();
        for token in due {
            self.due.remove(&token);
            self.answer(rig, token, is_away);
            self.note(rig);
        }
    }

    /// Takes down calls that were not seen before.
    fn note(&mut self, rig: &Rig) {
        let mut at_once: BTreeMap<&str, usize> = BTreeMap::new();
        for (token, call) in &rig.calls {
            *at_once.entry(call.partner.as_str()).or_default() += 1;
            if self.due.contains_key(token) {
                continue;
            }
            self.due.insert(*token, rig.now + ANSWER_MS);
            let items = call.request.items.iter().map(|item| item.bet_id.clone()).collect();
            let made = Made { at: rig.now, failed_at: None, items };
            self.made.entry(call.partner.to_string()).or_default().push(made);
        }
        self.at_once = at_once.into_values().fold(self.at_once, usize::max);
    }

    fn answer(&mut self, rig: &mut Rig, token: u64, is_away: bool) {
        let call: StateCall = rig.calls.remove(&token).unwrap();
        let came = if is_away {
            let first = &call.request.items[0].bet_id;
            let made = self.made.get_mut(call.partner.as_str()).unwrap().iter_mut();
            let made = made.filter(|made| made.failed_at.is_none());
            let mut made = made.filter(|made| made.items.first() == Some(first));
            made.next().unwrap().failed_at = Some(rig.now);
            refused(call.partner.as_str())
        } else {
            ok(&call.request, call.request.items.iter().map(applied).collect())
        };
        rig.feed(Input::Answered { token, answer: Answer::from(&came) });
    }
}

/// From its failure to the first repeat of each settlement whose partner asked for no rest and had not failed so often by
/// then that its breaker was open; sorted.
fn first_repeats(made: &BTreeMap<String, Vec<Made>>, back_at: Millis) -> Vec<Millis> {
    let opens = usize::try_from(Limits::PRODUCTION.breaker_failures()).unwrap();
    let mut took = Vec::new();
    for (partner, calls) in made {
        if refused(partner).is_ok_and(|answer| answer.retry_after_ms.is_some()) {
            continue;
        }
        let mut failed: Vec<Millis> = calls.iter().filter_map(|call| call.failed_at).collect();
        failed.sort_unstable();
        let opened_at = failed.get(opens - 1).copied().unwrap_or(Millis::MAX);
        let mut first: BTreeMap<&str, (Millis, Option<Millis>)> = BTreeMap::new();
        for call in calls {
            for item in &call.items {
                if let Some((_, again)) = first.get_mut(item.as_str()) {
                    again.get_or_insert(call.at);
                } else if let Some(failed_at) = call.failed_at {
                    first.insert(item, (failed_at, None));
                }
            }
        }
        for (failed_at, again) in first.into_values() {
            let again = again.unwrap_or(Millis::MAX);
            let by = again.min(failed_at + REPEAT_MS_MAX);
            if by < back_at && by < opened_at {
                took.push(again.saturating_sub(failed_at));
            }
        }
    }
    took.sort_unstable();
    took
}

/// The most calls that were made within any second.
fn most_in_a_second(made: &BTreeMap<String, Vec<Made>>, from: Millis) -> usize {
    let mut at: Vec<Millis> = made.values().flatten().map(|call| call.at).collect();
    at.retain(|at| from <= *at);
    at.sort_unstable();
    let within =
        |(index, first): (usize, &Millis)| at.partition_point(|at| *at < first + 1_000) - index;
    at.iter().enumerate().map(within).max().unwrap_or_default()
}

/// What each is owed at one moment, given to the machine in one read.
fn fall_due(rig: &mut Rig, round: usize) {
    let each = BETS / ROUNDS;
    for partner in 0..PARTNERS {
        let name = name(partner);
        let of = |number: usize| Settlement {
            // A round for each, so that the store is asked about theirs alone.
            bet: format!("{name}:b{}", round * each + number).parse().unwrap(),
            ..settlement_of(&name, "b", 3, Target::Settled(2_500))
        };
        rig.publish(&(0..each).map(of).collect::<Vec<_>>());
    }
    rig.read(MAIN);
}

#[test]
fn two_hundred_that_return_at_once_are_called_within_bounds_and_told_all_in_a_minute() {
    let (mut rig, mut world) = (Rig::new(), World::default());
    let went_at = rig.now;
    let every = AWAY_MS / Millis::try_from(ROUNDS).unwrap();
    let mut round = 0;
    while rig.now < went_at + AWAY_MS {
        if round < ROUNDS && went_at + every * Millis::try_from(round).unwrap() <= rig.now {
            fall_due(&mut rig, round);
            round += 1;
        }
        world.step(&mut rig, true);
    }
    let back_at = rig.now;
    let all = PARTNERS * BETS;
    while rig.records(DELIVERIES).len() < all {
        for _ in 0..20 {
            world.step(&mut rig, false);
        }
        let passed = rig.now - back_at;
        assert!(
            passed <= DRAINED_MS_MAX,
            "{} of {all} after {passed} ms",
            rig.records(DELIVERIES).len()
        );
    }

    let repeats = first_repeats(&world.made, back_at);
    assert!(100 <= repeats.len(), "{} repeats", repeats.len());
    let p99 = repeats[repeats.len() * 99 / 100];
    assert!(p99 <= REPEAT_MS_MAX, "p99 of {} first repeats: {p99} ms", repeats.len());
    assert!(world.at_once <= Limits::PRODUCTION.chunks_in_flight_max, "{}", world.at_once);
    // A partner that is away is tried once in so often; one that is back gets what it is owed in a few calls.
    let (away, back) =
        (most_in_a_second(&world.made, went_at), most_in_a_second(&world.made, back_at));
    assert!(away <= CALLS_AWAY_MAX * PARTNERS, "{away} calls in a second while they were away");
    assert!(back <= CALLS_BACK_MAX * PARTNERS, "{back} calls in a second when they were back");
}
