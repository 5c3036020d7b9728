//! The invariants of DESIGN 9, asked at each step and not only at the end.
//!
//! What the log means is said by the oracle; here it is compared with what was published, stored, told
//! and moved. The first rule broken ends the world.

mod alarms;
mod limits;
mod offsets;
mod parked;
mod rounds;
mod shortfalls;

use super::reach::{Moment, Reach};
use super::store::Written;
use super::story;
use super::wallet::Wallets;
use crate::oracle::{self, Judged, State};
use ingest::placing::PartnerBook;
use partner_kit::misbehaviours::Misbehaviour;
use partner_kit::movement::Movement;
use runtime::{FactKey, Record, Source};
use schemas::PartnerId;
use schemas::bets::{BetEvent, BetSaid, HoldAnswer, Marker};
use schemas::catalogue::{BETS, DECISIONS, DELIVERIES, PARKED, ROUNDS, RetryTier, SETTLEMENTS};
use schemas::decisions::{DecisionSaid, Verdict};
use schemas::facts;
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::rounds::{Outcome, RoundEvent};
use schemas::settlements::{Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet};

/// A record that has just landed.
pub(super) struct Landed<'a> {
    pub(super) source: Source,
    pub(super) record: &'a Record,
}

/// What a version of a bet was published as.
#[derive(Clone, Debug, Default)]
struct Published {
    /// Kinds of decisions, with where they stand.
    decisions: BTreeMap<&'static str, u64>,
    /// Settlements by revision.
    settlements: BTreeMap<u32, Settlement>,
    highest_revision: u32,
}

/// Revisions at partners by partner and bet, in order.
pub(super) type Movements = BTreeMap<(PartnerId, String), Vec<u32>>;

/// A round, as its records in both topics have it.
#[derive(Debug, Default)]
struct RoundSeen {
    /// Markers by number: content, and the partitions that have it.
    markers: BTreeMap<u32, (Marker, BTreeSet<u32>)>,
    closed_in: BTreeSet<u32>,
    /// Admitted versions and their outcomes, in order.
    versions: Vec<Outcome>,
    sealed: bool,
    opened: bool,
}

/// All that was seen.
#[derive(Debug)]
pub struct Checks {
    partitions: Partitions,
    /// What partners of this world do wrong by the catalogue.
    misbehaves: Option<Misbehaviour>,
    pub violation: Option<String>,
    /// The log of each partition of `bets`, in plain words.
    stories: Vec<Vec<oracle::Event>>,
    /// Which partner a bet belongs to, from its intents and its rows.
    partners: BTreeMap<String, PartnerId>,
    bets: BTreeMap<String, Published>,
    rounds: BTreeMap<String, RoundSeen>,
    /// Bytes of every keyed record of a topic whose keys are fact ids.
    contents: BTreeMap<(&'static str, Vec<u8>), Vec<u8>>,
    /// Records of `rounds` by place.
    said: BTreeMap<(u32, u64), RoundEvent>,
    verdicts: BTreeMap<(u32, u64), RoundEvent>,
    /// Decision facts: kind, bet, at.
    fact_keys: BTreeSet<(&'static str, String, u64)>,
    /// Final answers: the highest revision by bet.
    finals: BTreeMap<String, u32>,
    /// Settlements moved to tiers: bet, revision -> newest place in each.
    moved_on: BTreeMap<(String, u32), BTreeMap<Source, u64>>,
    parked: BTreeMap<(String, u32), parked::Parked>,
    /// Movements at partners by bet: revisions in order.
    movements: Movements,
    /// How far the offsets of each source were checked.
    checked: BTreeMap<Source, u64>,
    /// Bets of a partition whose effects were all seen, at so many versions, taken back or not.
    settled: BTreeMap<(u32, String), (usize, bool)>,
    /// Settlements in `settlements` and the tiers, by place.
    owed: BTreeMap<(Source, u64), (String, u32)>,
    /// The partner whose ledger was restored from a backup.
    restored: Option<PartnerId>,
    /// The settlement that the log acknowledged and does not have.
    lost: Option<(String, u32)>,
    /// Shortfalls as they were told, by bet and revision, with the epoch of the ledger.
    shortfalls: BTreeMap<(String, u32), (String, i64)>,
    /// What each partner takes.
    limits: PartnerBook,
    /// What players were told: accepted or rejected, and cancelled.
    told: BTreeMap<String, BTreeSet<&'static str>>,
    alarms: BTreeMap<&'static str, u64>,
}

impl Checks {
    pub(super) fn new(partitions: Partitions, misbehaves: Option<Misbehaviour>) -> Self {
        Self {
            partitions,
            misbehaves,
            violation: None,
            stories: (0..partitions.lanes).map(|_| Vec::new()).collect(),
            partners: BTreeMap::new(),
            bets: BTreeMap::new(),
            rounds: BTreeMap::new(),
            contents: BTreeMap::new(),
            said: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            fact_keys: BTreeSet::new(),
            finals: BTreeMap::new(),
            moved_on: BTreeMap::new(),
            parked: BTreeMap::new(),
            movements: BTreeMap::new(),
            checked: BTreeMap::new(),
            settled: BTreeMap::new(),
            owed: BTreeMap::new(),
            restored: None,
            lost: None,
            limits: PartnerBook::new(),
            shortfalls: BTreeMap::new(),
            told: BTreeMap::new(),
            alarms: BTreeMap::new(),
        }
    }

    /// A rule is broken; only the first is kept.
    pub(super) fn broken(&mut self, rule: &str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("rule {rule}: {what}"));
        }
    }

    pub(super) fn bets_count(&self) -> u64 {
        u64::try_from(self.partners.len()).unwrap_or(0)
    }

    pub(super) fn has_open_round(&self) -> bool {
        self.rounds.values().any(|round| round.opened && !round.sealed)
    }

    pub(super) fn story(&self, partition: u32) -> &[oracle::Event] {
        self.stories
            .get(usize::try_from(partition).unwrap_or(usize::MAX))
            .map_or(&[], Vec::as_slice)
    }

    /// The log acknowledged this settlement and does not have it.
    pub(super) fn lost(&mut self, settlement: &Settlement) {
        self.lost = Some((settlement.bet.to_string(), settlement.revision));
    }

    pub(super) fn has_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// True if it is this one, and nobody has said it again.
    pub(super) fn is_missed(&self, settlement: &Settlement) -> bool {
        let id = (settlement.bet.to_string(), settlement.revision);
        self.lost.as_ref() == Some(&id) && !self.is_published(&id.0, id.1)
    }

    fn is_published(&self, bet: &str, revision: u32) -> bool {
        self.bets.get(bet).is_some_and(|published| published.settlements.contains_key(&revision))
    }

    /// What the log of a partition means below `below`.
    fn judge(&self, partition: u32, below: u64) -> BTreeMap<String, Judged> {
        let story = self.story(partition);
        oracle::judge(&story[..story.partition_point(|event| event.at < below)])
    }

    pub(super) fn fact(&mut self, key: &FactKey, body: &[u8], written: Written, wallets: &Wallets) {
        if written == Written::Different {
            self.broken("2", format!("one fact, two bodies: {key:?}"));
        }
        match key.kind {
            facts::ACCEPTED | facts::REJECTED | facts::CANCELLED => {
                self.fact_keys.insert((key.kind, key.subject.clone(), key.at));
            }
            facts::DELIVERED => {
                if let Ok(record) = frame::decode::<DeliveryRecord>(body) {
                    let said = (DELIVERIES, record.delivery_id.clone().into_bytes());
                    if !self.contents.contains_key(&said) {
                        let text = format!("{} is closed before it is said", record.delivery_id);
                        self.broken("R3", text);
                    }
                    self.delivered(&record, wallets);
                }
            }
            _ => {}
        }
    }

    /// Invariant 7: nothing is called final that the partner does not have.
    fn delivered(&mut self, record: &DeliveryRecord, wallets: &Wallets) {
        let revision = u32::try_from(record.revision).unwrap_or(0);
        let Ok(partner) = record.partner_id.parse::<PartnerId>() else { return };
        // What a ledger said that is no more was true of that one.
        let standing = if wallets.is_past(&partner, &record.ledger_epoch) {
            u32::MAX
        } else {
            wallets.revision_of(&partner, &record.bet_id)
        };
        let final_at = match record.outcome {
            DeliveryOutcome::Applied if revision <= standing => revision,
            // R17: or by one that was read, and is owed itself.
            DeliveryOutcome::Superseded
                if revision < standing || self.is_published_above(&record.bet_id, revision) =>
            {
                revision
            }
            DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {
                self.broken(
                    "7",
                    format!(
                        "{}/{revision} is called {:?} while the partner stands at {standing}",
                        record.bet_id, record.outcome
                    ),
                );
                return;
            }
            DeliveryOutcome::Parked | DeliveryOutcome::Unknown => return,
        };
        let highest = self.finals.entry(record.bet_id.clone()).or_default();
        *highest = final_at.max(*highest);
    }

    fn is_published_above(&self, bet: &str, revision: u32) -> bool {
        self.bets.get(bet).is_some_and(|published| revision < published.highest_revision)
    }

    pub(super) fn record(&mut self, landed: &Landed<'_>, wallets: &Wallets, reach: &mut Reach) {
        let partition = landed.source.partition;
        let record = landed.record;
        match landed.source.topic.0 {
            BETS => self.bets_record(partition, record, wallets, reach),
            ROUNDS => self.rounds_record(partition, record, reach),
            DECISIONS => {
                self.same_content(DECISIONS, record);
                self.decision(partition, record, wallets);
            }
            SETTLEMENTS => {
                self.same_content(SETTLEMENTS, record);
                self.settlement(landed.source, record, reach);
            }
            PARKED => self.parked_record(partition, record, reach),
            tier if RetryTier::of_topic(tier).is_some() => {
                reach.hit(Moment::TierVisited);
                if tier == RetryTier::H1.topic() {
                    reach.hit(Moment::LastTierVisited);
                }
                if let Ok(settlement) = Settlement::decode(&record.value) {
                    let id = (settlement.bet.to_string(), settlement.revision);
                    self.owed.insert((landed.source, record.offset), id.clone());
                    self.moved_on.entry(id).or_default().insert(landed.source, record.offset);
                }
            }
            DELIVERIES => {
                self.same_content(DELIVERIES, record);
                self.shortfall_said(record);
            }
            _ => {}
        }
    }

    /// Invariant 2: the same id always carries the same content.
    fn same_content(&mut self, topic: &'static str, record: &Record) {
        self.same(topic, record, record.value.to_vec());
    }

    fn same(&mut self, topic: &'static str, record: &Record, value: Vec<u8>) {
        let key = (topic, record.key.to_vec());
        if let Some(before) = self.contents.get(&key) {
            if *before != value {
                let key = String::from_utf8_lossy(&record.key).into_owned();
                self.broken("2", format!("{topic} {key} at {} has another content", record.offset));
            }
            return;
        }
        self.contents.insert(key, value);
    }

    fn tell(&mut self, partition: u32, event: oracle::Event) {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        if let Some(story) = self.stories.get_mut(index) {
            story.push(event);
        }
    }

    fn bets_record(
        &mut self,
        partition: u32,
        record: &Record,
        wallets: &Wallets,
        reach: &mut Reach,
    ) {
        if record.header(facts::HEADER_KIND) == Some("tick") {
            let tick = oracle::Said::Tick;
            let (round, bet) = (String::new(), String::new());
            let event = oracle::Event { at: record.offset, round, bet, said: tick };
            self.tell(partition, event);
            return;
        }
        let Ok(event) = BetEvent::decode(&record.value) else { return };
        if let Some(plain) = story::plain(record.offset, &event) {
            self.tell(partition, plain);
        }
        match &event.said {
            BetSaid::Intent(intent) => {
                self.partners.insert(intent.bet.id.to_string(), intent.bet.partner.clone());
                self.intent_limits(&intent.bet);
            }
            BetSaid::Answer { bet, answer, .. } => {
                let approved = matches!(answer, HoldAnswer::Approved);
                if !wallets.ever_answered(bet.as_str(), approved) {
                    self.broken("R13", format!("{bet}: an answer that the partner never gave"));
                }
            }
            BetSaid::Marker(marker) => {
                let round = event.round.as_ref().map(ToString::to_string).unwrap_or_default();
                self.marker(partition, &round, marker, reach);
            }
            BetSaid::Cancel { .. } | BetSaid::Tick | BetSaid::Thaw { .. } => {}
        }
    }

    /// Invariants 2, 3, 4 and R3 on one decision.
    fn decision(&mut self, partition: u32, record: &Record, wallets: &Wallets) {
        let Ok(said) = DecisionSaid::decode(&record.value) else {
            self.broken("R23", format!("unreadable decision at {}", record.offset));
            return;
        };
        let DecisionSaid::Decided(decision) = said else { return };
        let bet = decision.bet.id.to_string();
        let kind = match decision.verdict {
            Verdict::Accepted => facts::ACCEPTED,
            Verdict::Rejected(_) => facts::REJECTED,
            Verdict::Cancelled(_) => facts::CANCELLED,
        };
        if !self.fact_keys.contains(&(kind, bet.clone(), decision.at)) {
            self.broken("R3", format!("{bet}: {kind} is published before its fact is durable"));
        }
        let judged = self.judge(partition, decision.at + 1).remove(&bet).unwrap_or_default();
        let meant = match decision.verdict {
            Verdict::Accepted => judged.accepted,
            Verdict::Rejected(_) => judged.rejected,
            Verdict::Cancelled(_) => judged.cancelled,
        };
        if meant != Some(decision.at) || judged.stake != i128::from(decision.bet.stake.units) {
            self.broken("3", format!("{bet}: {kind} at {}, the log says {judged:?}", decision.at));
        }
        if kind == facts::ACCEPTED && !wallets.ever_held(&bet, decision.bet.stake.units) {
            self.broken("1", format!("{bet}: accepted with a stake that was never held"));
        }
        let published = self.bets.entry(bet).or_default();
        published.decisions.insert(kind, decision.at);
    }

    /// Invariant 2 and R10 on one settlement, and that it is what the log says.
    fn settlement(&mut self, source: Source, record: &Record, reach: &mut Reach) {
        let Ok(settlement) = Settlement::decode(&record.value) else {
            self.broken("R23", format!("unreadable settlement at {}", record.offset));
            return;
        };
        let (bet, revision) = (settlement.bet.to_string(), settlement.revision);
        self.owed.insert((source, record.offset), (bet.clone(), revision));
        let published = self.bets.entry(bet.clone()).or_default();
        if revision < published.highest_revision {
            reach.hit(Moment::OlderRevisionLate);
        }
        published.highest_revision = published.highest_revision.max(revision);
        published.settlements.insert(revision, settlement.clone());
        let revisions: Vec<u32> = published.settlements.keys().copied().collect();
        if 1 < revisions.len() && revisions.contains(&2) {
            self.broken("2", format!("{bet} has revision 2 and a higher one: {revisions:?}"));
        }
        let judged = self.judge(source.partition, u64::MAX).remove(&bet).unwrap_or_default();
        let expected = expected(&judged);
        let found = expected.iter().find(|(expected, _)| *expected == revision);
        let target = match settlement.target {
            Target::Held => State::Held,
            Target::Settled(payout) => State::Settled(i128::from(payout)),
            Target::Voided => State::Voided,
        };
        if found != Some(&(revision, target)) {
            self.broken(
                "1",
                format!("{bet}/{revision} says {target:?}, the log says {expected:?}"),
            );
        }
    }

    /// Invariants 2 and 1 on what a partner really moved.
    pub(super) fn moved(&mut self, partner: &PartnerId, movement: &Movement) {
        let bet = movement.bet_id.clone();
        self.partners.entry(bet.clone()).or_insert_with(|| partner.clone());
        let revisions = self.movements.entry((partner.clone(), bet.clone())).or_default();
        let rises = revisions.last().is_none_or(|last| *last < movement.revision);
        revisions.push(movement.revision);
        let both = revisions.contains(&2) && revisions.iter().any(|revision| 2 < *revision);
        if !rises {
            self.broken("2", format!("{bet}: revisions at the partner fall"));
        } else if both {
            self.broken("2", format!("{bet}: the partner got revision 2 and a higher one"));
        }
    }

    /// The revisions of every bet that a partner moved money for.
    pub(super) fn movements_of(&self, partner: &PartnerId) -> Movements {
        let of_partner = self.movements.iter().filter(|((of, _), _)| of == partner);
        of_partner.map(|(id, revisions)| (id.clone(), revisions.clone())).collect()
    }

    /// The partner's ledger is again what it was when it had moved these.
    pub(super) fn fell_back(&mut self, partner: &PartnerId, movements: Movements) {
        self.movements.retain(|(of, _), _| of != partner);
        self.movements.extend(movements);
        self.restored = Some(partner.clone());
    }

    /// The highest revision of the bet that has a final answer.
    pub(super) fn final_revision(&self, bet: &str) -> u32 {
        self.finals.get(bet).copied().unwrap_or(0)
    }

    pub(super) fn partner_of(&self, bet: &str) -> Option<&PartnerId> {
        self.partners.get(bet)
    }

    /// Result versions of a round so far.
    pub(super) fn versions_of(&self, round: &str) -> usize {
        self.rounds.get(round).map_or(0, |round| round.versions.len())
    }

    /// Invariant 3: told is told, and only what was decided is told.
    pub(super) fn told(&mut self, bet: &str, kind: &'static str) {
        let published =
            self.bets.get(bet).is_some_and(|published| published.decisions.contains_key(kind));
        if !published {
            self.broken("R13", format!("{bet}: told {kind}, which nobody decided"));
        }
        let told = self.told.entry(bet.to_owned()).or_default();
        told.insert(kind);
        if told.contains(facts::REJECTED) && 1 < told.len() {
            let what = format!("{bet}: told {told:?}");
            self.broken("3", what);
        }
    }
}

/// The settlements that the log demands of a bet: revision and target.
pub(super) fn expected(judged: &Judged) -> Vec<(u32, State)> {
    if judged.rejected.or(judged.cancelled).is_some() {
        return vec![(2, State::Voided)];
    }
    let before = std::iter::once(State::Held).chain(judged.states.iter().copied());
    before
        .zip(judged.states.iter().copied())
        .zip(3..)
        .filter(|((before, state), _)| before != state)
        .map(|((_, state), revision)| (revision, state))
        .collect()
}
