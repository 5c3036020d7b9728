//! What a demo showed.

use crate::audit::report::Report;
use crate::rig::watch::{Decided, Fanout, Seen};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// True if everything was confirmed, no client was told otherwise, and the audit is clean.
    pub ok: bool,
    /// The seed.
    pub seed: u64,
    /// Whether nothing was undecided or owed at the end.
    pub settled: bool,
    /// Counts and times.
    pub figures: Figures,
    /// Bets of which a client was told what the log does not say.
    pub told_otherwise: Vec<String>,
    /// The audit of log, store and journals.
    pub audit: Report,
}

/// Counts and times of a demo.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Bets decided.
    pub decided: usize,
    /// Of those, accepted and not cancelled.
    pub accepted: usize,
    /// Rejected.
    pub rejected: usize,
    /// Cancelled.
    pub cancelled: usize,
    /// Settlements confirmed.
    pub confirmed: u64,
    /// Ms from the start of the demo to the end of its last round.
    pub took_ms: u64,
    /// From a result's admission to its confirmations, by round and result version.
    pub time_to_money: BTreeMap<String, Times>,
    /// The median over rounds and versions of the time to the last confirmation, in ms.
    pub last_p50_ms: i64,
    /// The same, 99th percentile.
    pub last_p99_ms: i64,
}

/// Times from admission, in ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Settlements of the version.
    pub settlements: usize,
    /// Half of them were confirmed.
    pub p50_ms: i64,
    /// 99 of 100 were confirmed.
    pub p99_ms: i64,
    /// The last was confirmed.
    pub last_ms: i64,
}

impl Figures {
    /// The figures of what was seen.
    pub(super) fn of(seen: &Seen, took: Duration) -> Self {
        let count = |kind| seen.decided.values().filter(|decided| **decided == kind).count();
        let times = |((round, version), fanout): (&(String, u32), &Fanout)| {
            Some((format!("{round} v{version}"), Times::of(fanout)?))
        };
        let time_to_money: BTreeMap<String, Times> =
            seen.fanouts.iter().filter_map(times).collect();
        let mut lasts: Vec<i64> = time_to_money.values().map(|times| times.last_ms).collect();
        lasts.sort_unstable();
        Self {
            decided: seen.decided.len(),
            accepted: count(Decided::Accepted),
            rejected: count(Decided::Rejected),
            cancelled: count(Decided::Cancelled),
            confirmed: seen.confirmed,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            last_p50_ms: percentile(&lasts, 50),
            last_p99_ms: percentile(&lasts, 99),
            time_to_money,
        }
    }
}

impl Times {
    /// `None` if the version was not admitted or changed nothing.
    pub(crate) fn of(fanout: &Fanout) -> Option<Self> {
        let admitted_at = fanout.admitted_at?;
        let mut after: Vec<i64> = fanout.confirmed_at.iter().map(|at| at - admitted_at).collect();
        after.sort_unstable();
        Some(Self {
            settlements: after.len(),
            p50_ms: percentile(&after, 50),
            p99_ms: percentile(&after, 99),
            last_ms: *after.last()?,
        })
    }
}

/// The smallest value that `percent` of the sorted `values` do not exceed; 0 of none.
pub(crate) fn percentile(values: &[i64], percent: usize) -> i64 {
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { decided, accepted, rejected, cancelled, confirmed, took_ms, .. } =
            self.figures;
        writeln!(f, "{}", self.audit)?;
        writeln!(
            f,
            "{:<24} {:>12} {:>9} {:>9} {:>9}",
            "time to money", "settlements", "p50 ms", "p99 ms", "last ms"
        )?;
        for (name, times) in &self.figures.time_to_money {
            let Times { settlements, p50_ms, p99_ms, last_ms } = times;
            writeln!(f, "{name:<24} {settlements:>12} {p50_ms:>9} {p99_ms:>9} {last_ms:>9}")?;
        }
        writeln!(
            f,
            "{decided} bets decided ({accepted} accepted, {rejected} rejected, {cancelled} cancelled), \
             {confirmed} settlements confirmed in {took_ms} ms"
        )?;
        for line in &self.told_otherwise {
            writeln!(f, "TOLD OTHERWISE {line}")?;
        }
        let verdict = if self.ok { "not a cent amiss" } else { "SOMETHING IS AMISS" };
        writeln!(f, "seed {}: {verdict}", self.seed)
    }
}
