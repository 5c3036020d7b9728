use super::{
    BETS, DECISIONS, DELIVERIES, PARKED, PartitionedBy, RetryTier, SETTLEMENTS, TOPICS, TopicSpec,
    murmur2, partition_of,
};
use crate::outgoing::Partitions;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn topic(name: &str) -> &'static TopicSpec {
    TOPICS.iter().find(|topic| topic.name == name).unwrap()
}

/// R9: what is judged in one partition of `bets` goes out in the same partition of everything else.
#[test]
fn the_topics_of_a_lane_have_equal_partitions() {
    let bets = topic(BETS);
    assert_eq!((bets.partitions_embedded, bets.partitions_cluster), (4, 24));
    let tiers = RetryTier::ALL.map(RetryTier::topic);
    for name in [DECISIONS, SETTLEMENTS, PARKED, DELIVERIES].into_iter().chain(tiers) {
        let topic = topic(name);
        assert_eq!(topic.partitioned_by, PartitionedBy::Lane, "{name}");
        assert_eq!(topic.partitions_embedded, bets.partitions_embedded, "{name}");
        assert_eq!(topic.partitions_cluster, bets.partitions_cluster, "{name}");
    }
}

#[test]
fn producers_count_as_the_catalogue_does() {
    type Count = fn(&TopicSpec) -> u32;
    let engines: [(Partitions, Count); 2] = [
        (Partitions::EMBEDDED, |topic| topic.partitions_embedded),
        (Partitions::CLUSTER, |topic| topic.partitions_cluster),
    ];
    for (Partitions { rounds, lanes, cases }, count) in engines {
        let count = |name| count(topic(name));
        assert_eq!((rounds, lanes, cases), (count("rounds.v1"), count(BETS), count("cases.v1")));
    }
}

#[test]
fn names() {
    let unique: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    assert_eq!(unique.len(), TOPICS.len());
    for name in unique {
        // What Kafka allows, without the underscore that its metrics confuse with the dot.
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.';
        assert!(name.len() <= 249 && name.bytes().all(plain), "{name}");
        assert!(name.contains(".v1"), "{name} has a version");
    }
    assert!(TOPICS.iter().all(|topic| 0 < topic.partitions_embedded));
    assert!(TOPICS.iter().all(|topic| topic.partitions_embedded <= topic.partitions_cluster));
}

#[test]
fn tiers_are_named_by_their_wait() {
    for (index, tier) in RetryTier::ALL.into_iter().enumerate() {
        assert_eq!(tier.index(), index);
        assert_eq!(tier.topic(), format!("{SETTLEMENTS}.dispatcher.retry.{}", tier.label()));
        assert_eq!(RetryTier::of_topic(tier.topic()), Some(tier));
    }
    assert_eq!(RetryTier::of_topic(SETTLEMENTS), None);
}

/// R15, R18: what is owed is never compacted, and what is parked is kept for ever.
#[test]
fn money_topics() {
    let money: BTreeSet<&str> =
        TOPICS.iter().filter(|topic| topic.money).map(|topic| topic.name).collect();
    let all = TOPICS.iter().map(|topic| topic.name);
    assert_eq!(all.filter(|name| !money.contains(name)).collect::<Vec<_>>(), ["partners.v1"]);
    assert!(topic(PARKED).forever);
}

/// From Kafka's own `UtilsTest`, and run through `kafka-clients` 3.9.0.
#[test]
fn murmur2_is_kafkas() {
    for (text, wanted) in [
        ("", 275_646_681_i32),
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
        ("a", -1_563_381_124),
        ("über/0", -653_907_935),
    ] {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), wanted, "{text}");
    }
}

/// `toPositive(murmur2(key)) % partitions` of `kafka-clients` 3.9.0.
#[test]
fn partitions_are_kafkas() {
    for (key, of_4, of_24, of_12) in [
        ("", 1, 9, 9),
        ("21", 0, 12, 0),
        ("foobar", 2, 6, 6),
        ("a-little-bit-longer-string", 3, 11, 11),
        ("acme/0", 2, 18, 6),
        ("bet-o-rama/0", 1, 1, 1),
        ("über/0", 1, 9, 9),
        ("r_77", 1, 13, 1),
    ] {
        let found = [4, 24, 12].map(|partitions| partition_of(key, partitions));
        assert_eq!(found, [of_4, of_24, of_12], "{key}");
    }
}

proptest! {
    #[test]
    fn partitions_are_in_range(key: String, partitions: u32) {
        prop_assert!(partition_of(&key, partitions) < partitions.max(1));
    }
}
