//! Events: offered, changed, finished, and followed by bet-maker.

use super::{ahead, ids};
use crate::http::tests::house::{DESK, House};
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};

const EVENTS: &str = "POST /line-provider/events";

#[tokio::test]
async fn a_whole_life() {
    let house = House::new();
    let deadline = ahead(60);
    let body = json!({"event_id": "e1", "coefficient": "1.5", "deadline": deadline, "state": 1});
    let told = house.plain(EVENTS, &body).await;
    let wanted = json!({
        "event_id": "e1", "coefficient": "1.50", "deadline": deadline, "state": 1,
        "status": "betting", "auto_result": false, "version": 0,
    });
    assert_eq!((told.status.as_u16(), &told.body), (201, &wanted));
    assert_eq!(told.headers["location"], "/line-provider/events/e1");
    // The same call again, and another content under the same id.
    let again = house.plain(EVENTS, &body).await;
    assert_eq!((again.status.as_u16(), again.body), (201, wanted.clone()));
    let other = json!({"event_id": "e1", "coefficient": "1.6", "deadline": deadline});
    let told = house.plain(EVENTS, &other).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "round_exists"));

    let one = "PATCH /line-provider/events/e1";
    let later = ahead(90);
    let told = house.plain(one, &json!({"coefficient": 1.7, "deadline": later})).await;
    assert_eq!(
        (&told.body["coefficient"], &told.body["deadline"]),
        (&json!("1.70"), &json!(later))
    );
    let told = house.plain(one, &json!({"coefficient": "1.70", "state": 1})).await;
    assert_eq!((told.status.as_u16(), &told.body["version"]), (200, &json!(0)));
    // Odds that stood before, once more.
    let told = house.plain(one, &json!({"coefficient": "1.50"})).await;
    assert_eq!(told.body["coefficient"], "1.50");

    for (state, version, status) in [
        (2, 1, "resulted"),
        (2, 1, "resulted"),
        (3, 2, "resulted"),
        (1, 3, "sealed"),
        (1, 3, "sealed"),
        (2, 4, "resulted"),
    ] {
        let told = house.state("e1", state).await;
        let seen = (&told["state"], &told["version"], &told["status"]);
        assert_eq!(seen, (&json!(state), &json!(version), &json!(status)));
    }
    let told = house.plain(one, &json!({"coefficient": "9.00"})).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "not_betting"));
    let told = house.plain(one, &json!({"coefficient": "1.50", "deadline": later})).await;
    assert_eq!(told.status, 200, "what stands changes nothing: {}", told.body);
}

#[tokio::test]
async fn lists() {
    let house = House::new();
    for event in ["e1", "e2", "e3"] {
        house.event(event, "2.00").await;
    }
    house.open("die", 60_000).await;
    house.state("e2", 3).await;
    let told = house.plain("GET /line-provider/events", &Value::Null).await;
    assert_eq!(ids(&told.body, "event_id"), ["e3", "e1"]);
    let told = house.plain("GET /line-provider/events?all=true", &Value::Null).await;
    assert_eq!(ids(&told.body, "event_id"), ["e3", "e2", "e1"]);
    assert_eq!(told.body[1]["state"], 3);
    let followed = "GET /bet-maker/events";
    let list = house.until_told(followed, |list| list.as_array().unwrap().len() == 2).await;
    assert_eq!(ids(&list, "event_id"), ["e3", "e1"]);
    let told = house.plain(followed, &Value::Null).await;
    let age_ms: u64 = told.headers["age-ms"].to_str().unwrap().parse().unwrap();
    assert!(age_ms < 5_000, "{age_ms}");
    assert_eq!(told.headers["age"], (age_ms / 1_000).to_string());
    // An event that is over can still be looked at; a round of another game is none.
    let over = house.until_told("GET /bet-maker/events/e2", |event| event["state"] == 3).await;
    let shown = house.plain("GET /line-provider/events/e2", &Value::Null).await;
    assert_eq!(over, shown.body);
    for line in ["GET /bet-maker/events/die", "GET /line-provider/events/die"] {
        assert_eq!(house.plain(line, &Value::Null).await.code(), "event_unknown", "{line}");
    }
}

/// More events than one page of the line has.
#[tokio::test]
async fn long_lists_are_whole() {
    let house = House::new();
    for number in 0..205 {
        house.event(&number.to_string(), "2.00").await;
    }
    let told = house.plain("GET /line-provider/events", &Value::Null).await;
    let wanted: Vec<String> = (0..205).rev().map(|number| number.to_string()).collect();
    assert_eq!(ids(&told.body, "event_id"), wanted);
}

#[tokio::test]
async fn ids_and_times_in_every_form() {
    let house = House::new();
    let in_s = SystemClock.now() / 1_000 + 60;
    let body = json!({"event_id": 7, "coefficient": 2, "deadline": in_s});
    let told = house.plain("POST /line-provider/events/create/", &body).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let shown = (&told.body["event_id"], &told.body["coefficient"], &told.body["deadline"]);
    assert_eq!(shown, (&json!("7"), &json!("2.00"), &json!(timestamp(in_s * 1_000))));
    let body = json!({"event_id": 7, "coefficient": "3"});
    let told = house.plain("PATCH /line-provider/events/update/", &body).await;
    assert_eq!((told.status.as_u16(), &told.body["coefficient"]), (200, &json!("3.00")));
    for line in ["GET /line-provider/events/7/", "GET /line-provider/events/7"] {
        assert_eq!(house.plain(line, &Value::Null).await.body["event_id"], "7");
    }
    let told = house.plain("GET /line-provider/events/", &Value::Null).await;
    assert_eq!(ids(&told.body, "event_id"), ["7"]);
    // An offset is answered in UTC.
    let body = json!({"coefficient": "1.1", "deadline": "2026-12-20T12:00:00+02:00"});
    let soon = timestamp(SystemClock.now() + 3_600_000).replace('Z', "+00:00");
    let body = json!({"coefficient": body["coefficient"], "deadline": soon});
    let told = house.plain(EVENTS, &body).await;
    assert_eq!(told.status, 201, "{}", told.body);
    assert!(told.body["deadline"].as_str().unwrap().ends_with('Z'));
    assert!(told.body["event_id"].as_str().is_some_and(|id| 20 < id.len()), "{}", told.body);
}

/// The deadline ends betting though nobody says so, and a result may follow.
#[tokio::test]
async fn the_deadline_ends_betting() {
    let house = House::new();
    let in_ms = timestamp(SystemClock.now() + 700);
    let body = json!({"event_id": "short", "coefficient": "2", "deadline": in_ms});
    assert_eq!(house.plain(EVENTS, &body).await.status, 201);
    house.bet("short", "1").await;
    house.until_told("GET /line-provider/events/short", |event| event["status"] == "sealed").await;
    let told = house.plain("GET /line-provider/events", &Value::Null).await;
    assert_eq!(told.body, json!([]));
    house.until_told("GET /bet-maker/events", |list| *list == json!([])).await;
    let bet = json!({"event_id": "short", "amount": 1});
    let told = house.plain("POST /bet-maker/bet", &bet).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "not_betting"));
    house.state("short", 2).await;
    house.until_told("GET /bet-maker/bets", |bets| bets[0]["status"] == "won").await;
}

#[tokio::test]
async fn keys_are_needed_outside_a_sandbox() {
    let mut house = House::new();
    house.offer(|simple| simple.open = false);
    let body = json!({"event_id": "e1", "coefficient": "1.5", "deadline": ahead(60)});
    for (line, body) in [
        (EVENTS, &body),
        ("GET /line-provider/events", &Value::Null),
        ("PATCH /line-provider/events/e1", &json!({"state": 2})),
        ("PUT /line-provider/event", &body),
        ("GET /line-provider/event/e1", &Value::Null),
    ] {
        let told = house.plain(line, body).await;
        assert_eq!((told.status.as_u16(), told.code()), (401, "credential_missing"), "{line}");
    }
    assert_eq!(house.call(EVENTS, "x", &body.to_string()).await.code(), "operator_unknown");
    let told = house.call(EVENTS, DESK, &body.to_string()).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let drawn = json!({"coefficient": "1.5", "deadline": ahead(60), "auto_result": true});
    let told = house.call(EVENTS, DESK, &drawn.to_string()).await;
    assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"));
    assert_eq!(house.plain("GET /line-provider/openapi.json", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn each_runs_without_the_other() {
    let mut house = House::new();
    house.event("e1", "1.50").await;
    house.until_told("GET /bet-maker/events", |list| list[0]["event_id"] == "e1").await;
    house.answer_as(|state| state.line = None);
    let told = house.plain("GET /line-provider/events", &Value::Null).await;
    assert_eq!((told.status.as_u16(), told.code()), (404, "not_served_here"));
    let told = house.plain("GET /bet-maker/events", &Value::Null).await;
    assert_eq!(ids(&told.body, "event_id"), ["e1"]);
    house.bet("e1", "10").await;
    let mut house = House::new();
    house.offer(|simple| simple.book = None);
    house.event("e1", "1.50").await;
    let told = house.plain("GET /bet-maker/bets", &Value::Null).await;
    assert_eq!((told.status.as_u16(), told.code()), (404, "not_served_here"));
}
