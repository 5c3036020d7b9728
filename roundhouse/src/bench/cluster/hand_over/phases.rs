//! Which phase a time belongs to.
//!
//! What was on its way while partitions changed hands belongs to the hand-over, also if it began before or
//! ended after it: the steady phase holds only what saw nothing else.

use serde::Serialize;
use std::fmt;

/// What the settlers were doing, the least disturbed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// One settler had every partition.
    Steady,
    /// Nothing that is measured: the load warmed up, or a settler came that was to be killed.
    Aside,
    /// Settlers were started and stopped.
    HandOver,
    /// A settler was killed, and its partitions waited for its session to end.
    Kill,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Steady => "steady",
            Self::Aside => "aside",
            Self::HandOver => "hand-over",
            Self::Kill => "kill",
        })
    }
}

/// Something that was done to the settlers; it lasts until the next one begins, the last one for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// When it began, in µs from the beginning of the load.
    pub(super) at_us: u64,
    /// The phase that it belongs to.
    pub(super) phase: Phase,
    /// In words.
    pub(super) what: String,
}

/// When something was asked for and when it was there, in µs from the beginning of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Took {
    pub(super) from_us: u64,
    pub(super) until_us: u64,
}

impl Took {
    /// How long it took, in µs.
    pub(super) fn us(self) -> u64 {
        self.until_us.saturating_sub(self.from_us)
    }

    /// Whether it was on its way at some moment of step `index` of `steps`, which are in order.
    pub(super) fn saw(self, steps: &[Step], index: usize) -> bool {
        let Some(step) = steps.get(index) else { return false };
        let ended_before = self.until_us < step.at_us;
        let began_after = steps.get(index + 1).is_some_and(|next| next.at_us <= self.from_us);
        !ended_before && !began_after
    }

    /// The most disturbed phase that it saw. What begins before the first step is aside.
    pub(super) fn phase(self, steps: &[Step]) -> Phase {
        let early = steps.first().is_none_or(|first| self.from_us < first.at_us);
        let seen = (0..steps.len()).filter(|index| self.saw(steps, *index));
        let seen = seen.filter_map(|index| steps.get(index)).map(|step| step.phase);
        seen.chain(early.then_some(Phase::Aside)).max().unwrap_or(Phase::Aside)
    }
}

/// How long those of `all` took that `of` selects, in µs, sorted.
pub(super) fn sorted_us(all: &[Took], of: impl Fn(Took) -> bool) -> Vec<u64> {
    let mut times: Vec<u64> = all.iter().copied().filter(|took| of(*took)).map(Took::us).collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Warm-up until 10, then steady, hand-over in two steps, a start aside, a kill, the end.
    fn steps() -> Vec<Step> {
        let steps = [
            (10, Phase::Steady),
            (20, Phase::HandOver),
            (30, Phase::HandOver),
            (40, Phase::Aside),
            (50, Phase::Kill),
            (60, Phase::Aside),
        ];
        let step = |(at_us, phase)| Step { at_us, phase, what: String::new() };
        steps.into_iter().map(step).collect()
    }

    #[test]
    fn the_most_disturbed_phase_counts() {
        for (from_us, until_us, phase) in [
            (1, 9, Phase::Aside),      // before anything
            (9, 11, Phase::Aside),     // not steady from its beginning
            (10, 10, Phase::Steady),   //
            (11, 19, Phase::Steady),   //
            (11, 20, Phase::HandOver), // on its way when the hand-over began
            (9, 35, Phase::HandOver),  //
            (25, 26, Phase::HandOver), //
            (39, 45, Phase::HandOver), // ended later
            (40, 49, Phase::Aside),    //
            (11, 55, Phase::Kill),     //
            (59, 99, Phase::Kill),     //
            (60, 99, Phase::Aside),    // behind the end
        ] {
            let took = Took { from_us, until_us };
            assert_eq!(took.phase(&steps()), phase, "{took:?}");
        }
    }

    #[test]
    fn without_steps_all_is_aside() {
        assert_eq!(Took { from_us: 1, until_us: 2 }.phase(&[]), Phase::Aside);
    }

    #[test]
    fn what_is_on_its_way_in_two_steps_counts_in_both() {
        let took = Took { from_us: 29, until_us: 30 };
        let saw: Vec<usize> = (0..9).filter(|index| took.saw(&steps(), *index)).collect();
        assert_eq!(saw, [1, 2]);
    }

    #[test]
    fn times_are_sorted_and_selected() {
        let took = |from_us, us| Took { from_us, until_us: from_us + us };
        let all = [took(0, 9), took(1, 3), took(2, 5)];
        assert_eq!(sorted_us(&all, |took| 0 < took.from_us), [3, 5]);
        assert_eq!(sorted_us(&all, |_| false), [0_u64; 0]);
    }
}
