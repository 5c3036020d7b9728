//! The metrics of the process, and the alarms among them.

use super::exposition::{Exposition, classic};
use super::process::Process;
use crate::Alarm;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Before the names of our own metrics.
const PREFIX: &str = "roundhouse";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmLabels {
    name: &'static str,
}

/// One per process: an alarm must be counted wherever it is raised.
static ALARMS: LazyLock<Family<AlarmLabels, Counter>> = LazyLock::new(Family::default);

/// Logs an alarm and counts it by name.
pub fn alarm(alarm: &Alarm) {
    tracing::error!(alarm = alarm.name, "{}", alarm.text);
    ALARMS.get_or_create(&AlarmLabels { name: alarm.name }).inc();
}

/// How often this process raised the alarm `name`.
pub fn alarms(name: &'static str) -> u64 {
    ALARMS.get_or_create(&AlarmLabels { name }).get()
}

/// The metrics of the process, as `/metrics` shows them. Cheap to clone.
///
/// Names have one unit, in base units (`_seconds`, `_bytes`, `_ratio`), and labels with few values: never
/// a round, a bet or a player.
#[derive(Clone, Debug)]
pub struct Metrics {
    ours: Arc<Mutex<Registry>>,
    /// What every process has, under the names that every process uses.
    process: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut ours = Registry::with_prefix(PREFIX);
        ours.register("alarms", "Alarms raised, by name", ALARMS.clone());
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        Self { ours: Arc::new(Mutex::new(ours)), process: Arc::new(process) }
    }
}

impl Metrics {
    /// Adds `metric` under `roundhouse_<name>` and returns it. A counter's name is given without its
    /// `_total`.
    pub fn register<T: Metric + Clone>(&self, name: &str, help: &str, metric: T) -> T {
        let mut registry = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric.clone());
        metric
    }

    /// All metrics as they are now, as OpenMetrics.
    ///
    /// # Errors
    /// If a metric cannot print itself.
    pub fn text(&self) -> Result<String, fmt::Error> {
        self.text_as(Exposition::OpenMetrics)
    }

    /// All metrics as they are now.
    ///
    /// # Errors
    /// If a metric cannot print itself.
    pub fn text_as(&self, exposition: Exposition) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.ours.lock().unwrap_or_else(PoisonError::into_inner))?;
        encode_registry(&mut text, &self.process)?;
        match exposition {
            Exposition::OpenMetrics => encode_eof(&mut text)?,
            Exposition::Classic => text = classic(&text),
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_show_alarms_and_what_was_registered() {
        let metrics = Metrics::default();
        let counter = metrics.register("bets", "Bets seen", Counter::<u64>::default());
        counter.inc_by(3);
        alarm(&Alarm { name: "telemetry_test", text: "a test".to_owned() });
        for exposition in [Exposition::OpenMetrics, Exposition::Classic] {
            let text = metrics.text_as(exposition).unwrap();
            assert!(text.contains("roundhouse_bets_total 3"), "{text}");
            assert!(text.contains("roundhouse_alarms_total{name=\"telemetry_test\"} 1"), "{text}");
            assert!(text.contains("process_open_fds "), "{text}");
        }
        assert_eq!(alarms("telemetry_test"), 1);
    }
}
