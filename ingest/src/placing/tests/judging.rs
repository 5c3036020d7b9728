//! The table of answers to authorize.

use super::script::{nothing, place, reply};
use crate::placing::{Judged, judge_hold};
use planted::Bug;
use schemas::bets::HoldAnswer;

#[test]
fn answers_of_a_partner() {
    check(
        r#"
        # status body => meaning
        200 {"bet_id":"BET","revision":1,"decision":"approved","status":"held"} => approved
        200 {"message_id":"BET:1","bet_id":"BET","revision":1,"decision":"approved","status":"held","new":{}} => approved
        200 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined","code":"bet_expired"} => declined bet_expired
        200 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined","code":"moon_phase"} => declined other
        200 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined"} => declined other
        200 {"bet_id":"BET","revision":1,"decision":"voided","status":"voided"} => standing
        200 {"bet_id":"BET","revision":2,"decision":"voided","status":"voided"} => standing
        200 {"bet_id":"BET","revision":3,"status":"settled"} => standing
        200 {"bet_id":"BET","revision":9,"status":"held"} => standing
        200 {"bet_id":"BET","revision":3,"decision":"approved","status":"held"} => standing
        # Revision, decision and status must agree.
        200 {"bet_id":"BET","revision":2,"decision":"approved","status":"held"} => unknown
        200 {"bet_id":"BET","revision":2,"decision":"declined","status":"declined"} => unknown
        200 {"bet_id":"BET","revision":3,"decision":"declined","status":"declined"} => unknown
        200 {"bet_id":"BET","revision":1,"decision":"approved","status":"declined"} => unknown
        200 {"bet_id":"BET","revision":1,"decision":"declined","status":"held"} => unknown
        200 {"bet_id":"BET","revision":1,"status":"held"} => unknown
        200 {"bet_id":"BET","revision":1,"decision":"maybe","status":"held"} => unknown
        200 {"bet_id":"BET","revision":4,"status":"absent"} => unknown
        # Another's answer.
        200 {"bet_id":"r_1:other","revision":1,"decision":"approved","status":"held"} => unknown
        200 {"bet_id":"r_1:other","revision":1,"decision":"declined","status":"declined"} => unknown
        200 {"message_id":"r_1:other:1","bet_id":"BET","revision":1,"decision":"approved","status":"held"} => unknown
        200 {"message_id":"BET:2","bet_id":"BET","revision":1,"decision":"approved","status":"held"} => unknown
        # A status is no answer.
        201 {"bet_id":"BET","revision":1,"decision":"approved","status":"held"} => unknown
        302 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined"} => unknown
        403 <html>blocked</html> => unknown
        409 {"code":"in_progress"} => unknown
        422 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined"} => unknown
        500 {"bet_id":"BET","revision":1,"decision":"declined","status":"declined"} => unknown
        200 <html>welcome</html> => unknown
        200 {"bet_id":"BET","revision":1,"decision":"declined","sta => unknown
        200 {} => unknown
        "#,
    );
    assert_eq!(judge_hold(&nothing(), &place().bet_id()), Judged::Unknown);
}

#[test]
fn the_planted_bug_takes_silence_for_a_decline() {
    let judge = || judge_hold(&nothing(), &place().bet_id());
    planted::arm_thread(Some(Bug::UnknownMeansDeclined));
    let armed = judge();
    planted::arm_thread(None);
    assert_eq!(armed, Judged::Answer(HoldAnswer::Declined("other".to_owned())));
    assert_eq!(judge(), Judged::Unknown);
}

#[track_caller]
fn check(table: &str) {
    let bet = place().bet_id();
    let rows = table.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#'));
    for row in rows {
        let (answer, wanted) = row.split_once(" => ").unwrap();
        let (status, body) = answer.split_once(' ').unwrap();
        let body = body.replace("BET", bet.as_str());
        let judged = match judge_hold(&reply(status.parse().unwrap(), &body), &bet) {
            Judged::Answer(HoldAnswer::Approved) => "approved".to_owned(),
            Judged::Answer(HoldAnswer::Declined(code)) => format!("declined {code}"),
            Judged::Standing => "standing".to_owned(),
            Judged::Unknown => "unknown".to_owned(),
        };
        assert_eq!(judged, wanted, "{row}");
    }
}
