//! Watches a running engine: what was placed, decided and confirmed, what is owed, and when.
//!
//! Reads the topics as any consumer would, from their beginning, beside the machines. Times are those at
//! which the log took a record.

use crate::engine::SETTLER;
use crate::serve::Opened;
use runtime::{EngineError, Reader, RecordLog, Source, Topic};
use schemas::bets::{BetEvent, BetSaid};
use schemas::catalogue::{BETS, DECISIONS, DELIVERIES, ROUNDS, SETTLEMENTS};
use schemas::decisions::{DecisionSaid, Verdict};
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::settlements::{Settlement, revision_of};
use schemas::wire::{DeliveryOutcome, DeliveryRecord, RoundKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// How often a waiter looks again; at servers it must not ask all the time.
const LOOK_PERIOD: Duration = Duration::from_millis(5);
const LOOK_PERIOD_SHARED: Duration = Duration::from_millis(100);
/// Wait before a log that is away is read again.
const AGAIN_WAIT: Duration = Duration::from_millis(200);

/// What was said of a bet: its last decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// In.
    Accepted,
    /// Never was.
    Rejected,
    /// Taken back.
    Cancelled,
}

/// Admission and confirmations of one result version, in ms since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Fanout {
    /// When the verdict on the version stood in the log.
    pub admitted_at: Option<i64>,
    /// When each of its settlements was confirmed, in no order.
    pub confirmed_at: Vec<i64>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bets with an intent and without a decision.
    pub undecided: BTreeSet<String>,
    /// The last decision of each bet.
    pub decided: BTreeMap<String, Decided>,
    /// (bet, revision) without a final answer at it or above.
    pub owed: BTreeSet<(String, u32)>,
    /// Settlements with a final answer.
    pub confirmed: u64,
    /// Of each (round, result version).
    pub fanouts: BTreeMap<(String, u32), Fanout>,
    /// Rounds whose names do not begin with it are not looked at.
    rounds: String,
    finals: BTreeMap<String, u32>,
    positions: BTreeMap<Source, u64>,
}

/// A watch over an engine; ends when dropped.
pub struct Watch<E> {
    engine: E,
    seen: Arc<Mutex<Seen>>,
    _tails: JoinSet<()>,
}

impl<E: Opened> Watch<E> {
    /// Starts to read.
    pub fn start(engine: E) -> Self {
        Self::of_rounds(engine, "")
    }

    /// Starts to read, for the rounds whose names begin with `prefix`.
    pub fn of_rounds(engine: E, prefix: &str) -> Self {
        let seen = Seen { rounds: prefix.to_owned(), ..Seen::default() };
        let seen = Arc::new(Mutex::new(seen));
        let mut tails = JoinSet::new();
        for source in sources(E::PARTITIONS) {
            tails.spawn(tail(engine.clone(), source, Arc::clone(&seen)));
        }
        Self { engine, seen, _tails: tails }
    }

    /// What was seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the settlers have handled all that stands in `bets` now, everything they said was
    /// seen, and nothing is undecided or owed. False if that is not so within `wait_max`.
    pub async fn settled(&self, wait_max: Duration) -> bool {
        let period = if E::SHARED { LOOK_PERIOD_SHARED } else { LOOK_PERIOD };
        let begun = Instant::now();
        let Ok(ends) = self.ends(BETS).await else { return false };
        while begun.elapsed() < wait_max {
            if self.handled(&ends).await && self.caught_up().await {
                let seen = self.seen();
                if seen.undecided.is_empty() && seen.owed.is_empty() {
                    return true;
                }
            }
            sleep(period).await;
        }
        false
    }

    async fn ends(&self, topic: &'static str) -> Result<Vec<(Source, u64)>, EngineError> {
        let mut ends = Vec::new();
        for partition in 0..E::PARTITIONS.lanes {
            let source = Source { topic: Topic(topic), partition };
            ends.push((source, self.engine.range(source).await?.1));
        }
        Ok(ends)
    }

    async fn handled(&self, ends: &[(Source, u64)]) -> bool {
        for (source, end) in ends {
            let stored = self.engine.stored(SETTLER, *source).await;
            if stored.ok().flatten().unwrap_or_default() < *end {
                return false;
            }
        }
        true
    }

    async fn caught_up(&self) -> bool {
        for topic in [DECISIONS, SETTLEMENTS, DELIVERIES] {
            let Ok(ends) = self.ends(topic).await else { return false };
            let seen = self.seen();
            if ends.iter().any(|(s, end)| seen.positions.get(s).copied().unwrap_or(0) < *end) {
                return false;
            }
        }
        true
    }
}

fn sources(counts: Partitions) -> Vec<Source> {
    let lanes = [BETS, DECISIONS, SETTLEMENTS, DELIVERIES].into_iter().flat_map(|topic| {
        (0..counts.lanes).map(move |partition| Source { topic: Topic(topic), partition })
    });
    let rounds = (0..counts.rounds).map(|partition| Source { topic: Topic(ROUNDS), partition });
    lanes.chain(rounds).collect()
}

async fn tail(engine: impl RecordLog, source: Source, seen: Arc<Mutex<Seen>>) {
    let Ok((from, _)) = engine.range(source).await else { return };
    let mut reader = engine.reader(source, from);
    loop {
        let records = match reader.next(RECORDS_MAX).await {
            Ok((records, _)) => records,
            Err(EngineError::Unavailable(_)) => {
                sleep(AGAIN_WAIT).await;
                continue;
            }
            Err(_) => return,
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for record in &records {
            seen.take(source.topic.0, record.appended_at, &record.value);
            seen.positions.insert(source, record.offset + 1);
        }
    }
}

impl Seen {
    fn looks_at(&self, round: &str) -> bool {
        round.starts_with(&self.rounds)
    }

    /// What cannot be read is the audit's to report.
    fn take(&mut self, topic: &str, at: i64, value: &[u8]) {
        match topic {
            BETS => {
                if let Ok(BetEvent { said: BetSaid::Intent(intent), .. }) = BetEvent::decode(value)
                    && self.looks_at(intent.bet.id.round_str())
                {
                    let bet = intent.bet.id.to_string();
                    if !self.decided.contains_key(&bet) {
                        self.undecided.insert(bet);
                    }
                }
            }
            DECISIONS => {
                if let Ok(DecisionSaid::Decided(decision)) = DecisionSaid::decode(value)
                    && self.looks_at(decision.bet.id.round_str())
                {
                    self.decide(decision.bet.id.to_string(), &decision.verdict);
                }
            }
            SETTLEMENTS => {
                if let Ok(due) = Settlement::decode(value)
                    && self.looks_at(due.bet.round_str())
                {
                    let bet = due.bet.to_string();
                    if self.finals.get(&bet).is_none_or(|last| *last < due.revision) {
                        self.owed.insert((bet, due.revision));
                    }
                }
            }
            DELIVERIES => {
                if let Ok(delivery) = frame::decode::<DeliveryRecord>(value)
                    && self.looks_at(&delivery.round_id)
                {
                    self.deliver(at, &delivery);
                }
            }
            _ => self.admit(at, value),
        }
    }

    fn decide(&mut self, bet: String, verdict: &Verdict) {
        self.undecided.remove(&bet);
        let decided = match verdict {
            Verdict::Accepted => Decided::Accepted,
            Verdict::Rejected(_) => Decided::Rejected,
            Verdict::Cancelled(_) => Decided::Cancelled,
        };
        // A repeat of the acceptance does not bring a cancelled bet back.
        let stands = self.decided.entry(bet).or_insert(decided);
        if decided == Decided::Cancelled {
            *stands = decided;
        }
    }

    fn deliver(&mut self, at: i64, delivery: &DeliveryRecord) {
        match delivery.outcome {
            DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {}
            DeliveryOutcome::Parked | DeliveryOutcome::Unknown => return,
        }
        let Ok(revision) = u32::try_from(delivery.revision) else { return };
        let bet = &delivery.bet_id;
        let last = self.finals.entry(bet.clone()).or_default();
        if *last < revision {
            *last = revision;
            self.confirmed += 1;
            if let Some(version) = revision.checked_sub(revision_of(0)).filter(|v| 0 < *v) {
                let fanout = self.fanouts.entry((delivery.round_id.clone(), version)).or_default();
                fanout.confirmed_at.push(at);
            }
        }
        let closed: Vec<(String, u32)> =
            self.owed.range((bet.clone(), 0)..=(bet.clone(), revision)).cloned().collect();
        for one in closed {
            self.owed.remove(&one);
        }
    }

    fn admit(&mut self, at: i64, value: &[u8]) {
        let Ok(RoundEvent { round, said: RoundSaid::Verdict(verdict), .. }) =
            RoundEvent::decode(value)
        else {
            return;
        };
        let is_version = match verdict.kind {
            RoundKind::Result | RoundKind::Withdrawn | RoundKind::Voided => true,
            RoundKind::Unknown
            | RoundKind::Opened
            | RoundKind::Amended
            | RoundKind::Closing
            | RoundKind::Closed
            | RoundKind::Sealed
            | RoundKind::Proposed
            | RoundKind::ProposedWithdrawal
            | RoundKind::ProposedVoid
            | RoundKind::Rejected
            | RoundKind::Verdict => false,
        };
        if is_version && verdict.refused.is_none() && self.looks_at(round.as_str()) {
            let fanout = self.fanouts.entry((round.to_string(), verdict.version)).or_default();
            fanout.admitted_at.get_or_insert(at);
        }
    }
}
