//! Whether a partner is called, for one kind of traffic: a circuit breaker.
//!
//! ```text
//! closed ── failures in a row ──► open ── its wait is over ──► half-open: one probe is on its way
//!    ▲                             ▲                                  │
//!    └────── a good answer ────────┴──────────── no answer ───────────┘
//! ```
//!
//! Any good answer closes it, also a late one to a call from before: a partner that answers is there. While
//! it is not closed nothing but the probe is sent. Nothing of worth rests on it: what is not sent stands in
//! a retry tier, so a breaker that errs costs time and no money.

use crate::limits::Limits;
use crate::retry::{Jitter, later};
use runtime::Millis;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circuit {
    /// Everything.
    #[default]
    Closed,
    /// Nothing, until it is time for a probe.
    Open,
    /// One probe, which is on its way.
    HalfOpen,
}

impl Circuit {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        probe_at: Millis,
        wait_ms: u64,
    },
    HalfOpen {
        wait_ms: u64,
    },
}

/// One failed call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// It was the probe, or the first call to a partner of which only old debts are known: it decides by
    /// itself.
    pub(crate) decisive: bool,
    /// The partner refuses whatever is sent until somebody mends something: there is nothing to wait for.
    pub(crate) lasting: bool,
    /// The partner answered and refused the whole chunk: something in it may be to blame, so the next
    /// probe, which is another item, need not wait long.
    pub(crate) refused: bool,
}

/// The breaker of one partner and kind of traffic.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// Failed calls with no good answer between.
    failures: u32,
    /// There was a good answer since this dispatcher started.
    heard: bool,
}

impl Breaker {
    pub(crate) fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.circuit() == Circuit::Closed
    }

    /// True if the last call failed.
    pub(crate) fn is_failing(&self) -> bool {
        0 < self.failures
    }

    /// True if there was a good answer since this dispatcher started.
    pub(crate) fn heard(&self) -> bool {
        self.heard
    }

    /// A good answer came; true if the partner is back with it, or is heard of for the first time: what it
    /// is owed is then to be drained.
    pub(crate) fn answered(&mut self) -> bool {
        let back = !self.is_closed() || !self.heard;
        *self = Self { state: State::Closed, failures: 0, heard: true };
        back
    }

    /// A call failed; gives the time of the next probe if the breaker opens, or opens again, by it.
    pub(crate) fn failed(
        &mut self,
        now: Millis,
        failure: Failure,
        limits: &Limits,
        jitter: &mut Jitter,
    ) -> Option<Millis> {
        let shortest = limits.probe_wait_ms_min;
        let wait_ms = match self.state {
            State::Closed => {
                self.failures = self.failures.saturating_add(1);
                if !failure.decisive
                    && !failure.lasting
                    && self.failures < limits.breaker_failures()
                {
                    return None;
                }
                shortest
            }
            State::HalfOpen { .. } if failure.decisive && failure.refused => shortest,
            State::HalfOpen { wait_ms } if failure.decisive => {
                wait_ms.saturating_mul(2).min(limits.probe_wait_ms_max)
            }
            // A call from before it opened: it says nothing new.
            State::Open { .. } | State::HalfOpen { .. } => return None,
        };
        let probe_at = later(now, jitter.between(wait_ms / 2, wait_ms));
        self.state = State::Open { probe_at, wait_ms };
        Some(probe_at)
    }

    /// True if a probe may go out now; also where a clock that was set back would make the wait longer than any is.
    pub(crate) fn may_probe(&self, now: Millis) -> bool {
        let longest = Limits::PRODUCTION.retry_after_ms_max;
        let is_due = |at: Millis| at <= now || later(now, longest) < at;
        matches!(self.state, State::Open { probe_at, .. } if is_due(probe_at))
    }

    /// The probe is on its way.
    pub(crate) fn probing(&mut self) {
        if let State::Open { wait_ms, .. } = self.state {
            self.state = State::HalfOpen { wait_ms };
        }
    }

    /// The partner asked for a rest until then: it opens, whatever it was; true if it was closed.
    pub(crate) fn rest(&mut self, until: Millis, limits: &Limits) -> bool {
        let closed = self.is_closed();
        self.state = State::Open { probe_at: until, wait_ms: limits.probe_wait_ms_min };
        closed
    }

    /// Another kind of the partner's traffic was answered: it is worth a probe at once.
    pub(crate) fn hurry(&mut self, now: Millis) {
        if let State::Open { probe_at, .. } = &mut self.state {
            *probe_at = now.min(*probe_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::PRODUCTION;
    const CALL: Failure = Failure { decisive: false, lasting: false, refused: false };
    const PROBE: Failure = Failure { decisive: true, ..CALL };

    fn opened() -> (Breaker, Jitter, Millis) {
        let (mut breaker, mut jitter) = (Breaker::default(), Jitter::new(1));
        assert!(breaker.answered());
        for _ in 1..LIMITS.breaker_failures() {
            assert_eq!(breaker.failed(0, CALL, &LIMITS, &mut jitter), None);
        }
        let at = breaker.failed(0, CALL, &LIMITS, &mut jitter).unwrap();
        (breaker, jitter, at)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_good_answer_between_does_not_let_them() {
        let (breaker, _, at) = opened();
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert!((250..=500).contains(&at) && !breaker.may_probe(at - 1) && breaker.may_probe(at));
        let (mut breaker, mut jitter) = (Breaker::default(), Jitter::new(1));
        for _ in 0..100 {
            for _ in 1..LIMITS.breaker_failures() {
                assert_eq!(breaker.failed(0, CALL, &LIMITS, &mut jitter), None);
            }
            breaker.answered();
        }
        assert!(breaker.is_closed());
    }

    /// The failures of one moment alone, one for each slot, are a hiccup.
    #[test]
    fn more_failures_than_slots_are_needed() {
        let limits = Limits { chunks_in_flight_max: 16, ..LIMITS };
        assert_eq!((LIMITS.breaker_failures(), limits.breaker_failures()), (5, 17));
    }

    #[test]
    fn a_probe_that_fails_doubles_the_wait_up_to_its_bound_and_a_refused_one_does_not() {
        let (mut breaker, mut jitter, mut now) = opened();
        for longest in [1_000, 2_000, 4_000, 5_000, 5_000] {
            breaker.probing();
            assert!(!breaker.may_probe(now), "one at a time");
            assert_eq!(breaker.failed(now, CALL, &LIMITS, &mut jitter), None, "from before");
            let at = breaker.failed(now, PROBE, &LIMITS, &mut jitter).unwrap();
            assert!((longest / 2..=longest).contains(&(at - now)), "{longest}: {}", at - now);
            now = at;
        }
        breaker.probing();
        let refused = Failure { refused: true, ..PROBE };
        let at = breaker.failed(now, refused, &LIMITS, &mut jitter).unwrap();
        assert!(at - now <= 500, "another item may pass");
    }

    #[test]
    fn a_partner_that_refuses_everything_opens_it_at_once_and_its_probes_wait_longer_each_time() {
        let (mut breaker, mut jitter) = (Breaker::default(), Jitter::new(1));
        let refused = Failure { lasting: true, ..CALL };
        let at = breaker.failed(0, refused, &LIMITS, &mut jitter).unwrap();
        assert!((250..=500).contains(&at));
        assert_eq!(breaker.failed(0, refused, &LIMITS, &mut jitter), None, "from before");
        breaker.probing();
        let refused = Failure { lasting: true, ..PROBE };
        assert!(500 <= breaker.failed(at, refused, &LIMITS, &mut jitter).unwrap() - at);
    }

    #[test]
    fn any_good_answer_closes_it_and_says_once_that_the_partner_is_back() {
        let (mut breaker, mut jitter, now) = opened();
        breaker.probing();
        assert!(breaker.answered() && breaker.is_closed());
        assert!(!breaker.answered());
        assert_eq!(breaker.failed(now, CALL, &LIMITS, &mut jitter), None, "it counts anew");
    }

    #[test]
    fn the_first_call_about_old_debts_decides_by_itself() {
        let (mut breaker, mut jitter) = (Breaker::default(), Jitter::new(1));
        assert!(breaker.failed(7, PROBE, &LIMITS, &mut jitter).is_some());
        let (mut breaker, _, at) = opened();
        breaker.hurry(at - 100);
        assert!(breaker.may_probe(at - 100));
    }
}
