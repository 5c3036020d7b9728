//! What the healthy partners would notice with no logic between.

use super::IsolationPlan;
use crate::bench::ground::{Ground, Grounds};
use crate::bench::illness::Illness;
use crate::bench::plain_deliver::Posts;
use crate::bench::plain_street::{PlainStreet, Rounds, told};
use crate::bench::report::{Thousandths, percentile};
use crate::bench::street::Street;
use crate::bench::trial::{EngineOf, Trial};
use anyhow::Context;
use partner_kit::faults::FaultSettings;
use tokio::task::JoinSet;

/// A phase as it was played.
pub(super) struct Phase {
    pub(super) is_ill: bool,
    /// Rounds of the healthy ones.
    pub(super) healthy: Vec<String>,
    /// Rounds of those that are ill at times.
    pub(super) ill: Vec<String>,
}

/// Plays all phases again: the healthy ones' p99 of each, in µs.
///
/// Their rounds follow each other without a pause, and all settlements of one take as long as the last. Beside each a
/// round of the ill ones is posted, whose answers nobody waits for.
///
/// # Errors
/// If something is not taken by those that are well.
pub(super) async fn play<G: Grounds>(
    plan: &IsolationPlan,
    street: &Street,
    engine: &EngineOf<G>,
    ill: &[String],
    phases: &[Phase],
    grounds: &G,
) -> anyhow::Result<Vec<u64>> {
    let names = phases.iter().flat_map(|phase| phase.healthy.iter().chain(&phase.ill)).cloned();
    let mut rounds = told::<G>(engine, &names.collect()).await?;
    let ground = grounds.make().await?;
    let played = async {
        let at_once_max = Posts::ALL.at_once_max;
        let mut plain = PlainStreet::open(&plan.street(), street, &ground, at_once_max).await?;
        let mut p99s_us = Vec::new();
        for (number, phase) in phases.iter().enumerate() {
            let well = FaultSettings { latency_ms: plan.wallet_latency_ms, ..FaultSettings::NONE };
            for (partner, illness) in ill.iter().zip(Illness::FIVE) {
                let turn = phase.is_ill.then(|| illness.settings(well, number / 2));
                plain.set(partner, turn.unwrap_or(well)).await?;
            }
            let p99_us = one::<G>(&mut plain, engine, phase, &mut rounds).await?;
            eprintln!("bench: plain phase {}: {} ms", number + 1, Thousandths(p99_us));
            p99s_us.push(p99_us);
        }
        anyhow::Ok(p99s_us)
    };
    let played = played.await;
    ground.drop_all().await;
    played
}

async fn one<G: Grounds>(
    plain: &mut PlainStreet<<G::Ground as Ground>::Plain>,
    engine: &EngineOf<G>,
    phase: &Phase,
    rounds: &mut Rounds,
) -> anyhow::Result<u64> {
    let (mut beside, mut ill) = (JoinSet::new(), phase.ill.iter());
    let mut times_us = Vec::new();
    for name in &phase.healthy {
        let round = rounds.remove(name).context("a round was not told")?;
        let ready = plain.ready(engine, name, round).await?;
        if let Some(round) = ill.next().and_then(|name| rounds.remove(name)) {
            let (work, client) = plain.posts(&round)?;
            beside.spawn(async move { work.post(&client).await });
        }
        let took_us = plain.settle_and_deliver::<EngineOf<G>>(&ready).await?;
        times_us.extend(std::iter::repeat_n(took_us, ready.settlements()));
    }
    if phase.is_ill {
        beside.shutdown().await;
    }
    while let Some(posted) = beside.join_next().await {
        posted.context("a call broke down")??;
    }
    times_us.sort_unstable();
    Ok(percentile(&times_us, 99))
}
