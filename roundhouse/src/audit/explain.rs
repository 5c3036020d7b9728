//! One bet's story in plain sentences.

use super::books::numbered;
use super::checks::Scene;
use super::definition::{Standing, Story};
use super::log::PartitionLog;
use schemas::Money;
use schemas::bets::{HoldAnswer, MarkerBody};
use schemas::contract::timestamp;
use schemas::decisions::{DecisionSaid, RejectReason, Verdict};
use schemas::rounds::Outcome;
use schemas::settlements::Target;

/// The sentences, in the order of the log, then deliveries and money.
pub(super) fn tell(scene: &Scene<'_>, bet: &str) -> Result<Vec<String>, String> {
    let Some(story) = scene.stories.bets.get(bet) else {
        return Err(format!("the log has no intent of a bet {bet}"));
    };
    let log = usize::try_from(story.partition).ok().and_then(|p| scene.stories.log.get(p));
    let log = log.ok_or("the partition is not in the log")?;
    let mut lines = vec![headline(story)];
    let mut events = of_log(log, story);
    events.sort_by_key(|(offset, _)| *offset);
    lines.extend(events.into_iter().map(|(_, line)| line));
    lines.extend(told(scene, bet));
    lines.extend(settled(scene, story));
    lines.extend(answers(scene, bet));
    lines.extend(moved(scene, story));
    Ok(lines)
}

fn headline(story: &Story<'_>) -> String {
    let bet = story.bet;
    format!(
        "Bet {} of player {} at partner {}: {} on {} at odds {}, in partition {} of bets.",
        bet.id, bet.player, bet.partner, bet.stake, bet.selection, bet.odds, story.partition
    )
}

fn of_log(log: &PartitionLog<'_>, story: &Story<'_>) -> Vec<(u64, String)> {
    let mut events = Vec::new();
    let mut at = |offset: u64, said_at: i64, text: String| {
        events.push((offset, format!("{}  offset {offset}: {text}", timestamp(said_at))));
    };
    if let Some(bet) = log.bets.get(story.bet.id.as_str()) {
        for (index, intent) in bet.intents.iter().enumerate() {
            let text = match (index, intent.what.bet.content_hash() == story.bet.content_hash()) {
                (0, _) => "the intent was written; the partner was asked after it.",
                (_, true) => "the intent was written again, with the same content.",
                (_, false) => {
                    "an intent with other content came under the same reference; it was ignored."
                }
            };
            at(intent.offset, intent.said_at, text.to_owned());
        }
        for answer in &bet.answers {
            let (hash, said) = answer.what;
            let mut text = match said {
                HoldAnswer::Approved => "the partner holds the stake".to_owned(),
                HoldAnswer::Declined(code) => format!("the partner declined ({code})"),
            };
            if hash != story.bet.content_hash() {
                text.push_str(", for other content; ignored");
            } else if story.decisions().next().is_some_and(|first| first.at < answer.offset) {
                text.push_str("; the bet was decided already");
            }
            at(answer.offset, answer.said_at, format!("{text}."));
        }
        for cancel in &bet.cancels {
            let text = format!("a cancel came, request {}.", cancel.what.0);
            at(cancel.offset, cancel.said_at, text);
        }
    }
    if let Some(round) = log.rounds.get(story.bet.id.round_str()) {
        for marker in &round.markers {
            at(marker.offset, marker.said_at, marker_text(&marker.what.body));
        }
    }
    for decision in story.decisions() {
        at(decision.at, decision.caused_at, decided(&decision.verdict));
    }
    if let Some(why) = &story.frozen {
        events.push((u64::MAX, format!("It is left to people: {why}.")));
    }
    events
}

fn marker_text(body: &MarkerBody) -> String {
    match body {
        MarkerBody::Opened { game, .. } => format!("the round was opened (game {game})."),
        MarkerBody::Closed => "the round was closed: the cut-off.".to_owned(),
        MarkerBody::Version { version, outcome } => match outcome {
            Outcome::Game(outcome) => format!("result version {version}: {outcome}."),
            Outcome::Named { won, void } => {
                let names = |list: &[schemas::Selection]| {
                    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                format!("result version {version}: won [{}], void [{}].", names(won), names(void))
            }
            Outcome::Withdrawn => format!("version {version} takes the result back."),
            Outcome::Voided => format!("version {version} voids the round."),
        },
    }
}

fn decided(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted => "with this the bet was accepted.".to_owned(),
        Verdict::Cancelled(request) => {
            format!("with this the bet was cancelled (request {request}).")
        }
        Verdict::Rejected(reason) => {
            let why = match reason {
                RejectReason::Declined(code) => format!("the partner declined it ({code})"),
                RejectReason::Expired => "no answer stood at the 6th tick".to_owned(),
                RejectReason::Closed => "the cut-off came first".to_owned(),
                RejectReason::NotOpen => "its round was not open".to_owned(),
                RejectReason::Thawed => "it was frozen and thawed".to_owned(),
            };
            format!("with this the bet was rejected: {why}.")
        }
    }
}

fn told(scene: &Scene<'_>, bet: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, said) in scene.books.decisions.iter().flatten() {
        if said.bet_id().as_str() == bet {
            let what = match said {
                DecisionSaid::Decided(_) => said.kind().name().to_owned(),
                DecisionSaid::CancelRefused(refused) => {
                    format!("cancel {} refused ({})", refused.request, refused.reason)
                }
            };
            lines.push(format!("The player was told: {what}."));
        }
    }
    lines.dedup();
    lines
}

fn target(target: Target, stake: Money) -> String {
    match target {
        Target::Held => "held".to_owned(),
        Target::Voided => "voided, the stake goes back".to_owned(),
        Target::Settled(0) => "lost".to_owned(),
        Target::Settled(payout) => format!("settled with {}", stake.with_units(payout)),
    }
}

fn settled(scene: &Scene<'_>, story: &Story<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, due) in &story.settlements {
        let copies = |lines: &[super::books::Lines<schemas::settlements::Settlement>]| {
            lines.iter().flatten().filter(|(_, said)| said == due).count()
        };
        lines.push(format!(
            "Revision {}: {} ({}); {} times in settlements, {} in retry tiers, {} parked.",
            due.revision,
            target(due.target, due.stake),
            due.reason.code(),
            copies(&scene.books.settlements),
            scene.books.retries.iter().map(|tier| copies(tier)).sum::<usize>(),
            copies(&scene.books.parked),
        ));
    }
    for (partition, lines_of) in numbered(&scene.books.settlements) {
        for (offset, said) in lines_of {
            let ours = said.bet == story.bet.id;
            if ours && !story.settlements.iter().any(|(_, due)| due == said) {
                lines.push(format!(
                    "Settlements/{partition} at {offset} says revision {}: {}, which follows from nothing.",
                    said.revision,
                    target(said.target, said.stake)
                ));
            }
        }
    }
    lines
}

fn answers(scene: &Scene<'_>, bet: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, delivery) in scene.books.deliveries.iter().flatten() {
        if delivery.bet_id == bet {
            let above = delivery.superseded_by.map(|r| format!(" by revision {r}"));
            lines.push(format!(
                "The partner answered revision {}: {}{}.",
                delivery.revision,
                delivery.outcome.name(),
                above.unwrap_or_default()
            ));
        }
    }
    lines
}

fn moved(scene: &Scene<'_>, story: &Story<'_>) -> Vec<String> {
    let stake = story.bet.stake;
    let rows = scene.movements.get(story.bet.id.as_str()).map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let state = row.target.map_or("declined".to_owned(), |to| target(to, stake));
            let moved = stake.with_units(row.moved);
            format!("The wallet took revision {} ({state}) and moved {moved}.", row.revision)
        })
        .collect();
    let total: i128 = rows.iter().map(|row| i128::from(row.moved)).sum();
    let shortfall = rows.last().map_or(0, |row| row.shortfall);
    let due = match (story.standing, story.net()) {
        (Standing::Undecided, _) | (_, None) => "nothing is decided".to_owned(),
        (Standing::Void | Standing::In(_), Some(net)) => format!("{net} by the log"),
    };
    let journal = if scene.books.journals.is_some() {
        format!("{total} moved by the wallet, shortfall {shortfall}")
    } else {
        "no wallet journal was given".to_owned()
    };
    lines.push(format!(
        "In minor units of {} (exponent {}) the player's balance must have changed by: {due}; {journal}.",
        stake.currency, stake.exponent
    ));
    lines
}
