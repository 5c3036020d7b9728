//! `bench outage`: one partner is away while settlements fall due for it, and comes back.
//!
//! Measured is how long it takes after its return until everything it is owed is confirmed, how many calls
//! its wallet had to answer at once, and what the other partners noticed: the time from the result of their
//! rounds to the last confirmation, while the one is away and while it drains, beside the same load with the
//! one there. At the end, at rest, the audit reads the whole log, the facts and the wallets' journals.

mod load;
mod report;

pub use report::OutageReport;

use super::report::Machine;
use super::street::Street;
use crate::audit::{audit, journal, load as books};
use crate::config::Config;
use crate::rig::api::Api;
use crate::rig::keys::PartnerKey;
use crate::rig::watch::Watch;
use crate::serve::{Opened, Roles, Running, listen, open};
use anyhow::{Context, anyhow};
use http::Method;
use load::{Load, OwedRounds};
use partner_kit::faults::FaultSettings;
use runtime::{Clock, SystemClock};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Longest wait for the house.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait until what is owed is confirmed, after the return too.
const REST_WAIT_MAX: Duration = Duration::from_secs(300);
/// How often what is confirmed is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// What to measure.
#[derive(Clone, Debug)]
pub struct OutagePlan {
    /// Partners that stay, each with a wallet.
    pub others: usize,
    /// Settlements that fall due for the one while it is away.
    pub owed: usize,
    /// Rounds that these are spread over, evenly in the time away.
    pub rounds: usize,
    /// How long it is away, in s.
    pub away_s: u64,
    /// Rounds as large and as far apart before, while it is there.
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
    /// It was there, and results fell due.
    Control,
    /// It was away, and results fell due.
    Away,
    /// It was back and drained.
    Back,
}

/// What a run gave.
struct Found {
    /// When each phase began, in ms since the Unix epoch; the last is the end of the run.
    began: BTreeMap<Phase, i64>,
    /// When the last settlement owed to the one was confirmed, in ms since the Unix epoch.
    drained_at: i64,
    /// Rounds of the others: when the result was said and when all was confirmed, in ms since the Unix epoch.
    others: Vec<(i64, i64)>,
    /// The most calls that the one's wallet answered at once.
    calls_at_once: u64,
    calls_at_once_max: usize,
}

/// Measures on an empty directory, and audits.
///
/// # Errors
/// If a part cannot be started, a bet is not accepted, or what is owed is not confirmed in time.
pub async fn outage(plan: &OutagePlan) -> anyhow::Result<OutageReport> {
    let in_dir = |config: &mut Config| config.storage.data_dir = plan.data_dir.join("data");
    let opening = async |config: &Config| open::embedded(config).await;
    outage_on(plan, in_dir, opening).await
}

/// Measures on the engine that `opening` opens, after `configure`, and audits.
///
/// # Errors
/// As [`outage`].
pub(super) async fn outage_on<E: Opened>(
    plan: &OutagePlan,
    configure: impl FnOnce(&mut Config),
    opening: impl AsyncFnOnce(&Config) -> anyhow::Result<E>,
) -> anyhow::Result<OutageReport> {
    let before = Machine::now(&plan.data_dir).await?;
    let OutagePlan { exe, wallet_latency_ms, seed, data_dir, .. } = plan;
    let mut street =
        Street::open(exe, plan.others + 1, *wallet_latency_ms, *seed, data_dir).await?;
    configure(&mut street.config);
    let listener = listen(&street.config).await?;
    let engine = opening(&street.config).await?;
    let house = Running::with(&street.config, listener, engine.clone(), &Roles::all()).await?;
    let found = on(plan, &street, &house).await;
    house.leave().await.context("the server did not stop well")?;
    street.wallets.stop().await.context("the wallets did not stop well")?;
    let found = found?;
    eprintln!("bench: the audit reads everything");
    let mut books = books::read(&engine, E::PARTITIONS).await?;
    engine.close().await;
    books.journals = Some(journal::read_all(&[street.journals])?);
    let audit = audit(&books, true).map_err(|why| anyhow!(why))?;
    let after = Machine::now(&plan.data_dir).await?;
    OutageReport::of(plan, &found, audit, [before, after])
}

async fn on<E: Opened>(
    plan: &OutagePlan,
    street: &Street,
    house: &Running<E>,
) -> anyhow::Result<Found> {
    let api = Api::new(format!("http://{}", house.address), street.operator_key.clone());
    api.ready(WAIT_MAX).await?;
    let mut keys = street.keys.clone();
    let (name, key) = keys.pop_last().context("there is no partner")?;
    let wallet = street.wallets.urls.get(&name).context("it has no wallet")?;
    let wallet = Api::new(wallet.clone(), String::new());
    let watch = Watch::start(house.engine().clone());
    let owed = OwedRounds::place(plan, &api, &BTreeMap::from([(name, key)])).await?;

    let stop = CancellationToken::new();
    let load = tokio::spawn(Load::of(plan, api.clone(), &keys).run(stop.clone()));
    let script = Script { plan, api: &api, wallet: &wallet, watch: &watch, owed: &owed };
    let played = script.play().await;
    stop.cancel();
    let said_at = load.await.context("the load broke down")??;
    let (began, drained_at) = played?;
    anyhow::ensure!(watch.settled(REST_WAIT_MAX).await, "the log did not come to rest");
    let others = said_at
        .iter()
        .map(|(round, said_at)| Ok((*said_at, confirmed(&watch, round, plan.bets)?)))
        .collect::<anyhow::Result<_>>()?;
    let stats = wallet.call(Method::GET, "/stats", "", None).await?;
    let calls_at_once = stats.body["state_calls_at_once_max"].as_u64();
    Ok(Found {
        began,
        drained_at,
        others,
        calls_at_once: calls_at_once.context("the wallet does not say what it answered")?,
        calls_at_once_max: street.config.dispatcher.chunks_in_flight_max,
    })
}

/// When the last of a round's `bets` was confirmed, in ms since the Unix epoch.
fn confirmed<E: Opened>(watch: &Watch<E>, round: &str, bets: usize) -> anyhow::Result<i64> {
    let seen = watch.seen();
    let fanout = seen.fanouts.get(&(round.to_owned(), 1));
    let confirmed = fanout.map_or(&[][..], |fanout| &fanout.confirmed_at);
    anyhow::ensure!(confirmed.len() == bets, "{} of {bets} bets of {round}", confirmed.len());
    confirmed.iter().max().copied().context("a round without bets")
}

/// What happens, and when.
struct Script<'a, E> {
    plan: &'a OutagePlan,
    api: &'a Api,
    wallet: &'a Api,
    watch: &'a Watch<E>,
    owed: &'a OwedRounds,
}

impl<E: Opened> Script<'_, E> {
    /// Plays: when each phase began, and when all was drained.
    async fn play(&self) -> anyhow::Result<(BTreeMap<Phase, i64>, i64)> {
        let mut began = BTreeMap::new();
        let mut mark = |phase: Phase| {
            began.insert(phase, SystemClock.now());
            eprintln!("bench: {}", report::words(phase));
        };
        let apart = Duration::from_secs(self.plan.away_s)
            / u32::try_from(self.plan.rounds).context("too many rounds")?;
        mark(Phase::Control);
        self.results(self.owed.control(), apart).await?;
        self.confirmed(self.owed.control()).await?;
        self.faults(FaultSettings { reset_rate: 1_000, ..FaultSettings::default() }).await?;
        mark(Phase::Away);
        self.results(self.owed.owed(), apart).await?;
        self.faults(FaultSettings::default()).await?;
        mark(Phase::Back);
        let drained_at = self.confirmed(self.owed.owed()).await?;
        Ok((began, drained_at))
    }

    /// Says the results of `rounds`, and waits behind each.
    async fn results(&self, rounds: &[String], apart: Duration) -> anyhow::Result<()> {
        let mut due = Instant::now();
        for (number, round) in rounds.iter().enumerate() {
            self.api.result(round, &(1 + number % 6).to_string()).await?;
            due += apart;
            sleep_until(due).await;
        }
        Ok(())
    }

    /// Waits until all bets of `rounds` are confirmed: when the last one was.
    async fn confirmed(&self, rounds: &[String]) -> anyhow::Result<i64> {
        let begun = Instant::now();
        loop {
            let all = rounds.iter().map(|round| confirmed(self.watch, round, self.owed.bets));
            match all.collect::<anyhow::Result<Vec<i64>>>() {
                Ok(at) => return at.into_iter().max().context("no rounds"),
                Err(why) if REST_WAIT_MAX < begun.elapsed() => return Err(why),
                Err(_) => sleep(LOOK_PERIOD).await,
            }
        }
    }

    async fn faults(&self, settings: FaultSettings) -> anyhow::Result<()> {
        // What the wallets were started with stays.
        let mut settings = json!(settings);
        settings["latency_ms"] = self.plan.wallet_latency_ms.into();
        let reply = self.wallet.call(Method::POST, "/faults", "", Some(&settings)).await?;
        anyhow::ensure!(reply.status == 200, "the wallet says {}: {}", reply.status, reply.body);
        Ok(())
    }
}

/// Keys by partner.
type Keys = BTreeMap<String, PartnerKey>;
