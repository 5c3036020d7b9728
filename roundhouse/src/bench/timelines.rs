//! How long an operator waits for the timeline of a bet, among all the bets of a round.

use super::client::micros;
use super::house::House;
use super::report::Spread;
use super::tail::Taken;
use crate::serve::Opened;
use anyhow::{Context, ensure};
use schemas::frame;
use schemas::wire::DeliveryRecord;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Timelines asked for.
const TIMELINES: usize = 200;
/// The most that one may take, in µs.
pub(super) const FLOOR_US: u64 = 50_000;
/// Longest wait for a timeline: histories use a tenth of the engine, and a bench that plays round upon round
/// is far ahead of them.
const HISTORY_WAIT_MAX: Duration = Duration::from_secs(300);
/// How often a timeline is asked for that is not whole yet: histories are behind by a moment.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Times until the answer, one after the other, of bets evenly chosen from `deliveries`.
///
/// # Errors
/// If one does not tell its delivery in time.
pub(super) async fn timelines<E: Opened>(
    house: &House<E>,
    deliveries: &[Taken],
) -> anyhow::Result<Spread> {
    let step = deliveries.len().div_ceil(TIMELINES).max(1);
    let mut times = Vec::new();
    for record in deliveries.iter().step_by(step) {
        let record: DeliveryRecord =
            frame::decode(&record.value).context("a delivery record cannot be read")?;
        let path = format!("/v1/bets/{}/timeline", record.bet_id);
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let reply = house.api.look(&path).await?;
            let took = micros(asked.elapsed());
            let said = reply.body["timeline"].as_array();
            if said.is_some_and(|said| said.iter().any(|said| said["said"] == "applied")) {
                times.push(took);
                break;
            }
            ensure!(begun.elapsed() < HISTORY_WAIT_MAX, "{path} tells no delivery: {}", reply.body);
            sleep(LOOK_PERIOD).await;
        }
    }
    times.sort_unstable();
    Ok(Spread::of(&times))
}
