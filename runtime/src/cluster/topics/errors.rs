//! What can stand in the way.

use super::check::Finding;
use super::properties::PropertyRefused;
use super::wanted::name;
use crate::cluster::Profile;
use crate::{Source, Topic};
use rdkafka::error::KafkaError;
use thiserror::Error;

/// Why Kafka could not be asked or changed.
#[derive(Debug, Error)]
pub enum TopicsError {
    /// A property is the engine's own.
    #[error(transparent)]
    Property(#[from] PropertyRefused),
    /// librdkafka does not take the properties.
    #[error("the Kafka client cannot be made: correct the properties given for it")]
    Client(#[source] Box<KafkaError>),
    /// Nobody is there, or nobody lets us in.
    #[error(
        "no broker answered at {brokers}{last}: start Kafka, or correct the addresses, or the \
         security properties if its listener wants TLS or SASL"
    )]
    NoBroker {
        /// Where it was looked for.
        brokers: String,
        /// The last thing the client said, behind a blank.
        last: String,
        /// What the request ended with.
        source: Box<KafkaError>,
    },
    /// Settings could not be read.
    #[error(
        "the settings of {of} cannot be read: allow this client Kafka's DescribeConfigs on it, or \
         try again if it was starting or being deleted"
    )]
    Describe {
        /// Whose.
        of: String,
        /// Why.
        source: Box<KafkaError>,
    },
    /// A topic could not be made.
    #[error(
        "topic {topic} cannot be made with {partitions} partitions and {replication} replicas ({up} \
         brokers are up): start as many brokers as replicas, and allow this client Kafka's Create"
    )]
    Create {
        /// Which.
        topic: String,
        /// Its partitions.
        partitions: u32,
        /// Its replicas.
        replication: u32,
        /// Brokers that answer.
        up: usize,
        /// Why.
        source: Box<KafkaError>,
    },
    /// A topic could not be altered.
    #[error("topic {topic} cannot be altered: allow this client Kafka's AlterConfigs on it")]
    Alter {
        /// Which.
        topic: String,
        /// Why.
        source: Box<KafkaError>,
    },
    /// A topic has settings that altering it would reset unseen.
    #[error(
        "topic {topic} is not altered: Kafka does not tell {settings}, which would be reset; alter it \
         with kafka-configs.sh"
    )]
    Hidden {
        /// Which.
        topic: String,
        /// The settings, separated by commas.
        settings: String,
    },
    /// What was changed is not seen.
    #[error("Kafka took the changes but does not show them yet; run `roundhouse topics check`")]
    Unsettled,
    /// Partitions have no leader that answers.
    #[error(
        "{count} partitions have no leader that answers, {first} first: look at the brokers with \
         kafka-topics.sh --describe --unavailable-partitions"
    )]
    Leaderless {
        /// How many.
        count: usize,
        /// The first of them.
        first: Source,
    },
    /// A topic of the catalogue has a number of partitions that Kafka cannot have.
    #[error("topic {topic} cannot have {partitions} partitions")]
    Count {
        /// Which.
        topic: Topic,
        /// How many.
        partitions: u32,
    },
    /// The thread that asked is gone.
    #[error("asking Kafka was broken off")]
    Broken(#[source] tokio::task::JoinError),
}

/// Why nothing is started.
#[derive(Debug, Error)]
pub enum TopicsRefused {
    /// Kafka could not be asked.
    #[error(transparent)]
    Kafka(#[from] TopicsError),
    /// Settings that could lose money.
    #[error(
        "nothing is started, because Kafka is set so that money could be lost ({} profile):\n{}\n\
         `roundhouse topics plan --brokers {brokers} --profile {}` says what to do",
        name(*.profile),
        lines(.findings),
        name(*.profile)
    )]
    Findings {
        /// Where Kafka is.
        brokers: String,
        /// What was demanded.
        profile: Profile,
        /// Those that refuse, at least one.
        findings: Vec<Finding>,
    },
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    lines.join("\n")
}
