//! Logs on stderr, and the filter that says what is logged, which can be changed at any time.

use super::plain;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::{Mutex, OnceLock, PoisonError};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FormatFields, Subscriber};
use tracing_subscriber::reload;

/// Bytes of the longest filter.
pub const FILTER_BYTES_MAX: usize = 1_000;

/// Why logging could not be set up, or changed.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is too long.
    #[error("the log filter has {bytes} bytes; {FILTER_BYTES_MAX} are enough")]
    FilterTooLong {
        /// Its length.
        bytes: usize,
    },
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
    /// The subscriber is gone.
    #[error("the log filter cannot be changed any more")]
    Gone(#[source] reload::Error),
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Fields of a line for people. What callers and wallets say in them ends no line and moves no cursor.
struct OneLine;

impl<'writer> FormatFields<'writer> for OneLine {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> std::fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&plain(&text))
    }
}

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// What the process logs. There is one for each process.
pub struct LogFilter {
    configured: String,
    current: Mutex<String>,
    reload: Reload,
}

/// Set by the first [`init_as`].
static FILTER: OnceLock<LogFilter> = OnceLock::new();

/// What this process logs; `None` if its logs were not set up here.
pub fn log_filter() -> Option<&'static LogFilter> {
    FILTER.get()
}

impl LogFilter {
    /// The filter that the process was started with.
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// The filter in force.
    pub fn current(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs by `filter` from now on: a level or directives, as for [`init`].
    ///
    /// # Errors
    /// If it does not parse; the one before stays in force.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        let parsed = parse(filter)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.reload)(parsed).map_err(TelemetryError::Gone)?;
        filter.clone_into(&mut current);
        Ok(())
    }

    /// Logs as configured from now on.
    ///
    /// # Errors
    /// If nothing is logged any more.
    pub fn reset(&self) -> Result<(), TelemetryError> {
        self.set(&self.configured)
    }
}

/// Refuses a filter that no process would start with.
///
/// # Errors
/// If it is too long or does not parse.
fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    if FILTER_BYTES_MAX < filter.len() {
        return Err(TelemetryError::FilterTooLong { bytes: filter.len() });
    }
    // Without regular expressions: a filter may come over HTTP.
    EnvFilter::builder()
        .with_regex(false)
        .parse(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
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
    let builder = Subscriber::builder().with_env_filter(parse(filter)?).with_writer(stderr);
    let (set, reload): (_, Reload) = match format {
        Format::Text => {
            let builder = builder.fmt_fields(OneLine).with_ansi(stderr().is_terminal());
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter)))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter)))
        }
    };
    set.map_err(TelemetryError::AlreadySet)?;
    FILTER.get_or_init(|| LogFilter {
        configured: filter.to_owned(),
        current: Mutex::new(filter.to_owned()),
        reload,
    });
    Ok(())
}

/// Whether a process could start with this filter.
///
/// # Errors
/// If it is too long or does not parse.
pub fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    parse(filter).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_refused() {
        assert!(matches!(init("info,=="), Err(TelemetryError::Filter { .. })));
        let long = format!("info,{}=debug", "a".repeat(FILTER_BYTES_MAX));
        assert!(matches!(init(&long), Err(TelemetryError::FilterTooLong { .. })));
    }

    /// The only test that sets the subscriber of this process.
    #[test]
    fn the_filter_changes_while_the_process_runs() {
        init_as("error", Format::Json).unwrap();
        let filter = log_filter().unwrap();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        filter.set("warn,runtime=debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert_eq!(
            (filter.current().as_str(), filter.configured()),
            ("warn,runtime=debug", "error")
        );
        filter.set("==").unwrap_err();
        assert_eq!(filter.current(), "warn,runtime=debug", "a bad one leaves it as it is");
        filter.reset().unwrap();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        assert_eq!(filter.current(), "error");
        assert!(matches!(init_as("info", Format::Text), Err(TelemetryError::AlreadySet(_))));
    }
}
