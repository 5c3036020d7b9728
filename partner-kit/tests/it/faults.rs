use crate::client::*;
use partner_kit::faults::FaultSettings;
use serde_json::{Value, json};
use std::error::Error;
use std::time::{Duration, Instant};

/// Every call.
const ALWAYS: u32 = 1000;

async fn switch(wallet: &Served, change: Value) {
    let answer = wallet.post("/faults", &change).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

async fn behave(wallet: &Served) {
    switch(wallet, serde_json::to_value(FaultSettings::NONE).unwrap()).await;
}

#[tokio::test]
async fn error_500_applies_nothing() {
    let faults = FaultSettings { error_500_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let answer = wallet.post(AUTHORIZE, &ask("b")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (500, &json!("internal")));
    assert_eq!(wallet.count("error_500").await, 1);
    behave(&wallet).await;
    assert_eq!(wallet.row("b").await, (0, "absent".into()));
}

#[tokio::test]
async fn a_wallet_that_refuses_applies_nothing() {
    let wallet = Served::faulty(FaultSettings::NONE).await;
    for status in [400, 401, 403, 422] {
        switch(&wallet, json!({"refuse_with": status})).await;
        let answer = wallet.post(AUTHORIZE, &ask("b")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["status"]), (status, &json!(status)));
    }
    assert_eq!(wallet.count("refused").await, 4);
    for bad in [json!({"refuse_with": 200}), json!({"refuse_with": 500})] {
        assert_eq!(wallet.post("/faults", &bad).await.body["code"], "bad_request");
    }
    behave(&wallet).await;
    assert_eq!(wallet.row("b").await, (0, "absent".into()));
}

#[tokio::test]
async fn error_500_after_apply_moves_the_money() {
    let faults = FaultSettings { error_500_after_apply_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.status, 500);
    assert_eq!(wallet.count("error_500_after_apply").await, 1);
    behave(&wallet).await;
    assert_eq!(wallet.row("b").await, (1, "held".into()));
}

/// c29: the connection is cut after the wallet wrote; the chunk comes again and moves nothing.
#[tokio::test]
async fn c29_resets_come_before_and_after_applying() {
    let wallet = Served::faulty(FaultSettings::NONE).await;
    let bets: Vec<String> = (0..40).map(|number| format!("b{number}")).collect();
    let mut items = Vec::new();
    for bet in &bets {
        wallet.post(AUTHORIZE, &ask(bet)).await;
        items.push(settled(bet, 3, 1000));
    }
    switch(&wallet, json!({"reset_rate": ALWAYS})).await;
    for item in &items {
        let error = wallet.try_post(STATE, &chunk([item.clone()])).await.unwrap_err();
        assert!(!error.is_parse() && !error.is_timeout(), "{error:?}");
    }
    let (before, after) =
        (wallet.count("reset_before_apply").await, wallet.count("reset_after_apply").await);
    assert_eq!(before + after, 40);
    assert!(0 < before && 0 < after, "{before} before, {after} after");
    behave(&wallet).await;
    let answer = wallet.post(STATE, &chunk(items)).await.body;
    let results = answer["results"].as_array().unwrap();
    let replayed = results.iter().filter(|result| result["replayed"] == true).count();
    assert_eq!(u64::try_from(replayed).unwrap(), after);
    assert_eq!(wallet.free().await, 1_000_000);
}

/// The peer sees a reset (RST), not a connection that was closed in good order.
#[tokio::test]
async fn a_reset_is_a_reset() {
    let faults = FaultSettings { reset_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let error = wallet.try_post(AUTHORIZE, &ask("b")).await.unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let kind = cause.map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn timeout_after_apply_is_silent_until_the_caller_gives_up() {
    let faults = FaultSettings { timeout_after_apply_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let request = ask("b");
    let mut asking = Box::pin(wallet.try_post(AUTHORIZE, &request));
    tokio::select! {
        answer = &mut asking => panic!("answered: {answer:?}"),
        () = async { while wallet.count("timeout_after_apply").await == 0 {} } => {}
    }
    behave(&wallet).await;
    assert_eq!(wallet.row("b").await, (1, "held".into()));
    // A wallet that stops does not wait for the silence to end.
    wallet.shutdown.cancel();
    asking.await.unwrap_err();
    wallet.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn silence_ends_in_a_reset() {
    let rate = FaultSettings { timeout_after_apply_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(FaultSettings { timeout_ms: 20, ..rate }).await;
    let start = Instant::now();
    wallet.try_post(AUTHORIZE, &ask("b")).await.unwrap_err();
    assert!(Duration::from_millis(20) <= start.elapsed());
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let faults = FaultSettings { latency_ms: 20, jitter_ms: 5, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let start = Instant::now();
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.status, 200);
    assert!(Duration::from_millis(20) <= start.elapsed());
    assert_eq!(wallet.count("delayed").await, 1);
}

/// The items of a chunk come in reverse, and a later call is answered first.
#[tokio::test]
async fn swap_answers_out_of_order() {
    let wallet = Served::faulty(FaultSettings::NONE).await;
    for bet in ["a", "b", "c"] {
        wallet.post(AUTHORIZE, &ask(bet)).await;
    }
    switch(&wallet, json!({"swap_rate": ALWAYS})).await;
    let items = [settled("a", 3, 1), settled("b", 3, 2), settled("c", 3, 3)];
    let earlier = chunk(items);
    let mut earlier = Box::pin(wallet.post(STATE, &earlier));
    tokio::select! {
        answer = &mut earlier => panic!("not held back: {answer:?}"),
        () = async { while wallet.count("swapped").await == 0 {} } => {}
    }
    behave(&wallet).await;
    let late = settled("a", 2, 0);
    let later = tokio::select! {
        biased;
        later = wallet.post(STATE, &chunk([late])) => later,
        answer = &mut earlier => panic!("answered first: {answer:?}"),
    };
    assert_eq!(later.body["results"][0]["code"], "invalid_transition");
    let answer = earlier.await.body;
    let bets = answer["results"].as_array().unwrap().iter().map(|result| &result["bet_id"]);
    assert!(bets.eq(["r_1:c", "r_1:b", "r_1:a"]));
    assert_eq!((wallet.count("swapped").await, wallet.count("overtaken").await), (1, 1));
}

#[tokio::test]
async fn repeat_applies_and_answers_twice() {
    let faults = FaultSettings { repeat_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let answer = wallet.post(AUTHORIZE, &ask("b")).await.body;
    assert_eq!((&answer["decision"], &answer["replayed"]), (&json!("approved"), &json!(true)));
    let answer = wallet.post(STATE, &chunk([settled("b", 3, 2500)])).await.body;
    let told: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["moved"].clone(), result["replayed"].clone()))
        .collect();
    assert_eq!(told, [(json!("2500"), json!(false)), (json!("0"), json!(true))]);
    assert_eq!(wallet.free().await, 1_001_500);
    assert_eq!(wallet.count("repeated").await, 2);
}

#[tokio::test]
async fn declines_are_sticky() {
    let faults = FaultSettings { decline_rate: ALWAYS, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    let answer = wallet.post(AUTHORIZE, &ask("b")).await.body;
    let declined = (&json!("declined"), &json!("limit_exceeded"));
    assert_eq!((&answer["decision"], &answer["code"]), declined);
    behave(&wallet).await;
    let answer = wallet.post(AUTHORIZE, &ask("b")).await.body;
    assert_eq!((&answer["decision"], &answer["code"]), declined);
    assert_eq!(wallet.free().await, 1_000_000);
}

#[tokio::test]
async fn switches_are_read_changed_and_checked() {
    let wallet = Served::faulty(FaultSettings { latency_ms: 1, ..FaultSettings::NONE }).await;
    switch(&wallet, json!({"reset_rate": 5})).await;
    let wanted = FaultSettings { latency_ms: 1, reset_rate: 5, ..FaultSettings::NONE };
    assert_eq!(wallet.get("/faults").await, serde_json::to_value(wanted).unwrap());
    for bad in [json!({"reset_rate": 1001}), json!({"rest_rate": 1}), json!([])] {
        assert_eq!(wallet.post("/faults", &bad).await.body["code"], "bad_request");
    }
    assert_eq!(wallet.get("/faults").await, serde_json::to_value(wanted).unwrap());
}

#[tokio::test]
async fn a_wallet_that_stops_answers_what_it_has_begun() {
    let wallet = Served::faulty(FaultSettings { latency_ms: 60_000, ..FaultSettings::NONE }).await;
    let request = ask("b");
    let mut asking = Box::pin(wallet.try_post(AUTHORIZE, &request));
    tokio::select! {
        answer = &mut asking => panic!("answered: {answer:?}"),
        () = async { while wallet.count("delayed").await == 0 {} } => {}
    }
    wallet.shutdown.cancel();
    assert_eq!(asking.await.unwrap().body["decision"], "approved");
    wallet.ended.await.unwrap().unwrap();
}
