//! Books from an engine: every record of every partition, every fact, every stored offset.

use super::books::{BetLine, Books, FactLine, FactSaid, Lines, Unread};
use super::checks::{DISPATCHER, HERALD, SETTLER};
use crate::serve::open;
use crate::topics::whole;
use anyhow::Context;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use runtime::{Engine, Fact, Record, Scope, Source, Topic};
use schemas::bets::BetEvent;
use schemas::catalogue::{
    BETS, CASES, DECISIONS, DELIVERIES, PARKED, ROUNDS, RetryTier, SETTLEMENTS,
};
use schemas::decisions::DecisionSaid;
use schemas::outgoing::Partitions;
use schemas::rounds::RoundEvent;
use schemas::settlements::Settlement;
use schemas::wire::{
    CaseRecord, CloseRecord, DeliveryRecord, FreezeRecord, RepeatRecord, TallyRecord,
    UnreadableRecord,
};
use schemas::{facts, frame};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Partitions read side by side, and scopes of facts: on a cluster each waits for a server.
const READS_AT_ONCE: usize = 8;
const SCANS_AT_ONCE: usize = 64;

/// The books in a data directory that no server has open.
///
/// # Errors
/// If there is no data, or another process has it open: the audit reads what is at rest.
pub async fn from_directory(data_dir: &Path) -> anyhow::Result<Books> {
    let engine = open::at_rest(data_dir).await?;
    let books = read(&engine, Partitions::EMBEDDED).await;
    engine.close().await;
    books
}

/// The books of a running engine whose topics have `counts` partitions, as of now. Joins no group and
/// writes nothing.
///
/// Offsets are read first: one that is stored meanwhile would be above an end read before it. Deliveries are read
/// behind the facts that close them, which are written behind the records.
///
/// # Errors
/// If the engine cannot be read.
pub async fn read(engine: &impl Engine, counts: Partitions) -> anyhow::Result<Books> {
    let empty = Books::empty(counts);
    let stored = offsets(engine, counts).await?;
    let mut sheet = Sheet { engine, begins: empty.begins, unreadable: empty.unreadable };
    let settlement = strict(Settlement::decode);
    let cases = sheet
        .topic(CASES, counts.cases, strict(|bytes| frame::decode::<CaseRecord>(bytes)))
        .await?;
    let mut retries = empty.retries;
    for tier in RetryTier::ALL {
        retries[tier.index()] = sheet.topic(tier.topic(), counts.lanes, &settlement).await?;
    }
    let mut books = Books {
        partitions: counts,
        bets: sheet.topic(BETS, counts.lanes, bet_line).await?,
        rounds: sheet.topic(ROUNDS, counts.rounds, strict(RoundEvent::decode)).await?,
        decisions: sheet.topic(DECISIONS, counts.lanes, strict(DecisionSaid::decode)).await?,
        settlements: sheet.topic(SETTLEMENTS, counts.lanes, &settlement).await?,
        retries,
        parked: sheet.topic(PARKED, counts.lanes, &settlement).await?,
        deliveries: empty.deliveries,
        cases: cases.into_iter().flatten().map(|(_, case)| case).collect(),
        begins: BTreeMap::new(),
        unreadable: Vec::new(),
        facts: empty.facts,
        stored,
        journals: empty.journals,
    };
    read_facts(engine, &mut books).await?;
    let delivery = strict(|bytes| frame::decode::<DeliveryRecord>(bytes));
    books.deliveries = sheet.topic(DELIVERIES, counts.lanes, delivery).await?;
    (books.begins, books.unreadable) = (sheet.begins, sheet.unreadable);
    Ok(books)
}

/// Reads topics and notes what it cannot read.
struct Sheet<'a, E> {
    engine: &'a E,
    begins: BTreeMap<Source, u64>,
    unreadable: Vec<(Source, u64, String)>,
}

impl<E: Engine> Sheet<'_, E> {
    async fn topic<T>(
        &mut self,
        topic: &'static str,
        partitions: u32,
        decode: impl Fn(&Record) -> Result<T, String>,
    ) -> anyhow::Result<Vec<Lines<T>>> {
        let (engine, decode) = (self.engine, &decode);
        let sources = (0..partitions).map(|partition| Source { topic: Topic(topic), partition });
        let reads = sources.map(|source| page(engine, source, decode));
        let pages: Vec<Page<T>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let mut lines = Vec::new();
        for page in pages {
            if 0 < page.begin {
                self.begins.insert(page.source, page.begin);
            }
            let unreadable = page.unreadable.into_iter();
            self.unreadable.extend(unreadable.map(|(offset, why)| (page.source, offset, why)));
            lines.push(page.lines);
        }
        Ok(lines)
    }
}

/// One partition.
struct Page<T> {
    source: Source,
    begin: u64,
    lines: Lines<T>,
    unreadable: Vec<(u64, String)>,
}

/// Every record of the partition, as `decode` reads it; what it refuses is noted as unreadable.
async fn page<T>(
    engine: &impl Engine,
    source: Source,
    decode: impl Fn(&Record) -> Result<T, String>,
) -> anyhow::Result<Page<T>> {
    let mut page = Page { source, begin: 0, lines: Vec::new(), unreadable: Vec::new() };
    page.begin = whole(engine, source, |record| match decode(record) {
        Ok(line) => page.lines.push((record.offset, line)),
        Err(why) => page.unreadable.push((record.offset, why)),
    })
    .await?;
    Ok(page)
}

fn strict<T, E: std::error::Error>(
    decode: impl Fn(&[u8]) -> Result<T, E>,
) -> impl Fn(&Record) -> Result<T, String> {
    move |record| decode(&record.value).map_err(|error| chain(&error))
}

fn bet_line(record: &Record) -> Result<BetLine, String> {
    let header = |name| record.header(name).map(ToOwned::to_owned);
    Ok(BetEvent::decode(&record.value).map_or_else(
        |error| {
            BetLine::Unread(Unread {
                round: header(facts::HEADER_ROUND),
                bet: header(facts::HEADER_BET),
                error: chain(&error),
            })
        },
        BetLine::Said,
    ))
}

/// The error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

async fn offsets(
    engine: &impl Engine,
    counts: Partitions,
) -> anyhow::Result<BTreeMap<(String, Source), u64>> {
    let mut offsets = BTreeMap::new();
    let tiers = RetryTier::ALL.map(|tier| (DISPATCHER, tier.topic(), counts.lanes));
    let others = [
        (SETTLER, BETS, counts.lanes),
        (DISPATCHER, SETTLEMENTS, counts.lanes),
        (HERALD, ROUNDS, counts.rounds),
    ];
    for (group, topic, partitions) in others.into_iter().chain(tiers) {
        for partition in 0..partitions {
            let source = Source { topic: Topic(topic), partition };
            let stored = engine.stored(group, source).await;
            let stored = stored.with_context(|| format!("no offset of {group} on {source}"))?;
            offsets.extend(stored.map(|offset| ((group.to_owned(), source), offset)));
        }
    }
    Ok(offsets)
}

async fn read_facts(engine: &impl Engine, books: &mut Books) -> anyhow::Result<()> {
    let counts = books.partitions;
    let topics = [(BETS, counts.lanes), (SETTLEMENTS, counts.lanes), (ROUNDS, counts.rounds)];
    let scopes = rounds(books).into_iter().flat_map(|round| {
        topics.into_iter().flat_map(move |(topic, partitions)| {
            let group = round.clone();
            (0..partitions).map(move |partition| Scope {
                group: group.clone(),
                topic: Topic(topic),
                partition,
            })
        })
    });
    let scans = scopes.map(|scope| async move {
        let unread = format!("the facts of round {} cannot be read", scope.group);
        engine.scan(scope).await.context(unread)
    });
    let mut scans = stream::iter(scans).buffered(SCANS_AT_ONCE);
    while let Some(facts) = scans.try_next().await? {
        books.facts.extend(facts.into_iter().map(fact_line));
    }
    Ok(())
}

/// Every round that the log names.
fn rounds(books: &Books) -> BTreeSet<String> {
    let said = books.rounds.iter().flatten().map(|(_, event)| event.round.to_string());
    let bet = |line: &BetLine| match line {
        BetLine::Said(event) => event.round.as_ref().map(ToString::to_string),
        BetLine::Unread(unread) => unread.round.clone(),
    };
    let of_bets = books.bets.iter().flatten().filter_map(|(_, line)| bet(line));
    let paid = books.settlements.iter().flatten().map(|(_, due)| due.bet.round_str().to_owned());
    said.chain(of_bets).chain(paid).collect()
}

fn fact_line(fact: Fact) -> FactLine {
    let body = &fact.body;
    let said = match fact.key.kind {
        facts::ACCEPTED | facts::REJECTED | facts::CANCELLED => match DecisionSaid::decode(body) {
            Ok(DecisionSaid::Decided(decision)) => Ok(FactSaid::Decision(decision)),
            Ok(DecisionSaid::CancelRefused(_)) => Err("a refused cancel is no fact".to_owned()),
            Err(error) => Err(chain(&error)),
        },
        facts::MARKER => said(BetEvent::decode(body), FactSaid::Marker),
        facts::ADMITTED => said(RoundEvent::decode(body), FactSaid::Admitted),
        facts::TALLY => said(frame::decode::<TallyRecord>(body), FactSaid::Tally),
        facts::FREEZE => said(frame::decode::<FreezeRecord>(body), FactSaid::Freeze),
        facts::UNREADABLE => said(frame::decode::<UnreadableRecord>(body), FactSaid::Unreadable),
        facts::DELIVERED => said(frame::decode::<DeliveryRecord>(body), FactSaid::Delivered),
        facts::CLOSE => said(frame::decode::<CloseRecord>(body), FactSaid::Close),
        facts::REPEATED => said(frame::decode::<RepeatRecord>(body), FactSaid::Repeated),
        kind => Err(format!("the kind {kind} is not known")),
    };
    FactLine {
        scope: fact.key.scope,
        at: fact.key.at,
        kind: fact.key.kind,
        said: said.unwrap_or_else(FactSaid::Broken),
    }
}

fn said<T, E: std::error::Error>(
    decoded: Result<T, E>,
    said: impl Fn(T) -> FactSaid,
) -> Result<FactSaid, String> {
    decoded.map(said).map_err(|error| chain(&error))
}
