//! A correction in two steps, and every way in which it is refused.

use super::house::{House, NIGHT, key_for};
use crate::auth::Duty;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const PROPOSE: &str = "POST /v1/rounds/r1/corrections";
/// No partner, so that nobody becomes it.
const PARTNER: &str =
    r#"{"partner_id":"newly","wallet_url":"","token_key":"","currencies":[],"reason":""}"#;
const FIVE: &str = r#"{"replaces":1,"outcome":"5","reason":"misread"}"#;

async fn resulted() -> House {
    let house = House::new();
    house.open("r1", 60_000).await;
    let told =
        house.desk("POST /v1/rounds/r1/result?wait=true", r#"{"replaces":0,"outcome":"4"}"#).await;
    assert_eq!(told.status, 200, "{}", told.body);
    house
}

/// Proposes as the desk; the proposal's path and its hash in JSON.
async fn proposed(house: &House, body: &str) -> (String, String) {
    let told = house.desk(PROPOSE, body).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let id = told.body["proposal_id"].as_str().unwrap().to_owned();
    assert_eq!(told.body["hash"], json!(id));
    (format!("/v1/rounds/r1/corrections/{id}"), json!({"hash": id}).to_string())
}

async fn version(house: &House) -> Value {
    house.desk("GET /v1/rounds/r1", "").await.body["version"].clone()
}

#[tokio::test]
async fn one_proposes_and_another_approves() {
    let house = resulted().await;
    let (path, hash) = proposed(&house, FIVE).await;
    assert_eq!(version(&house).await, 1, "a proposal changes nothing");
    let again = proposed(&house, FIVE).await;
    assert_eq!(again.0, path, "the same proposal is the same");
    let shown = house.call(&format!("GET {path}"), NIGHT, "").await;
    assert_eq!(
        (&shown.body["status"], &shown.body["proposed_by"]),
        (&json!("open"), &json!("desk"))
    );
    assert_eq!(shown.body["preview"], json!({"changed": "0"}));

    let approve = format!("POST {path}/approve");
    let told = house.desk(&approve, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (403, "same_operator"));
    assert_eq!(version(&house).await, 1);
    let told = house.call(&approve, NIGHT, &hash).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!((&told.body["admitted"], &told.body["version"]), (&json!("result"), &json!(2)));
    let twice = house.call(&approve, NIGHT, &hash).await;
    assert_eq!((twice.status, twice.body), (told.status, told.body));

    let round = house.desk("GET /v1/rounds/r1", "").await.body;
    assert_eq!((&round["version"], &round["result"]["outcome"]), (&json!(2), &json!("5")));
    let known = &round["corrections"][0];
    assert_eq!(
        (&known["status"], &known["proposed_by"], &known["ended_by"], &known["version"]),
        (&json!("approved"), &json!("desk"), &json!("night"), &json!(2))
    );
    let said = |line: &Value| (line["said"].clone(), line["actor"].clone(), line["reason"].clone());
    let lines: Vec<_> = round["history"].as_array().unwrap().iter().map(said).collect();
    let line = |said, actor| (json!(said), json!(actor), json!("misread"));
    assert_eq!(lines[lines.len() - 2..], [line("proposed", "desk"), line("result", "night")]);
    let shown = house.desk(&format!("GET {path}"), "").await;
    assert_eq!(shown.body["progress"], json!({"acme": {"changed": 1}}));
    let told = house.desk(PROPOSE, FIVE).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "version_conflict"));
    let told = house.desk(&format!("POST {path}/reject"), r#"{"reason":"late"}"#).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "proposal_closed"));
}

/// A proposal is its proposer's, by name, whatever became of the key that it was made with.
#[tokio::test]
async fn a_proposal_outlives_the_key_that_made_it() {
    let house = resulted().await;
    let (path, hash) = proposed(&house, FIVE).await;
    let (show, approve) = (format!("GET {path}"), format!("POST {path}/approve"));
    house.operated_by(&[("night", NIGHT)]);
    let told = house.desk(&approve, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (401, "operator_unknown"));
    let shown = house.call(&show, NIGHT, "").await.body;
    assert_eq!((&shown["status"], &shown["proposed_by"]), (&json!("open"), &json!("desk")));

    let again = "another key of the same desk";
    house.operated_by(&[("night", NIGHT), ("desk", again)]);
    let told = house.call(&approve, again, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (403, "same_operator"));
    assert_eq!(house.desk(&show, "").await.code(), "operator_unknown", "the old key is none");
    let told = house.call(&approve, NIGHT, &hash).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let shown = house.call(&show, again, "").await.body;
    assert_eq!((&shown["proposed_by"], &shown["ended_by"]), (&json!("desk"), &json!("night")));
}

#[tokio::test]
async fn what_is_not_what_was_shown_is_refused() {
    let house = resulted().await;
    let (path, hash) = proposed(&house, FIVE).await;
    let approve = format!("POST {path}/approve");
    let other = json!({"hash": "0".repeat(32)}).to_string();
    let told = house.call(&approve, NIGHT, &other).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "proposal_differs"));

    house.shows.number.store(7, Ordering::Relaxed);
    let told = house.call(&approve, NIGHT, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "proposal_stale"));
    assert_eq!(told.body["preview"], json!({"changed": "7"}));
    house.shows.number.store(0, Ordering::Relaxed);

    house.shows.is_away.store(true, Ordering::Relaxed);
    let told = house.call(&approve, NIGHT, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (503, "preview_unavailable"));
    house.shows.is_away.store(false, Ordering::Relaxed);
    assert_eq!(version(&house).await, 1);

    let direct = r#"{"replaces":1,"outcome":"6","reason":"misread"}"#;
    let told = house.desk("POST /v1/rounds/r1/correct", direct).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let told = house.call(&approve, NIGHT, &hash).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "version_conflict"));
}

#[tokio::test]
async fn a_rejected_proposal_is_over() {
    let house = resulted().await;
    let (path, hash) = proposed(&house, FIVE).await;
    let reject = format!("POST {path}/reject");
    let told = house.call(&reject, NIGHT, r#"{"reason":" "}"#).await;
    assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"));
    let told = house.call(&reject, NIGHT, r#"{"reason":"it was a four"}"#).await;
    assert_eq!(told.status, 200, "{}", told.body);
    for (line, body) in
        [(format!("POST {path}/approve"), hash.as_str()), (PROPOSE.to_owned(), FIVE)]
    {
        let key = if line == PROPOSE { super::house::DESK } else { NIGHT };
        let told = house.call(&line, key, body).await;
        assert_eq!((told.status.as_u16(), told.code()), (409, "proposal_closed"), "{line}");
    }
    let shown = house.desk(&format!("GET {path}"), "").await;
    assert_eq!(
        (&shown.body["status"], &shown.body["rejected_because"]),
        (&json!("rejected"), &json!("it was a four"))
    );
    proposed(&house, r#"{"replaces":1,"outcome":"5","reason":"the camera shows it"}"#).await;
}

#[tokio::test]
async fn withdrawals_and_voids_are_proposed_too() {
    let house = resulted().await;
    for (kind, replaces, status) in [("withdrawn", 1, "sealed"), ("voided", 2, "voided")] {
        let body = json!({"replaces": replaces, "kind": kind, "reason": "look again"}).to_string();
        let (path, hash) = proposed(&house, &body).await;
        let told = house.call(&format!("POST {path}/approve"), NIGHT, &hash).await;
        assert_eq!((told.status.as_u16(), &told.body["admitted"]), (200, &json!(kind)));
        assert_eq!(house.desk("GET /v1/rounds/r1", "").await.body["status"], json!(status));
    }
}

#[tokio::test]
async fn what_is_no_proposal_is_refused() {
    let house = resulted().await;
    let none = "0".repeat(32);
    for (line, body, status, code) in [
        (PROPOSE, r#"{"replaces":0,"outcome":"5","reason":"x"}"#, 422, "invalid_field"),
        (PROPOSE, r#"{"replaces":1,"outcome":"5","reason":""}"#, 422, "invalid_field"),
        (PROPOSE, r#"{"replaces":1,"reason":"x"}"#, 422, "invalid_field"),
        (
            PROPOSE,
            r#"{"replaces":1,"kind":"voided","outcome":"5","reason":"x"}"#,
            422,
            "invalid_field",
        ),
        (PROPOSE, r#"{"replaces":2,"outcome":"5","reason":"x"}"#, 409, "version_conflict"),
        (PROPOSE, r#"{"replaces":1,"outcome":"7","reason":"x"}"#, 422, "unknown_outcome"),
        ("POST /v1/rounds/r2/corrections", FIVE, 404, "round_unknown"),
        ("GET /v1/rounds/r1/corrections/x", "", 404, "proposal_unknown"),
        (&format!("GET /v1/rounds/r1/corrections/{none}"), "", 404, "proposal_unknown"),
        (
            "POST /v1/rounds/r1/correct",
            r#"{"replaces":1,"outcome":"5","reason":"x","request_id":"approved-1"}"#,
            422,
            "invalid_field",
        ),
    ] {
        let told = house.desk(line, body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{line} {body}");
    }
    let told = house.call(PROPOSE, "nobody's key", FIVE).await;
    assert_eq!(told.code(), "operator_unknown");
    assert_eq!(version(&house).await, 1);
}

/// Who has one role may do what it is for, and nothing else.
#[tokio::test]
async fn roles() {
    let house = resulted().await;
    let (path, hash) = proposed(&house, FIVE).await;
    let (approve, reject) = (format!("POST {path}/approve"), format!("POST {path}/reject"));
    let (show, void) = (format!("GET {path}"), "POST /v1/rounds/r1/void");
    for (line, body, duties) in [
        ("POST /v1/rounds", "{}", vec![Duty::Rounds]),
        ("PATCH /v1/rounds/r1", "{}", vec![Duty::Rounds]),
        ("POST /v1/rounds/r1/close", "", vec![Duty::Rounds]),
        ("POST /v1/rounds/r1/result", r#"{"replaces":0,"outcome":"3"}"#, vec![Duty::Rounds]),
        (void, r#"{"replaces":0,"reason":"x"}"#, vec![Duty::Rounds]),
        (void, r#"{"replaces":9,"reason":"x"}"#, vec![Duty::Correct]),
        (
            "POST /v1/rounds/r1/correct",
            r#"{"replaces":9,"outcome":"3","reason":"x"}"#,
            vec![Duty::Correct],
        ),
        ("POST /v1/rounds/r1/withdraw", r#"{"replaces":9,"reason":"x"}"#, vec![Duty::Correct]),
        (PROPOSE, FIVE, vec![Duty::Propose]),
        (&approve, r#"{"hash":""}"#, vec![Duty::Approve]),
        (&reject, r#"{"reason":""}"#, vec![Duty::Propose, Duty::Approve]),
        (&show, "", vec![Duty::Read]),
        ("GET /v1/rounds", "", vec![Duty::Read]),
        ("GET /v1/partners", "", vec![Duty::Read]),
        ("GET /v1/partners/acme", "", vec![Duty::Read]),
        ("GET /v1/partners/nobody/check", "", vec![Duty::Partners]),
        ("POST /v1/partners/nobody/check", r#"{"reason":""}"#, vec![Duty::Partners]),
        ("POST /v1/partners", PARTNER, vec![Duty::Partners]),
        ("PUT /v1/partners/acme", PARTNER, vec![Duty::Partners]),
        ("POST /v1/partners/acme/pause", r#"{"reason":""}"#, vec![Duty::Partners]),
        ("POST /v1/partners/acme/resume", r#"{"reason":""}"#, vec![Duty::Partners]),
        ("GET /v1/rounds/r1", "", vec![Duty::Read]),
    ] {
        for duty in Duty::ALL {
            let told = house.call(line, &key_for(*duty), body).await;
            let refused = (told.status.as_u16(), told.code()) == (403, "role_missing");
            // A body that is no good is told to whoever sends it.
            let unread = told.code() == "invalid_field" && body == "{}";
            assert!(
                unread || refused != duties.contains(duty),
                "{line} by {duty:?}: {}",
                told.body
            );
        }
    }
    let told = house.call(&approve, &key_for(Duty::Approve), &hash).await;
    assert_eq!(told.status, 200, "{}", told.body);
}
