//! Properties of librdkafka that may be given from outside, and those that may not.

use std::collections::BTreeMap;
use thiserror::Error;

/// A property that is the engine's own was given another value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the Kafka property {name}={value} is refused: {why}; {remedy}")]
pub struct PropertyRefused {
    /// Its name.
    pub name: String,
    /// The value it was given.
    pub value: String,
    /// Why it is not free.
    pub why: &'static str,
    /// What to do.
    pub remedy: String,
}

/// Names (with librdkafka's aliases) that the engine sets itself, the values that say the same as it
/// does, and why no other value may stand.
struct Owned {
    names: &'static [&'static str],
    same: &'static [&'static str],
    why: &'static str,
}

const ACKS: &str = "a record acknowledged before two replicas have it is lost with one broker";
const IDEMPOTENCE: &str =
    "without it a retry can double a record or swap two, and order decides bets";
const STORE: &str =
    "an offset must be stored after the effects of its record are durable, never by a timer";
const RESET: &str =
    "a group that lost its offsets would skip records, or read from the start unasked";
const GROUP: &str = "groups and their members are the engine's: with other ones two members could own a \
                     partition for long, or none";
const FATAL: &str =
    "the engine decides how long a record is tried; one that is given up stops its partition";
const ORDER: &str = "records of a partition must stand in the order in which they were sent";

const OWNED: &[Owned] = &[
    Owned { names: &["acks", "request.required.acks"], same: &["all", "-1"], why: ACKS },
    Owned { names: &["enable.idempotence"], same: &["true"], why: IDEMPOTENCE },
    Owned {
        names: &[
            "max.in.flight",
            "max.in.flight.requests.per.connection",
            "queuing.strategy",
            "partitioner",
        ],
        same: &[],
        why: ORDER,
    },
    Owned {
        names: &[
            "retries",
            "message.send.max.retries",
            "delivery.timeout.ms",
            "message.timeout.ms",
            "enable.gapless.guarantee",
            "transactional.id",
            "transaction.timeout.ms",
        ],
        same: &[],
        why: FATAL,
    },
    Owned { names: &["enable.auto.commit", "auto.commit.enable"], same: &["false"], why: STORE },
    Owned { names: &["enable.auto.offset.store"], same: &["false"], why: STORE },
    Owned { names: &["offset.store.method"], same: &["broker"], why: STORE },
    Owned { names: &["auto.offset.reset"], same: &["error"], why: RESET },
    Owned {
        names: &[
            "group.id",
            "group.instance.id",
            "group.protocol",
            "group.remote.assignor",
            "partition.assignment.strategy",
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "max.poll.interval.ms",
        ],
        same: &[],
        why: GROUP,
    },
    Owned {
        names: &["isolation.level"],
        same: &["read_uncommitted"],
        why: "a transaction that a stranger leaves open would hide every record behind it",
    },
    Owned {
        names: &["allow.auto.create.topics"],
        same: &["false"],
        why: "a topic deleted by mistake would come back empty, with the broker's own settings",
    },
    Owned {
        names: &["bootstrap.servers", "metadata.broker.list"],
        same: &[],
        why: "the brokers are named in one place, so that all clients speak to the same ones",
    },
    Owned {
        names: &["test.mock.num.brokers"],
        same: &[],
        why: "records would go to a mock in memory instead of the brokers",
    },
];

/// Refuses properties that would change what the engine promises.
///
/// All others go to librdkafka as they are, which refuses names that it does not know.
///
/// # Errors
/// The first property, by name, that is the engine's own and differs from what the engine sets.
pub fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), PropertyRefused> {
    for (name, value) in properties {
        let owned = OWNED.iter().find(|owned| owned.names.contains(&name.as_str()));
        let Some(owned) = owned.filter(|owned| !owned.same.contains(&value.as_str())) else {
            continue;
        };
        let remedy = match owned.same.first() {
            Some(same) => format!("leave it out, it is always {same}"),
            None => "leave it out".to_owned(),
        };
        let (name, value) = (name.clone(), value.clone());
        return Err(PropertyRefused { name, value, why: owned.why, remedy });
    }
    Ok(())
}
