//! The loop: one partition of settlements, and its partition of each tier, as a machine without IO.

mod answers;
mod draining;
mod intake;
mod owed;
mod partners;
mod sending;
mod writing;

#[cfg(test)]
mod tests;

pub use owed::{Owed, OwedOf, OwedQuery, owed};

use crate::book::{Book, Stage, home};
use crate::chunk::StateCall;
use crate::concurrency::Sent;
use crate::judge::Answer;
use crate::limits::Limits;
use crate::queue::Partner;
use crate::retry::Jitter;
use draining::Peek;
use runtime::{Alarm, Effect, Input, Machine, Millis, Source, Topic};
use schemas::catalogue::{RetryTier, SETTLEMENTS, TIERS};
use schemas::contract::Traffic;
use schemas::outgoing::Partitions;
use schemas::{PartnerId, RoundId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use writing::Writer;

/// Where a dispatcher starts and what it may do.
#[derive(Clone, Debug)]
pub struct DispatcherOptions {
    /// The partition of `settlements.v1` and of the tiers.
    pub partition: u32,
    /// The offset to start from in `settlements.v1`.
    pub from: u64,
    /// The offset to start from in each tier, in the order of [`RetryTier::ALL`].
    pub from_tiers: [u64; TIERS],
    /// How many partitions the topics written to have.
    pub partitions: Partitions,
    /// The bounds.
    pub limits: Limits,
    /// Of the jitter alone. Any number will do; the same one gives the same waits.
    pub seed: u64,
    /// What [`OwedQuery`] says, at the start.
    pub known: OwedQuery,
}

/// The dispatcher of one partition.
#[derive(Debug)]
pub struct Dispatcher {
    options: DispatcherOptions,
    settlements: Source,
    tiers: [Source; TIERS],
    book: Book,
    partners: BTreeMap<PartnerId, Partner>,
    /// Partners that may start a chunk since the last look.
    touched: BTreeSet<PartnerId>,
    flights: BTreeMap<u64, Flight>,
    timers: BTreeMap<u64, Due>,
    /// What rests of each tier.
    resting: [Resting; TIERS],
    lookups: Lookups,
    /// Whose tiers are read ahead, the next in front.
    drains: VecDeque<(PartnerId, Traffic)>,
    peeks: BTreeMap<u64, Peek>,
    writer: Writer,
    jitter: Jitter,
    tokens: u64,
    effects: Vec<Effect<Self>>,
}

/// A chunk that is not answered.
#[derive(Debug)]
struct Flight {
    partner: PartnerId,
    traffic: Traffic,
    chunk_id: String,
    /// When it began.
    at: Millis,
    /// In the order of the request.
    ids: Vec<u64>,
    /// Whether its end alone tells if the partner is there: a probe, or the first word to a partner of
    /// which only old debts are known.
    decisive: bool,
    sent: Sent,
}

/// Items of one tier that are not due.
#[derive(Debug, Default)]
struct Resting {
    /// By the time they are due.
    items: BTreeSet<(Millis, u64)>,
    /// The earliest timer that is set.
    timed: Option<Millis>,
}

/// What a timer is for.
#[derive(Debug)]
enum Due {
    /// These items are sent again.
    Repeat(Vec<u64>),
    /// This partner may be called again.
    Gate(PartnerId),
    /// The breaker of this partner may let a probe through.
    Probe(PartnerId),
    /// The rate of this partner's traffic, which kept it back until then, may let a chunk through.
    Rate(PartnerId, Traffic, Millis),
    /// The head of a tier is due.
    Tier(RetryTier),
}

/// What the store is asked: one load per round, for all that wants to know of it.
#[derive(Debug, Default)]
struct Lookups {
    wanted: BTreeMap<RoundId, Lookup>,
    /// The rounds wanted, in the order they came.
    order: VecDeque<RoundId>,
    running: BTreeMap<u64, Lookup>,
    /// Items in all of these that the heads of tiers read.
    heads_count: usize,
}

#[derive(Debug, Default)]
struct Lookup {
    /// Items of tiers that may be final already.
    due: Vec<u64>,
    /// Of these, those that the head of a tier read.
    heads_count: usize,
    claims: Vec<Claim>,
}

/// `superseded` by a revision that was not read here.
#[derive(Debug)]
struct Claim {
    id: u64,
    by: u32,
    epoch: String,
}

impl Lookups {
    /// The lookup of a round that has not begun.
    fn wanted(&mut self, round: RoundId) -> &mut Lookup {
        if !self.wanted.contains_key(&round) {
            self.order.push_back(round.clone());
        }
        self.wanted.entry(round).or_default()
    }
}

impl Dispatcher {
    /// A dispatcher with an empty memory.
    pub fn new(options: DispatcherOptions) -> Self {
        let source = |topic| Source { topic: Topic(topic), partition: options.partition };
        let (settlements, tiers) =
            (source(SETTLEMENTS), RetryTier::ALL.map(|tier| source(tier.topic())));
        let mut book = Book::default();
        book.offsets.track(settlements, options.from);
        for (tier, from) in tiers.into_iter().zip(options.from_tiers) {
            book.offsets.track(tier, from);
        }
        let (known, jitter) = (options.known.clone(), Jitter::new(options.seed));
        let mut dispatcher = Self {
            options,
            settlements,
            tiers,
            book,
            partners: BTreeMap::new(),
            touched: BTreeSet::new(),
            flights: BTreeMap::new(),
            timers: BTreeMap::new(),
            resting: Default::default(),
            lookups: Lookups::default(),
            drains: VecDeque::new(),
            peeks: BTreeMap::new(),
            writer: Writer::default(),
            jitter,
            tokens: 0,
            effects: Vec::new(),
        };
        dispatcher.note_restored(&known.restored);
        dispatcher
    }

    /// Once another ledger is signed off, nothing counts as final that was heard of the one before: not until the
    /// partner names an epoch again.
    fn note_restored(&mut self, restored: &BTreeMap<PartnerId, String>) {
        for (name, partner) in &mut self.partners {
            partner.restored.take_if(|_| !restored.contains_key(name));
        }
        let (counts, here) = (self.options.partitions, self.options.partition);
        for (name, epoch) in restored.iter().filter(|(name, _)| counts.of_partner(name) == here) {
            let partner = self.partner(name);
            if partner.restored.as_ref() != Some(epoch) {
                partner.epoch.take_if(|heard| heard != epoch);
                partner.restored = Some(epoch.clone());
            }
        }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn alarm(&mut self, name: &'static str, text: String) {
        self.effects.push(Effect::Alarm(Alarm { name, text }));
    }

    fn timer(&mut self, at: Millis, due: Due) {
        let token = self.token();
        self.timers.insert(token, due);
        self.effects.push(Effect::Timer { token, at });
    }

    fn partner(&mut self, partner: &PartnerId) -> &mut Partner {
        if !self.partners.contains_key(partner) {
            self.partners.insert(partner.clone(), Partner::default());
        }
        self.partners.entry(partner.clone()).or_default()
    }

    /// Puts an item into its partner's queue, out of stage `from`; or moves it on, if nothing is sent to
    /// the partner.
    fn enqueue(&mut self, now: Millis, id: u64, from: Stage) {
        if !self.book.step(id, from, Stage::Queued) {
            return;
        }
        let Some(item) = self.book.get(id) else { return };
        let (partner, traffic) = home(item);
        let queue = self.partner(&partner).queue(traffic);
        if !queue.breaker.is_closed() {
            self.set_aside(now, id);
            return;
        }
        queue.ids.insert(id);
        self.touched.insert(partner);
    }

    /// Takes what a newer revision superseded out of the queues.
    fn forget_dropped(&mut self) {
        for (id, item) in self.book.take_dropped() {
            let (partner, traffic) = home(&item);
            let queue = self.partner(&partner).queue(traffic);
            queue.ids.remove(&id);
            queue.kept.retain(|kept| *kept != id);
            queue.hearing.take_if(|first| *first == id);
        }
    }

    fn timed(&mut self, now: Millis, token: u64) {
        match self.timers.remove(&token) {
            Some(Due::Repeat(ids)) => {
                ids.into_iter().for_each(|id| self.enqueue(now, id, Stage::Repeating));
            }
            Some(Due::Probe(partner)) => {
                self.touched.insert(partner);
            }
            Some(Due::Rate(partner, traffic, at)) => {
                // Looked at by the clock again, whatever it says by now.
                self.partner(&partner).queue(traffic).kept_back_to.take_if(|to| *to == at);
                self.touched.insert(partner);
            }
            Some(Due::Gate(partner)) => {
                self.partner(&partner).gated = false;
                self.touched.insert(partner);
            }
            Some(Due::Tier(tier)) => {
                self.resting[tier.index()].timed = None;
                self.wake(now, tier);
            }
            None => {}
        }
    }
}

impl Machine for Dispatcher {
    type Call = StateCall;
    type Answer = Answer;
    type Request = OwedQuery;
    type Reply = Owed;

    fn sources(&self) -> Vec<(Source, u64)> {
        let tiers = self.tiers.into_iter().zip(self.options.from_tiers);
        std::iter::once((self.settlements, self.options.from)).chain(tiers).collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, end: _ } => self.take_in(now, source, &records),
            Input::Peeked { token, records, end } => self.peeked(now, token, &records, end),
            Input::Loaded { token, facts } => self.loaded(now, token, &facts),
            Input::Applied { token } => self.applied(token),
            // Not told: a batch that failed ends this machine, and the next starts from the offset.
            Input::Failed { .. } => {}
            Input::Answered { token, answer } => self.answered(now, token, &answer),
            Input::Timer { token } => self.timed(now, token),
            Input::Request { token, request } => {
                let reply = self.owed(&request);
                self.effects.push(Effect::Reply { token, reply });
            }
        }
        self.forget_dropped();
        self.go_on_draining();
        self.look_up();
        self.start_chunks(now);
        self.rest(now);
        self.write();
        std::mem::take(&mut self.effects)
    }

    fn ready_for(&self, source: Source) -> bool {
        let limits = &self.options.limits;
        let crowded = limits.items_held_max.saturating_mul(2) <= self.book.len()
            || limits.items_unwritten_max <= self.writer.waiting_count();
        let tier = RetryTier::of_topic(source.topic.0);
        let full = tier.is_some_and(|tier| limits.tier_items_max <= self.tier_held(tier));
        !crowded && !full
    }
}
