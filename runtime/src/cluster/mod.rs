//! The cluster engine: the record log is Apache Kafka, the fact store ScyllaDB or Apache Cassandra.

mod options;
pub mod topics;

pub use options::{ClusterOptions, GroupSpec, Profile, StoreOptions};
