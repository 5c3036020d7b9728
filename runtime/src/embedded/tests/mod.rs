mod crash;
mod disk;
mod keeping;

use super::fault::Disk;
use super::open::Devices;
use super::*;
use crate::{
    Assignments, Change, Clock, FactKey, Reader, Record, StoreOffset, SystemClock, TopicSpec,
    conformance,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const LOG: Topic = Topic("log");
const OTHER: Topic = Topic("other");
const GROUP: &str = "group";
const KIND: &str = "kind";
/// Only a test that fails waits as long.
const WAIT_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicI64>);

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// An engine on a simulated disk.
struct Bench {
    disk: Disk,
    clock: ManualClock,
    free_bytes: Arc<AtomicU64>,
}

impl Bench {
    fn new(disk: Disk) -> Self {
        let free_bytes = Arc::new(AtomicU64::new(u64::MAX));
        Self { disk, clock: ManualClock::default(), free_bytes }
    }

    fn open(&self) -> Result<Embedded, OpenError> {
        let free_bytes = Arc::clone(&self.free_bytes);
        let devices = Devices {
            database: self.disk.database(),
            free_bytes: Box::new(move || Ok(free_bytes.load(Ordering::SeqCst))),
            retention_interval: Duration::from_millis(5),
        };
        let options = Options {
            retention_ms: 1_000,
            reserve_bytes: 1_000,
            cache_bytes: 1 << 20,
            tail_bytes: 2_000,
            ..Options::new("simulated")
        };
        Embedded::open_on(devices, None, &options, catalogue(), self.clock.clone())
    }
}

fn catalogue() -> Catalogue {
    let forever = TopicSpec { topic: OTHER, partitions: 2, kept_forever: true, compacted: false };
    Catalogue::new([TopicSpec::from((LOG, 2)), forever], [KIND])
}

fn source(topic: Topic, partition: u32) -> Source {
    Source { topic, partition }
}

fn record(source: Source, value: impl Into<String>) -> Append {
    let Source { topic, partition } = source;
    let headers = vec![("name", "value".to_owned())];
    let value = Bytes::from(value.into());
    Append { topic, partition, key: Bytes::from_static(b"key"), headers, value }
}

fn scope() -> Scope {
    Scope { group: "round".to_owned(), topic: LOG, partition: 0 }
}

fn fact(at: u64) -> Fact {
    let (lane, subject) = ("lane".to_owned(), format!("bet-{}", at % 7));
    let key = FactKey { scope: scope(), lane, subject, kind: KIND, at, hash: [3; 16] };
    Fact { key, body: Bytes::from(format!("body {at}")) }
}

fn store(source: Source, offset: u64) -> Batch {
    Batch { offsets: vec![StoreOffset { source, offset }], ..Batch::default() }
}

/// The leases of all partitions of `log`, in order.
async fn own_all(engine: &Embedded) -> (Vec<Lease>, EmbeddedAssignments) {
    let mut member = engine.join(GROUP, LOG);
    let mut leases = Vec::new();
    while leases.len() < 2 {
        let Change::Assigned(lease) = member.next().await.unwrap() else { panic!("revoked") };
        leases.push(lease);
    }
    (leases, member)
}

/// Everything in a partition.
async fn all(engine: &Embedded, source: Source) -> Vec<Record> {
    let (mut at, end) = engine.range(source).await.unwrap();
    let mut reader = engine.reader(source, at);
    let mut records = Vec::new();
    while at < end {
        records.extend(timeout(WAIT_MAX, reader.next(100)).await.unwrap().unwrap().0);
        at = records.last().map_or(end, |last: &Record| last.offset + 1);
    }
    records
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|it| String::from_utf8(it.value.to_vec()).unwrap()).collect()
}

fn open(directory: &TempDir) -> Result<Embedded, OpenError> {
    let options = Options { reserve_bytes: 0, ..Options::new(directory.path()) };
    let catalogue = Catalogue::new(conformance::TOPICS, conformance::KINDS);
    Embedded::open(&options, catalogue, SystemClock)
}

#[tokio::test]
async fn conforms() {
    let directory = TempDir::new().unwrap();
    let engine = open(&directory).unwrap();
    conformance::check(&engine, "first").await.unwrap();
    engine.close().await;
    // A second run on the same file: nothing of the first gets in its way.
    let engine = open(&directory).unwrap();
    conformance::check(&engine, "second").await.unwrap();
}

/// The same with almost no memory: nearly every read comes from the file.
#[tokio::test]
async fn conforms_from_the_file() {
    let directory = TempDir::new().unwrap();
    let options = Options { reserve_bytes: 0, tail_bytes: 0, ..Options::new(directory.path()) };
    let catalogue = Catalogue::new(conformance::TOPICS, conformance::KINDS);
    let engine = Embedded::open(&options, catalogue, SystemClock).unwrap();
    conformance::check(&engine, "run").await.unwrap();
}

#[tokio::test]
async fn a_directory_is_for_one() {
    let directory = TempDir::new().unwrap();
    let engine = open(&directory).unwrap();
    let refused = open(&directory).err().unwrap();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(directory.path().to_str().unwrap()), "{refused}");
    // The lock holds against other processes too.
    let mut other = std::process::Command::new("flock");
    let other = other.arg("--nonblock").arg(directory.path().join("lock")).arg("true");
    assert!(!other.status().unwrap().success());
    engine.close().await;
    assert!(other.status().unwrap().success());
    let at = source(conformance::TOPICS[0].0, 0);
    assert_eq!(engine.append(vec![]).await, Err(EngineError::Closed));
    assert_eq!(engine.scan(scope()).await, Err(EngineError::Closed));
    assert_eq!(engine.range(at).await, Err(EngineError::Closed));
    assert_eq!(engine.reader(at, 0).next(1).await, Err(EngineError::Closed));
    assert_eq!(engine.join(GROUP, at.topic).next().await, Err(EngineError::Closed));
    open(&directory).unwrap();
}

/// R9.
#[tokio::test]
async fn another_partition_count_is_refused() {
    let directory = TempDir::new().unwrap();
    let options = Options::new(directory.path());
    let with = |count| Catalogue::new([(LOG, count), (OTHER, 3)], [KIND]);
    Embedded::open(&options, with(2), SystemClock).unwrap().close().await;
    let refused = Embedded::open(&options, with(3), SystemClock).err().unwrap();
    let wanted = "log was created with 2 partitions and cannot be opened with 3";
    assert_eq!(refused.to_string(), wanted);
    // A topic that comes later is created; one that is left out keeps its place.
    let later = Catalogue::new([(LOG, 2), (Topic("later"), 5)], [KIND]);
    let engine = Embedded::open(&options, later, SystemClock).unwrap();
    engine.append(vec![record(source(Topic("later"), 4), "a")]).await.unwrap();
    engine.close().await;
    let engine = Embedded::open(&options, with(2), SystemClock).unwrap();
    assert_eq!(engine.range(source(OTHER, 2)).await, Ok((0, 0)));
}

#[tokio::test]
async fn what_is_not_catalogued_is_refused() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let beyond =
        engine.append(vec![record(source(LOG, 0), "a"), record(source(LOG, 2), "b")]).await;
    assert!(matches!(beyond, Err(EngineError::Unavailable(_))), "{beyond:?}");
    let mut unknown = fact(1);
    unknown.key.kind = "unknown";
    let refused =
        engine.apply(None, Batch { facts: vec![vec![unknown]], ..Batch::default() }).await;
    assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
    assert_eq!(
        engine.range(source(LOG, 0)).await,
        Ok((0, 0)),
        "nothing of a refused batch is there"
    );
    let unleased = engine.apply(None, store(source(LOG, 0), 1)).await;
    assert_eq!(unleased, Err(EngineError::Fenced(source(LOG, 0))));
}

#[tokio::test]
async fn a_lease_is_for_its_number_in_every_topic() {
    let engine = Bench::new(Disk::default()).open().unwrap();
    let (leases, _member) = own_all(&engine).await;
    engine.apply(Some(&leases[0]), store(source(OTHER, 0), 4)).await.unwrap();
    assert_eq!(engine.stored(GROUP, source(OTHER, 0)).await, Ok(Some(4)));
    let other = engine.apply(Some(&leases[0]), store(source(OTHER, 1), 4)).await;
    assert_eq!(other, Err(EngineError::Fenced(source(OTHER, 1))));
}

/// A lease of an earlier run stores nothing, though nobody has joined yet in this one.
#[tokio::test]
async fn generations_outlive_the_process() {
    let bench = Bench::new(Disk::default());
    let engine = bench.open().unwrap();
    let (old, member) = own_all(&engine).await;
    drop(member);
    engine.close().await;
    let engine = bench.open().unwrap();
    let (new, _member) = own_all(&engine).await;
    assert!(old[0].generation < new[0].generation);
    let fenced = engine.apply(Some(&old[0]), store(source(LOG, 0), 1)).await;
    assert_eq!(fenced, Err(EngineError::Fenced(source(LOG, 0))));
}

#[tokio::test]
async fn the_first_content_of_a_key_stands() {
    let engine = Bench::new(Disk::default()).open().unwrap();
    let facts = |facts| Batch { facts: vec![facts], ..Batch::default() };
    engine.apply(None, facts(vec![fact(1), fact(2), fact(1)])).await.unwrap();
    let mut other_body = fact(1);
    other_body.body = Bytes::from_static(b"other");
    engine.apply(None, facts(vec![other_body])).await.unwrap();
    assert_eq!(engine.scan(scope()).await.unwrap(), [fact(1), fact(2)]);
}
