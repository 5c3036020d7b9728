//! `bench outage`: one partner is away while settlements fall due for it, and comes back. Or it is ill in another way,
//! or several are, each in its own.
//!
//! Measured is how long it takes after its return until everything it is owed is confirmed, how many calls
//! its wallet had to answer at once, and what the other partners noticed: the time from the result of their
//! rounds to the last confirmation, while the one is away and while it drains, beside the same load with the
//! one there: rounds of its own, as large and as far apart, fall due then too, and it confirms them. Behind
//! it a plain program brings the same settlements to a wallet with as many calls at once. At the end, at rest, the audit reads the whole log, the facts and the wallets' journals.

mod plain;
mod report;

pub use report::OutageReport;

use super::ground::Grounds;
use super::held::Held;
use super::illness::{Attempts, Illness, Seen};
use super::load::{self, Load};
use super::report::{Memory, Place};
use super::street::{Street, StreetPlan};
use super::trial::{EngineOf, Trial};
use crate::audit::report::Report;
use crate::rig::api::Api;
use crate::rig::watch::Watch;
use crate::serve::{Opened, Running};
use anyhow::Context;
use partner_dispatcher::Limits;
use partner_kit::faults::FaultSettings;
use runtime::{Clock, READ_RECORDS_MAX, SystemClock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for the house.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait until the bets are decided, and until what is owed is confirmed, after the return too.
const REST_WAIT_MAX: Duration = Duration::from_secs(300);
/// The turn at which one that refuses says 403: items might be to blame, so its chunks are halved first.
const REFUSAL: usize = 2;
/// Rounds of the others that are on their way at once: more would have confirmations in minutes.
const OTHERS_ROUNDS_MAX: usize = 10;

/// What to measure.
#[derive(Clone, Debug)]
pub struct OutagePlan {
    /// Partners that stay, each with a wallet.
    pub others: usize,
    /// What is amiss with those that are away, each with its own.
    pub illnesses: Vec<Illness>,
    /// Settlements that fall due for these while they are away, in all.
    pub owed: usize,
    /// The most that memory may grow by, from their going on, in MiB.
    pub growth_mib_max: u64,
    /// Rounds that these are spread over, evenly in the time away.
    pub rounds: usize,
    /// How long it is away, in s.
    pub away_s: u64,
    /// Rounds as large and as far apart before, while it is there; not among those owed.
    pub control_rounds: usize,
    /// Bets of each round of the others.
    pub bets: usize,
    /// Between the beginnings of two of their rounds, in ms.
    pub every_ms: u64,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Seed of bets and results.
    pub seed: u64,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// What the one partner was doing, in the order of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It was there, and results of its rounds fell due.
    Control,
    /// It was away, and results of its rounds fell due, as often.
    Away,
    /// It was back and drained.
    Back,
}

/// What a run gave.
pub struct Found {
    /// When each phase began, in ms since the Unix epoch; the last is the end of the run.
    began: BTreeMap<Phase, i64>,
    /// When the last settlement owed to the one was confirmed, in ms since the Unix epoch.
    drained_at: i64,
    /// Rounds of the others: when the result was said and when all was confirmed, in ms since the Unix epoch.
    others: Vec<(i64, i64)>,
    /// The most calls that the one's wallet answered at once.
    calls_at_once: u64,
    calls_at_once_max: usize,
    /// The most settlements that were in memory.
    held_most: u64,
    /// How the dispatchers saw those that were away.
    seen: Vec<Seen>,
    /// At rest is when the one went.
    memory: Memory,
    /// The plain program.
    plain: plain::Drained,
}

impl OutagePlan {
    /// Settlements that the dispatchers may have in memory, whatever is owed: what each of those that are away may have,
    /// and what falls due for the others meanwhile.
    fn held_max(&self) -> usize {
        let each = Limits::PRODUCTION.partner_held_max(READ_RECORDS_MAX);
        each * self.illnesses.len() + OTHERS_ROUNDS_MAX * self.bets
    }
}

impl Trial for OutagePlan {
    type Found = Found;
    type Report = OutageReport;

    fn street(&self) -> StreetPlan<'_> {
        StreetPlan {
            exe: &self.exe,
            partners: self.others + self.illnesses.len(),
            latency_ms: self.wallet_latency_ms,
            seed: self.seed,
            data_dir: &self.data_dir,
            doors: false,
        }
    }

    async fn play<G: Grounds>(
        &self,
        street: &Street,
        house: &Running<EngineOf<G>>,
        grounds: &G,
    ) -> anyhow::Result<Found> {
        let api = Api::new(format!("http://{}", house.address), street.operator_key.clone());
        api.ready(WAIT_MAX).await?;
        let held = Held::watch(house.admin);
        let mut keys = street.keys.clone();
        let (mut away, mut ill) = (load::Keys::new(), Vec::new());
        for illness in &self.illnesses {
            let (name, key) = keys.pop_last().context("there are too few partners")?;
            let wallet = street.wallets.urls.get(&name).context("it has no wallet")?;
            let wallet = Api::new(wallet.clone(), String::new());
            ill.push(Ill { wallet, illness: *illness, seen: Seen::new(name.clone(), *illness) });
            away.insert(name, key);
        }
        let watch = Watch::start(house.engine().clone());
        let bets = self.owed / self.rounds;
        let count = self.control_rounds + self.rounds;
        let rounds = load::without_result(&api, &away, (count, bets), self.seed).await?;
        // Behind the bets by now: else the control alone would bear the reading of them.
        anyhow::ensure!(watch.settled(REST_WAIT_MAX).await, "the bets did not come to rest");

        let stop = CancellationToken::new();
        let others = Load {
            api: api.clone(),
            keys: Arc::new(keys),
            bets: self.bets,
            every: Duration::from_millis(self.every_ms),
            seed: self.seed,
            name: "other".to_owned(),
        };
        let load = tokio::spawn(others.run(stop.clone()));
        let (control, owed) = rounds.split_at(self.control_rounds);
        let (admin, watch) = (house.admin, &watch);
        let script = Script { plan: self, api: &api, admin, ill: &ill, watch, control, owed, bets };
        let played = script.play().await;
        stop.cancel();
        let said_at = load.await.context("the load broke down")??;
        let Played { began, memory, drained_at, before } = played?;
        anyhow::ensure!(watch.settled(REST_WAIT_MAX).await, "the log did not come to rest");
        let others = said_at
            .iter()
            .map(|(round, said_at)| Ok((*said_at, load::last_confirmed(watch, round, self.bets)?)))
            .collect::<anyhow::Result<_>>()?;
        let after = Attempts::now(admin).await?;
        let (mut calls_at_once, mut seen) = (0, Vec::new());
        for mut one in ill {
            calls_at_once = load::calls_at_once(&one.wallet).await?.max(calls_at_once);
            one.seen.add(&before, &after);
            seen.push(one.seen);
        }
        Ok(Found {
            began,
            drained_at,
            others,
            calls_at_once,
            calls_at_once_max: street.config.dispatcher.chunks_in_flight_max,
            held_most: held.most(),
            seen,
            memory,
            plain: plain::drain(self, street, house.engine(), owed, grounds).await?,
        })
    }

    fn report(&self, found: Found, audit: Report, place: Place) -> anyhow::Result<OutageReport> {
        OutageReport::of(self, &found, audit, place)
    }
}

/// One that is away.
struct Ill {
    wallet: Api,
    illness: Illness,
    seen: Seen,
}

/// What happens, and when.
struct Script<'a, E> {
    plan: &'a OutagePlan,
    api: &'a Api,
    admin: SocketAddr,
    ill: &'a [Ill],
    watch: &'a Watch<E>,
    /// Rounds whose results are said while the one is there, and while it is away.
    control: &'a [String],
    owed: &'a [String],
    /// Bets of each.
    bets: usize,
}

/// What happened, and when, in ms since the Unix epoch.
struct Played {
    began: BTreeMap<Phase, i64>,
    memory: Memory,
    drained_at: i64,
    /// How calls had ended when the one went.
    before: Attempts,
}

impl<E: Opened> Script<'_, E> {
    async fn play(&self) -> anyhow::Result<Played> {
        let mut began = BTreeMap::new();
        let mut mark = |phase: Phase| {
            began.insert(phase, SystemClock.now());
            eprintln!("bench: {}", report::words(phase));
        };
        let apart = Duration::from_secs(self.plan.away_s)
            / u32::try_from(self.plan.rounds).context("too many rounds")?;
        mark(Phase::Control);
        load::say(self.api, self.control, apart).await?;
        self.confirmed(self.control).await?;
        let before = Attempts::now(self.admin).await?;
        self.faults(true).await?;
        let memory = Memory::at_rest();
        mark(Phase::Away);
        load::say(self.api, self.owed, apart).await?;
        self.faults(false).await?;
        mark(Phase::Back);
        let drained_at = self.confirmed(self.owed).await?;
        Ok(Played { began, memory: memory.with_peak(), drained_at, before })
    }

    /// Waits until all bets of `rounds` are confirmed: when the last one was.
    async fn confirmed(&self, rounds: &[String]) -> anyhow::Result<i64> {
        load::all_confirmed(self.watch, rounds, self.bets, REST_WAIT_MAX).await
    }

    /// Makes those that are away ill, or well.
    async fn faults(&self, are_ill: bool) -> anyhow::Result<()> {
        // What the wallets were started with stays.
        let latency_ms = self.plan.wallet_latency_ms;
        let well = FaultSettings { latency_ms, ..FaultSettings::NONE };
        for Ill { wallet, illness, .. } in self.ill {
            let settings = if are_ill { illness.settings(well, REFUSAL) } else { well };
            load::set(wallet, settings).await?;
        }
        Ok(())
    }
}
