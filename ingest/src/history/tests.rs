//! The machine over a log and a store in memory.

mod attempts;
mod machine;
mod stories;
mod walks;

use super::History;
use super::lists::{List, Place, Step, Walk};
use super::story::Story;
use super::{TOPICS, story_scope};
use bytes::Bytes;
use runtime::{
    Alarm, Append, Batch, Effect, EngineError, Fact, FactKey, FactStore, Input, Machine, Millis,
    Record, Scope, Source, Topic,
};
use schemas::attempts::Attempts;
use schemas::bets::Bet;
use schemas::catalogue::RetryTier;
use schemas::decisions::{Decision, DecisionSaid, RejectReason, Verdict};
use schemas::facts::{
    HEADER_ATTEMPT, HEADER_ATTEMPT_LOG, HEADER_REPLAYED, HEADER_SHORTFALL, HEADER_TRIED,
};
use schemas::outgoing::{self, Outgoing, Partitions, SettlementTopic};
use schemas::settlements::{Reason, Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{BetId, Money, Odds};
use std::collections::{BTreeMap, BTreeSet};

/// When the bets of these tests were placed.
const PLACED_AT: i64 = 1_793_000_000_000;
const PARTITIONS: Partitions = Partitions::EMBEDDED;

/// Rows by key; writing one again must not change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rows(BTreeMap<FactKey, Bytes>);

impl Rows {
    fn write(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let before = self.0.insert(fact.key.clone(), fact.body.clone());
            assert!(before.is_none_or(|before| before == fact.body), "{:?}", fact.key);
        }
    }

    fn of(&self, wanted: impl Fn(&FactKey) -> bool) -> Vec<Fact> {
        let of = self.0.iter().filter(|(key, _)| wanted(key));
        of.map(|(key, body)| Fact { key: key.clone(), body: body.clone() }).collect()
    }

    fn story(&self, bet: &BetId) -> Story {
        let scope = story_scope(bet, PARTITIONS);
        let rows = self.of(|key| key.scope == scope && key.subject == bet.as_str());
        Story::tell(&rows).unwrap()
    }

    /// The subjects of a list, newest first.
    async fn list(&self, list: List<'_>) -> Vec<String> {
        let below = Place::before(u64::try_from(PLACED_AT + 100_000_000).unwrap());
        let mut walk = Walk::new((self, PARTITIONS), list, (0, below), BTreeSet::new());
        let mut subjects = Vec::new();
        while let Step::Place(place) = walk.next().await.unwrap() {
            subjects.push(place.subject);
        }
        subjects
    }
}

impl FactStore for Rows {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        Ok(self.of(|key| key.scope == scope))
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        Ok(self.of(|key| key.scope == scope && key.lane == lane && key.subject == subject))
    }
}

/// The topics of one partition, and the epoch that its partner's ledger names.
#[derive(Clone, Debug, Default)]
struct Log {
    topics: BTreeMap<Source, Vec<Record>>,
    epoch: u32,
}

impl Log {
    /// Appends a record with further headers; the log takes one each second.
    fn append(&mut self, out: Outgoing, headers: &[(&'static str, &str)]) {
        let mut append = Append::from(out.into_parts());
        append.headers.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let count: usize = self.topics.values().map(Vec::len).sum();
        let records = self.topics.entry(append.source()).or_default();
        records.push(Record {
            offset: u64::try_from(records.len()).unwrap(),
            appended_at: PLACED_AT + 1_000 * i64::try_from(count + 1).unwrap(),
            key: append.key,
            headers: append.headers.into_iter().collect(),
            value: append.value,
        });
    }

    fn decide(&mut self, bet: &Bet, verdict: Verdict) {
        let intent_at =
            (verdict != cancelled() || bet.client_ref.as_str() == "pending").then_some(1);
        let caused_at = bet.placed_at + 20;
        let decision = Decision { bet: bet.clone(), verdict, at: 2, caused_at, intent_at };
        let said = DecisionSaid::Decided(decision);
        self.append(outgoing::decision(&said, partition()).unwrap(), &[]);
    }

    fn settle(&mut self, bet: &Bet, revision: u32, target: Target) {
        let reason = if revision == 3 { Reason::Result } else { Reason::ResultCorrected };
        let caused_at = bet.placed_at + 10_000 * i64::from(revision);
        let said = Settlement::of(bet, revision, Target::Held, target, reason, caused_at);
        let topic = SettlementTopic::Settlements;
        self.append(outgoing::settlement(&said, topic, partition()).unwrap(), &[]);
    }

    fn replay(&mut self, bet: &Bet, revision: u32, target: Target) {
        let said = Settlement::of(bet, revision, Target::Held, target, Reason::Result, 1);
        let topic = SettlementTopic::Retry(schemas::catalogue::RetryTier::S5);
        let out = outgoing::settlement(&said, topic, partition()).unwrap();
        self.append(out, &[(HEADER_ATTEMPT, "0"), (HEADER_REPLAYED, "true")]);
    }

    /// It was applied, and this much could not be taken back.
    fn deliver_short(&mut self, bet: &Bet, revision: u32, shortfall: Option<&str>) {
        let record = DeliveryRecord {
            bet_id: bet.id.to_string(),
            revision: i64::from(revision),
            outcome: DeliveryOutcome::Applied,
            ledger_epoch: "e1".to_owned(),
            ..DeliveryRecord::default()
        };
        let out = outgoing::delivery(&record.identified(), partition()).unwrap();
        let headers = shortfall.map(|units| (HEADER_SHORTFALL, units));
        self.append(out, headers.as_slice());
    }

    fn deliver(&mut self, bet: &Bet, revision: u32, outcome: DeliveryOutcome, attempts: &str) {
        let record = DeliveryRecord {
            bet_id: bet.id.to_string(),
            revision: i64::from(revision),
            round_id: bet.id.round_str().to_owned(),
            partner_id: bet.partner.to_string(),
            ledger_epoch: format!("e{}", self.epoch),
            outcome,
            superseded_by: (outcome == DeliveryOutcome::Superseded)
                .then(|| i64::from(revision + 1)),
            code: (outcome == DeliveryOutcome::Parked).then(|| "row_conflict".to_owned()),
            ..DeliveryRecord::default()
        };
        let out = outgoing::delivery(&record.identified(), partition()).unwrap();
        self.append(out, &[(HEADER_ATTEMPT, attempts)]);
    }

    /// A record of a tier with these attempts, which are news or not.
    fn owe(&mut self, bet: &Bet, tier: RetryTier, log: &str, news: bool) {
        let said = Settlement::of(bet, 3, Target::Held, Target::Voided, Reason::Result, 1);
        let out = outgoing::settlement(&said, SettlementTopic::Retry(tier), partition()).unwrap();
        let count = Attempts::read(log).len().to_string();
        let mut headers = vec![(HEADER_ATTEMPT, count.as_str()), (HEADER_ATTEMPT_LOG, log)];
        headers.extend(news.then_some((HEADER_TRIED, "true")));
        self.append(out, &headers);
    }

    fn sources(&self) -> Vec<Source> {
        TOPICS.map(|topic| Source { topic: Topic(topic), partition: partition() }).to_vec()
    }

    /// The rows that a machine writes which reads `sources` one after the other, `records` at a time.
    fn rows(&self, sources: &[Source], records: usize) -> Rows {
        let mut world = World::new(self.sources());
        for source in sources {
            for chunk in self.topics.get(source).into_iter().flat_map(|all| all.chunks(records)) {
                world.read(*source, chunk.to_vec());
                world.settle();
            }
        }
        assert_eq!(world.alarms, []);
        world.rows
    }

    fn all_rows(&self) -> Rows {
        self.rows(&self.sources(), 100)
    }
}

fn partition() -> u32 {
    PARTITIONS.of_partner(&"acme".parse().unwrap())
}

fn cancelled() -> Verdict {
    Verdict::Cancelled("undo".parse().unwrap())
}

fn declined() -> Verdict {
    Verdict::Rejected(RejectReason::Declined("insufficient_funds".to_owned()))
}

/// A bet of 10.00 at 2.50.
fn bet(client_ref: &str) -> Bet {
    let (partner, player) = ("acme".parse().unwrap(), "p_9".parse().unwrap());
    let (round, client_ref) = ("r_1".parse().unwrap(), client_ref.parse().unwrap());
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "odd".parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: PLACED_AT,
    }
}

/// A driver of one machine.
struct World {
    machine: History,
    now: Millis,
    rows: Rows,
    /// The batch on its way.
    batch: Option<Batch>,
    timer: Option<Millis>,
    stored: BTreeMap<Source, u64>,
    alarms: Vec<Alarm>,
}

impl World {
    fn new(sources: Vec<Source>) -> Self {
        let sources = sources.into_iter().map(|source| (source, 0)).collect();
        Self {
            machine: History::new(sources, PARTITIONS),
            now: PLACED_AT,
            rows: Rows::default(),
            batch: None,
            timer: None,
            stored: BTreeMap::new(),
            alarms: Vec::new(),
        }
    }

    fn input(&mut self, input: Input<History>) {
        for effect in self.machine.handle(self.now, input) {
            match effect {
                Effect::Apply { batch, .. } => {
                    assert!(self.batch.replace(batch).is_none(), "two writes at once");
                }
                Effect::Timer { at, .. } => self.timer = Some(at),
                Effect::Alarm(alarm) => self.alarms.push(alarm),
                Effect::Peek { .. } | Effect::Load { .. } => panic!("it reads nothing"),
                Effect::Call { call, .. } => match call {},
                Effect::Reply { reply, .. } => match reply {},
            }
        }
    }

    fn read(&mut self, source: Source, records: Vec<Record>) {
        let end = records.last().map_or(0, |last| last.offset + 1);
        self.input(Input::Records { source, records, end });
    }

    /// The batch on its way becomes durable after `took` ms.
    fn apply(&mut self, took: Millis) {
        let batch = self.batch.take().unwrap();
        batch.facts.into_iter().for_each(|wave| self.rows.write(wave));
        for offset in batch.offsets {
            let before = self.stored.insert(offset.source, offset.offset);
            assert!(before < Some(offset.offset), "an offset fell");
        }
        self.now += took;
        self.input(Input::Applied { token: 0 });
    }

    /// The rest is over.
    fn wake(&mut self) {
        self.now = self.timer.take().unwrap();
        self.input(Input::Timer { token: 0 });
    }

    /// Until nothing waits.
    fn settle(&mut self) {
        while self.batch.is_some() {
            self.apply(1);
            self.wake();
        }
    }
}
