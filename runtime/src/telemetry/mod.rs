//! Logs and metrics.

mod exposition;
mod log;
mod metrics;
mod plain;
mod process;

pub use exposition::Exposition;
pub use log::{
    FILTER_BYTES_MAX, Format, LogFilter, TelemetryError, check_filter, init, init_as, log_filter,
};
pub use metrics::{Metrics, alarm, alarms};
pub use plain::{plain, plain_json};
