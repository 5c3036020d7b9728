//! What the audit reads: every topic, the facts, the stored offsets, and the wallets' journals.

use runtime::{Scope, Source};
use schemas::bets::BetEvent;
use schemas::catalogue::TIERS;
use schemas::decisions::{Decision, DecisionSaid};
use schemas::outgoing::Partitions;
use schemas::rounds::RoundEvent;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{
    CaseRecord, CloseRecord, DeliveryRecord, FreezeRecord, RepeatRecord, TallyRecord,
    UnreadableRecord,
};
use std::collections::BTreeMap;

/// What stands in one partition, in order, with the offsets.
pub type Lines<T> = Vec<(u64, T)>;

/// A record whose value could not be read, with what its headers name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The round.
    pub round: Option<String>,
    /// The bet.
    pub bet: Option<String>,
    /// What the decoder says.
    pub error: String,
}

/// A record of `bets.v1`, read or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetLine {
    /// Understood.
    Said(BetEvent),
    /// Not understood (R23).
    Unread(Unread),
}

/// What a fact says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactSaid {
    /// A decision, under its kind.
    Decision(Decision),
    /// A marker of a round in one partition.
    Marker(BetEvent),
    /// The tally of a round in one partition.
    Tally(TallyRecord),
    /// A freeze or a thaw.
    Freeze(FreezeRecord),
    /// A record that could not be decoded.
    Unreadable(UnreadableRecord),
    /// Something the herald admitted.
    Admitted(RoundEvent),
    /// A final delivery answer or a parking.
    Delivered(DeliveryRecord),
    /// What came of closing the round with a partner.
    Close(CloseRecord),
    /// A settlement was said again.
    Repeated(RepeatRecord),
    /// A body that does not decode, with the error.
    Broken(String),
}

/// A fact and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactLine {
    /// Round, topic and partition.
    pub scope: Scope,
    /// The offset of the record that caused it.
    pub at: u64,
    /// The kind it is stored under.
    pub kind: &'static str,
    /// What it says.
    pub said: FactSaid,
}

/// One row change of a wallet, as its journal has it. Amounts are minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The partner whose row it is.
    pub partner: String,
    /// The player whose balance moved.
    pub player: String,
    /// The bet.
    pub bet: String,
    /// The row's revision after it.
    pub revision: u32,
    /// The row's state after it; `None` for a sticky decline.
    pub target: Option<Target>,
    /// The row's stake; 0 where the row never knew one.
    pub stake: i64,
    /// The currency and its exponent.
    pub currency: (String, i64),
    /// The signed change of the player's balance.
    pub moved: i64,
    /// What claw-backs could not take so far: the row's shortfall after it, positive.
    pub shortfall: i64,
}

/// Everything there is to audit.
#[derive(Clone, Debug)]
pub struct Books {
    /// Partition counts.
    pub partitions: Partitions,
    /// `bets.v1` by partition.
    pub bets: Vec<Lines<BetLine>>,
    /// `rounds.v1` by partition; records that cannot be read are in `unreadable`.
    pub rounds: Vec<Lines<RoundEvent>>,
    /// `decisions.v1` by partition.
    pub decisions: Vec<Lines<DecisionSaid>>,
    /// `settlements.v1` by partition.
    pub settlements: Vec<Lines<Settlement>>,
    /// The retry tiers by partition, in the order of [`RetryTier::ALL`].
    pub retries: [Vec<Lines<Settlement>>; TIERS],
    /// The parking place by partition.
    pub parked: Vec<Lines<Settlement>>,
    /// `deliveries.v1` by partition.
    pub deliveries: Vec<Lines<DeliveryRecord>>,
    /// `cases.v1`, all partitions.
    pub cases: Vec<CaseRecord>,
    /// Every fact.
    pub facts: Vec<FactLine>,
    /// Stored offsets by group and partition.
    pub stored: BTreeMap<(String, Source), u64>,
    /// The lowest offset kept, where that is above 0.
    pub begins: BTreeMap<Source, u64>,
    /// Records of our own topics, `bets.v1` aside, that could not be read.
    pub unreadable: Vec<(Source, u64, String)>,
    /// Movements in the order of the journals, by partner; `None` if no journal was given.
    pub journals: Option<BTreeMap<String, Vec<Movement>>>,
}

impl Books {
    /// Books of nothing, with these partition counts.
    pub fn empty(partitions: Partitions) -> Self {
        let lanes = usize::try_from(partitions.lanes).unwrap_or(usize::MAX);
        let rounds = usize::try_from(partitions.rounds).unwrap_or(usize::MAX);
        Self {
            partitions,
            bets: vec![Vec::new(); lanes],
            rounds: vec![Vec::new(); rounds],
            decisions: vec![Vec::new(); lanes],
            settlements: vec![Vec::new(); lanes],
            retries: std::array::from_fn(|_| vec![Vec::new(); lanes]),
            parked: vec![Vec::new(); lanes],
            deliveries: vec![Vec::new(); lanes],
            cases: Vec::new(),
            facts: Vec::new(),
            stored: BTreeMap::new(),
            begins: BTreeMap::new(),
            unreadable: Vec::new(),
            journals: None,
        }
    }

    /// The offset stored for `group` in `partition` of `topic`; 0 if none is.
    pub fn stored(&self, group: &str, topic: &'static str, partition: u32) -> u64 {
        let source = Source { topic: runtime::Topic(topic), partition };
        self.stored.get(&(group.to_owned(), source)).copied().unwrap_or_default()
    }

    /// The lowest offset kept of a partition.
    pub fn begin(&self, topic: &'static str, partition: u32) -> u64 {
        let source = Source { topic: runtime::Topic(topic), partition };
        self.begins.get(&source).copied().unwrap_or_default()
    }
}

/// Partitions with their numbers.
pub fn numbered<T>(partitions: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0..).zip(partitions)
}
