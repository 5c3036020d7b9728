//! No secret is in what a server says: not in its log at any level, its answers, its metrics.

use crate::admin::get;
use crate::house::{EXE, OPERATOR_KEY, Street, WAIT_MAX};
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::free_ports;
use runtime::Embedded;
use serde_json::json;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "canary-of-kafka-7f3a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_said() {
    let mut street = Street::on::<Embedded>(1, 131, &[]).await;
    let password = ("sasl.password".to_owned(), PASSWORD.to_owned());
    street.config.cluster.properties = [password].into();
    let config = street.file("");
    let port = free_ports(2).unwrap();
    let (api, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
    let log = street.directory.path().join("log");
    let mut server = Command::new(EXE)
        .args(["--log", "trace", "--log-format", "json", "serve", "--listen", &api])
        .args(["--admin-listen", &admin, "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(street.directory.path())
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (api, admin) = (format!("http://{api}"), format!("http://{admin}"));
    let client = Api::new(api, OPERATOR_KEY.to_owned());
    client.ready(WAIT_MAX).await.unwrap();
    client.open_die("r", 60_000, 100).await.unwrap();
    let wager = street.wagers("r", 1, 1).remove(0);
    let mut said = Vec::new();
    for (path, bearer, body) in [
        ("/v1/bets", &*wager.token, wager.body.clone()),
        ("/v1/bets", OPERATOR_KEY, wager.body.clone()),
        ("/v1/rounds", &*wager.token, json!({})),
        ("/v1/rounds", OPERATOR_KEY, json!({"round_id": 7})),
        ("/v1/nothing", OPERATOR_KEY, json!({})),
    ] {
        let reply = client.call(Method::POST, path, bearer, Some(&body)).await.unwrap();
        said.push(reply.body.to_string());
    }
    // What is delivered is logged in detail.
    client.void("r", 0).await.unwrap();
    let details = || std::fs::read_to_string(&log).unwrap().contains("DEBUG");
    let begun = Instant::now();
    while !details() {
        assert!(begun.elapsed() < WAIT_MAX, "the log has no details");
        sleep(Duration::from_millis(20)).await;
    }
    said.push(get(&admin, "/metrics", "*/*").await.1);
    said.push(get(&admin, "/readyz", "*/*").await.1);
    server.kill().await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    // The last one may have been cut off by the kill.
    for line in log.lines().rev().skip(1) {
        let line: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(line.is_ok_and(|line| line["timestamp"].is_string()), "a line is no JSON object");
    }
    said.push(log);
    for secret in [OPERATOR_KEY, PASSWORD, &*wager.token] {
        for text in &said {
            let at = text.find(secret).map(|at| &text[at.saturating_sub(200)..at]);
            assert_eq!(at, None, "a secret is said behind this");
        }
    }
}
