//! Against the broker that all tests share.

use super::super::*;
use crate::cluster::Profile;
use crate::{Catalogue, Topic, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

const UNREACHABLE: &str = "127.0.0.1:1";

struct Own {
    kafka: Kafka,
    admin: AdminClient<DefaultClientContext>,
    money: &'static str,
    latest: &'static str,
    catalogue: Catalogue,
}

/// Topics that nobody else has.
#[expect(clippy::disallowed_methods, reason = "names of its own for each run")]
fn own(test: &str) -> Own {
    let brokers = stack::servers().kafka.clone();
    let run = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = |what: &str| -> &'static str { format!("{test}.{run}.{what}").leak() };
    let (money, latest) = (name("money"), name("latest"));
    let catalogue = Catalogue::new(
        [
            TopicSpec { topic: Topic(money), partitions: 3, kept_forever: false, compacted: false },
            TopicSpec { topic: Topic(latest), partitions: 2, kept_forever: true, compacted: true },
        ],
        [],
    );
    let admin = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    let kafka = Kafka { brokers, properties: BTreeMap::new() };
    Own { kafka, admin, money, latest, catalogue }
}

impl Own {
    async fn applied(&self) -> Applied {
        apply(&self.kafka, Profile::Single, &self.catalogue).await.unwrap()
    }

    async fn start(&self) -> Result<(), TopicsRefused> {
        check_at_start(&self.kafka, Profile::Single, &self.catalogue).await
    }

    /// Sets this alone on the topic with the money, as a careless hand would.
    async fn set(&self, settings: &[(&str, &str)]) {
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(self.money));
        for (name, value) in settings {
            config = config.set(name, value);
        }
        let altered = self.admin.alter_configs([&config], &AdminOptions::new()).await.unwrap();
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    async fn found(&self) -> FoundTopic {
        let mut found = read(&self.kafka, &self.catalogue).await.unwrap();
        found.topics.remove(self.money).unwrap()
    }

    /// The broker shows a change a little later; then the start is refused for this.
    async fn refused(&self, settings: &[&str]) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match self.start().await {
                Err(TopicsRefused::Findings { findings, .. }) => {
                    let found: Vec<&str> = findings.iter().map(|finding| finding.setting).collect();
                    if found == settings {
                        assert!(findings.iter().all(|finding| finding.of == self.money));
                        return;
                    }
                    assert!(Instant::now() < until, "{settings:?}, not {findings:#?}");
                }
                other => assert!(Instant::now() < until, "{settings:?}, not {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn applied_topics_are_as_planned_and_a_second_apply_does_nothing() {
    let own = own("applied");
    let refused = own.start().await.unwrap_err().to_string();
    for topic in [own.money, own.latest] {
        assert!(refused.contains(&format!("\n  {topic}: topic is missing")), "{refused}");
    }
    assert!(refused.contains("`roundhouse topics plan --brokers"), "{refused}");

    let applied = own.applied().await;
    assert_eq!(applied.plan.create.len(), 2);
    assert_eq!(applied.findings, []);
    own.start().await.unwrap();
    leaders_answer(&own.kafka, &own.catalogue, Duration::from_secs(5)).await.unwrap();

    let again = own.applied().await;
    assert_eq!(again.plan, Plan::default());
}

#[tokio::test]
async fn each_broken_setting_is_refused_and_mended() {
    let own = own("broken");
    own.applied().await;
    for (setting, value) in [
        ("retention.ms", "604800000"),
        ("retention.bytes", "1073741824"),
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("unclean.leader.election.enable", "true"),
        ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", "1000"),
    ] {
        let planned = Wanted::new(Profile::Single, &own.catalogue);
        let topic = planned.topics.iter().find(|topic| topic.spec.topic.0 == own.money).unwrap();
        let mut settings = topic.settings.clone();
        settings.insert(setting, value.to_owned());
        settings.insert("segment.ms", "3600000".to_owned());
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        own.set(&settings).await;
        own.refused(&[setting]).await;

        let applied = own.applied().await;
        assert_eq!(applied.plan.alter[0].changes[0].setting, setting);
        assert_eq!(applied.findings, []);
        own.start().await.unwrap();
        let theirs = &own.found().await.settings["segment.ms"];
        assert_eq!(theirs, &Setting { value: Some("3600000".to_owned()), own: true });
    }
    // All of ours gone: the broker's own 7 days and the producer's clock hold again.
    own.set(&[]).await;
    own.refused(&["message.timestamp.type", "retention.ms"]).await;
}

#[tokio::test]
async fn added_partitions_are_refused_and_left_alone() {
    let own = own("partitions");
    own.applied().await;
    let more = NewPartitions::new(own.money, 4);
    let made = own.admin.create_partitions([&more], &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    own.refused(&["partitions"]).await;
    let applied = own.applied().await;
    assert_eq!((applied.plan.create, applied.plan.alter), (vec![], vec![]));
    assert_eq!(own.found().await.partitions, 4);
    own.refused(&["partitions"]).await;
}

#[tokio::test]
async fn one_broker_is_no_cluster() {
    let own = own("one");
    let refused = apply(&own.kafka, Profile::Cluster, &own.catalogue).await.unwrap_err();
    assert!(matches!(refused, TopicsError::Create { replication: 3, up: 1, .. }), "{refused:?}");
    own.applied().await;
    let refused = check_at_start(&own.kafka, Profile::Cluster, &own.catalogue).await;
    let Err(TopicsRefused::Findings { findings, .. }) = refused else { panic!("{refused:?}") };
    let of_money = |finding: &&Finding| finding.of == own.money;
    let settings: Vec<&str> =
        findings.iter().filter(of_money).map(|finding| finding.setting).collect();
    assert_eq!(settings, ["replication", "min.insync.replicas"]);
}

#[tokio::test]
async fn leaders_of_topics_that_are_missing_do_not_answer() {
    let own = own("leaders");
    let silent = leaders_answer(&own.kafka, &own.catalogue, Duration::ZERO).await.unwrap_err();
    assert!(matches!(silent, TopicsError::Leaderless { count: 5, .. }), "{silent:?}");
    // Asking made none of them.
    let found = read(&own.kafka, &own.catalogue).await.unwrap();
    assert!(found.topics.is_empty(), "{:?}", found.topics);
}

#[tokio::test]
async fn nobody_there() {
    let kafka = Kafka { brokers: UNREACHABLE.to_owned(), properties: BTreeMap::new() };
    let error = read(&kafka, &super::catalogue()).await.unwrap_err().to_string();
    assert!(error.starts_with("no broker answered at 127.0.0.1:1 ("), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn refused_properties_stop_it_before_anything_is_asked() {
    let properties = BTreeMap::from([("acks".to_owned(), "1".to_owned())]);
    let kafka = Kafka { brokers: UNREACHABLE.to_owned(), properties };
    let refused = check_at_start(&kafka, Profile::Single, &super::catalogue()).await.unwrap_err();
    assert!(
        matches!(&refused, TopicsRefused::Kafka(TopicsError::Property(property)) if property.name == "acks"),
        "{refused:?}"
    );
}
