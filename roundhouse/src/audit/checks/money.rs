//! Money at rest: what each bet moved is what it is worth, and the totals add up.

use super::Scene;
use crate::audit::definition::{Standing, Story};
use crate::audit::grade::net;
use crate::audit::report::{Finding, Totals};
use schemas::settlements::Target;
use std::collections::BTreeMap;

pub(super) fn check(scene: &Scene<'_>) -> (Vec<Finding>, BTreeMap<String, Totals>) {
    let mut rest =
        Finding::new("money-at-rest", "what the partner moved on a confirmed bet is its worth");
    let mut flight = Finding::new(
        "money-in-flight",
        "what the partner moved on any other bet is the worth of one of its states",
    );
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for (id, story) in &scene.stories.bets {
        let stake = story.bet.stake;
        let name = format!("{} {}/{}", story.bet.partner, stake.currency, stake.exponent);
        let total = totals.entry(name).or_default();
        book(total, story);
        owe(scene, total, story);
        if !has_journal(scene, story) || story.frozen.is_some() {
            continue;
        }
        let moved = moved(scene, id);
        total.moved += moved;
        match story.net().filter(|_| at_rest(scene, story)) {
            Some(due) => {
                total.difference += moved - due;
                rest.that(
                    moved == due,
                    || (*id).to_owned(),
                    || format!("{} moved {moved}, should be {due}", story.bet.partner),
                );
            }
            None => flight.that(
                states(story).contains(&moved),
                || (*id).to_owned(),
                || format!("{} moved {moved}, possible: {:?}", story.bet.partner, states(story)),
            ),
        }
    }
    let mut conserved = Finding::new(
        "conservation",
        "per partner and currency: stakes = held + lost + won + released, moved - due = 0",
    );
    for (name, total) in &totals {
        let places = total.held + total.lost + total.won_stakes + total.released;
        let worth = total.payouts - total.won_stakes - total.lost - total.held;
        finding_totals(&mut conserved, name, total, places, worth);
    }
    (vec![rest, flight, conserved], totals)
}

fn finding_totals(conserved: &mut Finding, name: &str, total: &Totals, places: i128, worth: i128) {
    conserved.that(
        total.stakes == places && worth == total.due && total.difference == 0,
        || name.to_owned(),
        || {
            format!(
                "stakes {} and in places {places}; due {} and by places {worth}; differs {}",
                total.stakes, total.due, total.difference
            )
        },
    );
}

fn has_journal(scene: &Scene<'_>, story: &Story<'_>) -> bool {
    let journals = scene.books.journals.as_ref();
    journals.is_some_and(|journals| journals.contains_key(story.bet.partner.as_str()))
}

/// Confirmed: decided, and its newest settlement, if any is due, has a final answer.
fn at_rest(scene: &Scene<'_>, story: &Story<'_>) -> bool {
    let newest = story.settlements.last();
    newest.is_none_or(|(_, newest)| scene.answers.closed(newest.bet.as_str(), newest.revision))
}

/// What the wallet moved on the bet, with what a claw-back could not take counted as moved.
fn moved(scene: &Scene<'_>, bet: &str) -> i128 {
    let rows = scene.movements.get(bet).map(Vec::as_slice).unwrap_or_default();
    let moved: i128 = rows.iter().map(|row| i128::from(row.moved)).sum();
    moved - rows.last().map_or(0, |row| i128::from(row.shortfall))
}

/// Worth of the bet in every state it can be in while messages are under way.
fn states(story: &Story<'_>) -> Vec<i128> {
    let stake = story.bet.stake.units;
    let mut states = vec![0, -i128::from(stake)];
    states.extend(story.settlements.iter().map(|(_, due)| net(due.target, stake)));
    states
}

fn book(total: &mut Totals, story: &Story<'_>) {
    let stake = i128::from(story.bet.stake.units);
    total.bets += 1;
    total.accepted += u64::from(story.accepted());
    if story.frozen.is_some() || story.standing == Standing::Undecided {
        total.pending += stake;
        return;
    }
    total.stakes += stake;
    total.due += story.net().unwrap_or_default();
    match story.standing {
        Standing::In(Target::Held) => total.held += stake,
        Standing::In(Target::Settled(0)) => total.lost += stake,
        Standing::In(Target::Settled(payout)) => {
            total.won_stakes += stake;
            total.payouts += i128::from(payout);
        }
        Standing::In(Target::Voided) | Standing::Void => total.released += stake,
        Standing::Undecided => {}
    }
}

fn owe(scene: &Scene<'_>, total: &mut Totals, story: &Story<'_>) {
    // An older one is owed no more once there is a newer one (R15).
    if let Some((_, due)) = story.settlements.last()
        && !scene.answers.closed(due.bet.as_str(), due.revision)
    {
        total.owed += 1;
        total.parked += u64::from(scene.answers.parked(due));
    }
}
