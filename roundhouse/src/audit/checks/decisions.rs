//! `decisions.v1`: told is told, nothing behind the cut-off, and exactly what the log defines.

use super::Scene;
use crate::audit::books::numbered;
use crate::audit::report::Finding;
use schemas::decisions::{CancelRefused, Decision, DecisionSaid, Verdict};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(scene: &Scene<'_>) -> [Finding; 4] {
    let said = Said::of(scene);
    [told(scene), cut_off(scene), defined(scene, &said), refused(scene, &said)]
}

/// What `decisions.v1` says, without its repeats.
struct Said<'a> {
    decided: BTreeMap<String, (u32, &'a Decision)>,
    refused: BTreeMap<(&'a str, u64), (u32, &'a CancelRefused)>,
}

impl<'a> Said<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let mut said = Self { decided: BTreeMap::new(), refused: BTreeMap::new() };
        for (partition, lines) in numbered(&scene.books.decisions) {
            for (_, line) in lines {
                match line {
                    DecisionSaid::Decided(decision) => {
                        said.decided.entry(decision.id()).or_insert((partition, decision));
                    }
                    DecisionSaid::CancelRefused(refused) => {
                        let key = (refused.bet.as_str(), refused.at);
                        said.refused.entry(key).or_insert((partition, refused));
                    }
                }
            }
        }
        said
    }
}

fn told(scene: &Scene<'_>) -> Finding {
    let mut finding = Finding::new(
        "told-is-told",
        "no bet is both accepted and rejected, and equal keys carry equal content",
    );
    let mut first: BTreeMap<String, &DecisionSaid> = BTreeMap::new();
    let mut ranks: BTreeMap<&str, (bool, bool, bool)> = BTreeMap::new();
    for (_, said) in scene.books.decisions.iter().flatten() {
        let stands = *first.entry(said.key()).or_insert(said);
        finding.that(
            stands == said,
            || said.key(),
            || format!("said twice with two contents: {stands:?} and {said:?}"),
        );
        if let DecisionSaid::Decided(decision) = said {
            let (accepted, rejected, cancelled) =
                ranks.entry(decision.bet.id.as_str()).or_default();
            match decision.verdict {
                Verdict::Accepted => *accepted = true,
                Verdict::Rejected(_) => *rejected = true,
                Verdict::Cancelled(_) => *cancelled = true,
            }
        }
    }
    for (bet, (accepted, rejected, cancelled)) in ranks {
        finding.that(
            !(rejected && (accepted || cancelled)),
            || bet.to_owned(),
            || format!("accepted {accepted}, rejected {rejected}, cancelled {cancelled}"),
        );
    }
    finding
}

fn cut_off(scene: &Scene<'_>) -> Finding {
    let mut finding =
        Finding::new("cut-off", "no bet is accepted outside `opened` .. `closed` of its partition");
    for (partition, lines) in numbered(&scene.books.decisions) {
        for (_, said) in lines {
            let DecisionSaid::Decided(decision) = said else { continue };
            if decision.verdict != Verdict::Accepted
                || scene.exempt(partition, decision.bet.id.as_str())
            {
                continue;
            }
            let log = usize::try_from(partition).ok().and_then(|p| scene.stories.log.get(p));
            let round = log.and_then(|log| log.rounds.get(decision.bet.id.round_str()));
            let opened = round.and_then(|round| round.opened());
            let closed = round.and_then(|round| round.closed()).map(|closed| closed.offset);
            finding.that(
                opened.is_some_and(|opened| opened < decision.at)
                    && closed.is_none_or(|closed| decision.at < closed),
                || decision.bet.id.to_string(),
                || format!("accepted at {}, opened {opened:?}, closed {closed:?}", decision.at),
            );
        }
    }
    finding
}

fn defined(scene: &Scene<'_>, said: &Said<'_>) -> Finding {
    let mut finding =
        Finding::new("decisions-defined", "`decisions.v1` says what the log defines, and no more");
    let mut expected = BTreeSet::new();
    for (bet, story) in &scene.stories.bets {
        if story.frozen.is_some() {
            continue;
        }
        for due in story.decisions() {
            expected.insert(due.id());
            let found = said.decided.get(&due.id());
            if found.is_none() && !scene.due(story.partition, due.at) {
                continue;
            }
            finding.that(
                found.is_some_and(|(partition, found)| {
                    *found == due && *partition == story.partition
                }),
                || (*bet).to_owned(),
                || match found {
                    Some((_, found)) => format!(
                        "should be {:?} at {}, is {:?} at {}",
                        due.verdict, due.at, found.verdict, found.at
                    ),
                    None => format!("{:?} at {} was never said", due.verdict, due.at),
                },
            );
        }
    }
    for (id, (partition, decision)) in &said.decided {
        let bet = decision.bet.id.as_str();
        if !scene.exempt(*partition, bet) && !expected.contains(id) {
            finding.that(
                false,
                || bet.to_owned(),
                || format!("{:?} at {} follows from nothing", decision.verdict, decision.at),
            );
        }
    }
    finding
}

fn refused(scene: &Scene<'_>, said: &Said<'_>) -> Finding {
    let mut finding = Finding::new(
        "cancels-refused",
        "cancels behind `closed` or without a bet are refused, and no others",
    );
    let mut expected = BTreeSet::new();
    let strays = scene.stories.strays.iter();
    let mut due: Vec<(u32, &str, u64, &str)> = strays
        .map(|(partition, bet, at, request)| (*partition, *bet, *at, request.as_str()))
        .collect();
    for (bet, story) in &scene.stories.bets {
        let cancels = story.refused.iter();
        due.extend(cancels.map(|(at, request)| (story.partition, *bet, *at, request.as_str())));
    }
    for (partition, bet, at, request) in due {
        if scene.exempt(partition, bet) {
            continue;
        }
        expected.insert((bet, at));
        let found = said.refused.get(&(bet, at));
        if found.is_none() && !scene.due(partition, at) {
            continue;
        }
        finding.that(
            found.is_some_and(|(_, found)| found.request.as_str() == request),
            || bet.to_owned(),
            || format!("the cancel {request} at {at} was not refused"),
        );
    }
    for ((bet, at), (partition, refused)) in &said.refused {
        if !scene.exempt(*partition, bet) && !expected.contains(&(*bet, *at)) {
            finding.that(
                false,
                || (*bet).to_owned(),
                || format!("the cancel {} at {at} was refused for nothing", refused.request),
            );
        }
    }
    finding
}
