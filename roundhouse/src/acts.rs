//! What people and feeds said of rounds and partners, as it stands in the log: who, when, what, why, and
//! what became of it. Nobody can take any of it back.

#[cfg(test)]
mod tests;

use crate::topics::whole;
use runtime::{Engine, Millis, Record, Source, Topic};
use schemas::catalogue::{PARTNERS, ROUNDS};
use schemas::partners::{LedgerWord, PartnerSaid, PartnerWord, Pauser};
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::{RequestId, proposal};
use std::collections::BTreeMap;

/// Something that somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When, ms since the Unix epoch, UTC.
    pub at: Millis,
    /// The operator's or the feed's name.
    pub actor: String,
    /// What: a kind of `rounds.v1`, `approved`, and of a partner `set`, `paused` or `resumed`.
    pub what: &'static str,
    /// The round or the partner.
    pub of: String,
    /// Why, in words, where a reason is asked for.
    pub reason: Option<String>,
    /// The request's id; of a step of a correction it names the proposal.
    pub request: Option<RequestId>,
    /// `None` if it was admitted; else why not: a stable code.
    pub refused: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Acts {
    /// In the order of time.
    pub acts: Vec<Act>,
    /// Records that cannot be read.
    pub unreadable: u64,
}

/// What was said at `since` or later, in ms since the Unix epoch, by anybody but the herald, as far as the log
/// keeps it. What the herald has not judged yet is not there.
///
/// # Errors
/// If the log cannot be read.
pub async fn since(engine: &impl Engine, since: Millis) -> anyhow::Result<Acts> {
    let mut found = Acts::default();
    let topics: [(&str, Take); 2] = [(ROUNDS, rounds), (PARTNERS, partners)];
    for (topic, take) in topics {
        let topic = Topic(topic);
        for partition in 0..engine.partitions(topic) {
            let mut said = BTreeMap::new();
            let each = |record: &Record| take(&mut found, &mut said, record);
            whole(engine, Source { topic, partition }, each).await?;
        }
    }
    found.acts.retain(|act| since <= act.at);
    found.acts.sort_by(|a, b| (a.at, &a.of, a.what).cmp(&(b.at, &b.of, b.what)));
    Ok(found)
}

/// What was said in a partition and is not judged yet, by its offset.
type Said = BTreeMap<u64, RoundEvent>;
type Take = fn(&mut Acts, &mut Said, &Record);

fn rounds(found: &mut Acts, said: &mut Said, record: &Record) {
    let Ok(event) = RoundEvent::decode(&record.value) else {
        found.unreadable += 1;
        return;
    };
    let RoundSaid::Verdict(verdict) = &event.said else {
        said.insert(record.offset, event);
        return;
    };
    // A second herald for a while says the same verdict again.
    let Some(judged) = said.remove(&verdict.judged) else { return };
    if judged.actor == event.actor {
        return;
    }
    found.acts.push(Act {
        at: judged.said_at,
        what: what(&judged),
        of: judged.round.to_string(),
        reason: reason(&judged.said),
        request: Some(judged.request),
        actor: judged.actor,
        refused: verdict.refused.clone(),
    });
}

fn what(event: &RoundEvent) -> &'static str {
    match (&event.said, proposal::Step::of(&event.request)) {
        (RoundSaid::Version { .. }, Some(_)) => "approved",
        _ => event.kind().name(),
    }
}

fn reason(said: &RoundSaid) -> Option<String> {
    match said {
        RoundSaid::Version { reason, .. }
        | RoundSaid::Proposed { reason, .. }
        | RoundSaid::Rejected { reason } => Some(reason.clone()).filter(|text| !text.is_empty()),
        RoundSaid::Opened(_)
        | RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Closed
        | RoundSaid::Sealed
        | RoundSaid::Verdict(_) => None,
    }
}

fn partners(found: &mut Acts, _: &mut Said, record: &Record) {
    match PartnerSaid::decode(&record.value) {
        // What happens by itself is no operator's act.
        Ok(
            None
            | Some(PartnerSaid {
                what:
                    PartnerWord::Paused(Pauser::Restore | Pauser::Deliveries | Pauser::Stakes, _)
                    | PartnerWord::Ledger(LedgerWord { restored: false, .. }),
                ..
            }),
        ) => {}
        Ok(Some(PartnerSaid { partner, what, by })) => found.acts.push(Act {
            at: by.said_at,
            actor: by.actor,
            what: match what {
                PartnerWord::Paused(_, true) => "paused",
                PartnerWord::Paused(_, false) => "resumed",
                PartnerWord::Profile(_) => "set",
                PartnerWord::Ledger(_) => "restored",
            },
            of: partner.to_string(),
            reason: Some(by.reason),
            request: None,
            refused: None,
        }),
        Err(_) => found.unreadable += 1,
    }
}
