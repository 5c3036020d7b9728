//! The metrics of what is read and written.

use super::settled::Settled;
use crate::serve::Role;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::telemetry::Metrics;
use runtime::{Append, EngineError, Record, Source};
use schemas::catalogue::SETTLEMENTS;
use schemas::facts::HEADER_KIND;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Upper bounds in seconds: a sync of a good disk at the beginning, a broker that is elected anew at the end.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumed {
    machine: &'static str,
    topic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    machine: &'static str,
    topic: &'static str,
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    machine: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    machine: &'static str,
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct At {
    machine: &'static str,
    topic: &'static str,
    partition: u32,
}

type Histograms = Family<Operation, Histogram, fn() -> Histogram>;

/// What passes between the machines of a process and its engine. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Flow {
    consumed: Family<Consumed, Counter>,
    sent: Family<Sent, Counter>,
    durations: Histograms,
    processed: Family<Consumed, Histogram, fn() -> Histogram>,
    failures: Family<Failure, Counter>,
    lag: Family<At, Gauge>,
    position: Family<At, Gauge<f64, AtomicU64>>,
    settled: Settled,
}

impl Flow {
    /// Registers them in the metrics of the process.
    pub(in crate::serve) fn register(metrics: &Metrics) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            consumed: metrics.register(
                "messaging_client_consumed_messages",
                "Records read, by who read them and topic",
                Family::default(),
            ),
            sent: metrics.register(
                "messaging_client_sent_messages",
                "Records written and acknowledged, by who wrote them, topic and what they say",
                Family::default(),
            ),
            durations: metrics.register(
                "messaging_client_operation_duration_seconds",
                "Time until a batch of facts, records and offsets was durable",
                Histograms::new_with_constructor(histogram),
            ),
            processed: metrics.register(
                "messaging_process_duration_seconds",
                "Time from a batch of records to the readiness for the next, by who read it and topic",
                Family::new_with_constructor(histogram),
            ),
            failures: metrics.register(
                "engine_failures",
                "Reads and writes that the log or the store refused, by who asked",
                Family::default(),
            ),
            lag: metrics.register(
                "consumer_lag_records",
                "Records of a partition behind the position read here, at the last read",
                Family::default(),
            ),
            position: metrics.register(
                "consumer_position_timestamp_seconds",
                "When the log took the last record read here, since the Unix epoch; bets.v1 gets one a second",
                Family::default(),
            ),
            settled: Settled::register(metrics),
        }
    }

    pub(super) fn applied(&self, machine: &'static str, tally: &Tally, took: Duration) {
        let operation = Operation { machine, operation: "apply" };
        self.durations.get_or_create(&operation).observe(took.as_secs_f64());
        for (topic, kind, count) in &tally.written {
            let sent = Sent { machine, topic, kind: kind.clone() };
            self.sent.get_or_create(&sent).inc_by(*count);
        }
        self.settled.count(&tally.settled);
    }

    pub(super) fn failed(&self, machine: &'static str, error: &EngineError) {
        let error = match error {
            EngineError::Full(_) => "full",
            EngineError::Unavailable(_) => "unavailable",
            EngineError::Fenced(_) => "fenced",
            EngineError::OutOfRange { .. } => "out_of_range",
            // How everything ends when the process does.
            EngineError::Closed => return,
        };
        self.failures.get_or_create(&Failure { machine, error }).inc();
    }

    pub(super) fn position(&self, machine: &'static str, source: Source) -> Position {
        let at = At { machine, topic: source.topic.0, partition: source.partition };
        Position { flow: self.clone(), at }
    }
}

/// Where a reader is; not shown any more when it goes, since somebody else may read on elsewhere.
pub(super) struct Position {
    flow: Flow,
    at: At,
}

impl Position {
    pub(super) fn read(&self, records: &[Record], end: u64) {
        let Some(last) = records.last() else { return };
        let consumed = Consumed { machine: self.at.machine, topic: self.at.topic };
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.flow.consumed.get_or_create(&consumed).inc_by(count);
        let lag = i64::try_from(end.saturating_sub(last.offset + 1)).unwrap_or(i64::MAX);
        self.flow.lag.get_or_create(&self.at).set(lag);
        let at = Duration::from_millis(u64::try_from(last.appended_at).unwrap_or(0));
        self.flow.position.get_or_create(&self.at).set(at.as_secs_f64());
    }

    /// The machine was ready for more, so long after it got what was read.
    pub(super) fn processed(&self, took: Duration) {
        let consumed = Consumed { machine: self.at.machine, topic: self.at.topic };
        self.flow.processed.get_or_create(&consumed).observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self, error: &EngineError) {
        self.flow.failed(self.at.machine, error);
    }
}

impl Drop for Position {
    fn drop(&mut self) {
        self.flow.lag.remove(&self.at);
        self.flow.position.remove(&self.at);
    }
}

/// What a batch writes, to be counted once it is written.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Topic, kind and count. A batch has a handful of kinds: looking through them copies nothing.
    written: Vec<(&'static str, String, u64)>,
    settled: Vec<super::settled::Said>,
}

impl Tally {
    pub(super) fn of<'a>(machine: &'static str, records: impl Iterator<Item = &'a Append>) -> Self {
        let mut tally = Self::default();
        for record in records {
            let kind = record.headers.iter().find(|(name, _)| *name == HEADER_KIND);
            let kind = kind.map_or("", |(_, kind)| kind.as_str());
            let same = |written: &&mut (&str, String, u64)| {
                written.0 == record.topic.0 && written.1 == kind
            };
            match tally.written.iter_mut().find(same) {
                Some((_, _, count)) => *count += 1,
                None => tally.written.push((record.topic.0, kind.to_owned(), 1)),
            }
            // What a reconciler or a dispatcher writes there was said before.
            if record.topic.0 == SETTLEMENTS && machine == Role::Settler.name() {
                tally.settled.extend(super::settled::Said::of(&record.value));
            }
        }
        tally
    }
}
