mod kafka;

use super::check::{OFFSETS_REPLICATION, OFFSETS_RETENTION};
use super::*;
use crate::cluster::Profile;
use crate::{Catalogue, Topic, TopicSpec};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;
const MONEY: &str = "money.v1";
const PARKED: &str = "parked.v1";
const LATEST: &str = "latest.v1";

fn catalogue() -> Catalogue {
    Catalogue::new(
        [
            spec(MONEY, 24, false, false),
            spec(PARKED, 24, true, false),
            spec(LATEST, 12, true, true),
        ],
        [],
    )
}

fn spec(topic: &'static str, partitions: u32, kept_forever: bool, compacted: bool) -> TopicSpec {
    TopicSpec { topic: Topic(topic), partitions, kept_forever, compacted }
}

/// Kafka exactly as planned, then changed.
struct World {
    wanted: Wanted,
    found: Found,
}

fn planned(profile: Profile) -> World {
    let wanted = Wanted::new(profile, &catalogue());
    let own = |value: &String| Setting { value: Some(value.clone()), own: true };
    let topics = wanted.topics.iter().map(|topic| {
        let settings = topic.settings.iter();
        let found = FoundTopic {
            partitions: topic.spec.partitions,
            replication: topic.replication,
            settings: settings.map(|(name, value)| ((*name).to_owned(), own(value))).collect(),
        };
        (topic.spec.topic.0.to_owned(), found)
    });
    let found = Found { topics: topics.collect(), offsets_replication: None, brokers: vec![] };
    let mut world = World { wanted, found };
    for id in 1..=3 {
        let broker = [(OFFSETS_RETENTION, "50400"), (OFFSETS_REPLICATION, "3")];
        let settings = broker.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        world.found.brokers.push(FoundBroker { id, settings });
    }
    world
}

fn cluster() -> World {
    planned(Profile::Cluster)
}

impl World {
    fn topic(mut self, topic: &str, change: impl FnOnce(&mut FoundTopic)) -> Self {
        change(self.found.topics.get_mut(topic).unwrap());
        self
    }

    fn set(self, topic: &str, setting: &str, value: &str) -> Self {
        let value = Setting { value: Some(value.to_owned()), own: true };
        self.topic(topic, |found| drop(found.settings.insert(setting.to_owned(), value)))
    }

    fn broker(mut self, id: usize, setting: &str, value: &str) -> Self {
        self.found.brokers[id - 1].settings.insert(setting.to_owned(), value.to_owned());
        self
    }

    fn findings(&self) -> Vec<Finding> {
        check(&self.wanted, &self.found)
    }

    fn plan(&self) -> Plan {
        plan(&self.wanted, &self.found)
    }

    /// The one finding, which refuses and is about this.
    #[track_caller]
    fn refused(&self, of: &str, setting: &str) -> Finding {
        let findings = self.findings();
        let [finding] = &findings[..] else { panic!("one finding, not {findings:#?}") };
        assert_eq!(
            (finding.severity, &*finding.of, finding.setting),
            (Severity::Refuse, of, setting),
            "{finding}"
        );
        assert!(!finding.why.is_empty() && !finding.remedy.is_empty(), "{finding}");
        finding.clone()
    }

    #[track_caller]
    fn noted(&self, of: &str, setting: &str) {
        let findings = self.findings();
        let [finding] = &findings[..] else { panic!("one finding, not {findings:#?}") };
        assert_eq!(
            (finding.severity, &*finding.of, finding.setting),
            (Severity::Note, of, setting),
            "{finding}"
        );
        assert!(self.plan().alter.is_empty(), "what is safe is left alone");
    }

    #[track_caller]
    fn fine(&self) {
        assert_eq!(self.findings(), []);
        assert_eq!(self.plan(), Plan::default());
    }
}

#[test]
fn as_planned_nothing_differs() {
    cluster().fine();
    planned(Profile::Single).fine();
}

#[test]
fn retention_below_35_days() {
    let days = |days: i64| (days * DAY_MS).to_string();
    let refused = cluster().set(MONEY, "retention.ms", &days(7)).refused(MONEY, "retention.ms");
    assert_eq!(refused.found, "604800000");
    cluster()
        .set(MONEY, "retention.ms", &(35 * DAY_MS - 1).to_string())
        .refused(MONEY, "retention.ms");
    cluster().set(MONEY, "retention.ms", &days(35)).noted(MONEY, "retention.ms");
    cluster().set(MONEY, "retention.ms", &days(90)).noted(MONEY, "retention.ms");
    cluster().set(MONEY, "retention.ms", "-1").noted(MONEY, "retention.ms");
    cluster().set(MONEY, "retention.ms", "long").refused(MONEY, "retention.ms");
}

#[test]
fn what_is_kept_for_ever_never_expires() {
    let decade = (3650 * DAY_MS).to_string();
    cluster().set(PARKED, "retention.ms", &decade).refused(PARKED, "retention.ms");
    // A compacted log expires nothing, whatever its retention; deleting as well, it does.
    cluster().set(LATEST, "retention.ms", &decade).noted(LATEST, "retention.ms");
    let both = cluster().set(LATEST, "cleanup.policy", "compact,delete");
    both.noted(LATEST, "cleanup.policy");
    let findings = both.set(LATEST, "retention.ms", &decade).findings();
    let refused = findings.iter().find(|finding| finding.severity == Severity::Refuse);
    assert_eq!(refused.map(|finding| finding.setting), Some("retention.ms"));
}

#[test]
fn a_size_that_deletes_early() {
    cluster().set(MONEY, "retention.bytes", "1073741824").refused(MONEY, "retention.bytes");
}

#[test]
fn compaction_of_what_is_owed() {
    for policy in ["compact", "compact,delete", "delete, compact", ""] {
        let finding =
            cluster().set(MONEY, "cleanup.policy", policy).refused(MONEY, "cleanup.policy");
        assert_eq!(finding.needed, "delete", "{policy}");
    }
    cluster().set(LATEST, "cleanup.policy", "delete").noted(LATEST, "cleanup.policy");
}

#[test]
fn one_replica() {
    for fewer in [1, 2] {
        let world = cluster().topic(MONEY, |found| found.replication = fewer);
        let finding = world.refused(MONEY, "replication");
        assert_eq!(finding.mended, Mended::Person);
        assert_eq!(world.plan().alter, []);
    }
    cluster().topic(MONEY, |found| found.replication = 4).fine();
    planned(Profile::Single).topic(MONEY, |found| found.replication = 1).fine();
}

#[test]
fn one_in_sync_replica() {
    cluster().set(MONEY, "min.insync.replicas", "1").refused(MONEY, "min.insync.replicas");
    cluster().set(MONEY, "min.insync.replicas", "3").noted(MONEY, "min.insync.replicas");
    planned(Profile::Single)
        .set(MONEY, "min.insync.replicas", "0")
        .refused(MONEY, "min.insync.replicas");
}

/// The profile of one broker asks for fewer copies; it forgives nothing else.
#[test]
fn the_single_profile_softens_nothing_else() {
    let single = || planned(Profile::Single);
    for (setting, value) in [
        ("unclean.leader.election.enable", "true"),
        ("cleanup.policy", "compact"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1"),
        ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", "1000"),
    ] {
        single().set(MONEY, setting, value).refused(MONEY, setting);
        cluster().set(MONEY, setting, value).refused(MONEY, setting);
    }
    single().topic(MONEY, |found| found.partitions = 23).refused(MONEY, "partitions");
    single().broker(1, OFFSETS_RETENTION, "10080").refused("broker 1", OFFSETS_RETENTION);
}

#[test]
fn another_partition_count() {
    for count in [0, 23, 25, 48] {
        let world = cluster().topic(MONEY, |found| found.partitions = count);
        let finding = world.refused(MONEY, "partitions");
        assert_eq!(finding.mended, Mended::Person);
        let plan = world.plan();
        assert_eq!((plan.create, plan.alter), (vec![], vec![]));
    }
}

#[test]
fn a_topic_that_is_missing() {
    let mut world = cluster();
    world.found.topics.remove(MONEY);
    world.refused(MONEY, "topic");
    let plan = world.plan();
    let [create] = &plan.create[..] else { panic!("{plan:?}") };
    assert_eq!((create.topic, create.partitions, create.replication), (MONEY, 24, 3));
    assert_eq!(create.settings["retention.ms"], (36 * DAY_MS).to_string());
    assert_eq!(create.settings["cleanup.policy"], "delete");
    assert_eq!(create.settings["min.insync.replicas"], "2");
    assert!(plan.refuses());
}

#[test]
fn offsets_forgotten_before_the_records() {
    let finding =
        cluster().broker(2, OFFSETS_RETENTION, "50399").refused("broker 2", OFFSETS_RETENTION);
    assert_eq!(finding.mended, Mended::Person);
    assert!(finding.remedy.contains("KAFKA_OFFSETS_RETENTION_MINUTES=51840"), "{finding}");
}

#[test]
fn offsets_on_one_broker() {
    cluster().broker(3, OFFSETS_REPLICATION, "1").refused("broker 3", OFFSETS_REPLICATION);
    let mut made = cluster().broker(3, OFFSETS_REPLICATION, "1");
    made.found.offsets_replication = Some(3);
    made.fine();
    made.found.offsets_replication = Some(1);
    made.refused("__consumer_offsets", "replication");
}

#[test]
fn what_kafka_does_not_tell_is_refused() {
    for setting in ["cleanup.policy", "retention.ms", "unclean.leader.election.enable"] {
        let world = cluster().topic(MONEY, |found| drop(found.settings.remove(setting)));
        assert_eq!(world.refused(MONEY, setting).found, "not told");
    }
    let mut world = cluster();
    world.found.brokers[0].settings.remove(OFFSETS_RETENTION);
    world.refused("broker 1", OFFSETS_RETENTION);
}

/// Altering resets what it is not told, so it tells everything that stands on the topic.
#[test]
fn altering_keeps_what_others_set() {
    let mut world = cluster()
        .set(MONEY, "segment.ms", "3600000")
        .set(MONEY, "retention.ms", "1000")
        .topic(MONEY, |found| {
            let theirs = Setting { value: Some("604800000".to_owned()), own: false };
            found.settings.insert("segment.jitter.ms".to_owned(), theirs);
        });
    let plan = world.plan();
    let [alter] = &plan.alter[..] else { panic!("{plan:?}") };
    let change =
        Change { setting: "retention.ms", from: "1000".to_owned(), to: (36 * DAY_MS).to_string() };
    assert_eq!((alter.topic, &alter.changes[..]), (MONEY, &[change][..]));
    let mut settings: BTreeMap<String, String> = world.wanted.topics[1]
        .settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    assert_eq!(world.wanted.topics[1].spec.topic.0, MONEY);
    settings.insert("segment.ms".to_owned(), "3600000".to_owned());
    assert_eq!(alter.settings, settings);
    assert_eq!(alter.hidden, Vec::<String>::new());

    world = world.topic(MONEY, |found| {
        found.settings.insert("secret".to_owned(), Setting { value: None, own: true });
    });
    assert_eq!(world.plan().alter[0].hidden, ["secret"]);
}

/// Retention that somebody made longer is never shortened, not even beside something that is altered.
#[test]
fn altering_shortens_no_retention() {
    let world = cluster().set(MONEY, "retention.ms", &(90 * DAY_MS).to_string()).set(
        MONEY,
        "unclean.leader.election.enable",
        "true",
    );
    let plan = world.plan();
    assert_eq!(plan.alter[0].settings["retention.ms"], (90 * DAY_MS).to_string());
    assert_eq!(plan.alter[0].settings["unclean.leader.election.enable"], "false");
    assert_eq!(plan.notes().count(), 1);
}

#[test]
fn a_finding_says_what_why_and_what_to_do() {
    let finding = cluster().set(MONEY, "retention.ms", "1").findings().remove(0);
    assert_eq!(
        finding.to_string(),
        "money.v1: retention.ms is 1, must be at least 3024000000 (35 days): records would be deleted \
         that are still owed, retried or corrected (`roundhouse topics apply` sets 3110400000)"
    );
}

fn given(name: &str, value: &str) -> Result<(), PropertyRefused> {
    check_properties(&BTreeMap::from([
        ("security.protocol".to_owned(), "sasl_plaintext".to_owned()),
        (name.to_owned(), value.to_owned()),
    ]))
}

#[test]
fn properties_that_are_ours() {
    check_table(
        "
        acks                        1
        acks                        0
        acks                        ALL
        request.required.acks       1
        enable.idempotence          false
        enable.auto.commit          true
        auto.commit.enable          true
        enable.auto.offset.store    true
        offset.store.method         file
        auto.offset.reset           latest
        auto.offset.reset           earliest
        isolation.level             read_committed
        allow.auto.create.topics    true
        group.id                    other
        group.instance.id           other
        group.protocol              consumer
        partition.assignment.strategy range
        session.timeout.ms          600000
        max.in.flight               100
        partitioner                 random
        queuing.strategy            lifo
        message.timeout.ms          1
        delivery.timeout.ms         1
        retries                     0
        transactional.id            other
        bootstrap.servers           elsewhere:9092
        metadata.broker.list        elsewhere:9092
        test.mock.num.brokers       3
        ",
    );
    for (name, value) in [
        ("acks", "all"),
        ("request.required.acks", "-1"),
        ("enable.idempotence", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("ssl.ca.location", "/etc/ca.pem"),
        ("sasl.password", "x"),
        ("linger.ms", "2"),
    ] {
        assert_eq!(given(name, value), Ok(()), "{name}={value}");
    }
}

#[track_caller]
fn check_table(table: &str) {
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let (name, value) = row.trim().split_once(' ').unwrap();
        let value = value.trim();
        let refused = given(name, value).expect_err(row);
        assert_eq!((&*refused.name, &*refused.value), (name, value));
        assert!(refused.to_string().contains(&format!("{name}={value} is refused: ")), "{refused}");
    }
}
