//! A whole house put on trial: played with over HTTP, stopped, and audited with all that it left behind.

use super::ground::{Ground, Grounds};
use super::report::Place;
use super::street::{Street, StreetPlan};
use crate::audit::report::Report;
use crate::audit::{audit, journal, load as books};
use crate::serve::{Opened, Roles, Running, listen};
use anyhow::{Context, anyhow};
use serde::Serialize;
use std::fmt::Display;

/// The engine of a ground.
pub(super) type EngineOf<G> = <<G as Grounds>::Ground as Ground>::Engine;

/// What is done to a house.
pub trait Trial {
    /// What playing gives.
    type Found;
    /// What is told of it.
    type Report: Verdict;

    /// The partners, and where everything is kept.
    fn street(&self) -> StreetPlan<'_>;

    /// Plays until all is at rest; a plain program plays on a ground of its own, since the house's is audited.
    ///
    /// # Errors
    /// If a bet is not accepted, or what is owed is not confirmed in time.
    fn play<G: Grounds>(
        &self,
        street: &Street,
        house: &Running<EngineOf<G>>,
        grounds: &G,
    ) -> impl Future<Output = anyhow::Result<Self::Found>>;

    /// Makes the report.
    ///
    /// # Errors
    /// If what was found says nothing.
    fn report(
        &self,
        found: Self::Found,
        audit: Report,
        place: Place,
    ) -> anyhow::Result<Self::Report>;
}

/// How a trial ended.
pub trait Verdict: Serialize + Display {
    /// The audit of everything, journals included.
    fn audit(&self) -> &Report;
    /// Whether the limit that the trial is about was held.
    fn held(&self) -> bool;
}

/// Holds a trial. What it leaves stays to be looked at if the audit finds something.
///
/// # Errors
/// If a part cannot be started, stopped or read, or playing fails.
pub async fn hold<T: Trial, G: Grounds>(trial: &T, grounds: &G) -> anyhow::Result<T::Report> {
    let ground = grounds.make().await?;
    let report = on(trial, &ground, grounds).await;
    let amiss = report.as_ref().is_ok_and(|report| !report.audit().clean);
    ground.leave(amiss, trial.street().data_dir).await;
    report
}

async fn on<T: Trial, G: Grounds>(
    trial: &T,
    ground: &G::Ground,
    grounds: &G,
) -> anyhow::Result<T::Report> {
    let plan = trial.street();
    let place = Place::before(grounds.engine().await?, plan.data_dir).await?;
    let mut street = Street::open(&plan).await?;
    ground.configure(&mut street.config);
    let listener = listen(&street.config).await?;
    let engine = ground.open().await?;
    let house = Running::with(&street.config, listener, engine.clone(), &Roles::all()).await?;
    let found = trial.play(&street, &house, grounds).await;
    house.leave().await.context("the server did not stop well")?;
    street.wallets.stop().await.context("the wallets did not stop well")?;
    let found = found?;
    eprintln!("bench: the audit reads everything");
    let mut books = books::read(&engine, EngineOf::<G>::PARTITIONS).await?;
    engine.close().await;
    books.journals = Some(journal::read_all(&[street.journals])?);
    let audit = audit(&books, true).map_err(|why| anyhow!(why))?;
    trial.report(found, audit, place.after(plan.data_dir).await?)
}
