//! What one transaction will write: the requests taken together, each as a whole or not at all.

use super::groups::Claim;
use super::queue::{Request, Work};
use super::{Partition, Shared, fact_key};
use crate::{Append, EngineError, Fact, Lease, Record, Source, Step, StoreOffset};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Longest key and value of a record, and body of a fact, in bytes: far above what is ever sent, and
/// below what the file takes.
const FIELD_BYTES_MAX: usize = 16 << 20;

/// The newest generations, by group and partition.
pub(super) type Generations = BTreeMap<(String, Source), u64>;

/// The contents of one transaction, in memory.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) facts: Vec<(Vec<u8>, Bytes)>,
    /// Records with their offsets, which continue each partition.
    pub(super) records: BTreeMap<Source, Vec<Record>>,
    pub(super) offsets: BTreeMap<(&'static str, Source), u64>,
    pub(super) claims: Vec<Claim>,
    pub(super) requests: Vec<Request>,
}

impl Plan {
    /// Plans `works` in order; a request that is not admitted is answered here, nothing of it planned.
    ///
    /// `generations` is raised by the claims among them, so that what is queued behind a claim is
    /// already judged by it.
    pub(super) fn of(
        works: Vec<Work>,
        shared: &Shared,
        generations: &mut Generations,
        full: Option<&str>,
    ) -> Self {
        let now = (shared.now)();
        let mut plan = Self::default();
        for work in works {
            match work {
                Work::Claim(claim) => {
                    let Lease { group, source, generation } = claim.lease;
                    generations.insert((group.to_owned(), source), generation);
                    plan.claims.push(claim);
                }
                Work::Request(mut request) => match admit(&request, shared, generations, full) {
                    Ok(()) => {
                        let steps = std::mem::take(&mut request.steps);
                        plan.add(steps, request.lease.as_ref(), shared, now);
                        plan.requests.push(request);
                    }
                    Err(error) => request.resolve(Err(error)),
                },
            }
        }
        // Neighbours in the file are written together; of one key the first stands.
        plan.facts.sort_by(|one, other| one.0.cmp(&other.0));
        plan.facts.dedup_by(|later, first| later.0 == first.0);
        plan
    }

    pub(super) fn writes_nothing(&self) -> bool {
        self.facts.is_empty()
            && self.records.is_empty()
            && self.offsets.is_empty()
            && self.claims.is_empty()
    }

    /// The order of the steps is kept in spirit only: they all become durable in one moment.
    fn add(&mut self, steps: Vec<Step>, lease: Option<&Lease>, shared: &Shared, now: i64) {
        for step in steps {
            match step {
                Step::Facts(facts) => self.facts.extend(facts.into_iter().map(encoded)),
                Step::Records(records) => {
                    for record in records {
                        self.append(record, shared, now);
                    }
                }
                Step::Offsets(offsets) => {
                    for StoreOffset { source, offset } in offsets {
                        self.offsets.extend(lease.map(|lease| ((lease.group, source), offset)));
                    }
                }
            }
        }
    }

    fn append(&mut self, append: Append, shared: &Shared, appended_at: i64) {
        let Append { topic, partition, key, headers, value } = append;
        let source = Source { topic, partition };
        let records = self.records.entry(source).or_default();
        let offset = match records.last() {
            Some(last) => last.offset + 1,
            None => shared.partitions.get(&source).map_or(0, |it| it.tail.range().1),
        };
        let headers = headers.into_iter().collect();
        records.push(Record { offset, appended_at, key, headers, value });
    }
}

fn encoded(fact: Fact) -> (Vec<u8>, Bytes) {
    (fact_key::encode(&fact.key), fact.body)
}

/// Whether a request may be written now. Every check stands before the first write of it.
fn admit(
    request: &Request,
    shared: &Shared,
    generations: &Generations,
    full: Option<&str>,
) -> Result<(), EngineError> {
    if request.refusable
        && let Some(text) = full
    {
        return Err(EngineError::Full(text.to_owned()));
    }
    let lease = request.lease.as_ref();
    if let Some(Lease { group, source, generation }) = lease
        && generations.get(&((*group).to_owned(), *source)) != Some(generation)
    {
        return Err(EngineError::Fenced(*source));
    }
    for step in &request.steps {
        match step {
            Step::Facts(facts) => facts.iter().try_for_each(|fact| known_fact(fact, shared))?,
            Step::Records(records) => {
                for Append { topic, partition, key, value, .. } in records {
                    limited(key.len().max(value.len()))?;
                    partition_of(shared, Source { topic: *topic, partition: *partition })?;
                }
            }
            Step::Offsets(offsets) => {
                for StoreOffset { source, .. } in offsets {
                    partition_of(shared, *source)?;
                    // The owner of a partition owns its number in every topic the group reads.
                    if lease.map(|lease| lease.source.partition) != Some(source.partition) {
                        return Err(EngineError::Fenced(*source));
                    }
                }
            }
        }
    }
    Ok(())
}

/// A fact that could not be read back is not written.
fn known_fact(fact: &Fact, shared: &Shared) -> Result<(), EngineError> {
    limited(fact.body.len())?;
    let (kind, topic) = (fact.key.kind, fact.key.scope.topic);
    if shared.catalogue.kind(kind).is_some() && shared.catalogue.knows_topic(topic) {
        return Ok(());
    }
    Err(EngineError::Unavailable(format!("a fact of kind {kind:?} in {topic} is not catalogued")))
}

fn limited(bytes: usize) -> Result<(), EngineError> {
    if bytes <= FIELD_BYTES_MAX {
        return Ok(());
    }
    Err(EngineError::Unavailable(format!("{bytes} bytes are more than {FIELD_BYTES_MAX}")))
}

/// The partition, or the refusal of one that is not in the catalogue.
pub(super) fn partition_of(shared: &Shared, source: Source) -> Result<&Partition, EngineError> {
    let unknown = || EngineError::Unavailable(format!("{source} is not catalogued"));
    shared.partitions.get(&source).ok_or_else(unknown)
}
