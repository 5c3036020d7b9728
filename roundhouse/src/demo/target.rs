//! A demo against servers that run already.

use super::prepared::Prepared;
use super::{DemoReport, Plan, SETTLE_WAIT_MAX, Stage};
use crate::audit::{audit, journal, load};
use crate::rig::api::Api;
use crate::serve::Opened;
use anyhow::{Context, anyhow};
use runtime::{Clock, SystemClock};

/// Servers of others.
pub struct Target {
    /// Base URLs of their APIs: each request goes to the next one.
    pub urls: Vec<String>,
    /// What they know us by.
    pub prepared: Prepared,
}

/// Plays the demo's rounds against `target` and audits its whole log, which `engine` reads: rounds that
/// were there before must be right, and over, too.
///
/// # Errors
/// If it could not be played to its end.
pub async fn run_against<E: Opened>(
    plan: &Plan,
    target: &Target,
    engine: &E,
) -> anyhow::Result<DemoReport> {
    let Prepared { operator_key, keys, journals } = &target.prepared;
    let api = Api::of(target.urls.clone(), operator_key.clone());
    api.ready(SETTLE_WAIT_MAX).await?;
    // Names of its own for each run: what was played before stays in the log.
    let rounds = format!("demo-{}-", SystemClock.now() / 1_000);
    let stage = Stage { plan, api: &api, keys, rounds };
    let played = stage.play(engine.clone(), None).await?;
    let mut books = load::read(engine, E::PARTITIONS).await?;
    books.journals = Some(journal::read_all(std::slice::from_ref(journals))?);
    let audit = audit(&books, true).map_err(|why| anyhow!(why)).context("the audit failed")?;
    Ok(played.report(plan, audit))
}
