//! `bench returning`: all partners are away while settlements fall due, and all of them come back at once.
//!
//! There is a door before each wallet. While all doors are shut, one partner in three gets no answer, one 503, and one
//! 503 with `Retry-After`. Every call of `/bets/state` is noted as it arrives, from the moment in which they go until
//! all that is owed is confirmed: what comes again, how soon, and how much comes at once. At the end, at rest, the
//! audit reads the whole log, the facts and the wallets' journals.

mod calls;
mod report;

pub use report::ReturningReport;

use super::doors::Call;
use super::ground::Grounds;
use super::held::Held;
use super::load;
use super::report::{Memory, Place};
use super::street::{Street, StreetPlan};
use super::trial::{EngineOf, Trial};
use crate::audit::report::Report;
use crate::rig::api::Api;
use crate::rig::watch::Watch;
use crate::serve::Running;
use anyhow::Context;
use partner_dispatcher::Limits;
use runtime::{Clock, SystemClock};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for the house.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait until what is owed is confirmed.
const REST_WAIT_MAX: Duration = Duration::from_secs(300);

/// What to measure.
#[derive(Clone, Debug)]
pub struct ReturningPlan {
    /// Partners, each with a wallet.
    pub partners: usize,
    /// Settlements that fall due while they are away, of all partners in turn.
    pub bets: usize,
    /// Rounds that these are spread over, evenly in the time away.
    pub rounds: usize,
    /// How long they are away, in s.
    pub away_s: u64,
    /// How long each wallet takes to answer, in ms; 1 or more.
    pub wallet_latency_ms: u64,
    /// Seed of bets and results.
    pub seed: u64,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// What a run gave. Times are in ms since the Unix epoch.
pub struct Found {
    /// When they went.
    went_at: i64,
    /// When they came back.
    back_at: i64,
    /// When the last settlement was confirmed.
    drained_at: i64,
    /// The calls from when they went until all was confirmed.
    calls: Vec<Call>,
    /// The most calls that any wallet answered at once.
    calls_at_once: u64,
    limits: Limits,
    /// The most settlements that were in memory.
    held: u64,
    /// At rest is when they went.
    memory: Memory,
}

impl Trial for ReturningPlan {
    type Found = Found;
    type Report = ReturningReport;

    fn street(&self) -> StreetPlan<'_> {
        StreetPlan {
            exe: &self.exe,
            partners: self.partners,
            latency_ms: self.wallet_latency_ms,
            seed: self.seed,
            data_dir: &self.data_dir,
            doors: true,
        }
    }

    async fn play<G: Grounds>(
        &self,
        street: &Street,
        house: &Running<EngineOf<G>>,
        _: &G,
    ) -> anyhow::Result<Found> {
        let api = Api::new(format!("http://{}", house.address), street.operator_key.clone());
        api.ready(WAIT_MAX).await?;
        let held = Held::watch(house.admin);
        let doors = street.doors.as_ref().context("there are no doors")?;
        let bets = self.bets / self.rounds;
        let rounds =
            load::without_result(&api, &street.keys, (self.rounds, bets), self.seed).await?;
        let watch = Watch::start(house.engine().clone());
        // Behind the bets by now, so that reading them keeps nobody from anything later.
        anyhow::ensure!(watch.settled(REST_WAIT_MAX).await, "the bets did not come to rest");
        let apart = Duration::from_secs(self.away_s) / u32::try_from(self.rounds)?;

        let memory = Memory::at_rest();
        doors.shut(true);
        let went_at = SystemClock.now();
        eprintln!("bench: all are away");
        load::say(&api, &rounds, apart).await?;
        doors.shut(false);
        let back_at = SystemClock.now();
        eprintln!("bench: all are back");
        let drained_at = load::all_confirmed(&watch, &rounds, bets, REST_WAIT_MAX).await?;
        let calls = doors.calls();
        anyhow::ensure!(watch.settled(REST_WAIT_MAX).await, "the log did not come to rest");

        let mut calls_at_once = 0;
        for url in street.wallets.urls.values() {
            let wallet = Api::new(url.clone(), String::new());
            calls_at_once = load::calls_at_once(&wallet).await?.max(calls_at_once);
        }
        let limits = Limits {
            chunks_in_flight_max: street.config.dispatcher.chunks_in_flight_max,
            ..Limits::PRODUCTION
        };
        let (held, memory) = (held.most(), memory.with_peak());
        Ok(Found { went_at, back_at, drained_at, calls, calls_at_once, limits, held, memory })
    }

    fn report(&self, found: Found, audit: Report, place: Place) -> anyhow::Result<ReturningReport> {
        ReturningReport::of(self, found, audit, place)
    }
}
