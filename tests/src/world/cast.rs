//! Which machines a world runs, and how they are built: as the one binary builds them.

use super::actor::{Actor, Plug, RawEffect, RawInput, Reply, Request};
use super::busy::REST_MS_MAX;
use super::calls::{Answer, Call, Endpoint};
use super::group::Group;
use super::slot::Role;
use super::{Process, World};
use crate::rng::Rng;
use bytes::Bytes;
use ingest::herald::{Herald, RoundRules};
use ingest::placing::{
    AuthorizeCall, HoldReply, Limits, PartnerBook, PartnerEntry, Placing, PlacingOptions,
};
use ingest::tail::{self, Tail};
use partner_dispatcher::{
    Answer as Delivered, Dispatcher, DispatcherOptions, OwedQuery, StateCall,
};
use partner_kit::register::{ClawBack, LedgerOptions};
use runtime::{Millis, Source, Topic};
use schemas::catalogue::{BETS, ROUNDS, RetryTier, SETTLEMENTS};
use schemas::outgoing::Partitions;
use schemas::partners::CurrencyLimits;
use schemas::{Currency, PartnerId, Selection};
use settler::{
    CloseAnswer, CloseAsk, CloseCall, Reconciler, ReconcilerAsk, ReconcilerOptions, ReconcilerTold,
    Settler, SettlerOptions,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;

/// Partners of a world; their lanes spread over the partitions.
pub(super) const PARTNERS: [&str; 4] = ["acme", "bolt", "cobra", "delta"];

/// What machines are told at their start.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) partitions: Partitions,
    pub(super) partners: PartnerBook,
    pub(super) rounds_kept: usize,
    pub(super) dispatcher: partner_dispatcher::Limits,
    pub(super) seed: u64,
    /// What dispatchers are told of ledgers.
    pub(super) known: OwedQuery,
}

/// A machine that was given up.
pub(super) struct Gone;

impl Actor for Gone {
    fn sources(&self) -> Vec<(Source, u64)> {
        Vec::new()
    }

    fn start(&mut self, _now: Millis) -> Vec<RawEffect> {
        Vec::new()
    }

    fn handle(&mut self, _now: Millis, _input: RawInput) -> Vec<RawEffect> {
        Vec::new()
    }

    fn ready_for(&self, _source: Source) -> bool {
        false
    }

    fn survives_failure(&self) -> bool {
        false
    }
}

/// What bet placing reads, in a log that holds nothing yet.
pub fn tails(partitions: Partitions) -> Vec<Tail> {
    tail::rounds(partitions).chain(tail::decisions(partitions)).map(Tail::of_empty).collect()
}

/// Builds the machine of a role for a partition, reading on from where the group stands.
pub(super) fn build(
    setup: &Setup,
    role: Role,
    partition: u32,
    positions: &[(Source, u64)],
) -> Box<dyn Actor> {
    let from = positions.first().map_or(0, |(_, from)| *from);
    match role {
        Role::Placing => Box::new(Placing::new(PlacingOptions {
            partitions: setup.partitions,
            tails: tails(setup.partitions),
            partners: setup.partners.clone(),
            limits: Limits::STANDARD,
        })),
        Role::Herald => Box::new(Herald::new(partition, setup.partitions, round_rules(), from)),
        Role::Settler => Box::new(Settler::new(SettlerOptions {
            partition,
            from,
            rounds_kept: setup.rounds_kept,
        })),
        // One for all lanes of its process.
        Role::Reconciler => Box::new(Reconciler::new(ReconcilerOptions {
            partitions: (0..setup.partitions.lanes).collect(),
            rounds_from: vec![0; usize::try_from(setup.partitions.rounds).unwrap_or(0)],
            counts: setup.partitions,
            close_after_ms: 3_000,
            stale_ms: 15_000,
            repeat_ms: 20_000,
            look_ms: 5_000,
            cycle_ms: 60_000,
            away: Default::default(),
        })),
        Role::Dispatcher => Box::new(Dispatcher::new(DispatcherOptions {
            partition,
            from,
            from_tiers: RetryTier::ALL
                .map(|tier| positions.get(1 + tier.index()).map_or(0, |(_, from)| *from)),
            partitions: setup.partitions,
            limits: setup.dispatcher,
            seed: setup.seed,
            known: setup.known.clone(),
        })),
    }
}

/// The rules of the build, as the one binary hands them to the herald.
pub fn round_rules() -> RoundRules {
    RoundRules {
        check_opened: |opened, now| {
            settlement::check_opened(opened, now).map_err(|error| error.code())
        },
        check_outcome: |game, selections: &[Selection], outcome| {
            let game = game.parse().map_err(|error: settlement::RuleError| error.code())?;
            settlement::check_outcome(game, selections, outcome).map_err(|error| error.code())
        },
    }
}

pub fn currencies() -> BTreeMap<Currency, u8> {
    [("EUR", 2), ("JPY", 0)]
        .into_iter()
        .filter_map(|(code, exponent)| Some((code.parse().ok()?, exponent)))
        .collect()
}

pub fn partners() -> PartnerBook {
    let limits = currencies()
        .into_iter()
        .map(|(currency, exponent)| (currency, CurrencyLimits::unlimited(exponent)))
        .collect::<BTreeMap<_, _>>();
    let entry = PartnerEntry { currencies: limits, ..PartnerEntry::default() };
    let id = |name: &&str| name.parse::<PartnerId>().ok();
    PARTNERS.iter().filter_map(id).map(|partner| (partner, entry.clone())).collect()
}

/// Ways in which a partner may be narrow: each is met by some of the bets, and not by all.
fn narrow(rng: &mut Rng, limits: &mut CurrencyLimits) {
    if rng.chance(300) {
        (limits.stake_min, limits.stake_max) = (rng.between(1, 400), rng.between(1_500, 4_500));
    }
    if rng.chance(300) {
        limits.payout_max = rng.between(3_000, 30_000);
    }
    if rng.chance(300) {
        limits.liability_max = rng.between(8_000, 40_000);
    }
}

impl World {
    /// Partners of this seed: in every second one some have limits, or a rate of stakes.
    pub(super) fn plan_partners(&mut self) {
        let mut partners = partners();
        if self.rng.chance(500) {
            for entry in partners.values_mut() {
                entry.currencies.values_mut().for_each(|limits| narrow(&mut self.rng, limits));
                let per_s = if self.rng.chance(200) { 1 + self.rng.below(3) } else { 0 };
                entry.stakes_per_s = u32::try_from(per_s).ok().and_then(NonZeroU32::new);
            }
        }
        self.checks.limit(&partners);
        self.partners = partners;
    }

    pub(super) fn setup(&self) -> Setup {
        let production = partner_dispatcher::Limits::PRODUCTION;
        // Small chunks and short tiers, so that a few bets meet what thousands would.
        let dispatcher = partner_dispatcher::Limits {
            chunk_items_max: self.clients.chunk_items_max,
            partner_items_max: 4 * self.clients.chunk_items_max,
            chunks_in_flight_max: 2,
            breaker_failures_min: 3,
            tier_items_max: 3,
            probe_wait_ms_min: 200,
            probe_wait_ms_max: 2_000,
            tier_wait_ms: [1_000, 1_500, 2_000, 2_500, 3_000],
            last_tier_after_ms: 6_000,
            park_after_ms: self.park_after_ms,
            retry_after_ms_max: REST_MS_MAX,
            // As in production, the wait of the first tier.
            retry_after_held_ms_max: 1_000,
            ..production
        };
        Setup {
            partitions: self.partitions,
            partners: self.partners.clone(),
            rounds_kept: self.clients.rounds_kept,
            dispatcher,
            seed: self.seed,
            known: self.known(),
        }
    }

    /// Processes, groups and wallets of this seed.
    pub(super) fn cast(&mut self) {
        let lanes = self.partitions.lanes;
        let topic = |name| Topic(name);
        let tiers = RetryTier::ALL.map(|tier| topic(tier.topic())).to_vec();
        let groups = [
            (Role::Herald, Group::new("herald", topic(ROUNDS), Vec::new(), self.partitions.rounds)),
            (Role::Settler, Group::new("settler", topic(BETS), Vec::new(), lanes)),
            (Role::Dispatcher, Group::new("dispatcher", topic(SETTLEMENTS), tiers, lanes)),
        ];
        let ingests = 2 + i64::from(self.rng.chance(250));
        let (settlers, dispatchers) = (self.rng.between(2, 3), self.rng.between(1, 2));
        let mut roles: Vec<Vec<Role>> = Vec::new();
        roles.extend((0..ingests).map(|_| vec![Role::Placing, Role::Herald]));
        roles.extend((0..settlers).map(|_| vec![Role::Settler]));
        if let Some(last) = roles.last_mut() {
            last.push(Role::Reconciler);
        }
        roles.extend((0..dispatchers).map(|_| vec![Role::Dispatcher]));
        for roles in roles {
            let most = self.faults.skew_ms_max;
            let skew_ms = self.rng.between(-most, most);
            self.processes.push(Process {
                roles,
                alive: false,
                life: 0,
                cuts: Vec::new(),
                paused_until: 0,
                skew_ms,
                owned: BTreeMap::new(),
            });
        }
        for partner in PARTNERS {
            let skew_ms = if self.faults.sloppy_expiry { self.rng.between(0, 3_000) } else { 0 };
            // Players with less are soon without what a correction takes back.
            let poor = self.rng.chance(500);
            let (claw_back, opening_units) = if poor {
                (ClawBack::CollectAvailable, 4_500)
            } else {
                (ClawBack::Negative, 20_000)
            };
            if let Ok(partner) = partner.parse() {
                let currencies = currencies();
                let options = LedgerOptions {
                    partner,
                    currencies,
                    opening_units,
                    claw_back,
                    ledger_epoch: 1,
                };
                self.wallets.add(options, skew_ms);
            }
        }
        self.wallets.declines = self.rng.below(150);
        // One that answers from memory does not look at what it did.
        let honest = self.faults.misbehaves.is_none();
        self.wallets.dedupes = self.faulty && honest && self.rng.chance(400);
        for process in 0..self.processes.len() {
            self.restart(process);
        }
        self.groups.extend(groups);
        self.spread();
    }

    /// Every partition gets an owner by chance instead of all going to the first that started.
    fn spread(&mut self) {
        let all: Vec<(Role, u32)> = self
            .groups
            .iter()
            .flat_map(|(role, group)| (0..group.partitions()).map(|partition| (*role, partition)))
            .collect();
        for (role, partition) in all {
            let members: Vec<usize> = (0..self.processes.len())
                .filter(|process| self.processes[*process].roles.contains(&role))
                .collect();
            let to = *self.rng.pick(&members);
            self.give(role, partition, to);
        }
    }
}

impl Plug for Placing {
    fn call(call: AuthorizeCall) -> Call {
        let budget_ms = i64::from(call.budget_ms);
        Call { partner: call.partner, endpoint: Endpoint::Authorize, body: call.body, budget_ms }
    }

    fn answer(answer: Answer) -> HoldReply {
        match answer {
            Answer::Nothing => HoldReply::Nothing { why: "timeout".to_owned() },
            said @ Answer::Http { .. } => match said.http() {
                Ok(answer) => answer.into(),
                Err(error) => HoldReply::Nothing { why: error.to_string() },
            },
        }
    }

    fn request(request: Request) -> ingest::placing::Ask {
        let Request::Bet(ask) = request else { unreachable!("placing owes nothing") };
        ask
    }

    fn reply(reply: ingest::placing::Told) -> Reply {
        Reply::Bet(reply)
    }
}

/// For machines that call nobody and are asked nothing.
macro_rules! unasked {
    ($machine:ty) => {
        impl Plug for $machine {
            fn call(call: Infallible) -> Call {
                match call {}
            }
            fn answer(_: Answer) -> Infallible {
                unreachable!("nobody was called")
            }
            fn request(_: Request) -> Infallible {
                unreachable!("nobody asks")
            }
            fn reply(reply: Infallible) -> Reply {
                match reply {}
            }
        }
    };
}
unasked!(Herald);
unasked!(Settler);

impl Plug for Reconciler {
    fn call(call: CloseCall) -> Call {
        let CloseCall { partner, ask, .. } = call;
        let (endpoint, body) = match ask {
            CloseAsk::Close(body) => (Endpoint::Close, Bytes::from(body)),
            CloseAsk::Rows { round, after } => (Endpoint::Rows { round, after }, Bytes::new()),
            CloseAsk::Query(body) => (Endpoint::Query, Bytes::from(body)),
        };
        Call { partner, endpoint, body, budget_ms: STATE_BUDGET_MS }
    }

    fn answer(answer: Answer) -> CloseAnswer {
        answer.http()
    }

    fn request(_: Request) -> ReconcilerAsk {
        unreachable!("nobody asks")
    }

    fn reply(_: ReconcilerTold) -> Reply {
        unreachable!("nobody asked")
    }
}

/// How long the sender of production waits for a chunk, in ms.
const STATE_BUDGET_MS: i64 = 5_000;

impl Plug for Dispatcher {
    fn call(call: StateCall) -> Call {
        Call {
            partner: call.partner,
            endpoint: Endpoint::State,
            body: call.bytes,
            budget_ms: STATE_BUDGET_MS,
        }
    }

    fn answer(answer: Answer) -> Delivered {
        Delivered::from(&answer.http())
    }

    fn request(request: Request) -> OwedQuery {
        let Request::Owed(query) = request else { unreachable!("dispatchers take no bets") };
        query
    }

    fn reply(_: partner_dispatcher::Owed) -> Reply {
        Reply::Owed
    }
}
