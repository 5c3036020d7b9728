//! The cluster engine in benches: Kafka and a CQL store that others run; and the benches of it alone.
//!
//! What is measured has topics and a keyspace of its own, which are dropped at its end. The plain programs use
//! the drivers alone, with the settings of the engine and nothing between.

mod ground;
mod hand_over;
mod plain;
pub(in crate::bench) mod plain_kafka;
mod plain_rows;
mod plain_settler;
mod post;

pub use ground::Servers;
pub use hand_over::{HandOverPlan, HandOverReport, hand_over};
pub use post::{RateReport, post_at_rate};
