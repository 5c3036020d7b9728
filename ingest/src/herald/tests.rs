//! The fold by table, and the herald on [scripted partitions](desk).

mod desk;

use super::{Fold, Judgement, RoundRules};
use schemas::proposal;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::{ContentHash, Odds, Selection};

const CLOSES_AT: i64 = 20_000;
const GRACE_MS: i64 = 1_500;

fn known_game(opened: &Opened, _said_at: i64) -> Result<(), &'static str> {
    if opened.game == "die" { Ok(()) } else { Err("unknown_game") }
}

fn one_to_six(_: &str, _: &[Selection], outcome: &Outcome) -> Result<(), &'static str> {
    match outcome {
        Outcome::Game(face) if ["1", "2", "3", "4", "5", "6"].contains(&face.as_str()) => Ok(()),
        Outcome::Game(_) => Err("unknown_outcome"),
        Outcome::Named { .. } | Outcome::Withdrawn | Outcome::Voided => Ok(()),
    }
}

fn rules() -> RoundRules {
    RoundRules { check_opened: known_game, check_outcome: one_to_six }
}

fn said(request: &str, said_at: i64, said: RoundSaid) -> RoundEvent {
    let (round, actor) = ("r1".parse().unwrap(), "feed".to_owned());
    RoundEvent { round, request: request.parse().unwrap(), actor, said_at, said }
}

fn opened(request: &str, game: &str) -> RoundEvent {
    let offers = ["odd", "even"].map(|selection| Offer {
        selection: selection.parse().unwrap(),
        odds: Odds::new(200).unwrap(),
    });
    let opened = Opened {
        game: game.to_owned(),
        rules_version: 1,
        offers: offers.to_vec(),
        closes_at: CLOSES_AT,
        grace_ms: GRACE_MS,
    };
    said(request, 1_000, RoundSaid::Opened(opened))
}

fn result(request: &str, replaces: u32, face: &str) -> RoundEvent {
    version(request, replaces, Outcome::Game(face.to_owned()))
}

fn version(request: &str, replaces: u32, outcome: Outcome) -> RoundEvent {
    said(request, 30_000, RoundSaid::Version { replaces, outcome, reason: String::new() })
}

fn amended(selection: &str) -> RoundEvent {
    let odds = Odds::new(300).unwrap();
    let offers = vec![Offer { selection: selection.parse().unwrap(), odds }];
    said("amend", 2_000, RoundSaid::Amended { offers, closes_at: None })
}

/// Judges a story, and compares each verdict: `number/version` of an admitted record, or the code.
#[track_caller]
fn check(story: Vec<(RoundEvent, &str)>) {
    let mut fold = Fold::new(rules());
    for (offset, (event, wanted)) in (0..).zip(story) {
        let told = match fold.judge(offset, &event) {
            Judgement::Admitted(admitted) => format!("{}/{}", admitted.number, admitted.version),
            Judgement::Again(admitted) => format!("again {}/{}", admitted.number, admitted.version),
            Judgement::Refused(code) => code.to_owned(),
        };
        assert_eq!(told, wanted, "offset {offset}: {event:?}");
    }
}

fn closing() -> RoundEvent {
    said("closing", 20_000, RoundSaid::Closing)
}

fn closed() -> RoundEvent {
    said("closed", 21_500, RoundSaid::Closed)
}

fn sealed() -> RoundEvent {
    said("sealed", 21_600, RoundSaid::Sealed)
}

#[test]
fn a_round_from_opened_to_corrected() {
    check(vec![
        (opened("o", "die"), "1/0"),
        (amended("odd"), "0/0"),
        (closing(), "0/0"),
        (amended("even"), "request_reused"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("v1", 0, "4"), "3/1"),
        (result("v2", 1, "5"), "4/2"),
        (version("v3", 2, Outcome::Withdrawn), "5/3"),
        (version("v4", 3, Outcome::Withdrawn), "nothing_to_withdraw"),
        (version("v5", 3, Outcome::Voided), "6/4"),
        (result("v6", 4, "1"), "7/5"),
    ]);
}

#[test]
fn the_first_in_the_log_wins_and_the_rest_are_refused() {
    check(vec![
        (closing(), "round_unknown"),
        (opened("o", "chess"), "unknown_game"),
        (opened("o", "die"), "1/0"),
        (opened("o", "die"), "again 1/0"),
        (opened("o2", "die"), "round_exists"),
        (amended("seven"), "selection_unknown"),
        (closed(), "not_closing"),
        (sealed(), "not_closed"),
        (result("early", 0, "4"), "not_sealed"),
        // Never a result, and no reason to end betting.
        (result("early-bad", 0, "7"), "unknown_outcome"),
        (result("early-later", 1, "4"), "version_conflict"),
        (version("early-back", 0, Outcome::Withdrawn), "nothing_to_withdraw"),
        (closing(), "0/0"),
        (said("other", 20_001, RoundSaid::Closing), "not_betting"),
        (amended("odd"), "not_betting"),
        (closed(), "2/0"),
        (result("early", 0, "4"), "not_sealed"),
        (sealed(), "0/0"),
        (result("bad", 0, "7"), "unknown_outcome"),
        (result("a", 0, "4"), "3/1"),
        (result("b", 0, "5"), "version_conflict"),
        (result("a", 0, "4"), "again 3/1"),
        (result("a", 0, "6"), "request_reused"),
    ]);
}

/// A step of the proposal called `name`, by `actor`.
fn step(step: proposal::Step, name: &str, actor: &str, said: RoundSaid) -> RoundEvent {
    let (round, request) = ("r1".parse().unwrap(), step.request(ContentHash::of(&[name])));
    RoundEvent { round, request, actor: actor.to_owned(), said_at: 40_000, said }
}

fn proposed(name: &str, actor: &str, replaces: u32, face: &str) -> RoundEvent {
    let (outcome, reason) = (Outcome::Game(face.to_owned()), "misread".to_owned());
    step(proposal::Step::Proposed, name, actor, RoundSaid::Proposed { replaces, outcome, reason })
}

fn approved(name: &str, actor: &str, replaces: u32, face: &str) -> RoundEvent {
    let (outcome, reason) = (Outcome::Game(face.to_owned()), "misread".to_owned());
    step(proposal::Step::Approved, name, actor, RoundSaid::Version { replaces, outcome, reason })
}

fn rejected(name: &str, actor: &str) -> RoundEvent {
    step(proposal::Step::Rejected, name, actor, RoundSaid::Rejected { reason: "right".to_owned() })
}

/// A proposal is no marker and no version; it becomes one by the word of somebody else, once.
#[test]
fn a_correction_takes_two() {
    check(vec![
        (opened("open", "die"), "1/0"),
        (proposed("a", "ann", 0, "5"), "version_conflict"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (proposed("a", "ann", 1, "5"), "version_conflict"),
        (result("r", 0, "3"), "3/1"),
        (approved("a", "ben", 1, "5"), "proposal_unknown"),
        (proposed("a", "ann", 1, "7"), "unknown_outcome"),
        (proposed("a", "ann", 1, "5"), "0/1"),
        (proposed("a", "cleo", 1, "5"), "again 0/1"),
        (proposed("b", "ben", 1, "6"), "0/1"),
        (approved("a", "ann", 1, "5"), "same_operator"),
        (approved("a", "ben", 1, "6"), "proposal_differs"),
        (approved("a", "ben", 1, "5"), "4/2"),
        (approved("a", "cleo", 1, "5"), "again 4/2"),
        (rejected("a", "ben"), "proposal_closed"),
        (approved("b", "ann", 1, "6"), "version_conflict"),
        (rejected("b", "ben"), "0/2"),
        (rejected("b", "ann"), "again 0/2"),
        (approved("b", "ann", 1, "6"), "proposal_closed"),
        (rejected("c", "ben"), "proposal_unknown"),
        // A request that is no step says a version by itself, and a version cannot go by another step's name.
        (result("direct", 2, "6"), "5/3"),
        (step(proposal::Step::Proposed, "d", "ann", result("x", 3, "1").said), "proposal_unknown"),
        (
            step(proposal::Step::Approved, "d", "ann", proposed("d", "ann", 3, "1").said),
            "proposal_unknown",
        ),
        (step(proposal::Step::Approved, "d", "ann", rejected("d", "ann").said), "proposal_unknown"),
    ]);
}

/// H11 with a feed that repeats its first result after the correction: it stays version 1.
#[test]
fn a_repeated_first_result_is_not_version_3() {
    check(vec![
        (opened("o", "die"), "1/0"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("first", 0, "4"), "3/1"),
        (result("second", 1, "5"), "4/2"),
        (result("first", 0, "4"), "again 3/1"),
        (result("first-again", 0, "4"), "version_conflict"),
    ]);
}

#[test]
fn corrections_end_thirty_days_after_the_first_result() {
    let mut late = result("late", 1, "5");
    late.said_at += super::CORRECTION_MS_MAX;
    let mut too_late = late.clone();
    too_late.said_at += 1;
    check(vec![
        (opened("o", "die"), "1/0"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("first", 0, "4"), "3/1"),
        (too_late, "too_late"),
        (late, "4/2"),
    ]);
}
