//! The plain program beside a trial: what the trial's partners were told is brought to wallets of its own and written to
//! a ground of its own, since the trial's log and journals are audited.

use super::ground::{Ground, Grounds};
use super::load;
use super::plain::Plain;
use super::plain_deliver::{PlainDeliver, PlainRound, Posts, Told};
use super::street::{Street, StreetPlan};
use super::tail::{Taken, all};
use super::trial::EngineOf;
use super::wallets::MemoryWallets;
use crate::rig::api::Api;
use anyhow::Context;
use partner_kit::faults::FaultSettings;
use runtime::http::HttpClient;
use schemas::catalogue::{DELIVERIES, SETTLEMENTS};
use schemas::frame;
use schemas::settlements::{Settlement, revision_of};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What the plain program does, in words.
pub(super) const DOES: &str = "plain brings the same settlements to as many wallets that answer from memory, and writes the \
     same of them";

/// What was said of a round's first result.
#[derive(Default)]
pub(super) struct Round {
    settlements: Vec<Taken>,
    deliveries: Vec<Taken>,
}

/// Rounds by name.
pub(super) type Rounds = BTreeMap<String, Round>;

/// Reads what the log says of the first results of these rounds.
///
/// # Errors
/// If it cannot be read.
pub(super) async fn told<G: Grounds>(
    engine: &EngineOf<G>,
    names: &BTreeSet<String>,
) -> anyhow::Result<Rounds> {
    let mut rounds = Rounds::new();
    let revision = revision_of(1);
    all(engine, SETTLEMENTS, |taken| {
        let due = Settlement::decode(&taken.value).context("a settlement cannot be read")?;
        if due.revision == revision && names.contains(due.bet.round_str()) {
            rounds.entry(due.bet.round_str().to_owned()).or_default().settlements.push(taken);
        }
        Ok(())
    })
    .await?;
    all(engine, DELIVERIES, |taken| {
        let record: DeliveryRecord =
            frame::decode(&taken.value).context("a delivery record cannot be read")?;
        let applied = record.outcome == DeliveryOutcome::Applied;
        if applied && record.revision == i64::from(revision) && names.contains(&record.round_id) {
            rounds.entry(record.round_id).or_default().deliveries.push(taken);
        }
        Ok(())
    })
    .await?;
    Ok(rounds)
}

/// The program, and wallets like those of a street.
pub(super) struct PlainStreet<P> {
    deliver: PlainDeliver<P>,
    wallets: MemoryWallets,
    at_once_max: usize,
}

/// A round with all that is made ready before the clock runs.
pub(super) struct Ready<R> {
    name: String,
    round: Round,
    work: PlainRound,
    rows: R,
}

impl<R> Ready<R> {
    /// Its settlements.
    pub(super) fn settlements(&self) -> usize {
        self.round.settlements.len()
    }
}

impl<P> PlainStreet<P> {
    /// Starts as many wallets as the street has; at most so many chunks will be on their way at once.
    ///
    /// # Errors
    /// If they cannot be started, or the ground does not take what is written.
    pub(super) async fn open<G: Ground<Plain = P>>(
        plan: &StreetPlan<'_>,
        street: &Street,
        ground: &G,
        at_once_max: usize,
    ) -> anyhow::Result<Self> {
        let wallets =
            MemoryWallets::start(plan.exe, &street.keys, &street.operator_key, plan.latency_ms);
        let (wallets, plain) = (wallets.await?, ground.plain().await?);
        Ok(Self { deliver: PlainDeliver::new(plain), wallets, at_once_max })
    }

    /// Makes the wallet of a partner misbehave so, or behave.
    ///
    /// # Errors
    /// If it does not take it.
    pub(super) async fn set(&self, partner: &str, settings: FaultSettings) -> anyhow::Result<()> {
        let url = self.wallets.urls.get(partner).context("it has no wallet")?;
        load::set(&Api::new(url.clone(), String::new()), settings).await
    }

    /// The posts of a round, and what they are made with.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(super) fn posts(&self, round: &Round) -> anyhow::Result<(PlainRound, HttpClient)> {
        let posts = Posts { at_once_max: self.at_once_max, recover: true };
        let work = PlainRound::of(&round.settlements, &self.wallets, posts)?;
        Ok((work, self.deliver.client().clone()))
    }

    /// Makes a round ready, of which `engine` has what was written.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn ready<E>(
        &self,
        engine: &E,
        name: &str,
        round: Round,
    ) -> anyhow::Result<Ready<P::Rows>>
    where
        P: Plain<E>,
    {
        let (work, _) = self.posts(&round)?;
        let rows = self.deliver.plain().rows(engine, name, revision_of(1)).await?;
        Ok(Ready { name: name.to_owned(), round, work, rows })
    }

    /// Writes a round's settlements and brings them to the wallets: how long it took, in µs.
    ///
    /// # Errors
    /// If something is not taken.
    pub(super) async fn settle_and_deliver<E>(
        &mut self,
        ready: &Ready<P::Rows>,
    ) -> anyhow::Result<u64>
    where
        P: Plain<E>,
    {
        self.deliver.settle_and_deliver::<E>(ready.told()).await
    }

    /// Brings a round's settlements, which stand in the log, to the wallets: how long it took, in µs.
    ///
    /// # Errors
    /// If something is not taken.
    pub(super) async fn deliver<E>(&mut self, ready: &Ready<P::Rows>) -> anyhow::Result<u64>
    where
        P: Plain<E>,
    {
        self.deliver.deliver::<E>(ready.told()).await
    }
}

impl<R> Ready<R> {
    fn told(&self) -> Told<'_, R> {
        let Round { settlements, deliveries } = &self.round;
        Told { round: &self.name, work: &self.work, rows: &self.rows, settlements, deliveries }
    }
}
