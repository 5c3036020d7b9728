//! How many stakes a partner is asked for at once: as many as its wallet answers in time.
//!
//! ```text
//! of a round half or more was answered in time ──► one more
//! less than a quarter                          ──► a quarter fewer
//! ```
//!
//! A round is as many calls as there are slots. In time is within half of an attempt's budget, whose other half is for
//! waiting here; silence, no connection and "too busy" are not in time. Settlements, which can wait, are held to the best
//! time that was seen (`partner-dispatcher`); a player cannot, so one backend of several that hangs or refuses takes no
//! slots from the others.

/// The slots of one partner. There never is fewer than 1, nor more than the ceiling.
#[derive(Debug)]
pub(super) struct Slots {
    ceiling: usize,
    limit: usize,
    taken: usize,
    /// Calls of this round that ended, and how many of them in time.
    ended: usize,
    in_time: usize,
    /// Calls made so far.
    calls: u64,
    /// Calls up to this one were made under another limit, and say nothing of it as it is now.
    since: u64,
}

/// A call that has a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken(u64);

/// What the end of a call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The partner answered in time.
    InTime,
    /// It answered later, or not at all, or that it is busy.
    Late,
    /// Nothing.
    Nothing,
}

impl Slots {
    /// All that `ceiling` allows: most partners need no limit.
    pub(super) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1);
        Self { ceiling, limit: ceiling, taken: 0, ended: 0, in_time: 0, calls: 0, since: 0 }
    }

    pub(super) fn max(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn are_full(&self) -> bool {
        self.limit <= self.taken
    }

    /// A slot, if one is free.
    pub(super) fn take(&mut self) -> Option<Taken> {
        if self.limit <= self.taken {
            return None;
        }
        self.taken += 1;
        self.calls += 1;
        Some(Taken(self.calls))
    }

    /// Gives a slot back.
    pub(super) fn give(&mut self, slot: Taken, told: Told) {
        self.taken = self.taken.saturating_sub(1);
        if slot.0 <= self.since {
            return;
        }
        self.in_time += match told {
            Told::Nothing => return,
            Told::InTime => 1,
            Told::Late => 0,
        };
        self.ended += 1;
        if self.ended < self.limit {
            return;
        }
        let quarter = self.limit.div_ceil(4);
        self.begin(match self.in_time {
            in_time if self.ended <= 2 * in_time => self.limit + 1,
            in_time if in_time < quarter => self.limit - quarter,
            _ => self.limit,
        });
    }

    fn begin(&mut self, limit: usize) {
        self.limit = limit.clamp(1, self.ceiling);
        (self.since, self.ended, self.in_time) = (self.calls, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use runtime::Millis;
    use std::collections::BTreeSet;

    const BUDGET: Millis = 1_500;

    /// Stakes that come without a pause, at a wallet that takes so long with so many at once, and is silent at every
    /// n-th call; gives the limit at the end of each.
    fn play(
        slots: &mut Slots,
        count: usize,
        silent: usize,
        took: fn(Millis) -> Millis,
    ) -> Vec<usize> {
        let (mut now, mut calls) = (0, BTreeSet::new());
        let mut limits = Vec::new();
        for _ in 0..count {
            while let Some(Taken(number)) = slots.take() {
                let at_once = Millis::try_from(slots.taken).unwrap();
                let hangs = silent != 0 && number.is_multiple_of(u64::try_from(silent).unwrap());
                let takes = if hangs { BUDGET } else { took(at_once).min(BUDGET) };
                calls.insert((now + takes, number, takes));
            }
            let (at, number, takes) = calls.pop_first().unwrap();
            now = at;
            let told = if takes <= BUDGET / 2 { Told::InTime } else { Told::Late };
            slots.give(Taken(number), told);
            limits.push(slots.max());
        }
        for (_, number, _) in calls {
            slots.give(Taken(number), Told::Nothing);
        }
        limits
    }

    #[test]
    fn it_settles_where_the_wallet_answers_in_time() {
        let steady: fn(Millis) -> Millis = |_| 20;
        for (ceiling, silent, took, least, most) in [
            (256, 0, steady, 256, 256),
            (256, 0, |_| 700, 256, 256),
            // One after the other: 37 of them take 740 ms.
            (256, 0, |at_once| 20 * at_once, 25, 45),
            (8, 0, |at_once| 20 * at_once, 8, 8),
            // One of four backends hangs.
            (64, 4, steady, 64, 64),
            (16, 1, steady, 1, 1),
            (1, 0, |_| 1_400, 1, 1),
        ] {
            let mut slots = Slots::new(ceiling);
            play(&mut slots, 5_000, silent, took);
            let limits = play(&mut slots, 5_000, silent, took);
            let (lowest, highest) = (limits.iter().min().unwrap(), limits.iter().max().unwrap());
            assert!(least <= *lowest && *highest <= most, "{lowest} to {highest} of {ceiling}");
        }
    }

    /// What was called before the limit changed says nothing of it as it is now.
    #[test]
    fn what_fails_in_one_moment_counts_once_and_answers_bring_all_back() {
        let mut slots = Slots::new(16);
        let calls: Vec<_> = (0..16).map(|_| slots.take().unwrap()).collect();
        assert!(slots.take().is_none());
        let (first, others) = calls.split_first().unwrap();
        slots.give(*first, Told::Late);
        let again = slots.take().unwrap();
        others.iter().for_each(|call| slots.give(*call, Told::Late));
        assert_eq!(slots.max(), 12);
        slots.give(again, Told::Late);
        assert_eq!(slots.ended, 0);
        for _ in 0..100 {
            let call = slots.take().unwrap();
            slots.give(call, Told::Late);
        }
        assert_eq!(slots.max(), 1, "never none");
        let limits = play(&mut slots, 400, 0, |_| 20);
        assert!(limits.is_sorted() && limits.last() == Some(&16), "{limits:?}");
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_whatever_comes(
            ceiling in 1..40_usize,
            ends in vec((0..40_usize, 0..5_u8), 0..400),
        ) {
            let mut slots = Slots::new(ceiling);
            let mut calls = Vec::new();
            for (which, told) in ends {
                while let Some(call) = slots.take() {
                    calls.push(call);
                }
                let call = calls.remove(which % calls.len());
                let told = match told {
                    0 | 1 => Told::Late,
                    2 => Told::Nothing,
                    _ => Told::InTime,
                };
                slots.give(call, told);
                prop_assert!((1..=ceiling).contains(&slots.max()));
                prop_assert_eq!(slots.taken, calls.len());
            }
            calls.into_iter().for_each(|call| slots.give(call, Told::Nothing));
            let answers = ceiling * (ceiling + 3);
            play(&mut slots, answers, 0, |_| 20);
            prop_assert_eq!(slots.max(), ceiling);
        }
    }
}
