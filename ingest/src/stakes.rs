//! When a partner's betting is paused by itself because its wallet does not answer for stakes, and when it goes on
//! (contract 6). Pure: calls and times come from outside.
//!
//! A bet that nobody answers for costs its player seconds and ends in a void. So after a few in a row none is
//! taken, and the wallet is asked how it is, again and again, until it says that it is well.

use runtime::Millis;
use schemas::PartnerId;
use std::collections::BTreeMap;

/// How long failures must go on before betting is paused, in ms: those of one moment are a hiccup.
const FAILING_MS: Millis = 3_000;
/// How long a pause that was said has to come back from the log before it is said again, in ms.
const SAY_MS: Millis = 10_000;
/// From so many partners on, called within so many ms and none of whom answered, it is the process that is ill.
const UNREACHABLE_MIN: usize = 3;
const LATELY_MS: Millis = 10_000;
/// Shortest and longest wait between two questions to a partner that is paused, in ms.
const ASK_MS_MIN: Millis = 1_000;
const ASK_MS_MAX: Millis = 30_000;
/// A partner that is paused again so soon after it was resumed is asked at ever longer intervals, in ms: it says that
/// it is well and is not.
const RELAPSE_MS: Millis = 60_000;

/// What is to be done about a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Say that its betting is paused, and why.
    Pause(String),
    /// Tell people: nobody answers this process, which is ill itself. Others take bets of the same partners.
    Unreachable,
    /// Ask its wallet how it is, and tell [`Stakes::asked`].
    Ask,
}

/// How the partners answer for stakes, as this process sees it.
#[derive(Debug)]
pub struct Stakes {
    /// Requests without an answer, in a row, from which on betting is paused.
    failed_min: u32,
    partners: BTreeMap<PartnerId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Requests in a row that nobody answered, and the times of the first and of the last.
    failed: u32,
    failing_since: Millis,
    failed_last: Millis,
    called_last: Millis,
    /// When a pause that was said and does not stand is said again.
    say_at: Option<Millis>,
    /// When it is asked next, while it is paused.
    ask_at: Option<Millis>,
    ask_wait_ms: Millis,
    resumed_at: Option<Millis>,
}

impl Stakes {
    /// Pauses from so many requests in a row on that got no answer.
    pub fn new(failed_min: u32) -> Self {
        Self { failed_min, partners: BTreeMap::new() }
    }

    /// A request for a stake ended: with a 200 that counts, or without an answer.
    pub fn called(&mut self, now: Millis, partner: &PartnerId, answered: bool) {
        let seen = self.partners.entry(partner.clone()).or_default();
        seen.called_last = now;
        if answered {
            seen.failed = 0;
            return;
        }
        if seen.failed == 0 {
            seen.failing_since = now;
        }
        // A clock that was set back makes no failure longer.
        seen.failing_since = now.min(seen.failing_since);
        seen.failed_last = now;
        seen.failed = seen.failed.saturating_add(1);
    }

    /// What is to be done now about a partner that is `paused` for its stakes, or is not.
    pub fn due(&mut self, now: Millis, partner: &PartnerId, paused: bool) -> Option<Due> {
        if !paused && !self.partners.contains_key(partner) {
            return None;
        }
        let (failed_min, reaches_nobody) = (self.failed_min, self.reaches_nobody(now));
        let seen = self.partners.entry(partner.clone()).or_default();
        if paused {
            seen.say_at = None;
            let ask_at = *seen.ask_at.get_or_insert_with(|| {
                let relapse = seen.resumed_at.is_some_and(|at| now.saturating_sub(at) < RELAPSE_MS);
                seen.ask_wait_ms = if relapse { longer(seen.ask_wait_ms) } else { ASK_MS_MIN };
                now.saturating_add(seen.ask_wait_ms)
            });
            // As when the clock was set back.
            let ask_at = ask_at.min(now.saturating_add(ASK_MS_MAX));
            let due = ask_at <= now;
            // Not again while it is asked; one of which nobody tells what came of it is asked late.
            seen.ask_at = Some(if due { now.saturating_add(ASK_MS_MAX) } else { ask_at });
            return due.then_some(Due::Ask);
        }
        if seen.ask_at.take().is_some() {
            // Resumed, by this process or another one.
            (seen.failed, seen.resumed_at) = (0, Some(now));
        }
        let failing_ms = seen.failed_last.saturating_sub(seen.failing_since);
        let failing = failed_min <= seen.failed && FAILING_MS <= failing_ms;
        let said = seen.say_at.is_some_and(|at| now < at && at <= now.saturating_add(SAY_MS));
        (failing && !said).then(|| {
            seen.say_at = Some(now.saturating_add(SAY_MS));
            if reaches_nobody {
                return Due::Unreachable;
            }
            let s = failing_ms / 1_000;
            Due::Pause(format!("its wallet has not answered for a stake for {s} s"))
        })
    }

    /// True if several partners were called lately, and the last call of each failed.
    fn reaches_nobody(&self, now: Millis) -> bool {
        let lately = |seen: &&Seen| now.saturating_sub(seen.called_last) <= LATELY_MS;
        let called = self.partners.values().filter(lately);
        UNREACHABLE_MIN <= called.clone().count() && called.clone().all(|seen| 0 < seen.failed)
    }

    /// The wallet was asked how it is; true if that is to be said as the end of the pause.
    pub fn asked(&mut self, now: Millis, partner: &PartnerId, well: bool) -> bool {
        if let Some(seen) = self.partners.get_mut(partner)
            && seen.ask_at.is_some()
            && !well
        {
            seen.ask_wait_ms = longer(seen.ask_wait_ms);
            seen.ask_at = Some(now.saturating_add(seen.ask_wait_ms));
        }
        well
    }
}

fn longer(wait_ms: Millis) -> Millis {
    wait_ms.saturating_mul(2).clamp(ASK_MS_MIN, ASK_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene(Stakes, PartnerId);

    impl Scene {
        fn new() -> Self {
            Self(Stakes::new(5), "acme".parse().unwrap())
        }

        fn fail(&mut self, now: Millis, times: u32) {
            (0..times).for_each(|_| self.0.called(now, &self.1, false));
        }

        fn due(&mut self, now: Millis, paused: bool) -> Option<Due> {
            self.0.due(now, &self.1, paused)
        }

        /// Times at which it is asked and does not answer.
        fn asked_at(&mut self, from: Millis, to: Millis) -> Vec<Millis> {
            let times = (from..to).step_by(500);
            let asks = times.filter(|now| {
                let due = self.due(*now, true) == Some(Due::Ask);
                due && !self.0.asked(*now, &self.1, false)
            });
            asks.collect()
        }
    }

    #[test]
    fn enough_failures_in_a_row_for_long_enough_pause() {
        let mut scene = Scene::new();
        assert_eq!(scene.due(0, false), None);
        scene.fail(1_000, 4);
        assert_eq!(scene.due(9_000, false), None, "too few");
        scene.fail(3_900, 1);
        assert_eq!(scene.due(9_000, false), None, "of one moment");
        scene.fail(4_000, 1);
        let told = "its wallet has not answered for a stake for 3 s";
        assert_eq!(scene.due(4_000, false), Some(Due::Pause(told.to_owned())));
        assert_eq!(scene.due(5_000, false), None, "it is said already");
        assert_eq!(scene.due(14_000, false), Some(Due::Pause(told.to_owned())), "and got lost");
        scene.0.called(4_100, &scene.1, true);
        assert_eq!(scene.due(9_000, false), None, "it answered");
        scene.fail(19_000, 5);
        scene.fail(21_999, 1);
        assert_eq!(scene.due(60_000, false), None, "they count anew");
        scene.fail(1_000, 1);
        assert_eq!(scene.due(60_000, false), None, "the clock was set back");
        scene.fail(4_000, 1);
        assert!(scene.due(60_000, false).is_some());
    }

    #[test]
    fn a_process_that_nobody_answers_pauses_nobody() {
        let mut scene = Scene::new();
        let others: [PartnerId; 2] = ["bolt".parse().unwrap(), "crown".parse().unwrap()];
        let pause = |due| matches!(due, Some(Due::Pause(_)));
        scene.fail(1_000, 4);
        scene.fail(4_000, 1);
        scene.0.called(4_000, &others[0], false);
        assert!(pause(scene.due(4_000, false)), "of two it is no wonder");
        scene.0.called(14_000, &others[0], false);
        scene.0.called(14_000, &others[1], false);
        scene.fail(14_000, 1);
        assert_eq!(scene.due(14_000, false), Some(Due::Unreachable));
        assert_eq!(scene.due(15_000, false), None, "it is told already");
        scene.0.called(24_000, &others[1], true);
        assert!(pause(scene.due(24_000, false)), "one of them answers");
        scene.0.called(24_000, &others[1], false);
        assert!(pause(scene.due(34_001, false)), "the others were not called for long");
    }

    #[test]
    fn it_is_not_asked_while_it_is_asked() {
        let mut scene = Scene::new();
        assert_eq!(scene.due(0, true), None);
        assert_eq!(scene.due(1_000, true), Some(Due::Ask));
        assert_eq!(scene.due(30_999, true), None);
        assert_eq!(scene.due(31_000, true), Some(Due::Ask), "nobody told what came of it");
        assert!(!scene.0.asked(32_000, &scene.1, false));
        assert_eq!(scene.due(33_999, true), None);
        assert_eq!(scene.due(34_000, true), Some(Due::Ask));
    }

    #[test]
    fn it_is_asked_at_ever_longer_intervals_until_it_is_well() {
        let mut scene = Scene::new();
        // Paused by the word of another process: this one asks as well.
        assert_eq!(scene.asked_at(0, 70_000), [1_000, 3_000, 7_000, 15_000, 31_000, 61_000]);
        assert!(scene.0.asked(70_000, &scene.1, true));
        scene.fail(70_000, 9);
        assert_eq!(scene.due(71_000, false), None, "what failed before counts no more");
    }

    #[test]
    fn one_that_says_it_is_well_and_is_not_is_asked_more_rarely() {
        let mut scene = Scene::new();
        assert_eq!(scene.due(0, true), None);
        assert_eq!(scene.due(1_000, true), Some(Due::Ask));
        assert!(scene.0.asked(1_000, &scene.1, true));
        assert_eq!(scene.due(1_100, false), None);
        assert_eq!(scene.asked_at(10_000, 13_000), [12_000], "2 s instead of 1 s");
        assert_eq!(scene.due(20_000, false), None);
        assert_eq!(scene.asked_at(90_000, 92_000), [91_000], "long after");
    }
}
