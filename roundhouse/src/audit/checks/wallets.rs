//! The wallets' journals: one effect per (bet, revision), and nobody else's money.

use super::Scene;
use crate::audit::books::Movement;
use crate::audit::grade::net;
use crate::audit::report::Finding;
use schemas::settlements::{REVISION_HELD, REVISION_VOID, Settlement};
use schemas::wire::DeliveryOutcome;
use std::collections::BTreeMap;

pub(super) fn check(scene: &Scene<'_>) -> Vec<Finding> {
    vec![
        one_effect(scene),
        revisions_rise(scene),
        adds_up(scene),
        only_what_was_said(scene),
        nobody_else(scene),
        answers_are_true(scene),
    ]
}

fn one_effect(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("one-effect", "a (bet, revision) moves money at most once, with one content");
    for (bet, movements) in &scene.movements {
        let mut first: BTreeMap<u32, &Movement> = BTreeMap::new();
        for movement in movements {
            let stands = first.get(&movement.revision).copied();
            first.entry(movement.revision).or_insert(movement);
            let repeated = stands.is_some_and(|stands| {
                movement.moved != 0
                    || (stands.target, stands.stake) != (movement.target, movement.stake)
            });
            finding.that(
                !repeated,
                || format!("{bet}/{}", movement.revision),
                || format!("{stands:?} and then {movement:?}"),
            );
        }
    }
    finding
}

fn revisions_rise(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "revisions-rise",
        "a wallet's revisions never fall, and none has 2 and a higher one",
    );
    for (bet, movements) in &scene.movements {
        let revisions: Vec<u32> = movements.iter().map(|movement| movement.revision).collect();
        let above = revisions.iter().any(|revision| REVISION_VOID < *revision);
        finding.that(
            revisions.is_sorted() && !(above && revisions.contains(&REVISION_VOID)),
            || (*bet).to_owned(),
            || format!("revisions {revisions:?}"),
        );
    }
    finding
}

fn adds_up(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("row-adds-up", "what a wallet moved on a bet is what its row says");
    for (bet, movements) in &scene.movements {
        let mut moved = 0;
        for movement in movements {
            moved += i128::from(movement.moved);
            let worth = movement.target.map_or(0, |target| net(target, movement.stake));
            finding.that(
                moved - i128::from(movement.shortfall) == worth,
                || format!("{bet}/{}", movement.revision),
                || format!("moved {moved}, shortfall {}, worth {worth}", movement.shortfall),
            );
        }
    }
    finding
}

fn only_what_was_said(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "moved-as-said",
        "each row change at revision 2 and above follows a settlement, each hold an intent",
    );
    let mut said: BTreeMap<(&str, u32), &Settlement> = BTreeMap::new();
    for (_, settlement) in scene.books.settlements.iter().flatten() {
        said.insert((settlement.bet.as_str(), settlement.revision), settlement);
    }
    for (bet, movements) in &scene.movements {
        for movement in movements {
            let holds = if movement.revision == REVISION_HELD {
                scene.stories.bets.contains_key(bet) || out_of_sight(scene, bet)
            } else {
                let said = said.get(&(*bet, movement.revision));
                said.is_some_and(|said| movement.target == Some(said.target))
            };
            finding.that(
                holds,
                || format!("{bet}/{}", movement.revision),
                || format!("{movement:?} was never asked for"),
            );
        }
    }
    finding
}

/// A bet whose own round began before the log does.
fn out_of_sight(scene: &Scene<'_>, bet: &str) -> bool {
    let round = bet.split(':').next().unwrap_or_default();
    !scene.books.begins.is_empty()
        && !scene
            .stories
            .log
            .iter()
            .any(|log| log.rounds.get(round).is_some_and(|round| round.opened().is_some()))
}

fn nobody_else(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "nobody-elses-money",
        "each movement is of the bet's own partner, player, stake and currency",
    );
    for (bet, movements) in &scene.movements {
        let Some(story) = scene.stories.bets.get(bet) else { continue };
        let stake = story.bet.stake;
        let currency = (stake.currency.to_string(), i64::from(stake.exponent));
        for movement in movements {
            // A row that was voided before it was held may not know its stake.
            let same_stake = movement.stake == stake.units || movement.moved == 0;
            finding.that(
                movement.partner == story.bet.partner.as_str()
                    && movement.player == story.bet.player.as_str()
                    && movement.currency == currency
                    && same_stake,
                || format!("{bet}/{}", movement.revision),
                || format!("{movement:?} is not of {:?}", story.bet),
            );
        }
    }
    finding
}

fn answers_are_true(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "confirmed-is-done",
        "what counts as confirmed stands in the wallet's journal at that revision or above",
    );
    let journals = scene.books.journals.as_ref();
    for answer in &scene.answers.all {
        let Some(journals) = journals else { break };
        if !journals.contains_key(&answer.partner_id) {
            continue;
        }
        let rows = scene.movements.get(answer.bet_id.as_str());
        let newest = rows.and_then(|rows| rows.iter().map(|row| row.revision).max()).unwrap_or(0);
        let needed = match answer.outcome {
            DeliveryOutcome::Superseded => answer.superseded_by.unwrap_or(answer.revision + 1),
            DeliveryOutcome::Applied | DeliveryOutcome::Parked | DeliveryOutcome::Unknown => {
                answer.revision
            }
        };
        finding.that(
            needed <= i64::from(newest),
            || format!("{}/{}", answer.bet_id, answer.revision),
            || format!("confirmed at {needed}, the journal is at {newest}"),
        );
    }
    finding
}
