//! Processes that answer a part of the API.

use super::house::{House, token};

const NOT_HERE: &str = "not_served_here";

#[tokio::test]
async fn what_another_process_answers_is_said_so() {
    let mut house = House::new();
    house.answer_as(|state| {
        (state.line, state.placing, state.histories) = (None, None, false);
    });
    for line in [
        "GET /v1/rounds",
        "POST /v1/rounds/r1/close",
        "PATCH /v1/rounds/r1",
        "POST /v1/bets",
        "GET /v1/bets/r1:some",
        "GET /v1/bets/r1:some/timeline",
        "GET /v1/partners/acme/transactions",
        "GET /partner/v1/events",
        "GET /partner/v1/openapi.json",
    ] {
        // Without a credential too: whoever calls the wrong process must learn that, and nothing else.
        let told = house.call(line, "", "").await;
        assert_eq!((told.status.as_u16(), told.code()), (404, NOT_HERE), "{line}");
        assert_eq!(told.headers["content-type"], "application/problem+json", "{line}");
    }
    assert_eq!(house.call("GET /v1/else", "", "").await.code(), "not_found");
    assert_eq!(house.call("GET /healthz", "", "").await.status, 200);
}

/// A process without a line learns from the facts whether a round was opened.
#[tokio::test]
async fn bets_without_a_line() {
    let mut house = House::new();
    house.open("r1", 60_000).await;
    house.answer_as(|state| state.line = None);
    let me = token("acme", "p_9");
    assert_eq!(house.desk("GET /v1/rounds/r1", "").await.code(), NOT_HERE);
    let pending = house.call("GET /v1/bets/r1:nothing", &me, "").await;
    assert_eq!((pending.status.as_u16(), &pending.body["status"]), (200, &"pending".into()));
    let unknown = house.call("GET /v1/bets/r2:nothing", &me, "").await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "bet_unknown"));
}

#[tokio::test]
async fn rounds_without_bets() {
    let mut house = House::new();
    house.answer_as(|state| state.placing = None);
    house.open("r1", 60_000).await;
    assert_eq!(house.desk("GET /v1/rounds/r1", "").await.status, 200);
    assert_eq!(house.call("POST /v1/bets", &token("acme", "p_9"), "{}").await.code(), NOT_HERE);
}
