//! The story of one bet: its rows folded into who said what, and what moved. A pure function.
//!
//! What was published twice is told once, as it stood first in its topic.

use runtime::Fact;
use schemas::attempts::Attempts;
use schemas::bets::{Bet, Unreadable};
use schemas::decisions::{CancelRefused, Decision, DecisionSaid, RejectReason, Verdict};
use schemas::facts::{
    HISTORY_ATTEMPTS, HISTORY_DECISION, HISTORY_DELIVERY, HISTORY_REPLAY, HISTORY_SETTLEMENT,
    HISTORY_SHORTFALL,
};
use schemas::frame;
use schemas::settlements::{REVISION_HELD, REVISION_VOID, Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord, StoryRecord};
use std::collections::{BTreeMap, BTreeSet};

/// Something said, and when the log took it, in ms since the Unix epoch, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged<T> {
    pub(crate) at: i64,
    pub(crate) said: T,
}

/// How a delivery ended, and how often it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) record: DeliveryRecord,
    /// Absent where the record does not say it.
    pub(crate) attempts: Option<i64>,
    /// The first of them and the last ones; empty where the record does not say it.
    pub(crate) attempt_log: Attempts,
}

/// How often a movement was tried, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Attempts in all, of those that counted on; 0 where no record says it.
    pub(crate) count: i64,
    /// All of them that a record told one by one.
    pub(crate) log: Attempts,
}

/// What the partner said when it was asked to hold the stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It holds the stake.
    Approved,
    /// It does not, with its code.
    Declined(String),
    /// Nothing that stood in the log in time.
    Unanswered,
}

/// How a movement that a partner was asked for ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The stake's hold was answered, or not.
    Hold(Hold),
    /// The partner's row is in the state asked for.
    Applied,
    /// The partner's row is at this higher revision.
    Superseded(u32),
    /// Set aside for people, with a code; still owed.
    Parked(String),
    /// No final answer yet.
    Owed,
}

/// Where a bet stands for its player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It never was.
    Rejected,
    /// It was taken back.
    Cancelled,
    /// It is in, and no result stands.
    Accepted,
    /// It was worth something.
    Won,
    /// It was worth nothing.
    Lost,
    /// It did not count.
    Void,
}

/// Everything that was said about a bet. Ordered by what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// Accepted or rejected first, cancelled last.
    pub(crate) decisions: BTreeMap<u8, Logged<Decision>>,
    pub(crate) refused: BTreeMap<u64, Logged<CancelRefused>>,
    /// By revision.
    pub(crate) settlements: BTreeMap<u32, Logged<Settlement>>,
    /// In the order of their topic, each once.
    pub(crate) deliveries: Vec<Logged<Delivery>>,
    /// Revisions that were sent again by command.
    pub(crate) replays: Vec<Logged<u32>>,
    /// What the partner could not take back, minor units, by the revision that it applied; the last word of each.
    pub(crate) shortfalls: BTreeMap<u32, i64>,
    /// By revision; 1 is the hold.
    pub(crate) tried: BTreeMap<u32, Tried>,
}

impl Story {
    /// Tells the story from the rows of a bet, ordered by key.
    ///
    /// # Errors
    /// [`Unreadable`] if a row cannot be decoded.
    pub(crate) fn tell(rows: &[Fact]) -> Result<Self, Unreadable> {
        let mut story = Self::default();
        for row in rows {
            let StoryRecord { logged_at: at, attempts, attempt_log, value } =
                StoryRecord::read(&row.body)?;
            let log = attempt_log.as_deref().map(Attempts::read).unwrap_or_default();
            match row.key.kind {
                HISTORY_DECISION => match DecisionSaid::decode(&value)? {
                    DecisionSaid::Decided(decision) => story.decided(at, decision),
                    DecisionSaid::CancelRefused(said) => {
                        story.refused.entry(said.at).or_insert(Logged { at, said });
                    }
                },
                HISTORY_SETTLEMENT => {
                    let said = Settlement::decode(&value)?;
                    story.settlements.entry(said.revision).or_insert(Logged { at, said });
                }
                HISTORY_DELIVERY => {
                    let record: DeliveryRecord = frame::decode(&value)?;
                    story.delivered(at, Delivery { record, attempts, attempt_log: log });
                }
                HISTORY_ATTEMPTS => {
                    let text = std::str::from_utf8(&value).ok();
                    if let Some(revision) = text.and_then(|text| text.parse().ok()) {
                        story.tried(revision, attempts, log);
                    }
                }
                HISTORY_REPLAY => {
                    let said = Settlement::decode(&value)?.revision;
                    story.replays.push(Logged { at, said });
                }
                HISTORY_SHORTFALL => {
                    let told =
                        std::str::from_utf8(&value).ok().and_then(|told| told.split_once(' '));
                    let read = |(revision, units): (&str, &str)| {
                        Some((revision.parse::<u32>().ok()?, units.parse::<i64>().ok()?))
                    };
                    story.shortfalls.extend(told.and_then(read));
                }
                _ => {}
            }
        }
        Ok(story)
    }

    /// Takes an answer or a parking; one that is known tells its attempts alone.
    fn delivered(&mut self, at: i64, said: Delivery) {
        if let Some(revision) = said.revision() {
            self.tried(revision, said.attempts, said.attempt_log.clone());
        }
        let known =
            |told: &Logged<Delivery>| told.said.record.delivery_id == said.record.delivery_id;
        if !self.deliveries.iter().any(known) {
            self.deliveries.push(Logged { at, said });
        }
    }

    fn tried(&mut self, revision: u32, count: Option<i64>, log: Attempts) {
        let tried = self.tried.entry(revision).or_default();
        tried.log.join(log);
        let told = i64::try_from(tried.log.len()).unwrap_or(i64::MAX);
        tried.count = tried.count.max(count.unwrap_or(told));
    }

    /// Takes a decision, unless one of its rank is known.
    pub(crate) fn decided(&mut self, at: i64, said: Decision) {
        let rank = match said.verdict {
            Verdict::Accepted | Verdict::Rejected(_) => 1,
            Verdict::Cancelled(_) => 2,
        };
        self.decisions.entry(rank).or_insert(Logged { at, said });
    }

    /// The newest decision.
    pub(crate) fn decision(&self) -> Option<&Decision> {
        self.decisions.last_key_value().map(|(_, decision)| &decision.said)
    }

    /// The bet.
    pub(crate) fn bet(&self) -> Option<&Bet> {
        self.decision().map(|decision| &decision.bet)
    }

    /// Where the bet stands; `None` if it has no decision.
    pub(crate) fn standing(&self) -> Option<Standing> {
        Some(match self.decision()?.verdict {
            Verdict::Rejected(_) => Standing::Rejected,
            Verdict::Cancelled(_) => Standing::Cancelled,
            Verdict::Accepted => self
                .results()
                .last()
                .map_or(Standing::Accepted, |last| Standing::of(last.said.target)),
        })
    }

    /// What the results of its round made of the bet, in their order; of a bet that is in.
    pub(crate) fn results(&self) -> impl Iterator<Item = &Logged<Settlement>> {
        let above = self.settlements.range(REVISION_VOID.saturating_add(1)..);
        above.map(|(_, settlement)| settlement)
    }

    /// What the partner said to the hold, and when; the settler's decision follows from it.
    pub(crate) fn hold(&self) -> Option<(Option<i64>, Hold)> {
        let (_, first) = self.decisions.first_key_value()?;
        let at = Some(first.said.caused_at);
        Some(match &first.said.verdict {
            Verdict::Accepted => (at, Hold::Approved),
            Verdict::Rejected(RejectReason::Declined(code)) => (at, Hold::Declined(code.clone())),
            // A cancel without what it cancelled ended the intent itself.
            Verdict::Rejected(_) | Verdict::Cancelled(_) => (None, Hold::Unanswered),
        })
    }

    /// The delivery that ended `revision`: of several in one ledger a final answer rather than a parking; of
    /// several ledgers the last word of the newest.
    pub(crate) fn ended(&self, revision: u32) -> Option<&Logged<Delivery>> {
        let mut of = self.deliveries.iter().filter(|told| told.said.revision() == Some(revision));
        let last = of.clone().next_back();
        let epoch =
            last.map(|told| &told.said.record.ledger_epoch).filter(|epoch| !epoch.is_empty());
        let is_final = |told: &&Logged<Delivery>| {
            let record = &told.said.record;
            record.outcome != DeliveryOutcome::Parked
                && epoch.is_none_or(|epoch| *epoch == record.ledger_epoch)
        };
        of.rfind(is_final).or(last)
    }

    /// How each revision ended that was answered or parked.
    fn ends(&self) -> impl Iterator<Item = (u32, DeliveryOutcome)> {
        let revisions = self.deliveries.iter().filter_map(|told| told.said.revision());
        let revisions: BTreeSet<u32> = revisions.collect();
        revisions
            .into_iter()
            .filter_map(|revision| Some((revision, self.ended(revision)?.said.record.outcome)))
    }

    /// How the movement of `revision` ended. An answer about a higher revision ends it too (R18).
    pub(crate) fn outcome(&self, revision: u32) -> Option<Outcome> {
        if revision == REVISION_HELD {
            return self.hold().map(|(_, hold)| Outcome::Hold(hold));
        }
        self.settlements.get(&revision)?;
        let higher = || {
            let applied = self.applied().filter(|other| revision < *other);
            applied.max().map(Outcome::Superseded)
        };
        let Some(ended) = self.ended(revision) else {
            return Some(higher().unwrap_or(Outcome::Owed));
        };
        let record = &ended.said.record;
        Some(match record.outcome {
            DeliveryOutcome::Applied => Outcome::Applied,
            DeliveryOutcome::Superseded => {
                let by = record.superseded_by.and_then(|by| u32::try_from(by).ok());
                Outcome::Superseded(by.unwrap_or(revision))
            }
            DeliveryOutcome::Parked => {
                higher().unwrap_or_else(|| Outcome::Parked(record.code.clone().unwrap_or_default()))
            }
            DeliveryOutcome::Unknown => Outcome::Owed,
        })
    }

    /// What the movement of `revision` moved at the partner, in minor units: below zero from the player. It
    /// follows from the register of the contract: the new state's net less that of the newest one applied
    /// before. `None` where nothing answered tells it; a movement whose answer was lost counts with the next.
    pub(crate) fn moved(&self, revision: u32) -> Option<i64> {
        match self.outcome(revision)? {
            Outcome::Hold(Hold::Approved) => self.bet()?.stake.units.checked_neg(),
            Outcome::Hold(Hold::Declined(_)) | Outcome::Superseded(_) => Some(0),
            Outcome::Applied => {
                let before = self.applied().filter(|other| *other < revision).max();
                let before = match before {
                    Some(before) => self.net(before)?,
                    None => self.moved(REVISION_HELD)?,
                };
                self.net(revision)?.checked_sub(before)
            }
            Outcome::Hold(Hold::Unanswered) | Outcome::Parked(_) | Outcome::Owed => None,
        }
    }

    /// What the partner could not take back of the bet when it applied `revision`, in minor units.
    pub(crate) fn shortfall(&self, revision: u32) -> i64 {
        self.shortfalls.get(&revision).copied().unwrap_or(0)
    }

    /// By how much that rose with `revision`: below zero where it made up for what was missing before.
    pub(crate) fn shortfall_rise(&self, revision: u32) -> i64 {
        if self.outcome(revision) != Some(Outcome::Applied) {
            return 0;
        }
        let before = self.applied().filter(|other| *other < revision).max();
        let before = before.map_or(0, |before| self.shortfall(before));
        self.shortfall(revision).saturating_sub(before)
    }

    /// The highest revision with a final answer.
    pub(crate) fn confirmed(&self) -> Option<u32> {
        let is_final = |end| matches!(end, DeliveryOutcome::Applied | DeliveryOutcome::Superseded);
        self.ends().filter(|(_, end)| is_final(*end)).map(|(revision, _)| revision).max()
    }

    /// Revisions that the partner applied.
    fn applied(&self) -> impl Iterator<Item = u32> {
        let applied = self.ends().filter(|(_, end)| *end == DeliveryOutcome::Applied);
        applied.map(|(revision, _)| revision)
    }

    /// What a state is worth to the player beside the stake, in minor units.
    fn net(&self, revision: u32) -> Option<i64> {
        let settlement = &self.settlements.get(&revision)?.said;
        let stake = settlement.stake.units;
        match settlement.target {
            Target::Held => stake.checked_neg(),
            Target::Settled(payout) => payout.checked_sub(stake),
            Target::Voided => Some(0),
        }
    }
}

impl Delivery {
    /// The revision delivered.
    pub(crate) fn revision(&self) -> Option<u32> {
        u32::try_from(self.record.revision).ok()
    }
}

impl Standing {
    /// What a target state is to the player.
    pub(crate) fn of(target: Target) -> Self {
        match target {
            Target::Held => Self::Accepted,
            Target::Settled(0) => Self::Lost,
            Target::Settled(_) => Self::Won,
            Target::Voided => Self::Void,
        }
    }

    /// Its word in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Accepted => "accepted",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Void => "void",
        }
    }

    /// Every word.
    pub(crate) const NAMES: &[&str] = &["accepted", "rejected", "cancelled", "won", "lost", "void"];
}

impl Outcome {
    /// Its word in the API.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Hold(Hold::Approved) => "approved",
            Self::Hold(Hold::Declined(_)) => "declined",
            Self::Hold(Hold::Unanswered) => "unanswered",
            Self::Applied => "applied",
            Self::Superseded(_) => "superseded",
            Self::Parked(_) => "parked",
            Self::Owed => "owed",
        }
    }

    /// Every word.
    pub(crate) const NAMES: &[&str] =
        &["approved", "declined", "unanswered", "applied", "superseded", "parked", "owed"];
}
