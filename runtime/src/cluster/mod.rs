//! The cluster engine: the record log is Apache Kafka, the fact store ScyllaDB or Apache Cassandra.
//!
//! A batch becomes durable step by step in the order of [`Batch::steps`]: facts at quorum, records
//! acknowledged by every in-sync replica, then the offset handed over. A step that fails leaves the rest
//! undone; the machine above is built again from the stored offset and does it all once more, which
//! changes nothing.

mod kafka;
mod options;
pub mod store;
pub mod topics;

pub use kafka::{KafkaAssignments, KafkaReader};
pub use options::{ClusterOptions, GroupSpec, Profile, StoreOptions};
pub use store::{CqlStore, StoreOpenError};
