//! One partition of `bets` with its settler, told in short words and judged by the oracle.

use crate::stage::{Player, Stage};
use pipeline_tests::oracle::{self, Judged, State};
use pipeline_tests::world::story;
use runtime::{Append, Record, Source, Topic};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use schemas::decisions::{DecisionSaid, Verdict};
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};
use schemas::{BetId, ClientRef, Odds, PartnerId, PlayerId, RequestId, RoundId, outgoing};
use settler::{Settler, SettlerOptions};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const BETS_0: Source = Source { topic: Topic(BETS), partition: 0 };

/// The partition.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) stage: Stage,
    pub(crate) rounds_kept: usize,
    settler: Option<Player<Settler>>,
    /// Alarms of settlers that are gone.
    pub(crate) alarms: Vec<&'static str>,
}

/// A bet of round `round` that its player calls `name`, on `first` at 2.50.
pub(crate) fn bet(round: &str, name: &str, stake: i64) -> Bet {
    let round: RoundId = round.parse().unwrap();
    let partner: PartnerId = "acme".parse().unwrap();
    let player: PlayerId = "p1".parse().unwrap();
    let client_ref: ClientRef = name.parse().unwrap();
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "first".parse().unwrap(),
        stake: schemas::Money::new(stake, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: settlement::RULES_VERSION,
        placed_at: 1_000,
    }
}

impl Lane {
    /// A partition in which `r1` is open for bets.
    pub(crate) fn with_round() -> Self {
        let mut lane = Self { rounds_kept: 100, ..Self::default() };
        lane.opened("r1");
        lane
    }

    pub(crate) fn say(&mut self, round: Option<&str>, said: BetSaid) -> u64 {
        let round = round.map(|round| round.parse().unwrap());
        let event = BetEvent { round, said_at: 1_000, said };
        self.stage.append(Append::from(outgoing::bet(&event, 0).unwrap().into_parts()))
    }

    fn mark(&mut self, round: &str, number: u32, body: MarkerBody) -> u64 {
        self.say(Some(round), BetSaid::Marker(Marker { number, body }))
    }

    pub(crate) fn opened(&mut self, round: &str) -> u64 {
        let selections = vec!["first".parse().unwrap(), "second".parse().unwrap()];
        let (game, rules_version) = ("two_way".to_owned(), settlement::RULES_VERSION);
        self.mark(round, 1, MarkerBody::Opened { game, rules_version, selections })
    }

    pub(crate) fn closed(&mut self, round: &str) -> u64 {
        self.mark(round, 2, MarkerBody::Closed)
    }

    /// Result version `version`; `first` wins, `second` wins, `withdrawn` or `voided`.
    pub(crate) fn version(&mut self, round: &str, version: u32, said: &str) -> u64 {
        let outcome = match said {
            "withdrawn" => Outcome::Withdrawn,
            "voided" => Outcome::Voided,
            winner => Outcome::Game(winner.to_owned()),
        };
        self.mark(round, version + 2, MarkerBody::Version { version, outcome })
    }

    pub(crate) fn intent(&mut self, bet: &Bet) -> u64 {
        let intent = Intent::new(bet.clone(), 5_000);
        self.say(Some(bet.id.round_str()), BetSaid::Intent(intent))
    }

    pub(crate) fn approved(&mut self, bet: &Bet) -> u64 {
        self.answer(bet, HoldAnswer::Approved)
    }

    pub(crate) fn declined(&mut self, bet: &Bet) -> u64 {
        self.answer(bet, HoldAnswer::Declined("bet_expired".to_owned()))
    }

    fn answer(&mut self, bet: &Bet, answer: HoldAnswer) -> u64 {
        let (id, partner, content) = (bet.id.clone(), bet.partner.clone(), bet.content_hash());
        self.say(Some(bet.id.round_str()), BetSaid::Answer { bet: id, partner, content, answer })
    }

    pub(crate) fn cancel(&mut self, bet: &Bet) -> u64 {
        let request: RequestId = "cancel".parse().unwrap();
        let (id, partner) = (bet.id.clone(), bet.partner.clone());
        self.say(Some(bet.id.round_str()), BetSaid::Cancel { bet: id, partner, request })
    }

    pub(crate) fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.say(None, BetSaid::Tick);
        }
    }

    /// A settler with an empty memory, from `from` on.
    pub(crate) fn settler(&self, from: u64) -> Settler {
        Settler::new(SettlerOptions { partition: 0, from, rounds_kept: self.rounds_kept })
    }

    /// The owner reads all there is; a first one is made if there is none.
    pub(crate) fn run(&mut self) {
        let mut player = match self.settler.take() {
            Some(player) => player,
            None => Player::new(self.settler(self.stage.stored(BETS_0))),
        };
        self.stage.run(&mut player);
        self.settler = Some(player);
    }

    /// The owner dies after so many parts of its next batches became durable.
    pub(crate) fn run_and_die_after(&mut self, parts: usize) {
        let settler = self.settler(self.stage.stored(BETS_0));
        let mut player = match self.settler.take() {
            Some(player) => player,
            None => Player::new(settler),
        };
        player.parts_left = parts;
        self.stage.run(&mut player);
        assert!(player.is_dead(), "there were not that many parts");
        self.alarms.extend(player.alarms());
    }

    /// A new owner starts at the stored offset with an empty memory, and reads all there is.
    pub(crate) fn takeover(&mut self) {
        self.takeover_at(self.stage.stored(BETS_0));
    }

    pub(crate) fn takeover_at(&mut self, from: u64) {
        if let Some(gone) = self.settler.replace(Player::new(self.settler(from))) {
            self.alarms.extend(gone.alarms());
        }
        self.run();
    }

    pub(crate) fn all_alarms(&self) -> Vec<&'static str> {
        let own = self.settler.as_ref().map(Player::alarms).unwrap_or_default();
        self.alarms.iter().copied().chain(own).collect()
    }

    fn records(&self, topic: &'static str) -> &[Record] {
        self.stage.log.all(Source { topic: Topic(topic), partition: 0 })
    }

    pub(crate) fn settlements(&self) -> Vec<Settlement> {
        let records = self.records(SETTLEMENTS).iter();
        records.map(|record| Settlement::decode(&record.value).unwrap()).collect()
    }

    pub(crate) fn decisions(&self) -> Vec<DecisionSaid> {
        let records = self.records(DECISIONS).iter();
        records.map(|record| DecisionSaid::decode(&record.value).unwrap()).collect()
    }

    pub(crate) fn judged(&self) -> BTreeMap<String, Judged> {
        let records = self.stage.log.all(BETS_0).iter();
        let plain =
            |record: &Record| story::plain(record.offset, &BetEvent::decode(&record.value).ok()?);
        oracle::judge(&records.filter_map(plain).collect::<Vec<_>>())
    }

    /// What was published is what the log defines: nothing else, and all of it; nobody was alarmed.
    pub(crate) fn verify(&self) -> Result<(), String> {
        let alarms = self.all_alarms();
        if !alarms.is_empty() {
            return Err(format!("alarms: {alarms:?}"));
        }
        let judged = self.judged();
        let published = self.published();
        let defined: BTreeSet<Said> =
            judged.iter().flat_map(|(bet, judged)| defined(bet, judged)).collect();
        if let Some(wrong) = published.difference(&defined).next() {
            return Err(format!("published, but not in the log: {wrong:?}"));
        }
        if let Some(missing) = defined.difference(&published).next() {
            return Err(format!("in the log, but never published: {missing:?}"));
        }
        let undecided: Vec<&String> = judged
            .iter()
            .filter(|(_, j)| j.accepted.or(j.rejected).or(j.cancelled).is_none())
            .map(|(bet, _)| bet)
            .collect();
        if undecided.is_empty() { Ok(()) } else { Err(format!("undecided: {undecided:?}")) }
    }

    fn published(&self) -> BTreeSet<Said> {
        let decisions = self.decisions().into_iter().filter_map(|said| match said {
            DecisionSaid::Decided(decision) => {
                let kind = match decision.verdict {
                    Verdict::Accepted => "accepted",
                    Verdict::Rejected(_) => "rejected",
                    Verdict::Cancelled(_) => "cancelled",
                };
                Some(Said::Decision(decision.bet.id.to_string(), kind, decision.at))
            }
            DecisionSaid::CancelRefused(_) => None,
        });
        let settlements = self.settlements().into_iter().map(|settlement| {
            let target = match settlement.target {
                Target::Held => "held".to_owned(),
                Target::Settled(payout) => payout.to_string(),
                Target::Voided => "voided".to_owned(),
            };
            Said::Settlement(settlement.bet.to_string(), settlement.revision, target)
        });
        decisions.chain(settlements).collect()
    }
}

/// Something published, or to be published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Decision(String, &'static str, u64),
    Settlement(String, u32, String),
}

/// What the log says must be published of a bet.
fn defined(bet: &str, judged: &Judged) -> Vec<Said> {
    let kinds = [
        ("accepted", judged.accepted),
        ("rejected", judged.rejected),
        ("cancelled", judged.cancelled),
    ];
    let mut said: Vec<Said> = kinds
        .into_iter()
        .filter_map(|(kind, at)| Some(Said::Decision(bet.to_owned(), kind, at?)))
        .collect();
    if judged.rejected.or(judged.cancelled).is_some() {
        said.push(Said::Settlement(bet.to_owned(), 2, "voided".to_owned()));
    }
    let mut before = State::Held;
    for (state, revision) in judged.states.iter().zip(3..) {
        if *state != before {
            let target = match state {
                State::Held => "held".to_owned(),
                State::Settled(payout) => payout.to_string(),
                State::Voided => "voided".to_owned(),
            };
            said.push(Said::Settlement(bet.to_owned(), revision, target));
        }
        before = *state;
    }
    said
}
