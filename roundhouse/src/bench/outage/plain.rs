//! How fast what is owed could be brought to those that came back, with no logic between.

use super::OutagePlan;
use crate::bench::ground::{Ground, Grounds};
use crate::bench::plain_street::{PlainStreet, told};
use crate::bench::street::Street;
use crate::bench::trial::{EngineOf, Trial};
use anyhow::Context;

/// Settlements that the plain program brings, if one round has not more: they are kept in memory.
const SETTLEMENTS_MAX: usize = 100_000;

/// What the plain program brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drained {
    pub(super) settlements: usize,
    pub(super) took_us: u64,
}

/// Brings the first of the rounds that were owed, one after the other, with as many calls at once as dispatchers make.
///
/// # Errors
/// If something is not taken.
pub(super) async fn drain<G: Grounds>(
    plan: &OutagePlan,
    street: &Street,
    engine: &EngineOf<G>,
    owed: &[String],
    grounds: &G,
) -> anyhow::Result<Drained> {
    let count = (SETTLEMENTS_MAX / (plan.owed / plan.rounds).max(1)).max(1);
    let names = owed.get(..count).unwrap_or(owed);
    let mut rounds = told::<G>(engine, &names.iter().cloned().collect()).await?;
    let at_once_max = street.config.dispatcher.chunks_in_flight_max * plan.illnesses.len();
    let ground = grounds.make().await?;
    let drained = async {
        let mut plain = PlainStreet::open(&plan.street(), street, &ground, at_once_max).await?;
        let mut drained = Drained::default();
        for name in names {
            let round = rounds.remove(name).context("a round was not told")?;
            let ready = plain.ready(engine, name, round).await?;
            drained.took_us += plain.deliver::<EngineOf<G>>(&ready).await?;
            drained.settlements += ready.settlements();
        }
        anyhow::Ok(drained)
    };
    let drained = drained.await;
    ground.drop_all().await;
    drained
}
