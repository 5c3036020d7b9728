use super::*;
use crate::fixtures::{applied, ok, rejected, settlement, status, superseded, won};
use runtime::http::HttpAnswer;
use schemas::contract::{ItemOutcome, RowStatus, StateItem, StateRequest, Traffic};
use schemas::settlements::Target;
use std::sync::Arc;

/// The request for some settlements, as it goes out.
fn request(settlements: &[Settlement]) -> Arc<StateRequest> {
    let mut filling = crate::chunk::Filling::new();
    for (id, settlement) in (0..).zip(settlements) {
        filling.add(id, settlement, (0, false), 100_000).unwrap();
    }
    filling.finish("acme".parse().unwrap(), Traffic::Live).call.request
}

/// Verdicts on `settlements`, which are in the order of their bets, with the newest revision read.
fn verdicts(settlements: &[(Settlement, u32)], chunk_id: &str, came: &Came) -> Vec<Verdict> {
    let sent: Vec<_> = settlements
        .iter()
        .map(|(settlement, newest_read)| Asked { settlement, newest_read: *newest_read })
        .collect();
    judge(chunk_id, &sent, &Answer::from(came)).verdicts
}

/// The verdict on one item, answered with what `say` makes of it.
#[track_caller]
fn check(settlement: Settlement, say: impl Fn(&StateItem) -> StateResult, wanted: &str) {
    let newest = settlement.revision;
    check_read(settlement, newest, say, wanted);
}

#[track_caller]
fn check_read(
    settlement: Settlement,
    newest: u32,
    say: impl Fn(&StateItem) -> StateResult,
    wanted: &str,
) {
    let request = request(std::slice::from_ref(&settlement));
    let answer = ok(&request, vec![say(&request.items[0])]);
    let verdicts = verdicts(&[(settlement, newest)], &request.chunk_id, &answer);
    let found = match &verdicts[..] {
        [Verdict::Applied { shortfall: 0 }] => "applied".to_owned(),
        [Verdict::Applied { shortfall }] => format!("applied, short of {shortfall}"),
        [Verdict::Superseded { by }] => format!("superseded {by}"),
        [Verdict::Claimed { by }] => format!("claimed {by}"),
        [Verdict::Pending] => "pending".to_owned(),
        [Verdict::Owed] => "owed".to_owned(),
        [Verdict::Park { code, .. }] => format!("park {}", code.code()),
        several => panic!("one verdict per item: {several:?}"),
    };
    assert_eq!(found, wanted);
}

#[test]
fn h21_superseded_counts_only_by_a_revision_that_exists() {
    // revision sent, newest read, revision named, verdict
    for (sent, newest, named, wanted) in [
        (3, 4, 4, "superseded 4"),
        (3, 5, 4, "superseded 4"),
        (3, 3, 4, "claimed 4"), // the store must prove it
        (3, 4, 5, "claimed 5"),
        (4, 4, 4, "owed"), // its own revision is no higher one
        (4, 4, 3, "owed"),
    ] {
        check_read(won("a", sent), newest, |item| superseded(item, named), wanted);
    }
}

#[test]
fn applied_is_final_only_if_the_money_is_what_the_target_says() {
    let net = |text: &'static str| {
        move |item: &StateItem| StateResult {
            collected_net: Some(text.to_owned()),
            ..applied(item)
        }
    };
    // Stake 1000.
    for (target, said, wanted) in [
        (Target::Settled(2_500), "1500", "applied"),
        (Target::Settled(2_500), "2500", "park collected_net"),
        (Target::Settled(2_500), "0", "park collected_net"),
        (Target::Settled(0), "-1000", "applied"),
        (Target::Settled(0), "0", "park collected_net"),
        (Target::Voided, "0", "applied"),
        (Target::Voided, "-0", "applied"),
        (Target::Voided, "-1000", "park collected_net"),
        (Target::Held, "-1000", "applied"),
        (Target::Held, "0", "park collected_net"),
        (Target::Held, "-1000.0", "park collected_net"),
        (Target::Held, "-1e3", "park collected_net"),
        (Target::Held, " -1000", "park collected_net"),
        (Target::Held, "-9223372036854775809", "park collected_net"),
    ] {
        check(settlement("a", 4, target), net(said), wanted);
    }
    check(
        won("a", 3),
        |item| StateResult { collected_net: None, ..applied(item) },
        "park collected_net",
    );
}

#[test]
fn a_shortfall_counts_as_moved_and_is_never_negative() {
    let short = |collected: &'static str, shortfall: &'static str| {
        move |item: &StateItem| StateResult {
            collected_net: Some(collected.to_owned()),
            shortfall: Some(shortfall.to_owned()),
            ..applied(item)
        }
    };
    let voided = || settlement("a", 4, Target::Voided);
    check(voided(), short("120", "120"), "applied, short of 120");
    check(voided(), short("120", "0"), "park collected_net");
    check(voided(), short("-120", "-120"), "park collected_net");
    check(voided(), short("0", "none"), "park collected_net");
    check(voided(), short("-9223372036854775808", "9223372036854775807"), "park collected_net");
}

#[test]
fn a_state_that_contradicts_the_target_is_parked_even_if_the_money_agrees() {
    let row = |status| move |item: &StateItem| StateResult { status, ..applied(item) };
    let lost = || settlement("a", 3, Target::Settled(0));
    check(lost(), row(Some(RowStatus::Held)), "park status");
    check(lost(), row(None), "applied");
    check(lost(), row(Some(RowStatus::Other)), "applied");
}

#[test]
fn rejections_with_a_known_code_are_for_a_human_and_others_stay_owed() {
    for code in ["revision_conflict", "unknown_bet", "invalid_transition", "correction_refused"] {
        check(won("a", 3), |item| rejected(item, code), &format!("park {code}"));
    }
    check(won("a", 3), |item| rejected(item, "player_on_holiday"), "owed");
    check(won("a", 3), |item| StateResult { code: None, ..rejected(item, "") }, "owed");
    for (outcome, wanted) in [(ItemOutcome::Pending, "pending"), (ItemOutcome::Other, "owed")] {
        check(won("a", 3), |item| StateResult { outcome, ..applied(item) }, wanted);
    }
}

#[test]
fn an_item_counts_only_if_it_echoes_bet_and_revision() {
    check(won("a", 4), |item| StateResult { revision: 3, ..applied(item) }, "owed");
    check(won("a", 4), |item| StateResult { revision: 5, ..applied(item) }, "owed");
    check(won("a", 4), |item| StateResult { revision: 3, ..rejected(item, "unknown_bet") }, "owed");
    check(won("a", 4), |item| StateResult { bet_id: "r_1:A".to_owned(), ..applied(item) }, "owed");
}

#[test]
fn only_a_whole_200_that_echoes_the_chunk_is_an_answer() {
    let sent = won("a", 3);
    let request = request(std::slice::from_ref(&sent));
    let good = ok(&request, vec![applied(&request.items[0])]).unwrap();
    let text = String::from_utf8(good.body.to_vec()).unwrap();
    let other_chunk = text.replace(&request.chunk_id, "c_00");
    let long_epoch =
        text.replace("\"ledger_epoch\":\"1\"", &format!("\"ledger_epoch\":\"{}\"", "9".repeat(65)));
    assert_ne!(text, long_epoch);
    let bad = [
        Err(CallError::Timeout),
        Err(CallError::Connect),
        Err(CallError::Tls),
        Err(CallError::Forbidden),
        Err(CallError::Broken),
        Err(CallError::TooLarge),
        status(200, ""),
        status(200, "{}"),
        status(200, "<html>ok</html>"),
        status(200, &text[..text.len() - 1]),
        status(200, &other_chunk),
        status(200, &long_epoch),
        status(201, &text),
        status(202, &text),
        status(307, &text),
        status(403, &text),
        status(404, &text),
        status(409, &text),
        status(500, &text),
    ];
    let sent = [(sent, 3)];
    assert_eq!(verdicts(&sent, &request.chunk_id, &Ok(good)), [Verdict::Applied { shortfall: 0 }]);
    for answer in bad {
        assert_eq!(verdicts(&sent, &request.chunk_id, &answer), [Verdict::Owed], "{answer:?}");
    }
}

#[test]
fn one_bad_item_does_not_cost_the_others() {
    let sent = [(won("a", 3), 3), (won("b", 3), 3), (won("c", 3), 3), (won("d", 3), 3)];
    let settlements: Vec<_> = sent.iter().map(|(settlement, _)| settlement.clone()).collect();
    let request = request(&settlements);
    let results: Vec<_> = request.items.iter().map(applied).collect();
    // b is malformed, c is answered twice and differently, d not at all.
    let mut body = serde_json::json!({ "chunk_id": request.chunk_id, "results": results });
    body["results"][1]["revision"] = "three".into();
    body["results"].as_array_mut().unwrap().pop();
    let mut twice = body["results"][2].clone();
    twice["outcome"] = "pending".into();
    body["results"].as_array_mut().unwrap().push(twice);
    let answer = status(200, &body.to_string());
    let found = verdicts(&sent, &request.chunk_id, &answer);
    assert_eq!(
        found,
        [Verdict::Applied { shortfall: 0 }, Verdict::Owed, Verdict::Owed, Verdict::Owed]
    );
    // The same answer twice is one answer.
    let twice = [results.clone(), results].concat();
    let found = verdicts(&sent, &request.chunk_id, &ok(&request, twice));
    assert_eq!(found, vec![Verdict::Applied { shortfall: 0 }; 4]);
}

#[test]
fn the_longer_wait_asked_for_counts() {
    let problem =
        r#"{"type":"x","title":"busy","status":503,"code":"overloaded","retry_after_ms":700}"#;
    for (header, body, wanted) in [
        (None, problem, Some(700)),
        (Some(2_000), problem, Some(2_000)),
        (Some(300), problem, Some(700)),
        (Some(300), "<html>", Some(300)),
        (None, "", None),
    ] {
        let body = bytes::Bytes::from(body);
        let answer = Ok(HttpAnswer { status: 503, retry_after_ms: header, body });
        assert_eq!(judge("c_1", &[], &Answer::from(&answer)).retry_after_ms, wanted);
    }
}

#[test]
fn planted_bugs_believe_too_much() {
    planted::arm_thread(Some(Bug::SupersededBelieved));
    check(won("a", 3), |item| superseded(item, 9), "superseded 9");
    planted::arm_thread(Some(Bug::StatusMeansApplied));
    check(won("a", 3), |item| rejected(item, "unknown_bet"), "applied");
    planted::arm_thread(None);
    check(won("a", 3), |item| superseded(item, 9), "claimed 9");
}

/// What is counted as `nonsense`: some item got neither a final word nor a request for patience.
#[test]
fn a_200_that_says_nothing_of_an_item_is_nonsense() {
    let request = request(&[won("a", 4), won("b", 4)]);
    let good: Vec<StateResult> = request.items.iter().map(applied).collect();
    let with = |change: fn(&mut StateResult)| {
        let mut results = good.clone();
        change(&mut results[1]);
        is_nonsense(&request, &Answer::from(&ok(&request, results)))
    };
    let no_change: fn(&mut StateResult) = |_| {};
    for (nonsense, change) in [
        (false, no_change),
        (false, |result| result.outcome = ItemOutcome::Pending),
        (true, |result| result.outcome = ItemOutcome::Superseded),
        (true, |result| result.outcome = ItemOutcome::Other),
        (true, |result| result.revision = 3),
        (true, |result| result.bet_id = "r_1:c".to_owned()),
    ] {
        assert_eq!(with(change), nonsense);
    }
    for (code, nonsense) in [("unknown_bet", false), ("bad_weather", true)] {
        let mut results = good.clone();
        results[1] = rejected(&request.items[1], code);
        assert_eq!(is_nonsense(&request, &Answer::from(&ok(&request, results))), nonsense);
    }
    let mut later = good.clone();
    (later[1].outcome, later[1].revision) = (ItemOutcome::Superseded, 5);
    assert!(!is_nonsense(&request, &Answer::from(&ok(&request, later))));
    let other = r#"{"chunk_id":"c_0","ledger_epoch":"1","results":[]}"#;
    for body in ["", "<html>", "{}", "[]", other] {
        assert!(is_nonsense(&request, &Answer::from(&status(200, body))), "{body}");
        assert!(!is_nonsense(&request, &Answer::from(&status(500, body))), "{body}");
    }
}
