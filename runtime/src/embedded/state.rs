//! What the file says beside records and facts: topics, ends, offsets, generations.

use super::plan::Generations;
use super::store::{ENDS, FACTS, Failure, GENERATIONS, META, OFFSETS, SEGMENTS, Store, TOPICS};
use super::{OpenError, Shared};
use crate::Source;
use crate::catalogue::Catalogue;
use redb::{ReadTransaction, ReadableTable};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// The version of the tables, of keys and of segments.
const FORMAT: u64 = 1;

/// The number of each partition in the file.
pub(super) type Logs = BTreeMap<Source, u32>;

/// Everything of the file that is kept in memory too.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The lowest offset kept and the end, by partition.
    pub(super) ranges: BTreeMap<Source, (u64, u64)>,
    pub(super) stored: BTreeMap<(String, Source), u64>,
    pub(super) generations: Generations,
}

/// Creates what is missing in the file and checks that it is ours and fits the catalogue (R9).
pub(super) fn prepare(store: &Store, catalogue: &Catalogue) -> Result<Logs, OpenError> {
    let transaction = store.write().map_err(storage)?;
    let logs = {
        let mut meta = transaction.open_table(META).map_err(storage)?;
        let found = meta.get("format").map_err(storage)?.map(|format| format.value());
        match found {
            None => {
                meta.insert("format", FORMAT).map_err(storage)?;
            }
            Some(FORMAT) => {}
            Some(found) => return Err(OpenError::Format { found }),
        }
        transaction.open_table(FACTS).map_err(storage)?;
        transaction.open_table(SEGMENTS).map_err(storage)?;
        transaction.open_table(ENDS).map_err(storage)?;
        transaction.open_table(OFFSETS).map_err(storage)?;
        transaction.open_table(GENERATIONS).map_err(storage)?;
        let mut topics = transaction.open_table(TOPICS).map_err(storage)?;
        number(&mut topics, catalogue)?
    };
    transaction.commit().map_err(storage)?;
    Ok(logs)
}

fn number(
    topics: &mut redb::Table<'_, &'static str, (u32, u32)>,
    catalogue: &Catalogue,
) -> Result<Logs, OpenError> {
    let mut next = 0;
    for entry in topics.iter().map_err(storage)? {
        let (first, partitions) = entry.map_err(storage)?.1.value();
        next = next.max(first + partitions);
    }
    let mut logs = Logs::new();
    for spec in catalogue.topics() {
        let (topic, given) = (spec.topic, spec.partitions);
        let known = topics.get(topic.0).map_err(storage)?.map(|entry| entry.value());
        let (first, recorded) = match known {
            Some(known) => known,
            None => {
                topics.insert(topic.0, (next, given)).map_err(storage)?;
                next += given;
                (next - given, given)
            }
        };
        if recorded != given {
            return Err(OpenError::Partitions { topic, recorded, given });
        }
        logs.extend((0..given).map(|partition| (Source { topic, partition }, first + partition)));
    }
    Ok(logs)
}

fn storage(error: impl Into<Failure>) -> OpenError {
    OpenError::Storage(error.into().text)
}

/// Reads the state of all catalogued partitions.
pub(super) fn load(transaction: &ReadTransaction, logs: &Logs) -> Result<State, Failure> {
    let mut state = State::default();
    let (ends, segments) = (transaction.open_table(ENDS)?, transaction.open_table(SEGMENTS)?);
    for (source, log) in logs {
        let end = ends.get(log)?.map_or(0, |end| end.value());
        let first = segments.range((*log, 0)..=(*log, u64::MAX))?.next().transpose()?;
        let low = first.map_or(end, |(key, _)| key.value().1);
        state.ranges.insert(*source, (low, end));
    }
    let sources: BTreeMap<u32, Source> = logs.iter().map(|(source, log)| (*log, *source)).collect();
    for entry in transaction.open_table(OFFSETS)?.iter()? {
        let (key, offset) = entry?;
        let (group, log) = key.value();
        let source = sources.get(&log).map(|source| (group.to_owned(), *source));
        state.stored.extend(source.map(|key| (key, offset.value())));
    }
    for entry in transaction.open_table(GENERATIONS)?.iter()? {
        let (key, generation) = entry?;
        let (group, log) = key.value();
        let source = sources.get(&log).map(|source| (group.to_owned(), *source));
        state.generations.extend(source.map(|key| (key, generation.value())));
    }
    Ok(state)
}

/// Takes over what the file says after it was opened again: a commit that was in doubt may be there.
///
/// Fails if the file lacks records that readers have seen; it is then not written to.
pub(super) fn resume(shared: &Shared) -> Result<(), Failure> {
    let state = load(&shared.store.read()?, &shared.logs())?;
    for (source, (low, end)) in state.ranges {
        let lost = shared
            .partitions
            .get(&source)
            .is_some_and(|partition| !partition.tail.resume(low, end));
        if lost {
            let text = format!("the file ends {source} at {end}, below records already read");
            return Err(Failure { full: false, in_doubt: false, text });
        }
    }
    *shared.stored.lock().unwrap_or_else(PoisonError::into_inner) = state.stored;
    Ok(())
}
