//! A copy of what a house wrote, and wallets, with 200 damages: the reconciler names each, and pays nothing.

use crate::house::{Ground, House, Street, WAIT_MAX, journals};
use crate::roles::part;
use futures_util::future::join_all;
use partner_kit::faults::SplitMix;
use partner_kit::journal;
use partner_kit::movement::{Entry, Movement};
use roundhouse::serve::Role;
use runtime::{Append, Batch, Fact, Reader, Scope, Source, Topic};
use schemas::catalogue::{BETS, CASES, ROUNDS, SETTLEMENTS};
use schemas::contract::RowStatus;
use schemas::decisions::DecisionSaid;
use schemas::facts::{ACCEPTED, CLOSE, DELIVERED};
use schemas::settlements::Settlement;
use schemas::wire::{CaseRecord, DeliveryOutcome, DeliveryRecord};
use schemas::{frame, outgoing};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(each_of_200_damages_of_a_copy_is_named_and_nothing_is_paid);

const DAMAGES: usize = 200;
const KINDS: usize = 6;
/// Bets of a round, for each partner.
const BETS_EACH: usize = 8;
/// Rounds played at once.
const ROUNDS_AT_ONCE: usize = 10;
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// Longer than a cycle and what a difference needs to be found twice.
const CYCLE: Duration = Duration::from_secs(4);

/// Everything of a topic.
async fn records<E: Ground>(engine: &E, topic: &'static str) -> Vec<(u32, Append)> {
    let topic = Topic(topic);
    let mut records = Vec::new();
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        let (mut at, end) = engine.range(source).await.unwrap();
        let mut reader = engine.reader(source, at);
        while at < end {
            for record in reader.next(1_000).await.unwrap().0 {
                at = record.offset + 1;
                let (key, headers, value) = (record.key, Vec::new(), record.value);
                records.push((partition, Append { topic, partition, key, headers, value }));
            }
        }
    }
    records
}

/// What the reconciler reads of these rounds.
struct Copy {
    /// By round and partition: facts about bets, and answers.
    facts: BTreeMap<(String, u32), [Vec<Fact>; 2]>,
    rounds: Vec<Append>,
}

impl Copy {
    async fn of<E: Ground>(engine: &E, rounds: &[String]) -> Self {
        let mut facts = BTreeMap::new();
        for round in rounds {
            for partition in 0..E::PARTITIONS.lanes {
                let of = |topic| Scope { group: round.clone(), topic: Topic(topic), partition };
                let both = [of(BETS), of(SETTLEMENTS)].map(|scope| engine.scan(scope));
                let [bets, answers] = both;
                let both = [bets.await.unwrap(), answers.await.unwrap()];
                facts.insert((round.clone(), partition), both);
            }
        }
        let rounds = records(engine, ROUNDS).await.into_iter().map(|(_, append)| append).collect();
        Self { facts, rounds }
    }

    /// Whether every round was closed with every partner that has a bet in it.
    fn is_closed(&self) -> bool {
        self.facts.values().all(|[bets, _]| {
            let lanes = |kind: &str| -> BTreeSet<String> {
                let of = bets.iter().filter(|fact| fact.key.kind == kind);
                of.map(|fact| fact.key.lane.clone()).collect()
            };
            lanes(ACCEPTED) == lanes(CLOSE)
        })
    }

    async fn write<E: Ground>(self, engine: &E) {
        let facts: Vec<Fact> = self.facts.into_values().flatten().flatten().collect();
        for facts in facts.chunks(1_000) {
            let batch = Batch { facts: vec![facts.to_vec()], ..Batch::default() };
            engine.apply(None, batch).await.unwrap();
        }
        engine.append(self.rounds).await.unwrap();
    }
}

/// What is to be found, by the bet that it is to name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// A case of damaged facts.
    damaged: BTreeSet<String>,
    /// A case of a round that differs.
    differs: BTreeSet<String>,
    /// Said again.
    again: BTreeSet<String>,
}

impl Found {
    async fn of<E: Ground>(engine: &E) -> Self {
        let mut found = Self::default();
        for (_, record) in records(engine, CASES).await {
            let case: CaseRecord = frame::decode(&record.value).unwrap();
            let bets =
                if case.code == "facts_damaged" { &mut found.damaged } else { &mut found.differs };
            assert!(bets.insert(case.bet_id.clone().unwrap()), "told twice: {case:?}");
        }
        for (_, record) in records(engine, SETTLEMENTS).await {
            let bet = Settlement::decode(&record.value).unwrap().bet.to_string();
            assert!(found.again.insert(bet.clone()), "{bet} was said again twice");
        }
        found
    }

    fn count(&self) -> usize {
        self.damaged.len() + self.differs.len() + self.again.len()
    }
}

/// What happens to the row of a bet in a journal.
#[derive(Clone, Copy)]
enum Row {
    Lost,
    Altered,
}

/// Damages the copy and says what is to be done to journals: one damage for each round and partition, since one whose
/// facts are damaged is not compared.
fn damage(copy: &mut Copy, random: &mut SplitMix) -> (Found, BTreeMap<String, Row>) {
    let (mut wanted, mut rows) = (Found::default(), BTreeMap::new());
    let places = copy
        .facts
        .values_mut()
        .filter(|[bets, _]| bets.iter().any(|fact| fact.key.kind == ACCEPTED));
    for (number, [bets, answers]) in places.take(DAMAGES).enumerate() {
        let accepted: Vec<usize> =
            (0..bets.len()).filter(|at| bets[*at].key.kind == ACCEPTED).collect();
        let drawn = random.below(u64::try_from(accepted.len()).unwrap());
        let at = accepted[usize::try_from(drawn).unwrap()];
        let bet = bets[at].key.subject.clone();
        let is_it = |fact: &Fact| fact.key.kind == DELIVERED && fact.key.subject == bet;
        match number % KINDS {
            0 => {
                bets.remove(at);
                wanted.damaged.insert(bet);
            }
            1 => {
                let fact = &mut bets[at];
                let Ok(DecisionSaid::Decided(mut decision)) = DecisionSaid::decode(&fact.body)
                else {
                    panic!("{fact:?}")
                };
                let stake = decision.bet.stake;
                decision.bet.stake = stake.with_units(stake.units + 1);
                let row = outgoing::decision_fact(&decision, fact.key.scope.partition).unwrap();
                fact.body = row.body.into();
                wanted.damaged.insert(bet);
            }
            2 => {
                answers.retain(|fact| !is_it(fact));
                wanted.again.insert(bet);
            }
            3 => {
                for fact in answers.iter_mut().filter(|fact| is_it(fact)) {
                    let mut record: DeliveryRecord = frame::decode(&fact.body).unwrap();
                    record.outcome = DeliveryOutcome::Unknown;
                    fact.body = frame::encode(&record).unwrap().into();
                }
                wanted.again.insert(bet);
            }
            4 => {
                wanted.differs.insert(bet.clone());
                rows.insert(bet, Row::Lost);
            }
            _ => {
                wanted.differs.insert(bet.clone());
                rows.insert(bet, Row::Altered);
            }
        }
    }
    (wanted, rows)
}

fn journal_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.is_file()).collect()
}

/// Everything in the wallets' journals.
fn entries(directory: &Path) -> Vec<Vec<Entry>> {
    let mut files = journal_files(directory);
    files.sort();
    files.iter().map(|path| journal::read(path).unwrap()).collect()
}

/// Takes away or alters the last movement of these bets, and numbers the rest anew.
fn rewrite(directory: &Path, rows: &BTreeMap<String, Row>) {
    for path in journal_files(directory) {
        let mut entries = journal::read(&path).unwrap();
        let last = |bet: &str, entries: &[Entry]| {
            entries.iter().rposition(|it| matches!(it, Entry::Movement(it) if it.bet_id == bet))
        };
        for (bet, row) in rows {
            let Some(at) = last(bet, &entries) else { continue };
            match (row, &mut entries[at]) {
                (Row::Lost, _) => drop(entries.remove(at)),
                (
                    Row::Altered,
                    Entry::Movement(Movement { status, payout, moved, collected_net, .. }),
                ) => {
                    assert_eq!(*status, RowStatus::Settled);
                    for sum in [payout, moved, collected_net] {
                        *sum += 1;
                    }
                }
                (Row::Altered, other) => panic!("{other:?}"),
            }
        }
        let mut number = 0;
        let mut text = String::new();
        for entry in &mut entries {
            let seq = match entry {
                Entry::Epoch(_) => None,
                Entry::Movement(it) => Some(&mut it.seq),
                Entry::Deposit(it) => Some(&mut it.seq),
                Entry::Block(it) => Some(&mut it.seq),
            };
            if let Some(seq) = seq {
                number += 1;
                *seq = number;
            }
            text += &serde_json::to_string(entry).unwrap();
            text.push('\n');
        }
        std::fs::write(&path, text).unwrap();
    }
}

/// Plays rounds until each is closed with every partner, and gives a copy of what was written.
async fn played<E: Ground>(street: &Street, rounds: &[String]) -> Copy {
    let house = House::<E>::open(&street.config).await;
    for (seed, group) in (0..).zip(rounds.chunks(ROUNDS_AT_ONCE)) {
        join_all(group.iter().map(async |round| {
            let count = BETS_EACH * street.keys.len();
            house.bet(round, street.wagers(round, count, seed)).await;
            house.api.result(round, "3").await.unwrap();
        }))
        .await;
    }
    house.settled().await;
    let begun = Instant::now();
    let copy = loop {
        let copy = Copy::of(house.running.engine(), rounds).await;
        if copy.is_closed() {
            break copy;
        }
        assert!(begun.elapsed() < WAIT_MAX, "not every round was closed");
        sleep(LOOK_PERIOD).await;
    };
    house.close().await;
    copy
}

async fn each_of_200_damages_of_a_copy_is_named_and_nothing_is_paid<E: Ground>() {
    let mut street = Street::on::<E>(3, 85, &[]).await;
    street.config.reconciler.close_after_s = 0;
    let lanes: BTreeSet<u32> =
        street.keys.keys().map(|it| E::PARTITIONS.of_partner(&it.parse().unwrap())).collect();
    let count = DAMAGES.div_ceil(lanes.len());
    let rounds: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
    let mut copy = played::<E>(&street, &rounds).await;

    let (wanted, rows) = damage(&mut copy, &mut SplitMix::new(85));
    assert_eq!(wanted.count(), DAMAGES);
    let rewritten = |journals: &Path| {
        rewrite(journals, &rows);
        Ok(())
    };
    street.wallets.restored(rewritten, &[]).await.unwrap();
    let before = entries(&journals(street.directory.path()));
    let directory = tempfile::tempdir().unwrap();
    street.config.storage.data_dir = directory.path().to_owned();
    E::prepare(&mut street.config).await;
    street.config.reconciler.stale_s = 1;
    street.config.reconciler.cycle_s = 1;
    let engine = E::open(&street.config).await;
    copy.write(&engine).await;

    let (_, running) = part(&street, &engine, &[Role::Reconciler, Role::Dispatcher]).await;
    let begun = Instant::now();
    loop {
        let found = Found::of(&engine).await;
        if DAMAGES <= found.count() {
            break;
        }
        let took = begun.elapsed();
        assert!(took < WAIT_MAX, "not found: {:?}", missing(&wanted, &found));
        sleep(LOOK_PERIOD).await;
    }
    sleep(CYCLE).await;
    let found = Found::of(&engine).await;
    assert_eq!(found, wanted);
    running.stop().await.unwrap();
    assert_eq!(entries(&journals(street.directory.path())), before, "nothing was paid");
}

fn missing(wanted: &Found, found: &Found) -> Found {
    let less = |one: &BTreeSet<String>, other: &BTreeSet<String>| one - other;
    Found {
        damaged: less(&wanted.damaged, &found.damaged),
        differs: less(&wanted.differs, &found.differs),
        again: less(&wanted.again, &found.again),
    }
}
