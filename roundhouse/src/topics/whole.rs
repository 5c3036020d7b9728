//! A partition as it stands: every record, once.

use anyhow::{Context, bail};
use runtime::{Engine, Reader, Record, Source};
use std::time::Duration;
use tokio::time::timeout;

/// Records read at once.
const RECORDS_MAX: usize = 4_096;
/// Longest wait for a record that the range of the partition says is there.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(30);

/// Gives every record of the partition to `each`, up to the end as it is now; the lowest offset kept.
///
/// # Errors
/// If the partition cannot be read to that end.
pub async fn whole(
    engine: &impl Engine,
    source: Source,
    mut each: impl FnMut(&Record),
) -> anyhow::Result<u64> {
    let unread = || format!("{source} cannot be read");
    let (begin, end) = engine.range(source).await.with_context(unread)?;
    let (mut reader, mut next) = (engine.reader(source, begin), begin);
    while next < end {
        let Ok(read) = timeout(RECORD_WAIT_MAX, reader.next(RECORDS_MAX)).await else {
            bail!("{source}: no record came from {next} on, and its end is {end}: run it again");
        };
        let (records, _) = read.with_context(unread)?;
        records.iter().filter(|record| record.offset < end).for_each(&mut each);
        next = records.last().map_or(end, |last| last.offset + 1);
    }
    Ok(begin)
}
