//! What a story says of a bet.

use super::*;
use crate::history::story::{Outcome, Standing};

/// The events of a bet, revisions behind the words; where it stands; and of each revision asked for how it
/// ended and what it moved, in minor units.
#[test]
fn movements() {
    check(
        "
        accepted                                  | accepted  | 1 approved -1000
        declined void2 applied2                   | rejected  | 1 declined 0, 2 applied 0
        expired void2 applied2                    | rejected  | 1 unanswered ?, 2 applied ?
        accepted cancelled void2 applied2         | cancelled | 1 approved -1000, 2 applied 1000
        accepted won3 applied3                    | won       | 1 approved -1000, 3 applied 2500
        accepted lost3 applied3                   | lost      | 1 approved -1000, 3 applied 0
        accepted void3 applied3                   | void      | 1 approved -1000, 3 applied 1000
        accepted won3                             | won       | 3 owed ?
        accepted won3 parked3                     | won       | 3 parked ?
        accepted won3 parked3 replayed3 applied3  | won       | 3 applied 2500
        accepted won3 applied3 ledger2 parked3    | won       | 3 parked ?
        accepted won3 applied3 ledger2 parked3 applied3 | won | 3 applied 2500
        accepted won3 applied3 ledger2 lost4 applied4 | lost  | 3 applied 2500, 4 applied -2500
        accepted won3 applied3 lost4 applied4     | lost      | 3 applied 2500, 4 applied -2500
        accepted won3 applied3 held4 applied4     | accepted  | 3 applied 2500, 4 applied -2500
        accepted won3 lost4 applied4 superseded3  | lost      | 3 superseded 0, 4 applied 0
        accepted won3 lost4 applied4              | lost      | 3 superseded 0, 4 applied 0
        accepted won3 parked3 void4 applied4      | void      | 3 superseded 0, 4 applied 1000
        accepted accepted won3 won3 applied3      | won       | 1 approved -1000, 3 applied 2500
        ",
    );
}

#[track_caller]
fn check(table: &str) {
    let rows = table.lines().map(str::trim).filter(|row| !row.is_empty());
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [events, standing, movements] = cells[..] else { panic!("malformed row: {row}") };
        let story = told(events);
        assert_eq!(story.standing().map(Standing::name), Some(standing), "{row}");
        for movement in movements.split(", ") {
            let (revision, wanted) = movement.split_once(' ').unwrap();
            let revision = revision.parse().unwrap();
            let outcome = story.outcome(revision);
            let moved = story.moved(revision).map_or("?".to_owned(), |units| units.to_string());
            let found = format!("{} {moved}", outcome.as_ref().map_or("none", Outcome::name));
            assert_eq!(found, wanted, "{row}: revision {revision}");
        }
    }
}

fn told(events: &str) -> Story {
    let (bet, mut log) = (bet("ref"), Log::default());
    for event in events.split(' ') {
        let (word, revision) = event.split_at(event.trim_end_matches(char::is_numeric).len());
        let revision = || revision.parse().unwrap();
        match word {
            "accepted" => log.decide(&bet, Verdict::Accepted),
            "declined" => log.decide(&bet, declined()),
            "expired" => log.decide(&bet, Verdict::Rejected(RejectReason::Expired)),
            "cancelled" => log.decide(&bet, cancelled()),
            "held" => log.settle(&bet, revision(), Target::Held),
            "won" => log.settle(&bet, revision(), Target::Settled(2_500)),
            "lost" => log.settle(&bet, revision(), Target::Settled(0)),
            "void" => log.settle(&bet, revision(), Target::Voided),
            "ledger" => log.epoch = revision(),
            "applied" => log.deliver(&bet, revision(), DeliveryOutcome::Applied, "1"),
            "superseded" => log.deliver(&bet, revision(), DeliveryOutcome::Superseded, "1"),
            "parked" => log.deliver(&bet, revision(), DeliveryOutcome::Parked, "1"),
            "replayed" => log.replay(&bet, revision(), Target::Settled(2_500)),
            other => panic!("no event {other}"),
        }
    }
    log.all_rows().story(&bet.id)
}

/// Both results stand in the story, with when they were said and how often they were sent.
#[test]
fn a_correction_keeps_both_results() {
    let (bet, mut log) = (bet("ref"), Log::default());
    log.decide(&bet, Verdict::Accepted);
    log.settle(&bet, 3, Target::Settled(2_500));
    log.deliver(&bet, 3, DeliveryOutcome::Applied, "2");
    log.settle(&bet, 4, Target::Settled(0));
    log.deliver(&bet, 4, DeliveryOutcome::Applied, "7");
    let story = log.all_rows().story(&bet.id);
    let results: Vec<(u32, Target, Reason)> = story
        .results()
        .map(|logged| (logged.said.revision, logged.said.target, logged.said.reason))
        .collect();
    let wanted = [
        (3, Target::Settled(2_500), Reason::Result),
        (4, Target::Settled(0), Reason::ResultCorrected),
    ];
    assert_eq!(results, wanted);
    let attempts = [3, 4].map(|revision| story.ended(revision).unwrap().said.attempts);
    assert_eq!(attempts, [Some(2), Some(7)]);
    let logged: Vec<i64> = story.deliveries.iter().map(|told| told.at).collect();
    assert_eq!(logged, [PLACED_AT + 3_000, PLACED_AT + 5_000]);
}

/// What is read ahead in the first tier and was not sent by command is nobody's word.
#[test]
fn a_replay_is_told_and_a_retry_is_not() {
    let (bet, mut log) = (bet("ref"), Log::default());
    log.decide(&bet, Verdict::Accepted);
    let said = Settlement::of(&bet, 3, Target::Held, Target::Voided, Reason::Result, 1);
    let topic = SettlementTopic::Retry(schemas::catalogue::RetryTier::S5);
    log.append(outgoing::settlement(&said, topic, partition()).unwrap(), &[(HEADER_ATTEMPT, "1")]);
    assert_eq!(log.all_rows().story(&bet.id).replays, []);
    log.replay(&bet, 3, Target::Voided);
    let replays = log.all_rows().story(&bet.id).replays;
    assert_eq!(replays.iter().map(|told| told.said).collect::<Vec<_>>(), [3]);
}

/// The register of the contract: 500 of 1,200 cannot be taken back, a later revision makes up for 300 of it.
#[test]
fn a_shortfall_is_what_was_answered_last_and_rises_by_revision() {
    let mut log = Log::default();
    let bet = bet("a");
    log.decide(&bet, Verdict::Accepted);
    for (revision, shortfall) in [(3, None), (4, Some("500")), (4, Some("450")), (5, Some("150"))] {
        log.settle(&bet, revision, Target::Settled(1));
        log.deliver_short(&bet, revision, shortfall);
    }
    log.settle(&bet, 6, Target::Voided);
    log.deliver_short(&bet, 6, None);
    log.settle(&bet, 7, Target::Voided);
    let story = log.all_rows().story(&bet.id);
    let of = |revision| (story.shortfall(revision), story.shortfall_rise(revision));
    assert_eq!([3, 4, 5, 6, 7].map(of), [(0, 0), (450, 450), (150, -300), (0, -150), (0, 0)]);
}
