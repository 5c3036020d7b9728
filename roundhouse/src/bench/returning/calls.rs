//! What calls say, once all have been noted. Times and windows are in ms.

use crate::bench::doors::{Call, Refused};
use std::collections::BTreeMap;

/// A call that is on its way when its caller is asked to stay away arrives within this. A caller that did not listen
/// comes later too: with a probe, if not with a repeat.
const ON_ITS_WAY_MS: i64 = 250;

/// From a failure to the first repeat of what was in the call, of each item, sorted.
///
/// Of an item counts its first failure, if the breaker of its partner lets everything through for `repeat_ms_max`
/// behind it, or until the repeat: that is, unless the partner has failed so often by then as opens it. An item that was
/// never repeated counts with the time until its partners came back at `back_at`. Partners that ask for time get it and
/// do not count.
///
/// `calls` in the order of their arrival, all of one kind of traffic, since partners went that answered before.
pub(super) fn first_repeats(
    calls: &[Call],
    failures_that_open: usize,
    repeat_ms_max: i64,
    back_at: i64,
) -> Vec<u64> {
    let mut repeats = Vec::new();
    for calls in by_partner(calls).into_values() {
        let refused: Vec<(i64, &Refused)> =
            calls.iter().filter_map(|call| Some((call.at, call.refused.as_ref()?))).collect();
        let mut failed: Vec<i64> = refused.iter().map(|(_, refused)| refused.at).collect();
        failed.sort_unstable();
        let opened_at = failed.get(failures_that_open.saturating_sub(1)).copied();
        let mut items: BTreeMap<u64, (i64, Option<i64>)> = BTreeMap::new();
        for (at, refused) in refused.iter().filter(|(_, refused)| refused.retry_after_ms == 0) {
            for item in &refused.items {
                let before = items.get_mut(item).map(|(_, again)| again.get_or_insert(*at));
                if before.is_none() {
                    items.insert(*item, (refused.at, None));
                }
            }
        }
        for (failed_at, again) in items.into_values() {
            let by = again.unwrap_or(i64::MAX).min(failed_at + repeat_ms_max);
            if by < back_at && opened_at.is_none_or(|opened_at| by < opened_at) {
                let took_ms = again.unwrap_or(back_at) - failed_at;
                repeats.push(u64::try_from(took_ms).unwrap_or_default());
            }
        }
    }
    repeats.sort_unstable();
    repeats
}

/// How many calls were asked to stay away for a while, and how many came all the same.
///
/// `calls` in the order of their arrival.
pub(super) fn inside_retry_after(calls: &[Call]) -> (usize, usize) {
    let (mut asked, mut inside) = (0, 0);
    for calls in by_partner(calls).into_values() {
        // From when to when nothing may come.
        let mut away = (i64::MAX, i64::MIN);
        for call in calls {
            inside += usize::from((away.0..away.1).contains(&call.at));
            if let Some(refused) = call.refused.as_ref().filter(|one| 0 < one.retry_after_ms) {
                asked += 1;
                away = (refused.at + ON_ITS_WAY_MS, refused.at + refused.retry_after_ms);
            }
        }
    }
    (asked, inside)
}

/// The most calls that arrived within any `window_ms`.
///
/// `calls` in the order of their arrival.
pub(super) fn most_within(calls: &[Call], window_ms: i64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, call) in calls.iter().enumerate() {
        while calls.get(first).is_some_and(|one| one.at <= call.at - window_ms) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// Calls of each second from `from` on.
pub(super) fn by_second(calls: &[Call], from: i64) -> Vec<usize> {
    let mut seconds = Vec::new();
    for call in calls {
        let second = usize::try_from((call.at - from).div_euclid(1_000)).unwrap_or_default();
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        if let Some(count) = seconds.get_mut(second) {
            *count += 1;
        }
    }
    seconds
}

fn by_partner(calls: &[Call]) -> BTreeMap<usize, Vec<&Call>> {
    let mut partners: BTreeMap<usize, Vec<&Call>> = BTreeMap::new();
    calls.iter().for_each(|call| partners.entry(call.partner).or_default().push(call));
    partners
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of one partner: when each arrived and was sent away, for how long, and what was in it.
    fn calls(partner: usize, refused: &[(i64, i64, i64, &[u64])]) -> Vec<Call> {
        let call = |(at, until, retry_after_ms, items): &(i64, i64, i64, &[u64])| {
            let items = items.to_vec();
            let refused = Refused { at: *until, retry_after_ms: *retry_after_ms, items };
            Call { partner, at: *at, refused: Some(refused) }
        };
        refused.iter().map(call).collect()
    }

    fn passed(partner: usize, at: i64) -> Call {
        Call { partner, at, refused: None }
    }

    #[test]
    fn the_first_repeat_of_each_item_counts_from_its_failure() {
        let calls = calls(0, &[(0, 20, 0, &[1, 2]), (150, 170, 0, &[1]), (290, 300, 0, &[2, 1])]);
        assert_eq!(first_repeats(&calls, 5, 250, 9_000), [130, 270]);
    }

    #[test]
    fn what_a_breaker_keeps_back_does_not_count_and_what_is_forgotten_does() {
        let all =
            [(0, 20, 0, &[1][..]), (150, 170, 0, &[1]), (200, 230, 0, &[2]), (240, 260, 0, &[3])];
        let calls = calls(0, &all);
        assert_eq!(first_repeats(&calls, 4, 250, 9_000), [130], "the fourth failure opened it");
        assert_eq!(first_repeats(&calls, 5, 250, 9_000), [130, 8_740, 8_770], "it was not open");
        assert_eq!(first_repeats(&calls, 5, 250, 470), [130], "they were back before it was due");
    }

    #[test]
    fn partners_that_ask_for_time_get_it() {
        let all = [(0, 20, 3_000, &[1][..]), (30, 50, 3_000, &[2]), (3_050, 3_070, 3_000, &[1])];
        let mut calls = calls(2, &all);
        assert_eq!(first_repeats(&calls, 9, 250, 9_000), [0; 0]);
        assert_eq!(inside_retry_after(&calls), (3, 0));
        calls.push(passed(2, 6_069));
        calls.push(passed(3, 6_069));
        assert_eq!(inside_retry_after(&calls), (3, 1));
    }

    #[test]
    fn the_most_within_a_window_is_of_any_window() {
        let calls = [0, 950, 960, 1_049, 1_050, 2_500].map(|at| passed(0, at));
        assert_eq!(most_within(&calls, 100), 3);
        assert_eq!(most_within(&calls, 101), 4);
        assert_eq!(most_within(&[], 100), 0);
        assert_eq!(by_second(&calls, 0), [3, 2, 1]);
        assert_eq!(by_second(&calls, 950), [5, 1]);
    }
}
