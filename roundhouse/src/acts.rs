//! What people and feeds said and had done, as facts keep it for ever: who, when, what, why, and what became of it.

#[cfg(test)]
mod tests;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use runtime::{Batch, Engine, Fact, FactStore, Millis, Scope, Topic};
use schemas::acts::{self, hour, place};
use schemas::facts::ACT;
use schemas::frame;
use schemas::wire::ActRecord;

/// Hours read side by side: on a cluster each waits for a server.
const HOURS_AT_ONCE: usize = 16;

/// What was found.
#[derive(Debug, Default)]
pub struct Acts {
    /// In the order of time.
    pub acts: Vec<ActRecord>,
    /// Facts that cannot be read.
    pub unreadable: u64,
}

/// What was said and done from `since` to the hour of `now`, in ms since the Unix epoch. What the herald has not judged
/// yet is not there.
///
/// # Errors
/// If the facts cannot be read.
pub async fn since(store: &impl FactStore, since: Millis, now: Millis) -> anyhow::Result<Acts> {
    let hours = (hour(since)..=hour(now)).map(|hour| {
        let (group, topic, partition) = place(hour);
        store.scan(Scope { group, topic: Topic(topic), partition })
    });
    let mut hours = stream::iter(hours).buffered(HOURS_AT_ONCE);
    let mut found = Acts::default();
    while let Some(facts) = hours.try_next().await.context("the acts cannot be read")? {
        for fact in facts.iter().filter(|fact| fact.key.kind == ACT) {
            match frame::decode::<ActRecord>(&fact.body) {
                Ok(act) => found.acts.push(act),
                Err(_) => found.unreadable += 1,
            }
        }
    }
    found.acts.retain(|act| since <= act.said_at);
    found.acts.sort_by(|a, b| (a.said_at, &a.of, &a.what).cmp(&(b.said_at, &b.of, &b.what)));
    Ok(found)
}

/// Keeps what somebody has done by a command, before it is done.
///
/// # Errors
/// If it cannot be written.
pub async fn keep(engine: &impl Engine, act: &ActRecord) -> anyhow::Result<()> {
    let row = acts::fact(act, u64::try_from(act.said_at).unwrap_or(0));
    let fact = Fact::from(row.context("the act does not survive its own encoding")?.into_parts());
    let batch = Batch { facts: vec![vec![fact]], ..Batch::default() };
    engine.apply(None, batch).await.context("the act cannot be written")
}
