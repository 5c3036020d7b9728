//! The cluster engine on real servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runtime::cluster::{
    Cluster, ClusterOpenError, ClusterOptions, GroupSpec, Profile, StoreOptions, store, topics,
};
use runtime::{
    Append, Assignments, Batch, Catalogue, Change, Clock, Engine, EngineError, Lease, Reader,
    RecordLog, Source, StoreOffset, SystemClock, conformance,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for anything; only an engine that fails waits as long.
const WAIT_MAX: Duration = Duration::from_secs(30);
const HOLES: &str = "conformance-holes";
const KEEPING: &str = "conformance-keeping";

/// Options for topics and tables of a test's own, which are made.
async fn ground(name: &str) -> ClusterOptions {
    let servers = tokio::task::spawn_blocking(stack::servers).await.unwrap();
    let own = format!("{name}_{}", SystemClock.now());
    let group = |group| GroupSpec {
        group,
        topic: conformance::TOPICS[1].0,
        session: Duration::from_secs(6),
    };
    let groups = [
        "conformance-apply",
        "conformance-rebalance",
        "conformance-sharing",
        "conformance-fencing",
        HOLES,
        KEEPING,
    ];
    let options = ClusterOptions {
        profile: Profile::Single,
        brokers: servers.kafka.clone(),
        properties: BTreeMap::new(),
        namespace: format!("{own}."),
        instance: own.clone(),
        groups: groups.map(group).to_vec(),
        store: StoreOptions {
            nodes: vec![servers.store.clone()],
            keyspace: own,
            given_addresses_only: true,
        },
    };
    topics::apply(&kafka(&options), Profile::Single, &named(&options)).await.unwrap();
    store::migrate(&options.store, Profile::Single).await.unwrap();
    options
}

fn kafka(options: &ClusterOptions) -> topics::Kafka {
    topics::Kafka { brokers: options.brokers.clone(), properties: BTreeMap::new() }
}

fn catalogue() -> Catalogue {
    Catalogue::new(conformance::TOPICS, conformance::KINDS)
}

fn named(options: &ClusterOptions) -> Catalogue {
    catalogue().in_namespace(&options.namespace)
}

async fn open(options: &ClusterOptions) -> Cluster {
    Cluster::open(options.clone(), catalogue(), SystemClock).await.unwrap()
}

fn record(value: Vec<u8>) -> Append {
    let (topic, partition) = (conformance::TOPICS[0].0, 0);
    Append { topic, partition, key: "key".into(), headers: Vec::new(), value: value.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_engine_conforms() {
    let options = ground("conforms").await;
    let engine = open(&options).await;
    conformance::check(&engine, "cluster").await.unwrap();
    let apart_ms = engine.time().await.unwrap() - SystemClock.now();
    assert!(apart_ms.abs() < 60_000, "the node's clock is {apart_ms} ms ahead");
    engine.close().await;
    let at = Source { topic: conformance::TOPICS[0].0, partition: 0 };
    assert_eq!(engine.append(vec![record(vec![1])]).await, Err(EngineError::Closed));
    assert_eq!(engine.range(at).await, Err(EngineError::Closed));
    let reading = tokio::time::timeout(WAIT_MAX, engine.reader(at, 0).next(1)).await.unwrap();
    assert_eq!(reading, Err(EngineError::Closed));
}

/// A partition that is lost stops at once: no step of a batch behind the loss is made.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_under_a_lease_that_is_gone() {
    let options = ground("lost").await;
    let engine = open(&options).await;
    let (at, owned) = (conformance::TOPICS[0].0, conformance::TOPICS[1].0);
    let at = Source { topic: at, partition: 0 };
    let mut member = engine.join("conformance-apply", owned);
    let assigned = tokio::time::timeout(WAIT_MAX, member.next()).await.unwrap().unwrap();
    let Change::Assigned(lease) = assigned else { panic!("{assigned:?}") };
    engine.apply(Some(&lease), Batch::of_records(vec![record(vec![1])])).await.unwrap();
    drop(member);
    let until = tokio::time::Instant::now() + WAIT_MAX;
    let mut end = engine.range(at).await.unwrap().1;
    while engine.apply(Some(&lease), Batch::of_records(vec![record(vec![2])])).await.is_ok() {
        assert!(tokio::time::Instant::now() < until, "the lease was never given up");
        end = engine.range(at).await.unwrap().1;
    }
    let refused = engine.apply(Some(&lease), Batch::of_records(vec![record(vec![3])])).await;
    assert_eq!(refused, Err(EngineError::Fenced(lease.source)));
    assert_eq!(engine.range(at).await.unwrap().1, end);
    engine.close().await;
}

/// The library asks to join at most once a second, and partitions change hands with a second join of all.
/// They must not rest until then: the shortest rest of a few, since a machine may be busy elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_change_hands_rest_for_less_than_a_second() {
    const GROUP: &str = "conformance-rebalance";
    const REST_MAX: Duration = Duration::from_millis(900);
    let options = ground("moved").await;
    let owned = conformance::TOPICS[1].0;
    let staying = open(&options).await;
    let mut first = staying.join(GROUP, owned);
    changes(&mut first, 4, true).await;
    let mut shortest = Duration::MAX;
    for number in 0..3 {
        let instance = format!("{}-{number}", options.instance);
        let coming = open(&ClusterOptions { instance, ..options.clone() }).await;
        let mut second = coming.join(GROUP, owned);
        let revoked = changes(&mut first, 2, false).await;
        let assigned = changes(&mut second, 2, true).await;
        shortest = shortest.min(assigned.duration_since(revoked));
        drop(second);
        coming.close().await;
        changes(&mut first, 2, true).await;
    }
    assert!(shortest < REST_MAX, "partitions rested for {shortest:?}");
    staying.close().await;
}

/// An owner that dies before it gives up what it must, and is back within its session, is given the rest at
/// once; what it was to give up must not stay nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_was_to_give_up_when_it_died_is_shared_out() {
    let options = ground("holes").await;
    let owned = conformance::TOPICS[1].0;
    let dying = open(&options).await;
    let instance = format!("{}-other", options.instance);
    let other = open(&ClusterOptions { instance, ..options.clone() }).await;
    let back = open(&options).await;
    let mut first = dying.join(HOLES, owned);
    changes(&mut first, 4, true).await;
    let mut second = other.join(HOLES, owned);
    let shared = tokio::time::timeout(WAIT_MAX, second.next()).await.unwrap();
    assert_eq!(shared, Ok(Change::Shared), "nothing is free yet");
    // Of the same name: to Kafka the first one is gone, and its partitions are given back to it.
    let mut again = back.join(HOLES, owned);
    changes(&mut again, 2, true).await;
    changes(&mut second, 2, true).await;
    for engine in [dying, other, back] {
        engine.close().await;
    }
}

/// While some partitions are on their way to another member, the others are read and worked on and their offsets taken:
/// nothing waits for the group. In one of a few tries, since a machine may be busy elsewhere for as long as they rest.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_stay_go_on_while_others_change_hands() {
    let options = ground("kept").await;
    let owned = conformance::TOPICS[1].0;
    let staying = open(&options).await;
    let mut first = staying.join(KEEPING, owned);
    let mut work = Work { engine: staying.clone(), leases: BTreeMap::new() };
    work.follow(&mut first, 4).await;
    let mut least = 0;
    for number in 0..3 {
        let instance = format!("{}-{number}", options.instance);
        let coming = open(&ClusterOptions { instance, ..options.clone() }).await;
        let mut second = coming.join(KEEPING, owned);
        let assigned = tokio::spawn(async move {
            changes(&mut second, 2, true).await;
            second
        });
        while 2 < work.leases.len() && !assigned.is_finished() {
            work.once().await;
            work.follow(&mut first, 0).await;
        }
        let mut done = 0;
        while !assigned.is_finished() {
            assert_eq!(work.once().await, 2, "a partition that stays was taken away");
            done += 1;
        }
        least = least.max(done);
        drop(assigned.await.unwrap());
        coming.close().await;
        work.follow(&mut first, 2).await;
    }
    assert!(1 < least, "what stayed was worked on {least} times while the others were nobody's");
    staying.close().await;
}

/// What a member owns, and work on it.
struct Work {
    engine: Cluster,
    leases: BTreeMap<u32, Lease>,
}

impl Work {
    /// Appends to each partition, reads that back, and stores the offset; to how many the owner's right still held.
    async fn once(&self) -> usize {
        let mut held = 0;
        for lease in self.leases.values() {
            let source = lease.source;
            let end = self.engine.range(source).await.unwrap().1;
            let partition = source.partition;
            let append = Append { topic: source.topic, partition, ..record(vec![1]) };
            self.engine.append(vec![append]).await.unwrap();
            let mut reader = self.engine.reader(source, end);
            let read = tokio::time::timeout(WAIT_MAX, reader.next(1)).await.unwrap().unwrap();
            assert_eq!(read.0.len(), 1);
            let offsets = vec![StoreOffset { source, offset: end + 1 }];
            match self.engine.apply(Some(lease), Batch { offsets, ..Batch::default() }).await {
                Ok(()) => held += 1,
                Err(error) => assert_eq!(error, EngineError::Fenced(source)),
            }
        }
        held
    }

    /// Takes in what the group said: so many partitions that are assigned, or what was said until now.
    async fn follow(&mut self, member: &mut impl Assignments, assigned: usize) {
        let mut left = assigned;
        loop {
            let wait = if left == 0 { Duration::ZERO } else { WAIT_MAX };
            let Ok(change) = tokio::time::timeout(wait, member.next()).await else { break };
            match change.unwrap() {
                Change::Assigned(lease) => {
                    self.leases.insert(lease.source.partition, lease);
                    left = left.saturating_sub(1);
                }
                Change::Revoked(lease) => {
                    self.leases.remove(&lease.source.partition);
                }
                Change::Shared => {}
            }
        }
        assert_eq!(left, 0, "partitions did not come in time");
    }
}

/// Waits for `count` changes of a member that are all of one kind; when the last came.
async fn changes(
    member: &mut impl Assignments,
    count: usize,
    assigned: bool,
) -> tokio::time::Instant {
    let mut found = 0;
    while found < count {
        let change = tokio::time::timeout(WAIT_MAX, member.next()).await.unwrap().unwrap();
        if change == Change::Shared {
            continue;
        }
        assert_eq!(matches!(change, Change::Assigned(_)), assigned, "{change:?}");
        found += 1;
    }
    tokio::time::Instant::now()
}

/// More waits for a slow reader than its buffer takes, beside one that keeps up: both get every record.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_every_record_and_holds_up_nobody() {
    const COUNT: usize = 600;
    let options = ground("slow").await;
    let engine = open(&options).await;
    let at = Source { topic: conformance::TOPICS[0].0, partition: 0 };
    let (mut slow, mut quick) = (engine.reader(at, 0), engine.reader(at, 0));
    engine.append(vec![record(vec![0; 8])]).await.unwrap();
    for reader in [&mut slow, &mut quick] {
        assert_eq!(reader.next(1).await.unwrap().0.len(), 1);
    }
    for _ in 0..COUNT / 10 {
        engine.append((0..10).map(|_| record(vec![7; 100_000])).collect()).await.unwrap();
    }
    for reader in [&mut quick, &mut slow] {
        let mut next = 1;
        while next < u64::try_from(COUNT).unwrap() + 1 {
            let read = tokio::time::timeout(WAIT_MAX, reader.next(7)).await.unwrap();
            for record in read.unwrap().0 {
                assert_eq!(record.offset, next);
                next += 1;
            }
        }
    }
    engine.close().await;
}

/// A reader here, then one there, as partners page through the past: each leaves its consumer to the next.
#[tokio::test(flavor = "multi_thread")]
async fn readers_far_apart_after_each_other_share_a_consumer() {
    let options = ground("apart").await;
    let engine = open(&options).await;
    let at = Source { topic: conformance::TOPICS[0].0, partition: 0 };
    engine.append((0..100_u8).map(|number| record(vec![number])).collect()).await.unwrap();
    let before = engine.consumers();
    for from in (0..100).rev().step_by(9) {
        let mut reader = engine.reader(at, from);
        let mut next = from;
        while next < 100 {
            let read = tokio::time::timeout(WAIT_MAX, reader.next(1_000)).await.unwrap();
            for record in read.unwrap().0 {
                assert_eq!(record.offset, next);
                next += 1;
            }
        }
    }
    assert!(engine.consumers() <= before + 1, "{} instead of {before}", engine.consumers());
    engine.close().await;
}

/// A consumer knows partitions by their numbers alone.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_one_partition_of_two_topics_get_each_their_own() {
    let options = ground("two").await;
    let engine = open(&options).await;
    let topics = [conformance::TOPICS[0].0, conformance::TOPICS[1].0];
    let said = |number: u8| Append { topic: topics[usize::from(number)], ..record(vec![number]) };
    engine.append(vec![said(0), said(1)]).await.unwrap();
    let mut readers = topics.map(|topic| engine.reader(Source { topic, partition: 0 }, 0));
    for (number, reader) in (0_u8..).zip(&mut readers) {
        let read = tokio::time::timeout(WAIT_MAX, reader.next(1_000)).await.unwrap();
        let values: Vec<_> = read.unwrap().0.into_iter().map(|record| record.value).collect();
        assert_eq!(values, [vec![number]]);
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_missing_topics_or_tables_is_refused_by_name() {
    let mut options = ground("refused").await;
    let refused = |options: &ClusterOptions| {
        let opening = Cluster::open(options.clone(), catalogue(), SystemClock);
        async { opening.await.err().unwrap() }
    };
    options.namespace = "nobody.".to_owned();
    let error = refused(&options).await;
    assert!(matches!(error, ClusterOpenError::Topics(_)), "{error}");
    assert!(error.to_string().contains("nobody.conformance.log"), "{error}");
    let mut options = ground("refused").await;
    options.store.keyspace = "nobody".to_owned();
    let error = refused(&options).await;
    assert!(matches!(error, ClusterOpenError::Store(_)), "{error}");
    assert!(error.to_string().contains("roundhouse store migrate"), "{error}");
}
