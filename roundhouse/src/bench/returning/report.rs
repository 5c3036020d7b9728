//! How partners that came back at once were called.

use super::calls::{by_second, first_repeats, inside_retry_after, most_within};
use super::{Found, ReturningPlan};
use crate::audit::report::Report;
use crate::bench::doors::RETRY_AFTER_S;
use crate::bench::report::{Memory, Place, Thousandths, percentile};
use crate::bench::trial::Verdict;
use serde::Serialize;
use std::fmt;

/// The most that the first repeat of what failed may take, p99, in ms.
const REPEAT_MS_MAX: u64 = 250;
/// The most that may pass between the return and the last confirmation, in ms.
const DRAINED_MS_MAX: u64 = 60_000;
/// Windows in which calls are counted, in ms.
const WINDOWS_MS: [u64; 2] = [100, 1_000];
/// Characters of the longest bar.
const BAR: usize = 60;

/// From a failure to the first repeat of what was in the call, while the breaker lets it through, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Settlements of which the first failure was such a one.
    pub items: usize,
    /// Half took at most this.
    pub p50_ms: u64,
    /// 99 of 100 took at most this.
    pub p99_ms: u64,
    /// All took at most this.
    pub max_ms: u64,
    /// The most that the p99 may be.
    pub p99_ms_max: u64,
}

/// Calls of `/bets/state` at all wallets together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Of any so many ms.
    pub window_ms: u64,
    /// The most that arrived, from when partners went until all was confirmed.
    pub calls: usize,
    /// The most that may: each partner has so many on its way at once, and each takes as long as a wallet does.
    pub calls_max: u64,
}

/// What was measured, and what the audit says.
#[derive(Clone, Debug, Serialize)]
pub struct ReturningReport {
    /// Which bench.
    pub what: &'static str,
    /// Partners.
    pub partners: usize,
    /// Settlements that fell due while they were away.
    pub owed: usize,
    /// How long they were away, in s.
    pub away_s: u64,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Calls in each second since they went.
    pub calls_by_second: Vec<usize>,
    /// Of these seconds, that in which they came back.
    pub back_in_second: usize,
    /// What failed and came again.
    pub first_repeat: Repeats,
    /// The most that arrived at once.
    pub windows: Vec<Window>,
    /// The most calls that any wallet answered at once.
    pub calls_at_once: u64,
    /// The most it may be.
    pub calls_at_once_max: usize,
    /// Calls that were asked to stay away for a while.
    pub asked_to_wait: usize,
    /// Calls that came all the same; there must be none.
    pub did_not_wait: usize,
    /// From the return to the last confirmation, in ms.
    pub drained_ms: u64,
    /// The most it may be.
    pub drained_ms_max: u64,
    /// The most settlements that the dispatchers had in memory.
    pub held: u64,
    /// Of server, doors and client together; at rest is when they went.
    pub memory: Memory,
    /// The audit of everything, journals included.
    pub audit: Report,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl ReturningReport {
    pub(super) fn of(
        plan: &ReturningPlan,
        found: Found,
        audit: Report,
        place: Place,
    ) -> anyhow::Result<Self> {
        let Found { went_at, back_at, drained_at, mut calls, limits, .. } = found;
        calls.sort_by_key(|call| call.at);
        let opens = usize::try_from(limits.breaker_failures())?;
        let repeats = first_repeats(&calls, opens, i64::try_from(REPEAT_MS_MAX)?, back_at);
        let at_once = u64::try_from(plan.partners.saturating_mul(limits.chunks_in_flight_max))?;
        let window = |window_ms: u64| {
            let each = window_ms.div_ceil(plan.wallet_latency_ms).saturating_add(1);
            let within = i64::try_from(window_ms).map(|ms| most_within(&calls, ms));
            let calls_max = at_once.saturating_mul(each);
            Ok(Window { window_ms, calls: within?, calls_max })
        };
        let (asked_to_wait, did_not_wait) = inside_retry_after(&calls);
        Ok(Self {
            what: "returning",
            partners: plan.partners,
            owed: plan.bets / plan.rounds * plan.rounds,
            away_s: plan.away_s,
            wallet_latency_ms: plan.wallet_latency_ms,
            calls_by_second: by_second(&calls, went_at),
            back_in_second: usize::try_from((back_at - went_at).div_euclid(1_000))?,
            first_repeat: Repeats {
                items: repeats.len(),
                p50_ms: percentile(&repeats, 50),
                p99_ms: percentile(&repeats, 99),
                max_ms: percentile(&repeats, 100),
                p99_ms_max: REPEAT_MS_MAX,
            },
            windows: WINDOWS_MS.into_iter().map(window).collect::<anyhow::Result<_>>()?,
            calls_at_once: found.calls_at_once,
            calls_at_once_max: limits.chunks_in_flight_max,
            asked_to_wait,
            did_not_wait,
            drained_ms: u64::try_from(drained_at - back_at).unwrap_or_default(),
            drained_ms_max: DRAINED_MS_MAX,
            held: found.held,
            memory: found.memory,
            audit,
            place,
        })
    }

    /// Whether something failed that was to be repeated from memory, and was in time.
    fn repeated(&self) -> bool {
        let Repeats { items, p99_ms, p99_ms_max, .. } = self.first_repeat;
        0 < items && p99_ms <= p99_ms_max
    }

    fn at_once(&self) -> bool {
        u64::try_from(self.calls_at_once_max).is_ok_and(|max| self.calls_at_once <= max)
    }

    fn waited(&self) -> bool {
        0 < self.asked_to_wait && self.did_not_wait == 0
    }

    fn drained(&self) -> bool {
        self.drained_ms <= self.drained_ms_max
    }
}

impl Window {
    fn held(&self) -> bool {
        u64::try_from(self.calls).is_ok_and(|calls| calls <= self.calls_max)
    }
}

impl Verdict for ReturningReport {
    fn audit(&self) -> &Report {
        &self.audit
    }

    /// Whether all limits were held. What was not put to the test was not.
    fn held(&self) -> bool {
        let windows = self.windows.iter().all(Window::held);
        windows && self.repeated() && self.at_once() && self.waited() && self.drained()
    }
}

/// How a limit was held.
fn word(held: bool) -> &'static str {
    if held { "held" } else { "NOT HELD" }
}

impl ReturningReport {
    /// A line for each second.
    fn plot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "calls of /bets/state in each second since they went:")?;
        let most = self.calls_by_second.iter().max().copied().unwrap_or_default();
        for (second, calls) in self.calls_by_second.iter().enumerate() {
            let bar = calls.saturating_mul(BAR).checked_div(most).unwrap_or_default();
            let back = if second == self.back_in_second { "back" } else { "" };
            let line = format!("{second:>6} s{calls:>8} {back:<5}{}", "#".repeat(bar));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repeats { items, p50_ms, p99_ms, max_ms, p99_ms_max } = self.first_repeat;
        writeln!(
            f,
            "first repeat of {items} settlements that failed: p50 {p50_ms} ms, p99 {p99_ms} ms, max {max_ms} \
             ms; p99 at most {p99_ms_max} ms: {}",
            word(self.repeated())
        )?;
        for window in &self.windows {
            let Window { window_ms, calls, calls_max } = window;
            let held = word(window.held());
            writeln!(f, "calls in any {window_ms} ms: {calls}; at most {calls_max}: {held}")?;
        }
        let (at_once, max) = (self.calls_at_once, self.calls_at_once_max);
        let held = word(self.at_once());
        writeln!(f, "calls at once at any wallet: {at_once}; at most {max}: {held}")?;
        writeln!(
            f,
            "calls that were asked to stay away for {RETRY_AFTER_S} s: {}; that came all the same: {}: {}",
            self.asked_to_wait,
            self.did_not_wait,
            word(self.waited())
        )?;
        let [drained, max] = [self.drained_ms, self.drained_ms_max].map(Thousandths);
        let held = word(self.drained());
        writeln!(f, "all confirmed {drained} s after their return; at most {max} s: {held}")
    }
}

impl fmt::Display for ReturningReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} partners away for {} s and owed {} settlements; wallets answer in {} ms",
            self.what, self.partners, self.away_s, self.owed, self.wallet_latency_ms
        )?;
        writeln!(f, "{}", self.place)?;
        self.plot(f)?;
        self.limits(f)?;
        writeln!(f, "{}; dispatchers held {} settlements", self.memory, self.held)?;
        write!(f, "{}", self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::doors::{Call, Refused};
    use partner_dispatcher::Limits;
    use std::path::PathBuf;

    /// Three partners with a slot each, 10 s away; the first one's call fails and comes again after 150 ms, the third is
    /// asked to stay away.
    fn found() -> Found {
        let call = |partner, at, retry_after_ms| {
            let refused = Refused { at: at + 20, retry_after_ms, items: vec![7] };
            Call { partner, at, refused: Some(refused) }
        };
        let calls = vec![call(0, 0, 0), call(0, 170, 0), call(2, 10, 3_000)];
        let limits = Limits { chunks_in_flight_max: 1, ..Limits::PRODUCTION };
        let memory = Memory::default();
        let (went_at, back_at, drained_at) = (0, 10_000, 70_000);
        Found { went_at, back_at, drained_at, calls, calls_at_once: 1, limits, held: 3, memory }
    }

    fn report(found: Found) -> ReturningReport {
        let plan = ReturningPlan {
            partners: 3,
            bets: 3,
            rounds: 1,
            away_s: 10,
            wallet_latency_ms: 20,
            seed: 1,
            data_dir: PathBuf::new(),
            exe: PathBuf::new(),
        };
        ReturningReport::of(&plan, found, Report::new(Vec::new()), Place::nowhere()).unwrap()
    }

    #[test]
    fn each_limit_is_judged() {
        let whole = report(found());
        assert!(whole.held(), "{whole}");
        assert_eq!((whole.back_in_second, &whole.calls_by_second[..]), (10, &[3][..]));
        let most: Vec<u64> = whole.windows.iter().map(|window| window.calls_max).collect();
        assert_eq!(most, [18, 153]);
        let changes: [fn(&mut Found); 7] = [
            |found| found.drained_at += 1,
            |found| found.calls_at_once += 1,
            |found| found.calls[1].at = 271,
            |found| drop(found.calls.drain(..2)),
            |found| drop(found.calls.pop()),
            |found| found.calls.push(Call { partner: 2, at: 3_029, refused: None }),
            |found| found.calls.extend((0..19).map(|at| Call { partner: 1, at, refused: None })),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut found = found();
            change(&mut found);
            assert!(!report(found).held(), "{number}");
        }
    }
}
