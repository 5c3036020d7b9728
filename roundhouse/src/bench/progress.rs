//! How far a log and its readers are.

use anyhow::ensure;
use runtime::{RecordLog, Source, Topic};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Records in all partitions of a topic that were ever appended.
///
/// # Errors
/// What the engine says.
pub(super) async fn count(engine: &impl RecordLog, topic: &'static str) -> anyhow::Result<u64> {
    let topic = Topic(topic);
    let mut sum = 0;
    for partition in 0..engine.partitions(topic) {
        sum += engine.range(Source { topic, partition }).await?.1;
    }
    Ok(sum)
}

/// How long to wait, and how often to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// The longest wait.
    pub(super) max: Duration,
    /// Between two looks.
    pub(super) period: Duration,
}

/// Waits until a topic has `wanted` records.
///
/// # Errors
/// If it does not get them in time.
pub(super) async fn reached(
    engine: &impl RecordLog,
    topic: &'static str,
    wanted: u64,
    wait: Wait,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let found = count(engine, topic).await?;
        if wanted <= found {
            return Ok(());
        }
        let waited = begun.elapsed();
        ensure!(waited < wait.max, "{found} of {wanted} records of {topic} came in time");
        sleep(wait.period).await;
    }
}

/// Waits until `group` has stored the end of every partition of `topic`: all that was said is done.
///
/// # Errors
/// If it does not in time.
pub(super) async fn caught_up(
    engine: &impl RecordLog,
    group: &'static str,
    topic: &'static str,
    wait: Wait,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let topic = Topic(topic);
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        while engine.stored(group, source).await?.unwrap_or(0) < engine.range(source).await?.1 {
            ensure!(begun.elapsed() < wait.max, "{group} does not reach the end of {source}");
            sleep(wait.period).await;
        }
    }
    Ok(())
}
