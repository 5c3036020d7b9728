//! `bench hand-over`: settlers come and go under load. One process has every other role, the settlers are
//! processes of their own; more of them are started one after the other, and those that were there first
//! are stopped one after the other, until one is left and every partition has changed hands.
//!
//! Measured is the time from a round's result to the confirmation of each of its settlements while one
//! settler has all partitions, and while partitions change hands. At the end, at rest, the audit reads the
//! whole log, the store and the wallets' journals: nothing may be lost or doubled.

mod cast;
mod load;
mod phases;
mod report;

pub use report::HandOverReport;

use super::ground::{ClusterGround, Servers};
use crate::audit::books::Books;
use crate::audit::report::Report;
use crate::audit::{audit, journal, load as books};
use crate::bench::client::micros;
use crate::bench::ground::{Ground, Grounds};
use crate::bench::progress::{Wait, caught_up, count};
use crate::bench::report::Place;
use crate::bench::tail::{Tail, Taken};
use crate::engine::SETTLER;
use crate::rig::watch::Watch;
use crate::serve::Opened;
use anyhow::{Context, anyhow};
use cast::Cast;
use load::{Load, Played};
use phases::{Phase, Step, Took};
use runtime::cluster::Cluster;
use schemas::catalogue::{BETS, DELIVERIES};
use schemas::decisions::{DecisionSaid, RejectReason, Verdict};
use schemas::frame;
use schemas::settlements::revision_of;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Longest wait until the first settler has every partition.
const OWNED: Wait =
    Wait { max: Duration::from_secs(60), period: <ClusterGround as Ground>::LOOK_PERIOD };
/// Longest wait, behind the last round, until nothing is undecided or owed.
const REST_WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest wait for records that stand in the log.
const READ_WAIT_MAX: Duration = Duration::from_secs(30);
/// For so long the log waits for a killed settler; see [`crate::engine::groups`].
const SESSION: Duration = Duration::from_secs(6);

/// What to measure.
#[derive(Clone, Debug)]
pub struct HandOverPlan {
    /// Where.
    pub servers: Servers,
    /// Settlers at the most; there is one at the beginning and one at the end.
    pub settlers: usize,
    /// Partners, each with a wallet.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Bets of each round.
    pub bets: usize,
    /// Between the beginnings of two rounds, in ms.
    pub every_ms: u64,
    /// For how long a round takes bets, in ms; rounds overlap where it is longer than `every_ms`.
    pub betting_ms: u64,
    /// Load before anything is measured, in s.
    pub warm_up_s: u64,
    /// With one settler, in s.
    pub steady_s: u64,
    /// Behind each start and each stop of a settler, in s.
    pub step_s: u64,
    /// Whether a settler is killed at the end, which is reported apart.
    pub kill: bool,
    /// Seed of bets and results.
    pub seed: u64,
    /// An empty directory, for journals and configuration.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` and `settler` are started.
    pub exe: PathBuf,
}

/// Measures, and audits. Topics and keyspace are left to be looked at if the audit finds something.
///
/// # Errors
/// If a part cannot be started or ends by itself, or nothing was confirmed in a phase.
pub async fn hand_over(plan: &HandOverPlan) -> anyhow::Result<HandOverReport> {
    let place = Place::before(plan.servers.engine().await?, &plan.data_dir).await?;
    let ground = plan.servers.make().await?;
    let found = on(plan, &ground).await;
    let amiss = found.as_ref().is_ok_and(|found| !found.audit.clean);
    ground.leave(amiss, &plan.data_dir).await;
    HandOverReport::of(plan, found?, place.after(&plan.data_dir).await?)
}

/// What a run gave.
struct Found {
    steps: Vec<Step>,
    confirmed: Vec<Took>,
    played: Played,
    rejections: BTreeMap<String, usize>,
    audit: Report,
}

async fn on(plan: &HandOverPlan, ground: &ClusterGround) -> anyhow::Result<Found> {
    let mut cast = Cast::open(plan, ground).await?;
    cast.start(1).await?;
    let engine = cast.engine().clone();
    caught_up(&engine, SETTLER, BETS, OWNED).await?;
    let tail = Tail::start(&engine, DELIVERIES).await?;
    let begun = Instant::now();
    let stop = CancellationToken::new();
    let load = Load::of(plan, cast.api.clone(), &cast.keys, begun);
    let load = tokio::spawn(load.run(stop.clone()));
    let script = Script { begun, steps: Vec::new() };
    let steps = script.play(plan, &mut cast).await;
    stop.cancel();
    let played = load.await.context("the load broke down")??;
    let steps = steps?;
    rest(&engine).await;
    let deliveries = usize::try_from(count(&engine, DELIVERIES).await?)?;
    let taken = tail.take(deliveries, READ_WAIT_MAX).await?;
    let confirmed = confirmed(&taken, &played.said_us, begun)?;
    let journals = cast.close().await?;
    eprintln!("bench: the audit reads everything");
    let mut books = books::read(&engine, Cluster::PARTITIONS).await?;
    engine.close().await;
    books.journals = Some(journal::read_all(&[journals])?);
    let audit = audit(&books, true).map_err(|why| anyhow!(why))?;
    Ok(Found { steps, confirmed, played, rejections: rejections(&books), audit })
}

/// Bets that were rejected, by why. A settler that takes over may say a decision again.
fn rejections(books: &Books) -> BTreeMap<String, usize> {
    let decisions = books.decisions.iter().flatten().filter_map(|(_, said)| match said {
        DecisionSaid::Decided(decision) => Some(decision),
        DecisionSaid::CancelRefused(_) => None,
    });
    let why: BTreeMap<_, _> = decisions
        .filter_map(|decision| match &decision.verdict {
            Verdict::Rejected(reason) => Some((&decision.bet.id, reason)),
            Verdict::Accepted | Verdict::Cancelled(_) => None,
        })
        .collect();
    let mut counts = BTreeMap::new();
    for reason in why.into_values() {
        let why = match reason {
            RejectReason::Declined(code) => format!("declined ({code})"),
            RejectReason::Expired
            | RejectReason::Closed
            | RejectReason::NotOpen
            | RejectReason::Thawed => reason.code().to_owned(),
        };
        *counts.entry(why).or_default() += 1;
    }
    counts
}

/// Waits until nothing is undecided or owed; if that does not come, the audit says what is.
async fn rest(engine: &Cluster) {
    let watch = Watch::start(engine.clone());
    if !watch.settled(REST_WAIT_MAX).await {
        let seen = watch.seen();
        let (undecided, owed) = (seen.undecided.len(), seen.owed.len());
        eprintln!("bench: {undecided} bets are undecided and {owed} settlements owed at the end");
    }
}

/// What is done to the settlers, and when.
struct Script {
    begun: Instant,
    steps: Vec<Step>,
}

impl Script {
    async fn play(mut self, plan: &HandOverPlan, cast: &mut Cast) -> anyhow::Result<Vec<Step>> {
        let step = Duration::from_secs(plan.step_s);
        sleep(Duration::from_secs(plan.warm_up_s)).await;
        self.mark(Phase::Steady, "one settler");
        sleep(Duration::from_secs(plan.steady_s)).await;
        for number in 2..=plan.settlers {
            self.mark(Phase::HandOver, &format!("settler-{number} is started"));
            cast.start(number).await?;
            sleep(step).await;
        }
        for number in 1..plan.settlers {
            self.mark(Phase::HandOver, &format!("settler-{number} is stopped"));
            cast.stop(number).await?;
            sleep(step).await;
        }
        if plan.kill {
            let number = plan.settlers + 1;
            self.mark(Phase::Aside, &format!("settler-{number} is started"));
            cast.start(number).await?;
            sleep(step).await;
            self.mark(Phase::Kill, &format!("settler-{number} is killed"));
            cast.kill(number).await?;
            sleep(SESSION + step).await;
        }
        self.mark(Phase::Aside, "end");
        cast.all_live()?;
        Ok(self.steps)
    }

    fn mark(&mut self, phase: Phase, what: &str) {
        let at_us = micros(self.begun.elapsed());
        eprintln!("bench: {:>4} s: {what}", at_us / 1_000_000);
        self.steps.push(Step { at_us, phase, what: what.to_owned() });
    }
}

/// The first final answer about each settlement of a first result; `said_us` are the results by round.
fn confirmed(
    deliveries: &[Taken],
    said_us: &BTreeMap<String, u64>,
    begun: Instant,
) -> anyhow::Result<Vec<Took>> {
    let (mut seen, mut confirmed) = (BTreeSet::new(), Vec::new());
    let mut sorted: Vec<&Taken> = deliveries.iter().collect();
    sorted.sort_by_key(|record| record.at);
    for taken in sorted {
        let record: DeliveryRecord =
            frame::decode(&taken.value).context("a delivery record cannot be read")?;
        let of_result = record.revision == i64::from(revision_of(1));
        let applied = record.outcome == DeliveryOutcome::Applied;
        if of_result && applied && seen.insert(record.bet_id) {
            let from_us = said_us.get(&record.round_id).copied();
            let from_us = from_us.with_context(|| format!("{} was not played", record.round_id))?;
            confirmed.push(Took { from_us, until_us: micros(taken.at.duration_since(begun)) });
        }
    }
    Ok(confirmed)
}
