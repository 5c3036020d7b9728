//! The settings of every Kafka client, and what its library says on the side.

use crate::cluster::ClusterOptions;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use std::time::Duration;

/// Longest wait for a broker's answer to a question asked by a person or at a start.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Records that may wait in the producer. New work is refused above [`NEW_WORK_RECORDS_MAX`], so that
/// what is owed still finds room.
const QUEUE_RECORDS_MAX: usize = 500_000;
/// Records waiting in the producer above which new work is refused.
pub(super) const NEW_WORK_RECORDS_MAX: usize = 400_000;
/// How long a record may wait for its acknowledgement before the producer gives it up, which ends the
/// process: longer than the election of a leader or the restart of a broker takes.
const DELIVERY_WAIT_MAX: Duration = Duration::from_secs(120);

/// What all clients have in common.
fn common(options: &ClusterOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", &options.instance)
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        // A topic deleted and made again under the same name must not be produced to silently.
        .set("allow.auto.create.topics", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Adds what was given from outside: behind our tuning, which it may change. What it may not change was
/// refused before.
fn given(mut config: ClientConfig, options: &ClusterOptions) -> ClientConfig {
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
}

/// The settings of the producer of everything.
pub fn producer(options: &ClusterOptions) -> ClientConfig {
    let mut config = common(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string())
        .set("message.timeout.ms", DELIVERY_WAIT_MAX.as_millis().to_string())
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500")
        // Ours are explicit; for a record that has none, the partition that a Java client would choose.
        .set("partitioner", "murmur2_random");
    given(config, options)
}

/// The settings of a consumer that is told what to read and never joins or commits.
pub fn fetcher(options: &ClusterOptions) -> ClientConfig {
    let mut config = common(options);
    config
        .set("group.id", format!("{}.fetch", options.instance))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        // No transactions are used, so one left open by a stranger must not hide what stands behind it.
        .set("isolation.level", "read_uncommitted")
        .set("fetch.wait.max.ms", "25")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.max.messages.kbytes", "65536");
    given(config, options)
}

/// A consumer that keeps the offsets of `group` without being a member.
pub(super) fn offsets(options: &ClusterOptions, group: &str) -> ClientConfig {
    let mut config = fetcher(options);
    config.set("group.id", group);
    config
}

/// A member of a group. It reads nothing: what it is assigned is read by fetchers.
pub(super) fn member(
    options: &ClusterOptions,
    group: &str,
    session: Duration,
    instance: &str,
) -> ClientConfig {
    let mut config = offsets(options, group);
    config
        .set("group.instance.id", instance)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.as_millis().to_string())
        // A change of the group is heard of with a heartbeat; until all have, some partitions rest.
        .set("heartbeat.interval.ms", "100")
        // It fetches nothing while it is paused; this is for the moment before the pause.
        .set("auto.offset.reset", "latest")
        .set("fetch.message.max.bytes", "1024")
        .set("queued.max.messages.kbytes", "64");
    config
}

/// Sends what the library says to the log of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said;

impl ClientContext for Said {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

impl rdkafka::consumer::ConsumerContext for Said {}

/// One line of the library's log. Most are about a connection it makes again by itself.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, text, "kafka");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::debug!(facility, text, "kafka");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::trace!(facility, text, "kafka");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kafka::options_for_tests;

    /// What losing any of these would cost stands in `topics::check_properties`.
    #[test]
    fn what_keeps_records_and_offsets_is_set() {
        let options = options_for_tests("127.0.0.1:1");
        let producer = producer(&options);
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("enable.idempotence"), Some("true"));
        let fetcher = fetcher(&options);
        let member = member(&options, "g", Duration::from_secs(6), "one");
        for consumer in [&fetcher, &offsets(&options, "g"), &member] {
            assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
            assert_eq!(consumer.get("enable.auto.offset.store"), Some("false"));
            assert_eq!(consumer.get("isolation.level"), Some("read_uncommitted"));
        }
        assert_eq!(fetcher.get("auto.offset.reset"), Some("error"));
        assert_eq!(member.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        assert_eq!(member.get("session.timeout.ms"), Some("6000"));
        assert_eq!(member.get("group.instance.id"), Some("one"));
    }

    #[test]
    fn tuning_from_outside_stands() {
        let mut options = options_for_tests("127.0.0.1:1");
        options.properties.insert("linger.ms".to_owned(), "7".to_owned());
        options.properties.insert("fetch.wait.max.ms".to_owned(), "9".to_owned());
        assert_eq!(producer(&options).get("linger.ms"), Some("7"));
        assert_eq!(fetcher(&options).get("fetch.wait.max.ms"), Some("9"));
    }
}
