//! Who said and did what is kept for ever and shown by a running server; and nobody replaces a result alone who was
//! not given the role.

use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX};
use http::Method;
use roundhouse::config::Operator;
use serde_json::{Value, json};
use std::process::Command;

on_every_engine!(acts_are_kept_and_shown_page_by_page);

const NIGHT_KEY: &str = "the night's key, long enough";
const FEED_KEY: &str = "the feed's key, long enough";

async fn get<E: Ground>(house: &House<E>, key: &str, query: &str) -> (u16, Value) {
    let path = format!("/v1/acts{query}");
    let reply = house.api.call(Method::GET, &path, key, None).await.unwrap();
    (reply.status, reply.body)
}

/// Every act under a query, newest first, page by page.
async fn all<E: Ground>(house: &House<E>, query: &str) -> Vec<Value> {
    let (mut acts, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = get(house, OPERATOR_KEY, &format!("?limit=2{query}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let found = page["acts"].as_array().unwrap();
        assert!(found.len() <= 2);
        acts.extend(found.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return acts,
        }
    }
}

/// Who, what, of what, and the code it was refused with.
fn lines(acts: &[Value]) -> Vec<[&str; 4]> {
    let mut lines = Vec::new();
    for act in acts {
        lines.push(["actor", "what", "of", "refused"].map(|key| act[key].as_str().unwrap_or("")));
    }
    lines
}

/// Whoever has no roles may do all but replace a result in one step.
async fn nobody_corrects_alone<E: Ground>(house: &House<E>) {
    let back = json!({"replaces": 1, "reason": "a slip"});
    let other = json!({"replaces": 1, "outcome": "4", "reason": "a slip"});
    for (word, body) in [("correct", &other), ("withdraw", &back), ("void", &back)] {
        let path = format!("/v1/rounds/r/{word}");
        let reply = house.api.call(Method::POST, &path, NIGHT_KEY, Some(body)).await.unwrap();
        assert_eq!((reply.status, reply.text("code")), (403, "role_missing"), "{word}");
    }
}

async fn acts_are_kept_and_shown_page_by_page<E: Ground>() {
    let mut street = Street::on::<E>(1, 161, &[]).await;
    let operator = |name: &str, key: &str, roles| Operator {
        name: name.to_owned(),
        key: key.to_owned(),
        roles,
    };
    let feed = Some(vec!["rounds".to_owned()]);
    street.config.operators.push(operator("night", NIGHT_KEY, None));
    street.config.operators.push(operator("feed", FEED_KEY, feed));
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 60_000, 100).await.unwrap();
    house.api.close("r").await.unwrap();
    house.api.sealed("r", WAIT_MAX).await.unwrap();
    house.api.result("r", "3").await.unwrap();
    let post = async |key: &str, path: &str, body: Value| {
        let reply = house.api.call(Method::POST, path, key, Some(&body)).await.unwrap();
        (reply.status, reply.text("code").to_owned())
    };
    nobody_corrects_alone(&house).await;
    let stale = json!({"replaces": 0, "outcome": "5"});
    let refused = post(FEED_KEY, "/v1/rounds/r/result", stale).await;
    assert_eq!(refused, (409, "version_conflict".to_owned()));
    // Two pauses, of which the topic keeps the last word alone.
    for (word, reason) in [("pause", "ticket 1"), ("resume", "ticket 2"), ("pause", "ticket 3")] {
        let path = format!("/v1/partners/p01/{word}");
        assert_eq!(post(NIGHT_KEY, &path, json!({ "reason": reason })).await.0, 200);
    }
    let acts = all(&house, "").await;
    let told = lines(&acts);
    assert_eq!(
        told,
        [
            ["night", "paused", "p01", ""],
            ["night", "resumed", "p01", ""],
            ["night", "paused", "p01", ""],
            ["feed", "result", "r", "version_conflict"],
            ["desk", "result", "r", ""],
            ["desk", "closing", "r", ""],
            ["desk", "opened", "r", ""],
        ]
    );
    assert_eq!(acts[0]["reason"], "ticket 3");
    assert_eq!(acts[2]["reason"], "ticket 1");
    assert_eq!(lines(&all(&house, "&actor=feed").await), told[3..4]);
    assert_eq!(lines(&all(&house, "&of=p01&actor=night").await), told[..3]);
    let since = acts[3]["at"].as_str().unwrap();
    assert_eq!(lines(&all(&house, &format!("&from={since}")).await), told[..4]);
    assert_eq!(lines(&all(&house, &format!("&to={since}")).await), told[4..]);
    for (key, query, status) in [
        (FEED_KEY, "", 403),
        ("nobody's key, long enough", "", 401),
        (OPERATOR_KEY, "?limit=0", 400),
        (OPERATOR_KEY, "?cursor=x", 400),
        (OPERATOR_KEY, "?from=2020-01-01T00:00:00Z", 400),
    ] {
        assert_eq!(get(&house, key, query).await.0, status, "{query}");
    }
    let command = ["operator", "acts", "--of", "p01"];
    let running = house.command(OPERATOR_KEY, &command);
    assert!(running.status.success(), "{}", String::from_utf8_lossy(&running.stderr));
    let running: Value = serde_json::from_slice(&running.stdout).unwrap();
    house.close().await;
    // And to whoever reads what is kept: the oldest first.
    let mut process = Command::new(EXE);
    process.args(command).arg("--json").arg("--config").arg(street.file(""));
    let output = process.output().unwrap();
    let stopped: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(running, stopped);
    let reasons = stopped["acts"].as_array().unwrap().iter().map(|act| act["reason"].clone());
    assert_eq!(reasons.collect::<Vec<_>>(), ["ticket 1", "ticket 2", "ticket 3"]);
}
