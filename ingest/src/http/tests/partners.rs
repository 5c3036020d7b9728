//! Creating and changing partners and pausing their betting, as operators do.

use super::house::{House, reply_key, token};
use runtime::{RecordLog, Source, Topic};
use schemas::catalogue::PARTNERS;
use serde_json::{Value, json};

/// A key that verifies, and whose secret nobody here has.
const KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn body(change: impl FnOnce(&mut Value)) -> String {
    let mut body = json!({
        "partner_id": "newly",
        "wallet_url": "https://wallet.newly",
        "token_key": KEY,
        "reply_keys": [reply_key()],
        "currencies": [{
            "currency": "EUR",
            "exponent": 2,
            "stake_min_units": "10",
            "stake_max_units": "100000",
            "payout_max_units": "10000000",
            "liability_max_units": "1000000000",
        }],
        "reason": "contract of November",
    });
    change(&mut body);
    body.to_string()
}

#[tokio::test]
async fn a_partner_is_created_shown_and_changed() {
    let house = House::new();
    let made = house.desk("POST /v1/partners", &body(|_| ())).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["profile"]["set"]["actor"], "desk");
    assert_eq!(made.body["profile"]["currencies"][0]["stake_max_units"], "100000");
    assert_eq!(made.body["betting"], "open");
    let shown = house.desk("GET /v1/partners/newly", "").await;
    assert_eq!(shown.body, made.body);
    let changed = body(|body| {
        body["wallet_url"] = json!("https://moved");
        body["calls_per_s"] = json!(20);
        body["stakes_per_s"] = json!(400);
        body["items_max"] = json!(10);
        body["bytes_max"] = json!(4_096);
        body["gzip"] = json!(true);
        body["currencies"].as_array_mut().unwrap().push(json!({
            "currency": "JPY", "exponent": 0, "stake_min_units": "1", "stake_max_units": "2",
            "payout_max_units": "3", "liability_max_units": "4",
        }));
    });
    let set = house.desk("PUT /v1/partners/newly", &changed).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(set.body["profile"]["wallet_url"], "https://moved");
    assert_eq!(set.body["profile"]["calls_per_s"], 20);
    assert_eq!(set.body["profile"]["stakes_per_s"], 400);
    let (items, bytes) = (&set.body["profile"]["items_max"], &set.body["profile"]["bytes_max"]);
    assert_eq!(
        (items, bytes, &set.body["profile"]["gzip"]),
        (&json!(10), &json!(4_096), &json!(true))
    );
    for (bound, wrong) in
        [("items_max", 0), ("items_max", 501), ("bytes_max", 4_095), ("bytes_max", 262_145)]
    {
        let told =
            house.desk("PUT /v1/partners/newly", &body(|body| body[bound] = json!(wrong))).await;
        assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"), "{bound} {wrong}");
        assert!(told.body["detail"].as_str().unwrap().contains(bound), "{}", told.body);
    }
    for wrong in [json!(0), json!(-1), json!("20"), json!(1_u64 << 32)] {
        for rate in ["calls_per_s", "stakes_per_s"] {
            let body = body(|body| body[rate] = wrong.clone());
            let told = house.desk("PUT /v1/partners/newly", &body).await;
            assert_eq!(told.status, 422, "{rate} {wrong}: {}", told.body);
        }
    }
    assert_eq!(set.body["profile"]["currencies"].as_array().unwrap().len(), 2);
    let listed = house.desk("GET /v1/partners", "").await;
    let ids = listed.body["partners"].as_array().unwrap().iter().map(|one| &one["partner_id"]);
    assert_eq!(ids.collect::<Vec<_>>(), ["acme", "newly", "other"]);
}

/// Nothing that such a wallet answers would count, or everybody could read a secret.
#[tokio::test]
async fn keys_of_replies_are_one_or_two_and_public() {
    let house = House::new();
    let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    for keys in [vec![], vec![reply_key(); 3], vec!["whpk_AAAA".to_owned()], vec![shared]] {
        let body = body(|body| body["reply_keys"] = json!(keys));
        let told = house.desk("POST /v1/partners", &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"), "{body}");
        assert!(told.body["detail"].as_str().unwrap().contains("reply_keys"), "{}", told.body);
    }
}

#[tokio::test]
async fn what_no_partner_can_be_is_refused_and_changes_nothing() {
    let house = House::new();
    let set =
        |path: &'static str, value: Value| body(|body| *body.pointer_mut(path).unwrap() = value);
    let missing = |field: &'static str| {
        body(|body| {
            body.as_object_mut().unwrap().remove(field);
        })
    };
    let twice = body(|body| {
        let one = body["currencies"][0].clone();
        body["currencies"].as_array_mut().unwrap().push(one);
    });
    let limit = |field: &str, value: Value| body(|body| body["currencies"][0][field] = value);
    for (body, field) in [
        (set("/partner_id", json!("No Body")), "partner_id"),
        (set("/partner_id", json!("acme/profile")), "partner_id"),
        (missing("partner_id"), "partner_id"),
        (missing("reason"), "reason"),
        (set("/reason", json!(" ")), "reason"),
        (set("/wallet_url", json!("http://wallet")), "wallet_url"),
        (set("/wallet_url", json!("https://me@wallet")), "wallet_url"),
        (set("/wallet_url", json!("https://169.254.169.254")), "wallet_url"),
        (set("/wallet_url", json!("https://0x7f.1")), "wallet_url"),
        (set("/wallet_url", json!("wallet")), "wallet_url"),
        (set("/token_key", json!("AAAA")), "token_key"),
        (set("/currencies", json!([])), "currencies"),
        (set("/currencies/0", json!(["EUR", 2, "1", "2", "3", "4"])), "currencies"),
        (limit("currency", json!("euro")), "currency"),
        (limit("exponent", json!(9)), "exponent"),
        (limit("stake_min_units", json!("0")), "stake_min_units"),
        (limit("stake_min_units", json!("100001")), "stake_min_units"),
        (limit("stake_max_units", json!("1e3")), "stake_max_units"),
        (limit("payout_max_units", json!("-1")), "payout_max_units"),
        (limit("liability_max_units", json!("9223372036854775808")), "liability_max_units"),
        (limit("more", json!(1)), "more"),
        (twice, "currencies[1].currency"),
    ] {
        let told = house.desk("POST /v1/partners", &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"), "{body}");
        assert!(told.body["detail"].as_str().unwrap().contains(field), "{}", told.body);
    }
    let of_acme = |exponent: u8| {
        body(|body| {
            body.as_object_mut().unwrap().remove("partner_id");
            body["currencies"][0]["exponent"] = json!(exponent);
        })
    };
    for (call, body, status, code) in [
        ("POST /v1/partners", set("/partner_id", json!("acme")), 409, "partner_exists"),
        ("PUT /v1/partners/newly", body(|_| ()), 404, "not_found"),
        ("PUT /v1/partners/acme", body(|_| ()), 422, "invalid_field"),
        ("PUT /v1/partners/acme", of_acme(3), 422, "invalid_field"),
        ("GET /v1/partners/newly", String::new(), 404, "not_found"),
        ("DELETE /v1/partners/acme", String::new(), 405, "method_not_allowed"),
    ] {
        let told = house.desk(call, &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{call} {body}");
    }
    let listed = house.desk("GET /v1/partners", "").await;
    assert_eq!(listed.body["partners"].as_array().unwrap().len(), 2, "nobody came");
    let topic = Topic(PARTNERS);
    for partition in 0..house.state.engine.partitions(topic) {
        let (_, end) = house.state.engine.range(Source { topic, partition }).await.unwrap();
        assert_eq!(end, 0, "nothing that is refused stands in the log");
    }
    assert_eq!(house.desk("PUT /v1/partners/acme", &of_acme(2)).await.status, 200);
    for call in ["POST /v1/partners", "PUT /v1/partners/acme", "GET /v1/partners/acme"] {
        let told = house.call(call, &token("acme", "p_9"), &body(|_| ())).await;
        assert_eq!((told.status.as_u16(), told.code()), (401, "operator_unknown"), "{call}");
    }
}

#[tokio::test]
async fn a_pause_needs_an_operator_a_partner_and_a_reason() {
    let house = House::new();
    let because = r#"{"reason":"their wallet moves tonight"}"#;
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
    for (path, body, status, code) in [
        ("/v1/partners/nobody/pause", because, 404, "not_found"),
        ("/v1/partners/No%20Body/pause", because, 404, "not_found"),
        ("/v1/partners/acme/pause", r#"{"reason":"  "}"#, 422, "invalid_field"),
        ("/v1/partners/acme/pause", long.as_str(), 422, "invalid_field"),
        ("/v1/partners/acme/pause", r#"{"reason":1}"#, 422, "invalid_field"),
        ("/v1/partners/acme/pause", "{}", 422, "invalid_field"),
        ("/v1/partners/acme/pause", "", 400, "malformed_json"),
        ("/v1/partners/acme/resume", r#"{"reason":""}"#, 422, "invalid_field"),
    ] {
        let told = house.desk(&format!("POST {path}"), body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{path} {body}");
    }
    for path in
        ["GET /v1/partners", "POST /v1/partners/acme/pause", "POST /v1/partners/acme/resume"]
    {
        let told = house.call(path, &token("acme", "p_9"), because).await;
        assert_eq!((told.status.as_u16(), told.code()), (401, "operator_unknown"), "{path}");
    }
    let listed = house.desk("GET /v1/partners", "").await;
    let partners = listed.body["partners"].as_array().unwrap();
    assert_eq!(partners.len(), 2);
    assert!(partners.iter().all(|partner| partner["betting"] == "open"), "{partners:?}");
}

#[tokio::test]
async fn what_was_said_is_answered_with_its_reason_and_its_operator() {
    let house = House::new();
    let because = r#"{"reason":" their wallet moves tonight "}"#;
    let paused = house.desk("POST /v1/partners/acme/pause", because).await;
    assert_eq!(paused.status, 200);
    for (field, wanted) in [
        ("partner_id", "acme"),
        ("betting", "paused"),
        ("reason", "their wallet moves tonight"),
        ("actor", "desk"),
    ] {
        assert_eq!(paused.body[field], wanted);
    }
    assert!(paused.body["since"].as_str().unwrap().ends_with('Z'));
    let resumed = house.desk("POST /v1/partners/acme/resume", r#"{"reason":"it moved"}"#).await;
    let said = (&resumed.body["betting"], &resumed.body["reason"]);
    assert_eq!(said, (&"open".into(), &"it moved".into()));
}
