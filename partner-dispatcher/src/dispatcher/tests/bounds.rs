//! How much a partner may have: calls at once, calls a second, memory.

use super::rig::{MAIN, Rig, TIER, sources};
use crate::breaker::Circuit;
use crate::chunk::StateCall;
use crate::fixtures::{applied, ok, settlement_of, status, superseded, won};
use crate::judge::Came;
use crate::limits::Limits;
use crate::retry::HEADER_CHUNK_ITEMS_MAX;
use runtime::Append;
use runtime::http::CallError;
use schemas::PartnerId;
use schemas::catalogue::RETRY_5S;
use schemas::contract::{ItemOutcome, StateItem, StateResult, Traffic};
use schemas::settlements::{Settlement, Target};
use std::num::NonZeroU32;
use std::sync::Arc;

fn acme() -> PartnerId {
    "acme".parse().unwrap()
}

fn bets(count: usize, revision: u32) -> Vec<Settlement> {
    (0..count).map(|number| won(&format!("b{number:05}"), revision)).collect()
}

fn at_once(rig: &mut Rig, traffic: Traffic) -> usize {
    rig.owed().partners[&acme()].calls_at_once[&traffic]
}

/// Time passes until the calls on their way are answered.
fn answered_after(rig: &mut Rig, ms: i64) {
    rig.advance(ms);
    rig.answer(applied);
    rig.apply();
}

#[test]
fn a_wallet_that_makes_calls_wait_gets_fewer_at_once_and_the_other_traffic_does_not() {
    let limits = Limits { chunk_items_max: 2, ..Limits::PRODUCTION };
    let mut rig = Rig::with(limits);
    rig.settle(&bets(2_000, 3));
    answered_after(&mut rig, 20);
    assert_eq!(at_once(&mut rig, Traffic::Live), 4);
    for _ in 0..40 {
        let ms = 40 * i64::try_from(rig.calls.len()).unwrap();
        answered_after(&mut rig, ms);
    }
    assert!((1..=3).contains(&at_once(&mut rig, Traffic::Live)));
    assert!(rig.calls.len() <= 3);
    rig.settle(&bets(20, 4));
    assert_eq!((at_once(&mut rig, Traffic::Correction), rig.calls.len() >= 5), (4, true));
    for _ in 0..600 {
        answered_after(&mut rig, 20);
    }
    assert_eq!(at_once(&mut rig, Traffic::Live), 4, "it answers at once again");
    assert_eq!(rig.deliveries().len(), 2_000 + 20);
}

#[test]
fn one_that_says_it_is_busy_gets_half_and_one_that_refuses_a_chunk_does_not() {
    let limits = Limits { chunk_items_max: 2, ..Limits::PRODUCTION };
    for (code, wanted) in [(429, 2), (503, 2), (422, 4)] {
        let mut rig = Rig::with(limits);
        rig.settle(&bets(100, 3));
        rig.advance(20);
        rig.answer_with(|_| status(code, ""));
        assert_eq!(at_once(&mut rig, Traffic::Live), wanted, "{code}");
    }
}

/// A failure halves the slots. What failed does not wait for one, or it waits until others have failed too.
#[test]
fn what_failed_takes_the_slot_that_it_had_and_what_is_new_does_not() {
    for is_answered in [false, true] {
        let mut rig = Rig::with(Limits { chunk_items_max: 3, ..Limits::PRODUCTION });
        rig.settle(&bets(1, 3));
        rig.settle(&bets(20, 3)[1..]);
        let mut tokens = rig.calls.keys().copied().collect::<Vec<_>>().into_iter();
        let mut next = || tokens.next().unwrap();
        rig.answer_one(next(), |_| Err(CallError::Timeout));
        assert_eq!((at_once(&mut rig, Traffic::Live), rig.calls.len()), (2, 3));
        if is_answered {
            // One that answers others is there: what failed waits its turn.
            rig.answer_one(next(), |call| {
                ok(&call.request, call.request.items.iter().map(applied).collect())
            });
            assert_eq!(rig.calls.len(), 2);
            rig.advance(150);
            assert_eq!(rig.calls.len(), 2);
        } else {
            rig.advance(150);
            assert_eq!((rig.calls.len(), &rig.sent()[3][..]), (4, &["b00000/3".to_owned()][..]));
        }
    }
}

/// Else their short times would be the best, and every full chunk behind them late.
#[test]
fn chunks_that_are_small_because_one_was_refused_time_nothing() {
    let mut rig = Rig::with(Limits { chunk_items_max: 10, ..Limits::PRODUCTION });
    for number in 0..8 {
        let one = won(&format!("a{number}"), 3);
        rig.take(Append {
            topic: TIER.topic,
            partition: TIER.partition,
            key: one.id().into(),
            headers: vec![(HEADER_CHUNK_ITEMS_MAX, "1".to_owned())],
            value: one.encode().unwrap().into(),
        });
    }
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    rig.settle(&bets(2_000, 3));
    answered_after(&mut rig, 10);
    assert!(rig.calls.values().all(|call| call.request.items.len() == 1));
    answered_after(&mut rig, 10);
    for _ in 0..5 {
        assert!(rig.calls.values().all(|call| call.request.items.len() == 10));
        answered_after(&mut rig, 100);
        assert_eq!(at_once(&mut rig, Traffic::Live), 4);
    }
}

/// Calls of each kind made in so many seconds.
fn calls_in(rig: &mut Rig, seconds: i64) -> [usize; 3] {
    let mut made = [0; 3];
    for _ in 0..seconds * 100 {
        rig.advance(10);
        for call in rig.calls.values() {
            let of = [Traffic::Void, Traffic::Live, Traffic::Correction];
            made[of.iter().position(|one| *one == call.request.traffic).unwrap()] += 1;
        }
        rig.answer(applied);
        rig.apply();
    }
    made
}

#[test]
fn a_partner_gets_no_more_calls_a_second_than_it_takes() {
    let all = || {
        let voids = (0..4_000).map(|n| settlement_of("acme", &format!("v{n}"), 2, Target::Voided));
        let again = (0..4_000).map(|n| won(&format!("c{n}"), 4));
        voids.chain(bets(4_000, 3)).chain(again).collect::<Vec<_>>()
    };
    let limits = Limits { chunk_items_max: 1, ..Limits::PRODUCTION };
    // its own rate, the rate of all, the rate of corrections; calls of each kind in 4 s
    for (own, most, corrections, wanted) in [
        (None, None, None, [1_600, 1_600, 1_600]),
        (None, None, Some(50), [1_600, 1_600, 250]),
        (None, Some(20), Some(50), [100, 100, 100]),
        (Some(10), Some(20), Some(50), [50, 50, 50]),
        (Some(100), Some(20), Some(50), [500, 500, 250]),
    ] {
        let number = |number| NonZeroU32::new(number).unwrap();
        let mut rig = Rig::with(Limits {
            calls_per_s_max: most.map(number),
            corrections_per_s_max: corrections.map(number),
            ..limits
        });
        rig.rates = Arc::new(own.map(|own| (acme(), number(own))).into_iter().collect());
        rig.owed();
        rig.settle(&all());
        let made = calls_in(&mut rig, 4);
        for (made, wanted) in made.into_iter().zip(wanted) {
            assert!(
                made <= wanted && wanted - wanted / 50 <= made,
                "{own:?} {most:?}: {made} of {wanted}"
            );
        }
        let throttled = rig.owed().partners[&acme()].throttled.len();
        let limited = [own.or(most), own.or(most), own.or(most).or(corrections)];
        assert_eq!(throttled, limited.iter().flatten().count());
    }
}

#[test]
fn another_rate_counts_from_the_next_look_on() {
    let mut rig = Rig::with(Limits { chunk_items_max: 1, ..Limits::PRODUCTION });
    rig.rates = Arc::new([(acme(), NonZeroU32::MIN)].into());
    rig.owed();
    rig.settle(&bets(200, 3));
    assert_eq!(calls_in(&mut rig, 4)[1], 5);
    rig.rates = Arc::default();
    rig.owed();
    rig.advance(1_000);
    calls_in(&mut rig, 1);
    assert_eq!(rig.deliveries().len(), 200);
}

#[test]
fn a_probe_is_not_counted_by_the_rate() {
    let mut rig = Rig::with(Limits { chunk_items_max: 1, ..Limits::PRODUCTION });
    rig.settle(&bets(20, 3));
    let circuit = |rig: &mut Rig| rig.owed().partners[&acme()].circuits[&Traffic::Live];
    while circuit(&mut rig) == Circuit::Closed {
        rig.advance(250);
        rig.answer_with(|_| Err(CallError::Connect));
    }
    rig.answer_with(|_| Err(CallError::Connect));
    rig.apply();
    rig.rates = Arc::new([(acme(), NonZeroU32::MIN)].into());
    rig.owed();
    while rig.calls.is_empty() {
        rig.advance(100);
    }
    rig.answer(applied);
    assert_eq!(circuit(&mut rig), Circuit::Closed);
    rig.settle(&[won("new", 3)]);
    assert_eq!(rig.sent(), [["new/3"]]);
}

/// How a partner is ill.
#[derive(Clone, Copy, Debug)]
enum Ill {
    Hangs,
    Down,
    /// All is `pending`, at once.
    Pending,
    /// All was superseded by what nobody has read, and the store does not answer.
    Claims,
    /// All is refused for good.
    Parks,
}

impl Ill {
    fn answer(self, call: &StateCall) -> Option<Came> {
        let say = |say: fn(&StateItem) -> StateResult| {
            Some(ok(&call.request, call.request.items.iter().map(say).collect()))
        };
        match self {
            Self::Hangs => None,
            Self::Down => Some(Err(CallError::Connect)),
            Self::Pending => {
                say(|item| StateResult { outcome: ItemOutcome::Pending, ..applied(item) })
            }
            Self::Claims => say(|item| superseded(item, item.revision + 7)),
            Self::Parks => say(|item| crate::fixtures::rejected(item, "unknown_bet")),
        }
    }
}

/// Else all others would wait for one large write of what one is owed that is away.
#[test]
fn what_moves_to_a_tier_goes_a_few_at_a_time_and_holds_up_no_answer() {
    let mut rig =
        Rig::with(Limits { moves_applied_max: 10, partner_items_max: 5, ..Limits::PRODUCTION });
    let well = settlement_of("beta", "z", 3, Target::Settled(0));
    rig.settle(&bets(100, 3).into_iter().chain([well]).collect::<Vec<_>>());
    let beta = rig.calls.iter().find(|(_, call)| call.partner != acme());
    let beta = *beta.unwrap().0;
    rig.answer_one(beta, |call| {
        ok(&call.request, call.request.items.iter().map(applied).collect())
    });
    let (mut moved, mut told_with) = (vec![0], None);
    while rig.apply_steps(usize::MAX) {
        moved.push(rig.records(RETRY_5S).len());
        if told_with.is_none() && !rig.deliveries().is_empty() {
            told_with = moved.last().copied();
        }
    }
    assert_eq!(moved.last(), Some(&95));
    assert!(moved.windows(2).all(|two| two[1] - two[0] <= 10), "{moved:?}");
    assert_eq!(told_with, Some(20), "with the batch behind the one on its way");
    assert_eq!(rig.offsets().0, 0, "five wait for their answers");
}

const LIMITS: Limits = Limits {
    chunk_items_max: 10,
    partner_items_max: 200,
    items_held_max: 5_000,
    items_unwritten_max: 300,
    apply_items_max: 50,
    moves_applied_max: 50,
    tier_items_max: 100,
    ..Limits::PRODUCTION
};
/// Items of one read.
const READ: usize = 50;
/// What one partner that is ill may have in memory.
const HELD_MAX: usize = LIMITS.partner_held_max(READ);
const _: () = assert!(
    HELD_MAX == 200 + (100 + READ) + 4 + (300 + 100 + READ + 200) + 5 * (100 + READ),
    "room, ahead, probes, unwritten, resting"
);

/// Owes `count` settlements to a partner that is ill, and one in fifty to one that is well. Gives the most items that
/// were in memory.
fn owe(rig: &mut Rig, ill: Ill, count: usize) -> usize {
    let (mut most, mut well) = (0, 0);
    for read in 0..count / READ {
        let ours = (0..READ).map(|n| won(&format!("a{}", read * READ + n), 3));
        let other = settlement_of("beta", &format!("z{read}"), 3, Target::Settled(0));
        rig.publish(&ours.chain([other]).collect::<Vec<_>>());
        for source in sources() {
            for _ in 0..3 {
                rig.read_some(source, READ);
            }
            most = most.max(rig.held());
        }
        // Now and then the engine does not write for a while.
        if !(20..60).contains(&(read % 100)) {
            rig.apply();
        }
        let tokens: Vec<u64> = rig.calls.keys().copied().collect();
        for token in tokens {
            let call = rig.calls[&token].clone();
            if call.partner == acme() {
                if let Some(came) = ill.answer(&call) {
                    rig.answer_one(token, |_| came);
                }
            } else {
                well += call.request.items.len();
                rig.answer_one(token, |call| {
                    ok(&call.request, call.request.items.iter().map(applied).collect())
                });
            }
        }
        rig.advance(20);
        if !matches!(ill, Ill::Claims) {
            rig.load();
        }
        most = most.max(rig.held());
    }
    assert!(rig.unread(MAIN) <= 2 * READ, "{ill:?}: the partition stands still");
    assert!(count / READ <= well + 3, "{ill:?}: {well} of the healthy partner");
    most
}

/// Whatever is owed to a partner that is ill, the memory does not know: it stands in the topics.
#[test]
fn memory_does_not_grow_with_what_is_owed_to_a_partner_that_is_ill() {
    for ill in [Ill::Hangs, Ill::Down, Ill::Pending, Ill::Claims, Ill::Parks] {
        for count in [5_000, 20_000] {
            let mut rig = Rig::with(LIMITS);
            let most = owe(&mut rig, ill, count);
            assert!(most <= HELD_MAX, "{ill:?}, {count} owed: {most} held of {HELD_MAX}");
        }
    }
}

/// And what stands there is read when it is well again, in no more memory.
#[test]
fn what_did_not_fit_is_delivered_when_the_partner_is_well() {
    let mut rig = Rig::with(LIMITS);
    owe(&mut rig, Ill::Down, 4_000);
    let mut most = 0;
    for _ in 0..2_000 {
        for source in sources() {
            rig.read_some(source, READ);
        }
        rig.peek();
        rig.load();
        rig.answer(applied);
        most = most.max(rig.held());
        rig.apply();
        rig.advance(20);
    }
    assert_eq!(rig.deliveries().len(), 4_000 + 80);
    assert!(most <= HELD_MAX, "{most} held");
}
