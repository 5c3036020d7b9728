use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// How a wallet takes full chunks that come without a pause: the time for each, in ms, by how many are on their way.
type Wallet = fn(usize) -> Millis;

/// Plays full chunks against a wallet and gives the number of calls on their way at each answer.
struct Play {
    concurrency: Concurrency,
    ceiling: usize,
    now: Millis,
    /// By the time of their answers.
    calls: BTreeSet<(Millis, usize)>,
    sent: Vec<Sent>,
}

impl Play {
    fn new(ceiling: usize) -> Self {
        let concurrency = Concurrency::default();
        Self { concurrency, ceiling, now: 1_000, calls: BTreeSet::new(), sent: Vec::new() }
    }

    fn answers(&mut self, count: usize, wallet: Wallet) -> Vec<usize> {
        let mut limits = Vec::new();
        for _ in 0..count {
            while self.calls.len() < self.concurrency.max(self.ceiling) {
                let others = self.calls.len();
                let sent = self.concurrency.sent(self.now, true, others, self.ceiling);
                self.sent.push(sent);
                self.calls.insert((self.now + wallet(others + 1), self.sent.len() - 1));
            }
            let (at, call) = self.calls.pop_first().unwrap();
            self.now = self.now.max(at);
            self.concurrency.answered(self.now, self.sent[call], self.ceiling);
            limits.push(self.concurrency.max(self.ceiling));
        }
        limits
    }
}

fn to_ms(at_once: usize) -> Millis {
    Millis::try_from(at_once).unwrap()
}

#[test]
fn it_settles_where_the_wallet_does_not_make_calls_wait() {
    let steady: Wallet = |_| 20;
    let slow: Wallet = |_| 900;
    let shared: Wallet = |at_once| 20 * to_ms(at_once);
    let eight: Wallet = |at_once| 20 * to_ms(at_once.div_ceil(8));
    // ceiling, wallet, least and most at once, but for calls made alone
    for (ceiling, wallet, least, most) in [
        (4, steady, 4, 4),
        (64, steady, 64, 64),
        (64, slow, 64, 64),
        (1, steady, 1, 1),
        (1, shared, 1, 1),
        (4, shared, 2, 4),
        (64, shared, 2, 6),
        (64, eight, 16, 36),
    ] {
        let mut play = Play::new(ceiling);
        play.answers(2_000, wallet);
        let settled = play.answers(2_000, wallet);
        let fewer = settled.iter().filter(|limit| **limit < least).count();
        assert!(fewer <= 2_000 / 50, "{ceiling}: {fewer} below {least}");
        let highest = settled.iter().max().copied().unwrap();
        assert!((least..=most).contains(&highest), "{ceiling}: {highest}");
    }
}

#[test]
fn a_healthy_partner_has_all_slots_from_the_first_call_on() {
    let mut play = Play::new(4);
    assert_eq!(play.concurrency.max(4), 4);
    assert!(play.answers(31, |_| 20).iter().all(|limit| *limit == 4));
    let limits = play.answers(10_000, |_| 20);
    let fewer = limits.iter().filter(|limit| **limit < 4).count();
    assert!((1..=100).contains(&fewer), "1 %: {fewer}");
}

#[test]
fn a_queue_that_was_there_from_the_first_call_on_is_found() {
    let mut play = Play::new(8);
    play.answers(1, |_| 160);
    play.answers(200, |at_once| 20 * to_ms(at_once));
    let settled = play.answers(2_000, |at_once| 20 * to_ms(at_once));
    assert!(settled.iter().all(|limit| *limit <= 6));
}

#[test]
fn a_wallet_that_became_slower_for_good_has_its_slots_again() {
    let mut play = Play::new(8);
    play.answers(100, |_| 20);
    let limits = play.answers(60, |_| 200);
    assert_eq!(limits.iter().min(), Some(&1), "late at first");
    assert_eq!(play.answers(60, |_| 200).last(), Some(&8), "that is how long it takes now");
    play.answers(100, |_| 5);
    assert_eq!(play.concurrency.max(8), 8);
}

#[test]
fn one_that_is_late_by_chance_changes_nothing() {
    let mut play = Play::new(4);
    play.answers(100, |_| 20);
    for _ in 0..100 {
        play.answers(1, |_| 2_000);
        for _ in 0..4 {
            play.answers(1, |_| 20);
            assert!(4 <= play.concurrency.limit);
        }
    }
}

#[test]
fn what_fails_in_one_moment_halves_it_once_and_answers_bring_it_back() {
    let mut one = Concurrency::default();
    let calls: Vec<Sent> = (0..16).map(|others| one.sent(10, true, others, 16)).collect();
    calls.iter().for_each(|call| one.failed(*call, 16));
    assert_eq!(one.max(16), 8);
    for _ in 0..5 {
        let call = one.sent(1_000, false, 0, 16);
        one.failed(call, 16);
    }
    assert_eq!(one.max(16), 1, "never none");
    let mut answers = 0;
    while one.max(16) < 16 {
        answers += 1;
        let call = one.sent(7_000, false, 0, 16);
        one.answered(7_010, call, 16);
    }
    assert_eq!(answers, 120, "one more for each round");
}

#[test]
fn what_is_not_full_and_what_a_clock_set_back_times_is_never_late() {
    let mut one = Concurrency::default();
    for (full, took) in [(true, 20), (false, 9_000), (true, -5_000), (true, -60_000)] {
        for _ in 0..20 {
            let call = one.sent(100_000, full, 1, 4);
            one.answered(100_000 + took, call, 4);
            assert!(4 <= one.limit);
        }
    }
    assert_eq!(one.best_ms, Some(20));
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds_whatever_comes(
        ceiling in 1..40_usize,
        steps in vec((0..4_u8, any::<bool>(), -50..5_000_i64, 0..4_i64), 0..400),
    ) {
        let (mut one, mut now) = (Concurrency::default(), 0);
        let mut calls: Vec<Sent> = Vec::new();
        for (kind, full, took, later) in steps {
            now += later;
            while calls.len() < one.max(ceiling) {
                calls.push(one.sent(now, full, calls.len(), ceiling));
            }
            let call = calls.remove(usize::from(kind) % calls.len());
            match kind {
                0 => one.failed(call, ceiling),
                1 => one.ended(call),
                _ => one.answered(call.at + took, call, ceiling),
            }
            prop_assert!((1..=ceiling).contains(&one.max(ceiling)));
        }
        // Whatever was before, one that answers well has all its slots again.
        now += 10_000;
        for _ in 0..ceiling * (ceiling + 3) {
            let others = one.max(ceiling) - 1;
            let call = one.sent(now, false, others, ceiling);
            one.answered(now + 1, call, ceiling);
            now += 2;
        }
        prop_assert_eq!(one.max(ceiling), ceiling);
    }
}
