//! Logs and metrics.

use crate::Alarm;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("the log filter {filter:?} does not parse")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is already there.
    #[error("logging is already set up")]
    AlreadySet(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs to stderr, as text if stdout is a terminal and as JSON lines if it is not.
///
/// `filter` is a level or a list of directives such as `info,settler=debug`.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(filter: &str) -> Result<(), TelemetryError> {
    init_as(filter, if stdout().is_terminal() { Format::Text } else { Format::Json })
}

/// Sends logs to stderr in `format`; `filter` as for [`init`].
///
/// # Errors
/// See [`TelemetryError`].
pub fn init_as(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let builder = Subscriber::builder().with_env_filter(parsed).with_writer(stderr);
    let set = match format {
        Format::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    set.map_err(TelemetryError::AlreadySet)
}

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
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("roundhouse");
        registry.register("alarms", "Alarms raised, by name", ALARMS.clone());
        Self { registry: Arc::new(Mutex::new(registry)) }
    }
}

impl Metrics {
    /// The content type of [`Self::text`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Adds `metric` under `roundhouse_<name>` and returns it.
    pub fn register<T: Metric + Clone>(&self, name: &str, help: &str, metric: T) -> T {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric.clone());
        metric
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// If a metric cannot print itself.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
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
        let text = metrics.text().unwrap();
        assert!(text.contains("roundhouse_bets_total 3"), "{text}");
        assert!(text.contains("roundhouse_alarms_total{name=\"telemetry_test\"} 1"), "{text}");
        assert_eq!(alarms("telemetry_test"), 1);
    }

    #[test]
    fn a_bad_filter_is_refused() {
        assert!(matches!(init("info,=="), Err(TelemetryError::Filter { .. })));
    }
}
