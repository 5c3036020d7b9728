//! Final answers and partitions: only of what was said, in the place where it belongs.

use super::Scene;
use crate::audit::books::{BetLine, FactSaid, numbered};
use crate::audit::report::Finding;
use runtime::{Source, Topic};
use schemas::PartnerId;
use schemas::bets::BetSaid;
use schemas::catalogue::{DELIVERIES, RetryTier};
use schemas::decisions::DecisionSaid;
use schemas::wire::DeliveryOutcome;
use std::collections::BTreeSet;

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 3] {
    [answered(scene), told(scene), in_place(scene)]
}

fn told(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "answers-are-told",
        "each answer and parking that the store holds stands in deliveries (R3)",
    );
    let records = || scene.books.deliveries.iter().flatten().map(|(_, delivery)| delivery);
    let told: BTreeSet<&str> = records().map(|one| one.delivery_id.as_str()).collect();
    let bets: BTreeSet<&str> = records().map(|one| one.bet_id.as_str()).collect();
    for fact in &scene.books.facts {
        let FactSaid::Delivered(answer) = &fact.said else { continue };
        let deliveries = Source { topic: Topic(DELIVERIES), partition: fact.scope.partition };
        // Facts outlive the records.
        if scene.books.begins.contains_key(&deliveries) && !bets.contains(answer.bet_id.as_str()) {
            continue;
        }
        finding.that(
            told.contains(answer.delivery_id.as_str()),
            || answer.delivery_id.clone(),
            || "no record says it".to_owned(),
        );
    }
    finding
}

fn answered(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "answers-name-settlements",
        "each final answer is of a settlement that was said, `superseded` of one above it (R17)",
    );
    let said: BTreeSet<(&str, i64)> = scene
        .books
        .settlements
        .iter()
        .flatten()
        .map(|(_, settlement)| (settlement.bet.as_str(), i64::from(settlement.revision)))
        .collect();
    for answer in &scene.answers.all {
        let bet = answer.bet_id.as_str();
        let above = match answer.outcome {
            DeliveryOutcome::Superseded => answer.superseded_by,
            DeliveryOutcome::Applied | DeliveryOutcome::Parked | DeliveryOutcome::Unknown => None,
        };
        let superseded = answer.outcome == DeliveryOutcome::Superseded;
        finding.that(
            said.contains(&(bet, answer.revision))
                && (!superseded
                    || above.is_some_and(|a| answer.revision < a && said.contains(&(bet, a)))),
            || answer.delivery_id.clone(),
            || format!("revision {} superseded by {above:?}", answer.revision),
        );
    }
    finding
}

fn in_place(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("lane-in-place", "a partner's records stand in its lane's partition (R9)");
    let counts = scene.books.partitions;
    let mut place = |topic: &str, partition: u32, partner: &PartnerId, what: &str| {
        let due = counts.of_partner(partner);
        finding.that(
            partition == due,
            || format!("{topic}/{partition}"),
            || format!("{what} of {partner} belongs in partition {due}"),
        );
    };
    for (partition, lines) in numbered(&scene.books.bets) {
        for (_, line) in lines {
            let BetLine::Said(event) = line else { continue };
            match &event.said {
                BetSaid::Intent(intent) => {
                    place("bets", partition, &intent.bet.partner, intent.bet.id.as_str());
                }
                BetSaid::Answer { bet, partner, .. } | BetSaid::Cancel { bet, partner, .. } => {
                    place("bets", partition, partner, bet.as_str());
                }
                BetSaid::Thaw { .. } | BetSaid::Marker(_) | BetSaid::Tick => {}
            }
        }
    }
    for (partition, lines) in numbered(&scene.books.decisions) {
        for (_, said) in lines {
            let bet = match said {
                DecisionSaid::Decided(decision) => decision.bet.id.as_str(),
                DecisionSaid::CancelRefused(refused) => refused.bet.as_str(),
            };
            place("decisions", partition, said.partner(), bet);
        }
    }
    let books = scene.books;
    let tiers = RetryTier::ALL.into_iter().zip(&books.retries);
    let tiers = tiers.map(|(tier, partitions)| (tier.topic(), partitions));
    let others = [("settlements", &books.settlements), ("parked", &books.parked)];
    for (topic, partitions) in others.into_iter().chain(tiers) {
        for (partition, lines) in numbered(partitions) {
            for (_, settlement) in lines {
                place(topic, partition, &settlement.partner, settlement.bet.as_str());
            }
        }
    }
    finding
}
