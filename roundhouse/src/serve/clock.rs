//! How far this machine's clock is from the store's nodes, on a cluster: bet placing takes no bets while it
//! is too far.
//!
//! A node is asked for its time; half of the time that the answer took is the most the sample can be wrong
//! (Cristian, 1989). Each request goes to another node, and of the last samples the middle one counts: one
//! slow answer or one node whose clock is off does not stop betting.

use super::Opened;
use ingest::placing::{Ask, Note, Placing};
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::Metrics;
use runtime::{Clock, Handle, Millis, SystemClock};
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two samples, until enough is known and then.
const FIRST_PERIOD: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(5);
/// Samples that are kept; the middle one counts.
const KEPT: usize = 9;
/// A sample is worth nothing if its answer took longer, in ms.
const ROUND_TRIP_MS_MAX: Millis = 200;

/// The last samples, in ms: our clock less theirs.
#[derive(Debug, Default)]
struct Offset {
    samples: VecDeque<Millis>,
}

impl Offset {
    /// Takes what a node said that was asked at `asked` and answered at `answered`, both by our clock.
    fn sample(&mut self, asked: Millis, said: Millis, answered: Millis) {
        let round_trip = answered.saturating_sub(asked);
        if (0..=ROUND_TRIP_MS_MAX).contains(&round_trip) {
            if KEPT <= self.samples.len() {
                self.samples.pop_front();
            }
            self.samples.push_back(asked.saturating_add(round_trip / 2).saturating_sub(said));
        }
    }

    fn is_known(&self) -> bool {
        KEPT / 2 < self.samples.len()
    }

    /// The offset in ms, positive if our clock is ahead; 0 until enough is known.
    fn ms(&self) -> Millis {
        if !self.is_known() {
            return 0;
        }
        let mut sorted: Vec<Millis> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// Measures until `stop`, shows it in `/metrics`, and tells bet placing.
pub(super) async fn watch<E: Opened>(
    engine: E,
    placing: Option<Handle<Placing>>,
    gauge: Gauge<f64, AtomicU64>,
    stop: CancellationToken,
) {
    let mut offset = Offset::default();
    loop {
        let period = if offset.is_known() { PERIOD } else { FIRST_PERIOD };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(period) => {}
        }
        let asked = SystemClock.now();
        // Without an answer the last samples stand: a store that is away says nothing of clocks. A data
        // directory has no clock but ours.
        let Ok(Some(said)) = engine.time().await else { continue };
        offset.sample(asked, said, SystemClock.now());
        let ms = offset.ms();
        gauge.set(seconds(ms));
        if let Some(placing) = &placing {
            // Nobody there is one that is being built again; it is told the next time.
            drop(placing.ask(Ask::Note(Note::ClockOffset(ms))).await);
        }
    }
}

fn seconds(ms: Millis) -> f64 {
    let sign = if ms < 0 { -1.0 } else { 1.0 };
    Duration::from_millis(ms.unsigned_abs()).as_secs_f64().copysign(sign)
}

/// The gauge of the offset.
pub(super) fn gauge(metrics: &Metrics) -> Gauge<f64, AtomicU64> {
    metrics.register(
        "clock_offset_seconds",
        "This machine's clock less that of the store's nodes; 0 until known, and on a data directory",
        Gauge::default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_last_samples_counts() {
        let mut offset = Offset::default();
        for _ in 0..4 {
            offset.sample(1_000, 300, 1_020);
            assert_eq!(offset.ms(), 0, "one node is not believed alone");
        }
        offset.sample(1_000, 300, 1_020);
        assert_eq!(offset.ms(), 710, "ours at the middle of the round trip, less theirs");
        offset.sample(1_000, 300, 1_201);
        offset.sample(1_000, 300, 999);
        assert_eq!(offset.samples.len(), 5, "too slow, and a clock that was set meanwhile");
        for _ in 0..4 {
            offset.sample(1_000, 2_000, 1_000);
        }
        assert_eq!(offset.ms(), 710, "four of nine");
        offset.sample(1_000, 2_000, 1_000);
        assert_eq!(offset.ms(), -1_000, "five of nine");
    }
}
