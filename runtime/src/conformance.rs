//! What every engine must do, as checks to be run on each: the embedded one, Kafka with a CQL store, the
//! simulated one.
//!
//! The engine must have [`TOPICS`] and [`KINDS`]; it need not be fresh. Offsets may have gaps.

use crate::{
    Append, Assignments, Batch, Change, Engine, EngineError, Fact, FactKey, Lease, Reader, Record,
    Scope, Source, StoreOffset, Topic,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// The topics used, with their partition counts.
pub const TOPICS: [(Topic, u32); 2] = [(LOG, 4), (OWNED, 4)];
/// The kinds of facts used.
pub const KINDS: [&str; 2] = ["conformance_a", "conformance_b"];

const LOG: Topic = Topic("conformance.log");
const OWNED: Topic = Topic("conformance.owned");
/// Longest wait for anything; only an engine that fails waits as long.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often it is looked whether something has happened.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// An engine does not do what it must.
#[derive(Debug, Error)]
pub enum Breach {
    /// An operation failed that must not.
    #[error("the engine failed")]
    Engine(#[from] EngineError),
    /// It did something else.
    #[error("{rule}: {found}")]
    Rule {
        /// What it must do.
        rule: &'static str,
        /// What was seen instead.
        found: String,
    },
    /// Nothing came in time.
    #[error("nothing came within the wait")]
    Waited(#[from] tokio::time::error::Elapsed),
}

/// Runs all checks. `run` names this run: it goes into ids, so that runs do not see each other's facts.
///
/// # Errors
/// The first [`Breach`] found.
pub async fn check<E: Engine>(engine: &E, run: &str) -> Result<(), Breach> {
    append_order(engine).await?;
    tail_reading(engine).await?;
    out_of_range(engine).await?;
    apply(engine, run).await?;
    facts(engine, run).await?;
    rebalance(engine).await?;
    sharing(engine).await?;
    fencing(engine).await
}

/// Records of a partition are read in the order appended, from any of their offsets, as they were given.
pub async fn append_order<E: Engine>(engine: &E) -> Result<(), Breach> {
    let (one, other) = (source(LOG, 0), source(LOG, 1));
    let from = engine.range(one).await?.1;
    for batch in 0..3 {
        let records = (0..5).flat_map(|index| {
            let value = format!("{batch}/{index}");
            [record(one, &value), record(other, &value)]
        });
        engine.append(records.collect()).await?;
    }
    let records = read(engine, one, from, 15).await?;
    let wanted = (0..3).flat_map(|batch| (0..5).map(move |index| format!("{batch}/{index}")));
    same("records keep their order", &values(&records), &wanted.collect())?;
    for record in &records {
        same("keys come back", &&record.key[..], &&b"key"[..])?;
        same("headers come back", &record.header("name"), &Some("value"))?;
    }
    let rising = records.windows(2).all(|pair| pair[0].offset < pair[1].offset);
    same("offsets rise", &rising, &true)?;
    let Some(middle) = records.get(7) else { return Ok(()) };
    let again = read(engine, one, middle.offset, 8).await?;
    same("a reader begins anywhere", &again.first(), &Some(middle))
}

/// A waiting reader gets a record when it is durable; a read that is dropped loses nothing.
pub async fn tail_reading<E: Engine>(engine: &E) -> Result<(), Breach> {
    let at = source(LOG, 2);
    let end = engine.range(at).await?.1;
    let mut reader = engine.reader(at, end);
    let early = tokio::select! {
        biased;
        read = reader.next(10) => Some(read?),
        () = tokio::task::yield_now() => None,
    };
    same("a reader at the end waits", &early.is_none(), &true)?;
    let appended = engine.append(vec![record(at, "a"), record(at, "b"), record(at, "c")]);
    let (appended, first) = tokio::join!(appended, timeout(WAIT_MAX, reader.next(2)));
    appended?;
    let (mut records, _) = first??;
    while records.len() < 3 {
        let (more, end) = timeout(WAIT_MAX, reader.next(2)).await??;
        same("at most the maximum is returned", &(more.len() <= 2), &true)?;
        let behind = more.last().is_some_and(|last| last.offset < end);
        same("the end is behind the last record", &behind, &true)?;
        records.extend(more);
    }
    same("the tail is complete", &values(&records), &["a", "b", "c"].map(str::to_owned).to_vec())
}

/// A reader beyond the end is refused.
pub async fn out_of_range<E: Engine>(engine: &E) -> Result<(), Breach> {
    let at = source(LOG, 2);
    let offset = engine.range(at).await?.1 + 1_000;
    let read = timeout(WAIT_MAX, engine.reader(at, offset).next(1)).await?;
    same("beyond the end is refused", &read, &Err(EngineError::OutOfRange { source_: at, offset }))
}

/// Facts, records and offset of a batch are all there when it is applied, and applying it again is right.
pub async fn apply<E: Engine>(engine: &E, run: &str) -> Result<(), Breach> {
    const GROUP: &str = "conformance-apply";
    let mut member = engine.join(GROUP, OWNED);
    let leases = assigned(&mut member, BTreeMap::new(), 4).await?;
    let Some(lease) = leases.get(&3) else { return Ok(()) };
    let at = source(LOG, 3);
    let from = engine.range(at).await?.1;
    let [first, last] = [1, 2].map(|at| fact(run, "apply", "lane", "subject", at));
    let batch = Batch {
        facts: vec![vec![first.clone()]],
        closing: vec![last.clone()],
        records: vec![vec![record(at, "first")], vec![record(at, "second")]],
        offsets: vec![StoreOffset { source: lease.source, offset: 7 }],
        ..Batch::default()
    };
    engine.apply(Some(lease), batch.clone()).await?;
    engine.apply(Some(lease), batch).await?;
    let facts = engine.scan(first.key.scope.clone()).await?;
    same("facts of a batch are there", &facts, &vec![first, last])?;
    stored(engine, GROUP, lease.source, 7).await?;
    let records = values(&read(engine, at, from, 4).await?);
    let wanted = ["first", "second", "first", "second"].map(str::to_owned).to_vec();
    same("waves keep their order", &records, &wanted)
}

/// A scope is read in the order of the keys and alone; a fact written twice is one fact, and two contents
/// are two.
pub async fn facts<E: Engine>(engine: &E, run: &str) -> Result<(), Breach> {
    let mut wanted = Vec::new();
    for lane in ["", "a", "a/0", "b"] {
        for subject in ["", "s", "s2"] {
            for at in [0, 1, 255, 256, 1 << 40] {
                wanted.push(fact(run, "facts", lane, subject, at));
            }
        }
    }
    let Some(mut twin) = wanted.first().cloned() else { return Ok(()) };
    twin.key.hash = [9; 16];
    wanted.push(twin);
    let mut other = fact(run, "facts", "a", "s", 3);
    other.key.kind = KINDS[1];
    wanted.push(other.clone());
    let elsewhere = fact(run, "facts-and-more", "a", "s", 0);
    let mut other_partition = elsewhere.clone();
    other_partition.key.scope.group = other.key.scope.group.clone();
    other_partition.key.scope.partition = 1;
    let mixed: Vec<Fact> = wanted.iter().rev().cloned().collect();
    let strangers = vec![elsewhere, other_partition];
    let batch = Batch { facts: vec![mixed.clone(), strangers], ..Batch::default() };
    engine.apply(None, batch).await?;
    engine.apply(None, Batch { facts: vec![mixed], ..Batch::default() }).await?;
    wanted.sort_by(|one, other| one.key.cmp(&other.key));
    let scope = other.key.scope.clone();
    same("a scope is ordered", &engine.scan(scope.clone()).await?, &wanted)?;
    let about = engine.about(scope, "a".to_owned(), "s".to_owned()).await?;
    wanted.retain(|fact| fact.key.lane == "a" && fact.key.subject == "s");
    same("one subject is read alone", &about, &wanted)
}

/// Partitions are shared evenly, and handed over with a higher generation.
pub async fn rebalance<E: Engine>(engine: &E) -> Result<(), Breach> {
    const GROUP: &str = "conformance-rebalance";
    let mut one = engine.join(GROUP, OWNED);
    let first = assigned(&mut one, BTreeMap::new(), 4).await?;
    let mut other = engine.join(GROUP, OWNED);
    let second = assigned(&mut other, BTreeMap::new(), 2).await?;
    let kept = assigned(&mut one, first.clone(), 2).await?;
    let shared = kept.keys().chain(second.keys()).count();
    same("every partition has one owner", &shared, &4)?;
    drop(one);
    let all = assigned(&mut other, second.clone(), 4).await?;
    for (partition, lease) in &second {
        let before = first.get(partition).map(|lease| lease.generation);
        same("generations rise", &(before < Some(lease.generation)), &true)?;
    }
    for (partition, lease) in &kept {
        let after = all.get(partition).map(|lease| lease.generation);
        same("generations rise", &(Some(lease.generation) < after), &true)?;
    }
    Ok(())
}

/// Every member hears that its group has been shared out: the first one after it was told of all
/// partitions, one for which there is no partition too.
pub async fn sharing<E: Engine>(engine: &E) -> Result<(), Breach> {
    const GROUP: &str = "conformance-sharing";
    let mut first = engine.join(GROUP, OWNED);
    same("the first member got everything", &shared(&mut first).await?, &4)?;
    let mut members = vec![first];
    // The last of them is one more than there are partitions.
    for _ in 0..4 {
        let mut next = engine.join(GROUP, OWNED);
        shared(&mut next).await?;
        members.push(next);
    }
    Ok(())
}

/// A lease that is not the newest stores nothing.
pub async fn fencing<E: Engine>(engine: &E) -> Result<(), Breach> {
    const GROUP: &str = "conformance-fencing";
    let store = |lease: &Lease, offset| Batch {
        offsets: vec![StoreOffset { source: lease.source, offset }],
        ..Batch::default()
    };
    let mut member = engine.join(GROUP, OWNED);
    let old = assigned(&mut member, BTreeMap::new(), 4).await?;
    let Some(old) = old.get(&0).cloned() else { return Ok(()) };
    engine.apply(Some(&old), store(&old, 5)).await?;
    drop(member);
    let mut member = engine.join(GROUP, OWNED);
    let new = assigned(&mut member, BTreeMap::new(), 4).await?;
    let Some(new) = new.get(&0).cloned() else { return Ok(()) };
    stored(engine, GROUP, old.source, 5).await?;
    let fenced = engine.apply(Some(&old), store(&old, 99)).await;
    same("the old owner is fenced", &fenced, &Err(EngineError::Fenced(old.source)))?;
    same("and stores nothing", &engine.stored(GROUP, old.source).await?, &Some(5))?;
    engine.apply(Some(&new), store(&new, 6)).await?;
    stored(engine, GROUP, new.source, 6).await
}

/// Waits until the offset is the one that was applied: an engine may store it a little later.
async fn stored<E: Engine>(
    engine: &E,
    group: &'static str,
    source: Source,
    offset: u64,
) -> Result<(), Breach> {
    let until = tokio::time::Instant::now() + WAIT_MAX;
    loop {
        let found = engine.stored(group, source).await?;
        if found == Some(offset) || until < tokio::time::Instant::now() {
            return same("the offset is stored", &found, &Some(offset));
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// Follows the changes of a member until it owns `count` partitions.
async fn assigned<A: Assignments>(
    member: &mut A,
    mut owned: BTreeMap<u32, Lease>,
    count: usize,
) -> Result<BTreeMap<u32, Lease>, Breach> {
    while owned.len() != count {
        match timeout(WAIT_MAX, member.next()).await?? {
            Change::Assigned(lease) => {
                owned.insert(lease.source.partition, lease);
            }
            Change::Revoked(lease) => {
                owned.remove(&lease.source.partition);
            }
            Change::Shared => {}
        }
    }
    Ok(owned)
}

/// Follows the changes of a member until it hears that its group has been shared out; how many
/// partitions it owns then.
async fn shared<A: Assignments>(member: &mut A) -> Result<usize, Breach> {
    let mut owned = BTreeSet::new();
    loop {
        match timeout(WAIT_MAX, member.next()).await?? {
            Change::Assigned(lease) => {
                owned.insert(lease.source.partition);
            }
            Change::Revoked(lease) => {
                owned.remove(&lease.source.partition);
            }
            Change::Shared => return Ok(owned.len()),
        }
    }
}

async fn read<E: Engine>(
    engine: &E,
    source: Source,
    from: u64,
    count: usize,
) -> Result<Vec<Record>, Breach> {
    let mut reader = engine.reader(source, from);
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(timeout(WAIT_MAX, reader.next(4)).await??.0);
    }
    Ok(records)
}

fn source(topic: Topic, partition: u32) -> Source {
    Source { topic, partition }
}

fn record(Source { topic, partition }: Source, value: &str) -> Append {
    let (key, value) = (Bytes::from_static(b"key"), Bytes::from(value.to_owned()));
    Append { topic, partition, key, headers: vec![("name", "value".to_owned())], value }
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}

fn fact(run: &str, group: &str, lane: &str, subject: &str, at: u64) -> Fact {
    let scope = Scope { group: format!("{run}-{group}"), topic: LOG, partition: 0 };
    let (lane, subject) = (lane.to_owned(), subject.to_owned());
    let body = Bytes::from(format!("{lane} {subject} {at}"));
    Fact { key: FactKey { scope, lane, subject, kind: KINDS[0], at, hash: [1; 16] }, body }
}

fn same<T: PartialEq + std::fmt::Debug>(
    rule: &'static str,
    found: &T,
    wanted: &T,
) -> Result<(), Breach> {
    if found == wanted {
        return Ok(());
    }
    Err(Breach::Rule { rule, found: format!("{found:?} in place of {wanted:?}") })
}
