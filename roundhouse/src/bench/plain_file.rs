//! The plain programs of the embedded engine: files.

use super::journal::PlainJournal;
use super::plain::{Plain, PlainSettler};
use super::settling::{Settled, Work};
use super::tail::{Taken, first};
use anyhow::Context;
use runtime::Fact;
use runtime::embedded::Embedded;
use schemas::catalogue::BETS;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Records that the plain settler reads for each fsync: the engine takes as many of each partition at once, and
/// commits what all of them wrote together.
const GROUP: usize = 4 * 1_000;

/// One file, appended to and fsynced.
pub struct PlainFile {
    journal: PlainJournal,
}

impl PlainFile {
    pub(super) fn new(journal: PlainJournal) -> Self {
        Self { journal }
    }
}

impl Plain<Embedded> for PlainFile {
    type Rows = ();
    const DOES: &'static str = "plain appends as many bytes to a file, one fsync a partition";

    async fn settlements(&mut self, records: &[Taken]) -> anyhow::Result<()> {
        let mut by_partition = BTreeMap::<u32, usize>::new();
        for record in records {
            *by_partition.entry(record.partition).or_default() += record.bytes;
        }
        for bytes in by_partition.into_values() {
            self.journal.append(bytes).await?;
        }
        Ok(())
    }

    async fn rows(&self, _: &Embedded, _: &str, _: u32) -> anyhow::Result<()> {
        Ok(())
    }

    async fn deliveries(&mut self, _: &str, (): &(), records: &[Taken]) -> anyhow::Result<()> {
        self.journal.append(records.iter().map(|record| record.bytes).sum()).await
    }
}

/// Reads a file record by record, and appends what a settler wrote to another.
pub struct PlainFileSettler {
    input: PathBuf,
    output: PathBuf,
    /// Records of the input.
    records: usize,
    /// Bets whose records the input has.
    bets: usize,
    /// What was written about them.
    written: Vec<Vec<u8>>,
    all: Work,
}

impl PlainFileSettler {
    /// Makes the input, of the records of a part.
    ///
    /// # Errors
    /// If it cannot be written, or the engine not be read.
    pub(super) async fn of(
        directory: &Path,
        engine: &Embedded,
        settled: Settled,
    ) -> anyhow::Result<Self> {
        let Settled { bets, facts, decisions, settlements, all } = settled;
        let records = bets.saturating_mul(all.records).div_ceil(all.bets.max(1));
        let taken = first(engine, BETS, records).await?;
        let mut bytes = Vec::new();
        for record in &taken {
            let record = record_bytes(record);
            bytes.extend(u32::try_from(record.len())?.to_le_bytes());
            bytes.extend(record);
        }
        let input = directory.join("plain-input");
        std::fs::write(&input, bytes).context("the plain input cannot be written")?;
        let mut written: Vec<Vec<u8>> = facts.iter().flatten().map(fact_bytes).collect();
        written.extend(decisions.iter().chain(&settlements).map(record_bytes));
        let output = directory.join("plain-output");
        Ok(Self { input, output, records: taken.len(), bets, written, all })
    }

    fn work(&self) -> anyhow::Result<()> {
        let mut output = File::create(&self.output).context("the plain output cannot be made")?;
        let (mut record, mut buffer) = (Vec::new(), Vec::new());
        let (mut seen, mut done) = (0_usize, 0_usize);
        let mut write_until = |seen: usize| -> anyhow::Result<()> {
            buffer.clear();
            while done < self.all.due(self.written.len(), self.bets, seen) {
                let of = self.written.get(done % self.written.len()).context("nothing to write")?;
                buffer.extend_from_slice(of);
                done += 1;
            }
            output.write_all(&buffer).and_then(|()| output.sync_data()).context("the plain output")
        };
        while seen < self.all.records {
            let mut input = BufReader::new(File::open(&self.input).context("the plain input")?);
            for _ in 0..self.records.clamp(1, self.all.records - seen) {
                take(&mut input, &mut record).context("the plain input")?;
                seen += 1;
                if seen.is_multiple_of(GROUP) {
                    write_until(seen)?;
                }
            }
        }
        write_until(seen)
    }
}

impl PlainSettler for PlainFileSettler {
    const DOES: &'static str = "plain reads the same records from a file, and appends the same facts and records to another \
         with one fsync for 4000 records read";

    async fn run(self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || self.work()).await?
    }
}

/// The next record, with its length before it.
fn take(input: &mut impl Read, record: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    record.resize(usize::try_from(u32::from_le_bytes(length))?, 0);
    input.read_exact(record)?;
    Ok(())
}

fn record_bytes(record: &Taken) -> Vec<u8> {
    let mut bytes = record.key.to_vec();
    for (name, value) in record.headers.iter() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.extend_from_slice(&record.value);
    bytes
}

fn fact_bytes(fact: &Fact) -> Vec<u8> {
    let key = &fact.key;
    let mut bytes = Vec::new();
    for part in [key.scope.group.as_str(), &key.lane, &key.subject, key.kind] {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(&key.at.to_le_bytes());
    bytes.extend_from_slice(&key.hash);
    bytes.extend_from_slice(&fact.body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_read_and_written_as_there_was_in_all() {
        let directory = tempfile::tempdir().unwrap();
        let [input, output] = ["in", "out"].map(|name| directory.path().join(name));
        let record = |text: &[u8]| [&3_u32.to_le_bytes()[..], text].concat();
        std::fs::write(&input, [record(b"abc"), record(b"def")].concat()).unwrap();
        let written = [b"x", b"y", b"z"].map(|text| text.to_vec()).to_vec();
        // Three rounds and a half, of which the input has one.
        let all = Work { records: 7, bets: 7 };
        let (records, bets) = (2, 2);
        let plain = PlainFileSettler { input, output, records, bets, written, all };
        plain.work().unwrap();
        assert_eq!(std::fs::read(&plain.output).unwrap(), b"xyzxyzxyzx");
    }
}
