//! What bringing settlements to the partners took.

use crate::bench::report::{Cpu, Memory, Place, Spread, Thousandths, word};
use serde::Serialize;
use std::fmt;

/// One program over all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// From the result, or the correction, to the last confirmation.
    pub last: Spread,
    /// CPU time used in all rounds together.
    pub cpu: Cpu,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct ResultReport {
    /// Which bench.
    pub what: &'static str,
    /// Bets of each round.
    pub bets: usize,
    /// Partners.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Rounds.
    pub rounds: usize,
    /// Settlements of all of them: those of a correction are as many as the bets whose state differs, and no more.
    pub settlements: usize,
    /// Requests that the plain program needs for a round.
    pub plain_chunks: usize,
    /// The server, from before the result, or the correction, is sent.
    pub roundhouse: Times,
    /// The time until the last settlement stood in the log, a part of the above.
    pub settled: Spread,
    /// The plain program.
    pub plain_deliver: Times,
    /// An operator's wait for the timeline of a bet of the last round, one after the other.
    pub timeline: Spread,
    /// The most that one may take, in µs.
    pub timeline_floor_us: u64,
    /// The server's time by the plain program's, in thousandths, median of the rounds.
    pub time_per_mille_median: u64,
    /// The most that the median may be, in µs.
    pub floor_us: u64,
    /// Whether it is.
    pub floor_met: bool,
    /// Memory.
    pub memory: Memory,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl fmt::Display for ResultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} rounds of {} bets, {} settlements in all; {} partners answering in {} ms",
            self.what,
            self.rounds,
            self.bets,
            self.settlements,
            self.partners,
            self.wallet_latency_ms
        )?;
        writeln!(f, "{}\n{}", self.place, self.memory)?;
        writeln!(
            f,
            "plain-deliver writes the same to the same and posts the same items in {} chunks; no logic",
            self.plain_chunks
        )?;
        let head = ["p50 ms", "p95 ms", "max ms", "cpu s", "wallet s"];
        write!(f, "{:<14}", "")?;
        head.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        let none = Cpu::default();
        for (name, spread, cpu) in [
            ("roundhouse", &self.roundhouse.last, self.roundhouse.cpu),
            ("  in the log", &self.settled, none),
            ("plain-deliver", &self.plain_deliver.last, self.plain_deliver.cpu),
            ("a timeline", &self.timeline, none),
        ] {
            write!(f, "{name:<14}")?;
            [spread.p50_us, spread.p95_us, spread.max_us]
                .iter()
                .try_for_each(|figure| write!(f, "{:>10}", Thousandths(*figure)))?;
            if cpu != none {
                write!(f, "{:>10}{:>10}", Thousandths(cpu.here_ms), Thousandths(cpu.wallets_ms))?;
            }
            writeln!(f)?;
        }
        let ratio = Thousandths(self.time_per_mille_median);
        writeln!(f, "time, by that of plain-deliver: {ratio} (median of rounds)")?;
        let (p50, floor) = (Thousandths(self.roundhouse.last.p50_us), self.floor_us / 1_000);
        writeln!(f, "p50 {p50} ms; floor for 10000 bets: < {floor} ms: {}", word(self.floor_met))?;
        let (p99, floor) = (Thousandths(self.timeline.p99_us), self.timeline_floor_us / 1_000);
        let met = word(self.timeline.p99_us < self.timeline_floor_us);
        writeln!(f, "timeline: p99 {p99} ms; floor: < {floor} ms: {met}")
    }
}
