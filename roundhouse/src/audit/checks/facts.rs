//! The store: decisions, markers, tallies, admissions and final answers, exactly as the topics have them.

use super::{Scene, rounds};
use crate::audit::books::FactSaid;
use crate::audit::report::Finding;
use schemas::bets::BetSaid;
use schemas::catalogue::{BETS, ROUNDS};
use schemas::decisions::{Decision, DecisionSaid};
use schemas::wire::{AmountRecord, TallyRecord};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 5] {
    [decisions(scene), markers(scene), tallies(scene), admissions(scene), readable(scene)]
}

fn decisions(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("facts-are-decisions", "the store holds each decision once, and no others");
    type Stored<'a> = Vec<(&'static str, u64, &'a Decision)>;
    let mut found: BTreeMap<(u32, String), Stored<'_>> = BTreeMap::new();
    for fact in &scene.books.facts {
        if let FactSaid::Decision(decision) = &fact.said {
            let key = (fact.scope.partition, decision.id());
            found.entry(key).or_default().push((fact.kind, fact.at, decision));
        }
    }
    let mut expected = BTreeSet::new();
    for (bet, story) in &scene.stories.bets {
        for due in story.decisions().filter(|_| story.frozen.is_none()) {
            let key = (story.partition, due.id());
            let facts = found.get(&key).map(Vec::as_slice).unwrap_or_default();
            expected.insert(key);
            if facts.is_empty() && !scene.due(story.partition, due.at) {
                continue;
            }
            let kind = DecisionSaid::Decided(due.clone()).kind().name();
            finding.that(
                matches!(facts, [(k, at, fact)] if *k == kind && *at == due.at && *fact == due),
                || (*bet).to_owned(),
                || format!("should be one {kind} at {}, is {facts:?}", due.at),
            );
        }
    }
    for ((partition, id), facts) in &found {
        let Some((kind, at, decision)) = facts.first() else { continue };
        let bet = decision.bet.id.as_str();
        if !expected.contains(&(*partition, id.clone())) && !scene.exempt(*partition, bet) {
            finding.that(
                false,
                || bet.to_owned(),
                || format!("{kind} at {at} follows from nothing"),
            );
        }
    }
    finding
}

fn markers(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "facts-are-markers",
        "the store holds each marker of each partition once, and no others",
    );
    let mut found = BTreeSet::new();
    for fact in &scene.books.facts {
        let FactSaid::Marker(event) = &fact.said else { continue };
        let BetSaid::Marker(marker) = &event.said else { continue };
        let (partition, round) = (fact.scope.partition, fact.scope.group.as_str());
        let log = usize::try_from(partition).ok().and_then(|p| scene.stories.log.get(p));
        let stands = log.and_then(|log| log.rounds.get(round)).is_some_and(|round| {
            round.markers.iter().any(|m| m.offset == fact.at && m.what == marker)
        });
        let out_of_sight = fact.at < scene.books.begin(BETS, partition);
        finding.that(
            stands || out_of_sight,
            || format!("{round} in bets/{partition}"),
            || format!("{marker:?} at {} follows from nothing", fact.at),
        );
        found.insert((partition, round, fact.at));
    }
    for (partition, log) in (0..).zip(&scene.stories.log) {
        for (round, lines) in &log.rounds {
            if lines.stopped.is_some() {
                continue;
            }
            for marker in lines.markers.iter().filter(|m| scene.due(partition, m.offset)) {
                finding.that(
                    found.contains(&(partition, *round, marker.offset)),
                    || format!("{round} in bets/{partition}"),
                    || format!("{:?} at {} is not in the store", marker.what, marker.offset),
                );
            }
        }
    }
    finding
}

fn tallies(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "tallies",
        "number, stakes and digest at `closed` are those of the accepted, uncancelled bets",
    );
    let mut found: BTreeMap<(u32, &str), Vec<(u64, &TallyRecord)>> = BTreeMap::new();
    for fact in &scene.books.facts {
        if let FactSaid::Tally(tally) = &fact.said {
            let key = (fact.scope.partition, fact.scope.group.as_str());
            found.entry(key).or_default().push((fact.at, tally));
        }
    }
    let mut tallies: BTreeMap<(u32, &str), Tally> = BTreeMap::new();
    for (bet, story) in &scene.stories.bets {
        let tally = tallies.entry((story.partition, story.bet.id.round_str())).or_default();
        tally.exempt |= story.frozen.is_some();
        if story.accepted() {
            tally.add(bet, story.bet);
        }
    }
    for (partition, log) in (0..).zip(&scene.stories.log) {
        for (round, lines) in &log.rounds {
            let Some(closed) = lines.closed().filter(|closed| scene.due(partition, closed.offset))
            else {
                continue;
            };
            let due = tallies.remove(&(partition, *round)).unwrap_or_default();
            if due.exempt || lines.stopped.is_some() {
                continue;
            }
            let due = due.finish(round);
            let facts = found.get(&(partition, *round)).map(Vec::as_slice).unwrap_or_default();
            finding.that(
                matches!(facts, [(at, tally)] if *at == closed.offset && **tally == due),
                || format!("{round} in bets/{partition}"),
                || format!("should be {due:?} at {}, is {facts:?}", closed.offset),
            );
        }
    }
    finding
}

/// A tally by its definition.
#[derive(Default)]
struct Tally {
    bets: i64,
    stakes: BTreeMap<(String, u8), i128>,
    lines: String,
    exempt: bool,
}

impl Tally {
    /// Called in the order of bet ids.
    fn add(&mut self, id: &str, bet: &schemas::bets::Bet) {
        self.bets += 1;
        let place = (bet.stake.currency.to_string(), bet.stake.exponent);
        *self.stakes.entry(place).or_default() += i128::from(bet.stake.units);
        self.lines.push_str(&format!("{id}|{}\n", bet.content_hash()));
    }

    fn finish(self, round: &str) -> TallyRecord {
        let amount = |((currency, exponent), units): ((String, u8), i128)| AmountRecord {
            units: i64::try_from(units).unwrap_or(i64::MAX),
            currency,
            exponent: i32::from(exponent),
        };
        let digest = Sha256::digest(self.lines.as_bytes());
        TallyRecord {
            round_id: round.to_owned(),
            bets: self.bets,
            stakes: self.stakes.into_iter().map(amount).collect(),
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

fn admissions(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("facts-are-admissions", "the store holds what was admitted, and no others");
    let verdicts = rounds::verdicts(scene);
    let mut found = BTreeSet::new();
    for fact in &scene.books.facts {
        let FactSaid::Admitted(event) = &fact.said else { continue };
        let partition = fact.scope.partition;
        let lines = usize::try_from(partition).ok().and_then(|p| scene.books.rounds.get(p));
        let stands = lines.is_some_and(|lines| {
            lines
                .binary_search_by_key(&fact.at, |(offset, _)| *offset)
                .is_ok_and(|index| lines.get(index).is_some_and(|(_, said)| said == event))
        });
        let verdict = verdicts.get(&(partition, fact.at));
        finding.that(
            fact.at < scene.books.begin(ROUNDS, partition)
                || (stands && verdict.is_none_or(|verdict| verdict.refused.is_none())),
            || format!("{} in rounds/{partition}", event.round),
            || format!("{} at {} was not admitted", event.kind().name(), fact.at),
        );
        found.insert((partition, fact.at));
    }
    for admitted in rounds::admitted(scene, &verdicts).values().flatten() {
        let (partition, judged) = admitted.at;
        finding.that(
            found.contains(&admitted.at),
            || format!("rounds/{partition} at {judged}"),
            || format!("{} was admitted and is not in the store", admitted.verdict.kind.name()),
        );
    }
    finding
}

fn readable(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "readable",
        "our own records and facts decode, and what cannot be read of bets is a fact (R23)",
    );
    let mut known = BTreeSet::new();
    for fact in &scene.books.facts {
        match &fact.said {
            FactSaid::Broken(why) => {
                finding.that(false, || format!("fact {} {}", fact.kind, fact.at), || why.clone());
            }
            FactSaid::Unreadable(_) => {
                known.insert((fact.scope.topic.0, fact.scope.partition, fact.at));
            }
            FactSaid::Decision(_)
            | FactSaid::Marker(_)
            | FactSaid::Tally(_)
            | FactSaid::Freeze(_)
            | FactSaid::Admitted(_)
            | FactSaid::Close(_)
            | FactSaid::Repeated(_)
            | FactSaid::Delivered(_) => finding.that(true, String::new, String::new),
        }
    }
    for (source, offset, why) in &scene.books.unreadable {
        finding.that(
            known.contains(&(source.topic.0, source.partition, *offset)),
            || format!("{source} at {offset}"),
            || why.clone(),
        );
    }
    for (partition, lines) in crate::audit::books::numbered(&scene.books.bets) {
        for (offset, line) in lines {
            if let crate::audit::books::BetLine::Unread(unread) = line {
                finding.that(
                    known.contains(&(BETS, partition, *offset)) || !scene.due(partition, *offset),
                    || format!("bets/{partition} at {offset}"),
                    || unread.error.clone(),
                );
            }
        }
    }
    finding
}
