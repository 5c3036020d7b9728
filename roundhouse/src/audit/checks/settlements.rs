//! `settlements.v1`: exactly what follows from decisions and result versions.

use super::Scene;
use crate::audit::books::numbered;
use crate::audit::definition::Standing;
use crate::audit::report::Finding;
use schemas::settlements::{REVISION_VOID, Settlement, Target};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 4] {
    let mut said: BTreeMap<String, (u32, &Settlement)> = BTreeMap::new();
    for (partition, lines) in numbered(&scene.books.settlements) {
        for (_, settlement) in lines {
            said.entry(settlement.id()).or_insert((partition, settlement));
        }
    }
    [defined(scene, &said), one_content(scene), two_or_above(&said), accounted(scene, &said)]
}

fn defined(scene: &Scene<'_>, said: &BTreeMap<String, (u32, &Settlement)>) -> Finding {
    let mut finding = Finding::new(
        "settlements-defined",
        "`settlements.v1` says what bets and results define, and no more",
    );
    let mut expected = BTreeSet::new();
    for story in scene.stories.bets.values().filter(|story| story.frozen.is_none()) {
        for (at, due) in &story.settlements {
            expected.insert(due.id());
            let found = said.get(&due.id());
            if found.is_none() && !scene.due(story.partition, *at) {
                continue;
            }
            finding.that(
                found.is_some_and(|(partition, found)| {
                    *found == due && *partition == story.partition
                }),
                || due.id(),
                || match found {
                    Some((_, found)) => format!(
                        "should be {:?} after {:?}, is {:?} after {:?}",
                        due.target, due.previous, found.target, found.previous
                    ),
                    None => format!("{:?} caused at {at} was never said", due.target),
                },
            );
        }
    }
    for (id, (partition, found)) in said {
        if !scene.exempt(*partition, found.bet.as_str()) && !expected.contains(id) {
            finding.that(
                false,
                || id.clone(),
                || format!("{:?} follows from nothing", found.target),
            );
        }
    }
    finding
}

fn one_content(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "revision-has-one-content",
        "a (bet, revision) has the same content wherever it stands",
    );
    let mut first: BTreeMap<String, &Settlement> = BTreeMap::new();
    let books = scene.books;
    let topics = [&books.settlements, &books.parked].into_iter().chain(&books.retries);
    for topic in topics {
        for (_, settlement) in topic.iter().flatten() {
            let stands = *first.entry(settlement.id()).or_insert(settlement);
            finding.that(
                stands == settlement,
                || settlement.id(),
                || format!("{:?} and {:?}", stands.target, settlement.target),
            );
        }
    }
    finding
}

fn two_or_above(said: &BTreeMap<String, (u32, &Settlement)>) -> Finding {
    let mut finding =
        Finding::new("two-or-above", "no bet has both revision 2 and a higher one (R10)");
    let mut seen: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (_, settlement) in said.values() {
        let (two, above) = seen.entry(settlement.bet.as_str()).or_default();
        *two |= settlement.revision == REVISION_VOID;
        *above |= REVISION_VOID < settlement.revision;
    }
    for (bet, (two, above)) in seen {
        let text = || "voided at revision 2 and settled above it".to_owned();
        finding.that(!(two && above), || bet.to_owned(), text);
    }
    finding
}

/// Counts of one round in one partition.
#[derive(Debug, Default)]
struct Count {
    accepted: u64,
    settled: u64,
    voided: u64,
    cancelled: u64,
    held: u64,
    exempt: u64,
}

/// Counted from the topic: the newest revision of each bet that the log defines as accepted once.
fn accounted(scene: &Scene<'_>, said: &BTreeMap<String, (u32, &Settlement)>) -> Finding {
    let mut finding = Finding::new(
        "round-accounted-for",
        "per round with a result: settled + voided + cancelled = accepted",
    );
    let mut newest: BTreeMap<&str, &Settlement> = BTreeMap::new();
    for (_, settlement) in said.values() {
        let stands = newest.entry(settlement.bet.as_str()).or_insert(settlement);
        if stands.revision < settlement.revision {
            *stands = settlement;
        }
    }
    let mut rounds: BTreeMap<(u32, &str), Count> = BTreeMap::new();
    for (bet, story) in &scene.stories.bets {
        let was_in = matches!(story.standing, Standing::In(_))
            || (story.first.is_some() && story.cancelled.is_some());
        if !was_in {
            continue;
        }
        let count = rounds.entry((story.partition, story.bet.id.round_str())).or_default();
        count.accepted += 1;
        match newest.get(bet).map(|newest| (newest.revision, newest.target)) {
            _ if story.frozen.is_some() => count.exempt += 1,
            Some((REVISION_VOID, _)) => count.cancelled += 1,
            Some((_, Target::Settled(_))) => count.settled += 1,
            Some((_, Target::Voided)) => count.voided += 1,
            Some((_, Target::Held)) | None => count.held += 1,
        }
    }
    for ((partition, round), count) in rounds {
        let log = usize::try_from(partition).ok().and_then(|p| scene.stories.log.get(p));
        let newest = log.and_then(|log| log.rounds.get(round)).and_then(|r| r.versions().last());
        let Some(newest) = newest.filter(|newest| scene.due(partition, newest.offset)) else {
            continue;
        };
        if matches!(newest.what.1, schemas::rounds::Outcome::Withdrawn) {
            continue;
        }
        let over = count.settled + count.voided + count.cancelled + count.exempt;
        finding.that(
            over == count.accepted,
            || format!("{round} in partition {partition}"),
            || format!("{count:?}"),
        );
    }
    finding
}
