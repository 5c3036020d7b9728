//! Stored offsets: never above what is undecided, unsealed or owed (R1, R3, R7).

use super::{DISPATCHER, HERALD, SETTLER, Scene, rounds};
use crate::audit::books::numbered;
use crate::audit::definition::Standing;
use crate::audit::report::Finding;
use schemas::catalogue::{BETS, ROUNDS, RetryTier, SETTLEMENTS};
use schemas::rounds::RoundSaid;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 3] {
    [settlers(scene), heralds(scene), dispatchers(scene)]
}

fn settlers(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "offset-below-undecided",
        "no settler's stored offset is above an undecided intent (R1)",
    );
    for (bet, story) in &scene.stories.bets {
        if story.standing == Standing::Undecided && story.frozen.is_none() {
            let stored = scene.books.stored(SETTLER, BETS, story.partition);
            finding.that(
                stored <= story.intent_at,
                || (*bet).to_owned(),
                || format!("undecided at {}, the offset stored is {stored}", story.intent_at),
            );
        }
    }
    for (partition, lines) in numbered(&scene.books.bets) {
        let stored = scene.books.stored(SETTLER, BETS, partition);
        let end = lines.last().map_or(scene.books.begin(BETS, partition), |(last, _)| last + 1);
        finding.that(
            stored <= end,
            || format!("bets/{partition}"),
            || format!("the offset stored is {stored}, the end {end}"),
        );
    }
    finding
}

fn heralds(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "offset-below-unsealed",
        "no herald's stored offset is above an unjudged record or an unsealed round (R7)",
    );
    let verdicts = rounds::verdicts(scene);
    let mut sealed = BTreeSet::new();
    let mut opened: BTreeMap<&str, (u32, u64)> = BTreeMap::new();
    for (partition, lines) in numbered(&scene.books.rounds) {
        let stored = scene.books.stored(HERALD, ROUNDS, partition);
        for (offset, event) in lines {
            let verdict = verdicts.get(&(partition, *offset));
            let admitted = verdict.is_some_and(|verdict| verdict.refused.is_none());
            match &event.said {
                RoundSaid::Verdict(_) => continue,
                RoundSaid::Sealed if admitted => {
                    sealed.insert(event.round.as_str());
                }
                RoundSaid::Opened(_) if admitted => {
                    opened.insert(event.round.as_str(), (partition, *offset));
                }
                RoundSaid::Opened(_)
                | RoundSaid::Amended { .. }
                | RoundSaid::Closing
                | RoundSaid::Closed
                | RoundSaid::Sealed
                | RoundSaid::Version { .. }
                | RoundSaid::Proposed { .. }
                | RoundSaid::Rejected { .. } => {}
            }
            finding.that(
                verdict.is_some() || stored <= *offset,
                || format!("{} in rounds/{partition}", event.round),
                || format!("no verdict on {} at {offset}, stored {stored}", event.kind().name()),
            );
        }
    }
    for (round, (partition, offset)) in opened {
        let stored = scene.books.stored(HERALD, ROUNDS, partition);
        finding.that(
            sealed.contains(round) || stored <= offset,
            || format!("{round} in rounds/{partition}"),
            || format!("opened at {offset}, not sealed, stored {stored}"),
        );
    }
    finding
}

/// An owed settlement is at or above the offset stored of its topic or tier, parked, or below a newer
/// revision that is in the topic.
fn dispatchers(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "owed-is-in-reach",
        "what has no final answer will be read again, is parked, or has a newer revision",
    );
    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, settlement) in scene.books.settlements.iter().flatten() {
        let stands = newest.entry(settlement.bet.as_str()).or_default();
        *stands = (*stands).max(settlement.revision);
    }
    let mut reach: BTreeSet<(&str, u32)> = BTreeSet::new();
    let tiers = RetryTier::ALL.into_iter().zip(&scene.books.retries);
    let tiers = tiers.map(|(tier, partitions)| (tier.topic(), partitions));
    let topics = std::iter::once((SETTLEMENTS, &scene.books.settlements)).chain(tiers);
    for (topic, partitions) in topics {
        for (partition, lines) in numbered(partitions) {
            let stored = scene.books.stored(DISPATCHER, topic, partition);
            let ahead = lines.iter().filter(|(offset, _)| stored <= *offset);
            reach.extend(ahead.map(|(_, s)| (s.bet.as_str(), s.revision)));
        }
    }
    for (_, settlement) in scene.books.settlements.iter().flatten() {
        let (bet, revision) = (settlement.bet.as_str(), settlement.revision);
        finding.that(
            scene.answers.closed(bet, revision)
                || scene.answers.parked(settlement)
                || reach.contains(&(bet, revision))
                || newest.get(bet).is_some_and(|newest| revision < *newest),
            || settlement.id(),
            || "owed, and no stored offset is below it".to_owned(),
        );
    }
    finding
}
