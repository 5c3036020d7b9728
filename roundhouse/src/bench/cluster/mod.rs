//! The benches of the cluster engine: Kafka and a CQL store that others run.
//!
//! Each run has topics and a keyspace of its own, which are dropped at its end. The plain programs use the
//! drivers alone, with the settings of the engine and nothing between.

mod confirmed;
mod events;
mod ground;
mod hand_over;
pub(in crate::bench) mod plain_kafka;
mod plain_rows;
mod post;
mod rounds;
mod settle;
mod topic;
mod trial;

pub use confirmed::{correct_old, result_to_confirmed};
pub use events::events;
pub use ground::Servers;
pub use hand_over::{HandOverPlan, HandOverReport, hand_over};
pub use post::{RateReport, post_at_rate};
pub use settle::{SettlePlan, SettleReport, settle};
pub use topic::{TopicPlan, TopicReport, result_to_topic};
pub use trial::trial;
