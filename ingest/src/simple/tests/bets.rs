//! Bets: placed, listed, refused, repeated.

use super::{ahead, ids};
use crate::http::tests::house::{DECLINED, House, SILENT};
use crate::simple::values::amount_text;
use serde_json::{Value, json};

const BET: &str = "POST /bet-maker/bet";
const BETS: &str = "GET /bet-maker/bets";

#[tokio::test]
async fn a_whole_life() {
    let house = House::new();
    house.event("e1", "1.50").await;
    let bet = house.bet("e1", "10").await;
    let wanted = json!({
        "bet_id": bet["bet_id"], "event_id": "e1", "amount": "10.00", "status": "pending",
        "coefficient": "1.50", "placed_at": bet["placed_at"],
    });
    assert_eq!(bet, wanted);
    // At once.
    assert_eq!(house.plain(BETS, &Value::Null).await.body, json!([wanted]));
    let one = format!("{BETS}/{}", bet["bet_id"].as_str().unwrap());
    assert_eq!(house.plain(&one, &Value::Null).await.body, wanted);
    for (state, status) in [(2, "won"), (3, "lost"), (1, "pending"), (2, "won")] {
        house.state("e1", state).await;
        house.until_told(&one, |bet| bet["status"] == status).await;
        let listed = house.plain(BETS, &Value::Null).await.body;
        assert_eq!(listed[0]["status"], status);
    }
    house.event("e2", "2.00").await;
    let bet = house.bet("e2", "0.05").await;
    let void = r#"{"replaces":0,"reason":"abandoned"}"#;
    assert_eq!(house.desk("POST /v1/rounds/e2/void", void).await.status, 200);
    let one = format!("{BETS}/{}", bet["bet_id"].as_str().unwrap());
    house.until_told(&one, |bet| bet["status"] == "void").await;
}

#[tokio::test]
async fn newest_first_and_page_by_page() {
    let house = House::new();
    house.event("e1", "1.50").await;
    let mut placed = Vec::new();
    for cents in 1..=5 {
        placed.insert(0, house.bet("e1", &amount_text(cents)).await["bet_id"].clone());
    }
    let all = house.plain(BETS, &Value::Null).await;
    assert!(!all.headers.contains_key("link"));
    assert_eq!(json!(ids(&all.body, "bet_id")), json!(placed));
    let (mut line, mut seen) = ("GET /bet-maker/bets?limit=2".to_owned(), Vec::new());
    for length in [2, 2, 1] {
        let page = house.plain(&line, &Value::Null).await;
        assert_eq!(page.body.as_array().unwrap().len(), length);
        seen.extend(page.body.as_array().unwrap().clone());
        let link = page.headers.get("link").map(|link| link.to_str().unwrap());
        match link.and_then(|link| link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")) {
            Some(next) => line = format!("GET {next}"),
            None => line.clear(),
        }
    }
    assert_eq!(line, "", "there is no page behind the last");
    assert_eq!(json!(seen), all.body);
    let whole = house.plain("GET /bet-maker/bets?limit=5", &Value::Null).await;
    assert_eq!(whole.body, all.body);
    assert!(!whole.headers.contains_key("link"), "nothing is behind a full page that is the last");
}

/// More bets than are written at once.
#[tokio::test]
async fn long_lists_are_whole() {
    let house = House::new();
    house.event("e1", "1.50").await;
    let body = json!({"event_id": "e1", "amount": 1});
    for _ in 0..12 {
        let many = (0..64).map(|_| house.plain(BET, &body));
        for told in futures_util::future::join_all(many).await {
            // Where much else runs some are undecided as long as an answer waits; they are listed all the same.
            assert!(matches!(told.status.as_u16(), 201 | 202), "{}", told.body);
        }
    }
    let all = house.plain(BETS, &Value::Null).await.body;
    let mut bets = ids(&all, "bet_id");
    assert_eq!(bets.len(), 768);
    bets.sort_unstable();
    bets.dedup();
    assert_eq!(bets.len(), 768, "a bet is listed twice");
}

#[tokio::test]
async fn a_rejected_bet_is_an_error_and_not_listed() {
    let house = House::new();
    house.event("e1", "1.50").await;
    let body = json!({"event_id": "e1", "amount": amount_text(DECLINED)});
    for key in [None, Some("k"), Some("k")] {
        let told = house.with_key(BET, key, &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (422, "bet_rejected"));
        let detail = told.body["detail"].as_str().unwrap();
        assert!(detail.contains("insufficient_funds"), "{detail}");
        let one = format!("{BETS}/{}", told.body["bet"]["bet_id"].as_str().unwrap());
        assert_eq!(house.plain(&one, &Value::Null).await.code(), "bet_unknown");
    }
    assert_eq!(house.plain(BETS, &Value::Null).await.body, json!([]));
}

#[tokio::test]
async fn an_undecided_bet_is_pending_and_listed() {
    let house = House::new();
    house.event("e1", "1.50").await;
    let body = json!({"event_id": "e1", "amount": amount_text(SILENT)});
    let told = house.plain(BET, &body).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (202, &json!("pending")));
    assert_eq!(house.plain(BETS, &Value::Null).await.body, json!([told.body]));
}

#[tokio::test]
async fn the_same_key_is_the_same_bet() {
    let house = House::new();
    house.event("e1", "1.50").await;
    house.event("e2", "1.50").await;
    let body = json!({"event_id": "e1", "amount": "3.00"});
    let key = "order 17, of a client that likes long keys ".repeat(5);
    let first = house.with_key(BET, Some(&key), &body).await;
    assert_eq!(first.status, 201, "{}", first.body);
    // Another form of the same content, and other odds since.
    let change = json!({"coefficient": "9.99"});
    assert_eq!(house.plain("PATCH /line-provider/events/e1", &change).await.status, 200);
    let again = json!({"event_id": "e1", "amount": 3});
    for line in [BET, "POST /bet-maker/bets/bet/e1"] {
        let told = house.with_key(line, Some(&key), &again).await;
        assert_eq!((told.status.as_u16(), &told.body), (201, &first.body));
    }
    for other in
        [json!({"event_id": "e1", "amount": "3.01"}), json!({"event_id": "e2", "amount": "3.00"})]
    {
        let told = house.with_key(BET, Some(&key), &other).await;
        assert_eq!((told.status.as_u16(), told.code()), (409, "idempotency_key_reused"), "{other}");
    }
    // Behind the end of betting too.
    house.state("e1", 2).await;
    let won = |list: &Value| list[0]["status"] == "won";
    house.until_told(BETS, won).await;
    let told = house.with_key(BET, Some(&key), &body).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (201, &json!("won")));
    assert_eq!(house.plain(BETS, &Value::Null).await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_at_the_same_time() {
    let house = House::new();
    house.event("e1", "1.50").await;
    house.event("e2", "1.50").await;
    let same = json!({"event_id": "e1", "amount": "3.00"});
    let other = json!({"event_id": "e2", "amount": "3.00"});
    let calls = (0..10).flat_map(|_| [&same, &other]);
    let told: Vec<_> =
        futures_util::future::join_all(calls.map(|body| house.with_key(BET, Some("k"), body)))
            .await;
    let bets: Vec<&Value> =
        told.iter().filter(|told| told.status == 201).map(|told| &told.body["bet_id"]).collect();
    assert_eq!(bets.len(), 10);
    assert!(bets.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(house.plain(BETS, &Value::Null).await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_caller_may_not() {
    let house = House::new();
    house.event("e1", "1.50").await;
    house.bet("e1", "1").await;
    for line in ["PATCH /bet-maker/bets/update/", "PATCH /bet-maker/bets/update"] {
        let body = json!({"event_id": "e1", "state": 2});
        let told = house.plain(line, &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (405, "method_not_allowed"));
        assert!(told.body["detail"].as_str().unwrap().contains("may not set"), "{}", told.body);
    }
    house.state("e1", 2).await;
    house.until_told("GET /bet-maker/events", |list| *list == json!([])).await;
    for (event, status, code) in [("e1", 409, "not_betting"), ("none", 404, "event_unknown")] {
        let told = house.plain(BET, &json!({"event_id": event, "amount": 1})).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code));
    }
    // Another player of the same partner has no part in these bets.
    house.open("r1", 60_000).await;
    let me = crate::http::tests::house::token("acme", "p_9");
    let body = r#"{"client_ref":"c","round_id":"r1","selection":"odd","odds":"2.50",
        "stake":{"units":"100","currency":"EUR","exponent":2}}"#;
    let told = house.until("POST /v1/bets", &me, body, |told| told.status == 201).await;
    let foreign = format!("{BETS}/{}", told.body["bet_id"].as_str().unwrap());
    assert_eq!(house.plain(&foreign, &Value::Null).await.code(), "bet_unknown");
    assert_eq!(house.plain(BETS, &Value::Null).await.body.as_array().unwrap().len(), 1);
}

/// A bet that comes before the event has been read waits for it.
#[tokio::test]
async fn right_after_the_event() {
    let house = House::new();
    for number in 0..50 {
        let event = format!("e{number}");
        let body = json!({"event_id": event, "coefficient": "1.5", "deadline": ahead(60)});
        let told = house.plain("POST /line-provider/events", &body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        house.bet(&event, "1").await;
    }
}
