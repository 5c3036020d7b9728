//! Good books pass; each way of breaking them is found under its name.

mod good;

use super::books::{BetLine, Books, FactSaid, Movement, Unread};
use super::{audit, explain};
use good::{bet, books, decision, lane, movement, settlement, table};
use runtime::{Source, Topic};
use schemas::bets::{BetSaid, HoldAnswer};
use schemas::catalogue::{BETS, ROUNDS, SETTLEMENTS};
use schemas::decisions::{DecisionSaid, RejectReason, Verdict};
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::settlements::{Reason, Target};

#[test]
fn good_books_are_clean() {
    let report = audit(&books(), true).unwrap();
    assert!(report.clean, "{report}");
    assert_eq!((report.owed, report.undecided), (0, 0));
    let total = &report.totals["acme EUR/2"];
    assert_eq!((total.bets, total.accepted), (5, 2));
    // b1 lost 1001, b2 won 1 on a stake of 1, three stakes went back.
    assert_eq!((total.lost, total.won_stakes, total.payouts), (1001, 1, 1));
    assert_eq!((total.released, total.due, total.moved), (1500, -1001, -1001));
    let idle: Vec<&str> =
        report.invariants.iter().filter(|f| f.checked == 0).map(|f| f.name).collect();
    assert_eq!(idle, ["money-in-flight", "offset-below-undecided"][..idle.len()], "idle checks");
}

/// Breaks good books and demands that exactly these invariants notice.
#[track_caller]
fn broken(breaks: impl FnOnce(&mut Books), names: &[&str]) {
    let mut books = books();
    breaks(&mut books);
    let report = audit(&books, false).unwrap();
    let found: Vec<&str> =
        report.invariants.iter().filter(|f| 0 < f.violations).map(|f| f.name).collect();
    assert_eq!(found, names, "{report}");
    assert!(!report.clean && !report.first_violations.is_empty());
}

fn journal(books: &mut Books) -> &mut Vec<Movement> {
    books.journals.as_mut().unwrap().get_mut(good::PARTNER).unwrap()
}

fn stored(books: &mut Books, group: &str, topic: &'static str, partition: usize, offset: u64) {
    let source = Source { topic: Topic(topic), partition: u32::try_from(partition).unwrap() };
    books.stored.insert((group.to_owned(), source), offset);
}

#[test]
fn a_payout_that_never_came() {
    let lost = |books: &mut Books| {
        journal(books).pop();
    };
    broken(lost, &["money-at-rest", "conservation", "confirmed-is-done"]);
}

#[test]
fn a_stake_that_was_not_given_back() {
    let kept = |books: &mut Books| {
        let row = journal(books).iter_mut().find(|row| row.revision == 2 && row.moved == 300);
        row.unwrap().moved = 299;
    };
    broken(kept, &["money-at-rest", "conservation", "row-adds-up"]);
}

#[test]
fn money_on_the_way_is_the_worth_of_some_state() {
    let unconfirmed = |books: &mut Books| {
        let b2 = bet("b2").id.to_string();
        books.deliveries[lane()].retain(|(_, d)| !(d.bet_id == b2 && d.revision == 4));
        books.facts.retain(|fact| {
            !matches!(&fact.said, FactSaid::Delivered(d) if d.bet_id == b2 && d.revision == 4)
        });
        stored(books, "dispatcher", SETTLEMENTS, lane(), 6);
    };
    let mut fine = books();
    unconfirmed(&mut fine);
    let report = audit(&fine, false).unwrap();
    assert!(report.clean && report.owed == 1, "{report}");
    assert!(!audit(&fine, true).unwrap().clean, "owed is not at rest");
    broken(
        |books| {
            unconfirmed(books);
            journal(books).last_mut().unwrap().moved = 2;
        },
        &["money-in-flight", "row-adds-up"],
    );
}

#[test]
fn paid_twice() {
    let twice = |books: &mut Books| {
        let again = journal(books)[8].clone();
        journal(books).insert(9, again);
    };
    broken(twice, &["money-at-rest", "conservation", "one-effect", "row-adds-up"]);
}

#[test]
fn a_wallet_that_falls_back() {
    let swapped = |books: &mut Books| journal(books).swap(9, 11);
    broken(swapped, &["revisions-rise", "row-adds-up"]);
}

#[test]
fn a_row_change_nobody_asked_for() {
    let extra = |books: &mut Books| {
        journal(books).push(movement("b2", 5, Some(Target::Settled(1)), 0));
    };
    broken(extra, &["moved-as-said"]);
}

#[test]
fn somebody_elses_money() {
    let other = |books: &mut Books| journal(books)[11].player = "p_8".to_owned();
    broken(other, &["nobody-elses-money"]);
}

#[test]
fn told_both() {
    let both = |books: &mut Books| {
        let rejected = decision("b1", 17, Verdict::Rejected(RejectReason::Closed));
        books.decisions[lane()].push((9, rejected));
    };
    broken(both, &["told-is-told"]);
}

#[test]
fn accepted_behind_the_cut_off() {
    let late = |books: &mut Books| {
        books.decisions[lane()][0].1 = decision("b1", 18, Verdict::Accepted);
    };
    broken(late, &["cut-off", "decisions-defined"]);
}

#[test]
fn a_decision_that_was_never_said() {
    let silent = |books: &mut Books| {
        books.decisions[lane()].remove(5);
    };
    broken(silent, &["decisions-defined"]);
}

#[test]
fn a_decision_may_be_missing_above_the_stored_offset() {
    let mut books = books();
    books.decisions[lane()].remove(6); // the refused cancel at 18
    stored(&mut books, "settler", BETS, lane(), 18);
    assert!(audit(&books, false).unwrap().clean);
    stored(&mut books, "settler", BETS, lane(), 19);
    let report = audit(&books, false).unwrap();
    assert_eq!(report.finding("cancels-refused").unwrap().violations, 1);
}

#[test]
fn the_wrong_verdict() {
    // The approval of b1 belongs to other content, so the cut-off came first.
    let other_content = |books: &mut Books| {
        let BetLine::Said(event) = &mut books.bets[lane()][5].1 else { panic!() };
        let BetSaid::Answer { content, .. } = &mut event.said else { panic!() };
        content.0[0] ^= 1;
    };
    let mut books = books();
    other_content(&mut books);
    let report = audit(&books, false).unwrap();
    for name in ["decisions-defined", "settlements-defined", "money-at-rest", "tallies"] {
        assert!(0 < report.finding(name).unwrap().violations, "{name}: {report}");
    }
}

/// R15: what a newer revision superseded is told to nobody, whatever becomes of the newer one.
#[test]
fn at_rest_only_the_newest_settlement_of_a_bet_is_owed() {
    let (owed, newest) = (
        bet("b2").id,
        settlement("b2", 4, Target::Settled(0), Target::Settled(1), Reason::ResultCorrected, 4000),
    );
    let mut books = books();
    // The record alone closes nothing.
    books.facts.retain(
        |fact| !matches!(&fact.said, FactSaid::Delivered(one) if one.bet_id == owed.as_str()),
    );
    let at_rest = |books: &Books| {
        let report = audit(books, true).unwrap();
        let total = &report.totals["acme EUR/2"];
        (report.finding("at-rest").unwrap().violations, total.owed, total.parked)
    };
    assert_eq!(at_rest(&books), (1, 1, 0));
    books.parked[lane()].push((0, newest));
    assert_eq!(at_rest(&books), (0, 1, 1));
}

#[test]
fn a_settlement_that_was_never_said() {
    let silent = |books: &mut Books| {
        books.settlements[lane()].remove(4);
    };
    broken(silent, &["moved-as-said", "settlements-defined", "answers-name-settlements"]);
}

#[test]
fn a_bet_of_a_resulted_round_without_a_settlement() {
    let forgotten = |books: &mut Books| {
        books.settlements[lane()].retain(|(_, s)| s.bet != bet("b2").id);
    };
    let mut books = books();
    forgotten(&mut books);
    let report = audit(&books, false).unwrap();
    assert_eq!(report.finding("round-accounted-for").unwrap().violations, 1, "{report}");
}

#[test]
fn a_payout_rounded_up() {
    let ceiled = |books: &mut Books| {
        for (_, due) in &mut books.settlements[lane()] {
            for target in [&mut due.target, &mut due.previous] {
                if *target == Target::Settled(2502) {
                    *target = Target::Settled(2503);
                }
            }
        }
    };
    broken(ceiled, &["moved-as-said", "settlements-defined"]);
}

#[test]
fn a_revision_with_two_contents() {
    let again = |books: &mut Books| {
        let mut other = books.settlements[lane()][6].1.clone();
        other.target = Target::Settled(2);
        books.retries[0][lane()].push((0, other));
    };
    broken(again, &["revision-has-one-content"]);
}

#[test]
fn voided_and_settled() {
    let both = |books: &mut Books| {
        let held = Target::Held;
        let wrong = settlement("b4", 3, held, Target::Settled(0), Reason::Result, 3000);
        books.settlements[lane()].push((7, wrong));
    };
    broken(both, &["settlements-defined", "two-or-above"]);
}

#[test]
fn a_record_judged_twice() {
    let twice = |books: &mut Books| {
        let mut again = books.rounds[table()][9].1.clone();
        let RoundSaid::Verdict(verdict) = &mut again.said else { panic!() };
        verdict.refused = Some("not_sealed".to_owned());
        books.rounds[table()].push((12, again));
    };
    broken(twice, &["one-verdict"]);
}

/// Two heralds may both say that a round is closed, and a caller may ask twice: the repeat gets the verdict
/// of what it repeats.
#[test]
fn a_request_that_is_repeated_and_told_the_same() {
    let repeated = |number| {
        move |books: &mut Books| {
            let lines = &mut books.rounds[table()];
            let said = lines.iter().position(|(_, e)| e.said == RoundSaid::Closed).unwrap();
            let (at, mut closed) = lines[said].clone();
            closed.said_at += 5;
            let of = |e: &RoundEvent| matches!(&e.said, RoundSaid::Verdict(v) if v.judged == at);
            let (_, mut verdict) = lines.iter().find(|(_, e)| of(e)).unwrap().clone();
            let end = lines.last().unwrap().0 + 1;
            let RoundSaid::Verdict(told) = &mut verdict.said else { panic!() };
            (told.judged, told.number) = (end, number);
            lines.extend([(end, closed), (end + 1, verdict)]);
            stored(books, "herald", ROUNDS, table(), end + 2);
        }
    };
    let mut books = books();
    repeated(2)(&mut books);
    let report = audit(&books, true).unwrap();
    assert!(report.clean, "{report}");
    let other = ["markers-everywhere", "result-behind-seal", "facts-are-admissions"];
    broken(repeated(4), &other);
}

#[test]
fn a_marker_that_is_missing_in_one_partition() {
    let other = (lane() + 1) % 4;
    let missing = move |books: &mut Books| {
        books.bets[other].truncate(3);
        books.facts.retain(|fact| {
            let of_other = usize::try_from(fact.scope.partition) == Ok(other);
            !(of_other && fact.at == 3 && fact.scope.topic.0 == BETS)
        });
        stored(books, "settler", BETS, other, 3);
    };
    broken(missing, &["markers-everywhere"]);
}

#[test]
fn two_contents_of_one_marker() {
    let other = (lane() + 1) % 4;
    let two = move |books: &mut Books| {
        let mut again = books.bets[other][3].1.clone();
        let BetLine::Said(event) = &mut again else { panic!() };
        let BetSaid::Marker(marker) = &mut event.said else { panic!() };
        marker.body = schemas::bets::MarkerBody::Closed;
        books.bets[other].push((4, again));
    };
    broken(two, &["markers-alone"]);
}

#[test]
fn a_result_before_the_seal() {
    let early = |books: &mut Books| {
        let lines = &mut books.rounds[table()];
        for (mine, other) in [(6, 8), (7, 9)] {
            let (a, b) = (lines[mine].1.clone(), lines[other].1.clone());
            (lines[mine].1, lines[other].1) = (b, a);
        }
        for (offset, event) in lines {
            if let RoundSaid::Verdict(verdict) = &mut event.said {
                verdict.judged = *offset - 1;
            }
        }
        for fact in &mut books.facts {
            if let FactSaid::Admitted(_) = fact.said {
                fact.at = match fact.at {
                    6 => 8,
                    8 => 6,
                    other => other,
                };
            }
        }
    };
    broken(early, &["result-behind-seal"]);
}

#[test]
fn facts_that_differ() {
    let without = |at: u64, kind: &'static str| {
        move |books: &mut Books| {
            let lane = u32::try_from(lane()).unwrap();
            books
                .facts
                .retain(|fact| fact.kind != kind || fact.at != at || fact.scope.partition != lane);
        }
    };
    broken(without(9, "cancelled"), &["facts-are-decisions"]);
    broken(without(19, "marker"), &["facts-are-markers"]);
    broken(without(17, "tally"), &["tallies"]);
    let untold = |books: &mut Books| drop(books.deliveries[lane()].pop());
    broken(untold, &["answers-are-told"]);
    broken(
        |books| books.facts.retain(|fact| !(fact.kind == "admitted" && fact.at == 4)),
        &["facts-are-admissions"],
    );
    broken(
        |books| {
            let fact = books.facts.iter_mut().find(|fact| fact.kind == "accepted").unwrap();
            fact.said = FactSaid::Broken("no datum".to_owned());
        },
        &["facts-are-decisions", "readable"],
    );
}

#[test]
fn a_tally_of_another_sum() {
    let wrong = |books: &mut Books| {
        for fact in &mut books.facts {
            if let FactSaid::Tally(tally) = &mut fact.said
                && tally.bets == 2
            {
                tally.stakes[0].units += 1;
            }
        }
    };
    broken(wrong, &["tallies"]);
}

#[test]
fn an_offset_past_an_undecided_intent() {
    let undecided = |books: &mut Books| {
        // A bet in a round that is still open: no record behind it decides it.
        let mut intent = good::intent("b1");
        let BetLine::Said(event) = &mut intent else { panic!() };
        let mut open = books.bets[lane()][0].1.clone();
        let BetLine::Said(opened) = &mut open else { panic!() };
        let round: schemas::RoundId = "r2".parse().unwrap();
        (event.round, opened.round) = (Some(round.clone()), Some(round.clone()));
        let BetSaid::Intent(said) = &mut event.said else { panic!() };
        let bet = &mut said.bet;
        bet.id = schemas::BetId::of(&round, &bet.partner, &bet.player, &bet.client_ref);
        books.bets[lane()].extend([(21, open), (22, intent)]);
    };
    let mut books = books();
    undecided(&mut books);
    stored(&mut books, "settler", BETS, lane(), 22);
    let report = audit(&books, false).unwrap();
    let finding = |name: &str| report.finding(name).unwrap().violations;
    assert_eq!((finding("offset-below-undecided"), report.undecided), (0, 1), "{report}");
    stored(&mut books, "settler", BETS, lane(), 23);
    let report = audit(&books, false).unwrap();
    assert_eq!(report.finding("offset-below-undecided").unwrap().violations, 1, "{report}");
}

#[test]
fn a_herald_past_an_unsealed_round() {
    let unsealed = |books: &mut Books| {
        let RoundSaid::Verdict(verdict) = &mut books.rounds[table()][7].1.said else { panic!() };
        verdict.refused = Some("not_closed".to_owned());
        stored(books, "herald", ROUNDS, table(), 12);
    };
    broken(unsealed, &["result-behind-seal", "facts-are-admissions", "offset-below-unsealed"]);
}

#[test]
fn a_debt_out_of_reach() {
    let forgotten = |books: &mut Books| {
        let b2 = bet("b2").id.to_string();
        books.deliveries[lane()].retain(|(_, d)| d.bet_id != b2);
        books.facts.retain(|fact| !matches!(&fact.said, FactSaid::Delivered(d) if d.bet_id == b2));
    };
    broken(forgotten, &["owed-is-in-reach"]);
}

#[test]
fn superseded_by_nothing() {
    let lie = |books: &mut Books| {
        for (_, delivery) in &mut books.deliveries[lane()] {
            delivery.superseded_by = delivery.superseded_by.map(|_| 9);
        }
    };
    broken(lie, &["confirmed-is-done", "answers-name-settlements"]);
}

#[test]
fn a_record_in_another_lane() {
    let astray = |books: &mut Books| {
        let line = books.decisions[lane()].remove(0);
        books.decisions[(lane() + 1) % 4].push(line);
    };
    let mut books = books();
    astray(&mut books);
    let report = audit(&books, false).unwrap();
    assert_eq!(report.finding("lane-in-place").unwrap().violations, 1, "{report}");
}

#[test]
fn what_cannot_be_read_is_left_to_people() {
    let mut books = books();
    let unread = Unread {
        round: Some("r1".to_owned()),
        bet: Some(bet("b2").id.to_string()),
        error: "not a datum".to_owned(),
    };
    books.bets[lane()][6].1 = BetLine::Unread(unread);
    let report = audit(&books, false).unwrap();
    assert_eq!(report.frozen.len(), 1, "{report}");
    assert_eq!(report.finding("readable").unwrap().violations, 1, "no fact of it");
}

#[test]
fn one_bets_story() {
    let mut books = books();
    let BetLine::Said(event) = &mut books.bets[lane()][7].1 else { panic!() };
    let BetSaid::Answer { answer, .. } = &mut event.said else { panic!() };
    *answer = HoldAnswer::Declined("limit_exceeded".to_owned());
    let story = explain(&books, bet("b1").id.as_str()).unwrap().join("\n");
    for sentence in [
        "10.01 EUR on even at odds 2.50",
        "the intent was written",
        "with this the bet was accepted",
        "result version 1: 4",
        "Revision 3: settled with 25.02 EUR (result)",
        "Revision 4: lost (result_corrected)",
        "The partner answered revision 3: superseded by revision 4.",
        "The wallet took revision 4 (lost) and moved -25.02 EUR.",
        "must have changed by: -1001 by the log; -1001 moved by the wallet",
    ] {
        assert!(story.contains(sentence), "{sentence} is not in\n{story}");
    }
    assert!(explain(&books, "r1:nobody").is_err());
}

#[test]
fn a_refused_cancel_that_was_none() {
    let wrong = |books: &mut Books| {
        let Some((_, DecisionSaid::CancelRefused(refused))) = books.decisions[lane()].last_mut()
        else {
            panic!()
        };
        refused.at = 9;
    };
    broken(wrong, &["cancels-refused"]);
}
