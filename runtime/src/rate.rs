//! How many calls a peer gets in a second, for one kind of traffic.

use crate::Millis;
use std::num::NonZeroU32;

const SECOND_US: i64 = 1_000_000;

/// A bucket with the calls of one second. It is kept as the moment at which it is full again, so nothing has to fill it.
#[derive(Debug, Default)]
pub struct Rate {
    /// In µs since the Unix epoch.
    full_at: i64,
}

impl Rate {
    /// When a call may be made, if that is later than now.
    pub fn free_at(&mut self, now: Millis, per_s: NonZeroU32) -> Option<Millis> {
        // For good: a clock that was set back would put it off again at every look.
        let empty = now.saturating_mul(1_000).saturating_add(bucket_us(per_s));
        self.full_at = self.full_at.min(empty);
        let us = self.after(now, per_s).saturating_sub(bucket_us(per_s));
        let at = us.div_euclid(1_000) + i64::from(us.rem_euclid(1_000) != 0);
        Some(at).filter(|at| now < *at)
    }

    /// A call is made.
    pub fn take(&mut self, now: Millis, per_s: NonZeroU32) {
        self.full_at = self.after(now, per_s);
    }

    /// When it is full again after one more call; where it has none left, by the time of one call too late. A clock that was set back leaves it empty, and no worse.
    fn after(&self, now: Millis, per_s: NonZeroU32) -> i64 {
        let now = now.saturating_mul(1_000);
        let empty = now.saturating_add(bucket_us(per_s));
        self.full_at.clamp(now, empty).saturating_add(each_us(per_s))
    }
}

/// The time for one call.
fn each_us(per_s: NonZeroU32) -> i64 {
    let per_s = i64::from(per_s.get());
    (SECOND_US + per_s - 1) / per_s
}

/// The time in which an empty bucket is full.
fn bucket_us(per_s: NonZeroU32) -> i64 {
    each_us(per_s) * i64::from(per_s.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn per_s(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_one_after_the_other() {
        for (rate, each_ms) in [(1, 1_000), (3, 334), (50, 20), (1_000, 1)] {
            let (mut bucket, rate) = (Rate::default(), per_s(rate));
            for _ in 0..rate.get() {
                assert_eq!(bucket.free_at(7_000, rate), None);
                bucket.take(7_000, rate);
            }
            let at = bucket.free_at(7_000, rate).unwrap();
            assert_eq!((at, bucket.free_at(at, rate)), (7_000 + each_ms, None));
            bucket.take(at, rate);
            assert!(bucket.free_at(at, rate).is_some());
            assert_eq!(bucket.free_at(9_000, rate), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_and_another_rate_cost_a_second_at_most() {
        let (mut bucket, rate) = (Rate::default(), per_s(2));
        bucket.take(1_000_000_000, rate);
        assert_eq!(bucket.free_at(5_000, rate), Some(5_500));
        assert_eq!(bucket.free_at(5_000, per_s(1)), Some(6_000));
        assert_eq!(bucket.free_at(5_500, rate), None, "it was promised");
        bucket.take(5_500, rate);
        assert_eq!(bucket.free_at(5_500, rate), Some(6_000));
    }

    proptest! {
        /// However long it is used and in whatever steps, it gives no more than the rate and one bucket.
        #[test]
        fn it_keeps_the_rate(rate in 1..200_u32, pauses in vec(0..300_i64, 1..300)) {
            let (mut bucket, mut now, mut made) = (Rate::default(), 10_000, 0);
            for pause in pauses {
                now += pause;
                while bucket.free_at(now, per_s(rate)).is_none() {
                    bucket.take(now, per_s(rate));
                    made += 1;
                }
            }
            let most = i64::from(rate) * (now - 10_000) / 1_000 + i64::from(rate);
            prop_assert!(made <= most, "{made} of {most}");
        }
    }
}
