//! The records of a topic, one line of JSON after the other.

use super::filter::Filter;
use super::line::{decode, line};
use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use runtime::telemetry::plain_json;
use runtime::{Engine, Reader, Record, Source, Topic};
use std::io::{self, ErrorKind, Write};
use std::str::FromStr;
use std::time::Duration;
use tokio::time::timeout;

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// Longest wait for a record that should be there: at the end of a partition there may be none left.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where to begin in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the lowest offset kept.
    Beginning,
    /// Behind the last record.
    End,
    /// At this offset, or at the lowest above it that is kept.
    Offset(u64),
}

impl FromStr for Begin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            offset => {
                let offset = offset.parse().map_err(|_| "it must be beginning, end or an offset");
                offset.map(Self::Offset)
            }
        }
    }
}

impl Begin {
    fn of(self, begin: u64, end: u64) -> u64 {
        match self {
            Self::Beginning => begin,
            Self::End => end,
            Self::Offset(offset) => offset.max(begin),
        }
    }
}

/// What is to be printed.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The topic.
    pub topic: Topic,
    /// Its partitions, in this order unless it goes on.
    pub partitions: Vec<u32>,
    /// Where to begin.
    pub from: Begin,
    /// Whether to go on with what comes in.
    pub follow: bool,
    /// Lines after which it ends.
    pub limit: Option<u64>,
    /// Which records.
    pub filter: Filter,
}

/// Prints until the end of every partition as it stands at the beginning, or for ever where it is to go on;
/// until `limit` lines; or until nobody reads `out` any more.
///
/// # Errors
/// If the engine cannot be read, or `out` not be written for another reason.
pub async fn tail(engine: &impl Engine, plan: &Tail, out: impl Write) -> anyhow::Result<()> {
    let mut printer = Printer { plan, out, left: plan.limit.unwrap_or(u64::MAX) };
    let mut following = FuturesUnordered::new();
    for partition in &plan.partitions {
        let source = Source { topic: plan.topic, partition: *partition };
        let unread = || format!("{source} cannot be read");
        let (begin, end) = engine.range(source).await.with_context(unread)?;
        let mut next = plan.from.of(begin, end);
        let mut reader = engine.reader(source, next);
        while next < end && printer.goes_on() {
            let Ok(read) = timeout(RECORD_WAIT_MAX, reader.next(RECORDS_MAX)).await else {
                eprintln!("{source}: no record is left between {next} and its end at {end}");
                break;
            };
            let (mut records, _) = read.with_context(unread)?;
            next = records.last().map_or(end, |last| last.offset + 1);
            if !plan.follow {
                records.retain(|record| record.offset < end);
            }
            printer.print(source, &records)?;
        }
        if plan.follow {
            following.push(read_on(reader, source));
        }
    }
    while printer.goes_on() {
        let Some((source, reader, read)) = following.next().await else { break };
        let (records, _) = read.with_context(|| format!("{source} cannot be read"))?;
        printer.print(source, &records)?;
        following.push(read_on(reader, source));
    }
    Ok(())
}

type Read = Result<(Vec<Record>, u64), runtime::EngineError>;

async fn read_on<R: Reader>(mut reader: R, source: Source) -> (Source, R, Read) {
    let read = reader.next(RECORDS_MAX).await;
    (source, reader, read)
}

struct Printer<'a, W> {
    plan: &'a Tail,
    out: W,
    /// Lines that may still be printed.
    left: u64,
}

impl<W: Write> Printer<'_, W> {
    fn goes_on(&self) -> bool {
        0 < self.left
    }

    fn print(&mut self, source: Source, records: &[Record]) -> anyhow::Result<()> {
        let printed = self.lines(source, records).and_then(|()| self.out.flush());
        match printed {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.left = 0;
                Ok(())
            }
            other => other.context("the records cannot be printed"),
        }
    }

    fn lines(&mut self, source: Source, records: &[Record]) -> io::Result<()> {
        for record in records {
            if !self.goes_on() {
                break;
            }
            let value = decode(&record.value);
            if self.plan.filter.takes(record, &value) {
                writeln!(self.out, "{}", plain_json(&line(source, record, &value)?))?;
                self.left -= 1;
            }
        }
        Ok(())
    }
}
