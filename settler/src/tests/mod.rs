//! The settler and the reconciler on scripted partitions, every effect performed at once.

mod again;
mod cases;
mod closing;
mod deciding;
mod freezing;
mod previewing;
mod reconciling;

use crate::{Settler, SettlerOptions};
use bytes::Bytes;
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Append, Batch, Fact, FactKey, Record, RecordHeaders, Source, Step, Topic};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use schemas::decisions::DecisionSaid;
use schemas::outgoing;
use schemas::rounds::Outcome;
use schemas::settlements::Settlement;
use schemas::{BetId, Money, Odds, PartnerId, RoundId};
use std::collections::BTreeMap;

/// The order in which facts arrive that were asked for together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    First,
    Last,
}

/// One partition with everything that was ever written about it.
#[derive(Default)]
struct Lane {
    log: Vec<Record>,
    facts: BTreeMap<FactKey, Bytes>,
    written: Vec<Append>,
    stored: u64,
    alarms: Vec<Alarm>,
}

fn round() -> RoundId {
    "r1".parse().unwrap()
}

fn partner() -> PartnerId {
    "acme".parse().unwrap()
}

/// A bet of 10.00 EUR at 2.50 on `selection` of a die, called `name`.
fn bet(name: &str, selection: &str) -> Bet {
    let player = "p1".parse().unwrap();
    let client_ref = name.parse().unwrap();
    Bet {
        id: BetId::of(&round(), &partner(), &player, &client_ref),
        partner: partner(),
        player,
        client_ref,
        selection: selection.parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: 1_000,
    }
}

impl Lane {
    fn say(&mut self, said: BetSaid) -> u64 {
        let round = (said != BetSaid::Tick).then(round);
        let event = BetEvent { round, said_at: 1_000, said };
        let out = outgoing::bet(&event, 0).unwrap();
        self.raw(out.headers.into_iter().collect(), out.value)
    }

    /// A marker of another round, its first.
    fn say_of(&mut self, round: &str, body: MarkerBody) {
        let said = BetSaid::Marker(Marker { number: 1, body });
        let event = BetEvent { round: Some(round.parse().unwrap()), said_at: 1_000, said };
        self.raw(RecordHeaders::default(), outgoing::bet(&event, 0).unwrap().value);
    }

    fn raw(&mut self, headers: RecordHeaders, value: Vec<u8>) -> u64 {
        let offset = self.end();
        self.log.push(Record {
            offset,
            appended_at: 0,
            key: Bytes::new(),
            headers,
            value: value.into(),
        });
        offset
    }

    fn end(&self) -> u64 {
        u64::try_from(self.log.len()).unwrap()
    }

    fn marker(&mut self, number: u32, body: MarkerBody) -> u64 {
        self.say(BetSaid::Marker(Marker { number, body }))
    }

    fn open(&mut self) -> u64 {
        let selections = ["odd", "even"].map(|text| text.parse().unwrap()).to_vec();
        self.marker(1, MarkerBody::Opened { game: "die".to_owned(), rules_version: 1, selections })
    }

    fn close(&mut self) -> u64 {
        self.marker(2, MarkerBody::Closed)
    }

    fn version(&mut self, version: u32, outcome: Outcome) -> u64 {
        self.marker(version + 2, MarkerBody::Version { version, outcome })
    }

    fn outcome(&mut self, version: u32, outcome: &str) -> u64 {
        self.version(version, Outcome::Game(outcome.to_owned()))
    }

    fn intent(&mut self, bet: &Bet) -> u64 {
        self.say(BetSaid::Intent(Intent::new(bet.clone(), 5_000)))
    }

    fn answer(&mut self, bet: &Bet, answer: HoldAnswer) -> u64 {
        self.say(BetSaid::Answer {
            bet: bet.id.clone(),
            partner: bet.partner.clone(),
            content: bet.content_hash(),
            answer,
        })
    }

    fn held(&mut self, bet: &Bet) {
        self.intent(bet);
        self.answer(bet, HoldAnswer::Approved);
    }

    fn cancel(&mut self, bet: &Bet) -> u64 {
        self.say(BetSaid::Cancel {
            bet: bet.id.clone(),
            partner: bet.partner.clone(),
            request: "c1".parse().unwrap(),
        })
    }

    fn settler(&self) -> Settler {
        Settler::new(SettlerOptions { partition: 0, from: self.stored, rounds_kept: 8 })
    }

    /// Reads to the end in batches of `batch_records`, performing every effect at once.
    fn run(&mut self, settler: &mut Settler, batch_records: usize) {
        loop {
            let from = usize::try_from(settler.position()).unwrap();
            let to = self.log.len().min(from + batch_records);
            let source = Source { topic: Topic(BETS), partition: 0 };
            if from == to || !settler.ready_for(source) {
                return;
            }
            let records = self.log[from..to].to_vec();
            let end = self.end();
            self.feed(settler, Input::Records { source, records, end });
        }
    }

    fn feed<M: Machine>(&mut self, machine: &mut M, input: Input<M>) {
        let mut inputs = vec![input];
        let mut now = 1_000_000;
        while let Some(input) = inputs.pop() {
            for effect in machine.handle(now, input) {
                match effect {
                    Effect::Load { token, scope } => {
                        let facts = self.facts.iter().filter(|(key, _)| key.scope == scope);
                        let facts = facts
                            .map(|(key, body)| Fact { key: key.clone(), body: body.clone() })
                            .collect();
                        inputs.push(Input::Loaded { token, facts });
                    }
                    Effect::Apply { token, batch } => {
                        self.apply(batch);
                        inputs.push(Input::Applied { token });
                    }
                    Effect::Timer { token, at } => {
                        now = now.max(at);
                        if at < 2_000_000 {
                            inputs.push(Input::Timer { token });
                        }
                    }
                    Effect::Alarm(alarm) => self.alarms.push(alarm),
                    // A partner that does not answer.
                    Effect::Call { .. } => {}
                    Effect::Peek { .. } | Effect::Reply { .. } => {
                        panic!("not from these machines")
                    }
                }
            }
        }
    }

    /// Gives a settler all that is unread, and the facts it asks for in the order asked, or reversed.
    fn run_loads(&mut self, settler: &mut Settler, order: Order) {
        let from = usize::try_from(settler.position()).unwrap();
        let source = Source { topic: Topic(BETS), partition: 0 };
        let records = self.log[from..].to_vec();
        let mut asked = settler.handle(0, Input::Records { source, records, end: self.end() });
        if order == Order::Last {
            asked.reverse();
        }
        for effect in asked {
            let Effect::Load { token, scope } = effect else { panic!("{effect:?}") };
            let facts = self.facts.iter().filter(|(key, _)| key.scope == scope);
            let facts =
                facts.map(|(key, body)| Fact { key: key.clone(), body: body.clone() }).collect();
            self.feed(settler, Input::Loaded { token, facts });
        }
    }

    fn apply(&mut self, batch: Batch) {
        for step in batch.steps() {
            match step {
                Step::Facts(facts) => {
                    self.facts.extend(facts.into_iter().map(|fact| (fact.key, fact.body)));
                }
                Step::Records(records) => self.written.extend(records),
                Step::Offsets(offsets) => self.stored = offsets[0].offset,
            }
        }
    }

    /// Runs a fresh settler from the stored offset to the end.
    fn settle(&mut self) {
        let mut settler = self.settler();
        self.run(&mut settler, 100);
    }

    fn decisions(&self, bet: &Bet) -> Vec<String> {
        let records = self.written.iter().filter(|append| append.topic.0 == DECISIONS);
        records
            .map(|append| DecisionSaid::decode(&append.value).unwrap())
            .filter(|said| *said.bet_id() == bet.id)
            .map(|said| said.kind().name().to_owned())
            .collect()
    }

    fn settlements(&self, bet: &Bet) -> Vec<Settlement> {
        let records = self.written.iter().filter(|append| append.topic.0 == SETTLEMENTS);
        records
            .map(|append| Settlement::decode(&append.value).unwrap())
            .filter(|settlement| settlement.bet == bet.id)
            .collect()
    }

    /// Revision and target of every settlement of a bet, such as `3 Settled(2500)`.
    fn targets(&self, bet: &Bet) -> Vec<String> {
        let line = |s: &Settlement| format!("{} {:?}", s.revision, s.target);
        self.settlements(bet).iter().map(line).collect()
    }

    fn alarmed(&self, name: &str) -> bool {
        self.alarms.iter().any(|alarm| alarm.name == name)
    }
}
