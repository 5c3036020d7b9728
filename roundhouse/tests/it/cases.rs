//! Results that look wrong: operators are told by webhook, and again until they take it.

use crate::house::{Ground, House, Street, WAIT_MAX, clean};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use roundhouse::config::Operator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

on_every_engine!(what_looks_wrong_is_told_until_it_is_taken);

const OTHER_KEY: &str = "another feed's key, long enough";
const CREDENTIAL: &str = "Bearer of cases";
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// A case as it was told, under which credential.
type Call = (Option<String>, Value);

/// What the webhook was told; it takes nothing the first time.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Call>>>);

impl Told {
    async fn start(&self) -> String {
        let take = async |State(told): State<Told>, headers: HeaderMap, body: String| {
            let credential = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
            let mut told = told.0.lock().unwrap();
            told.push((credential, serde_json::from_str(&body).unwrap()));
            if told.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
        };
        let router = Router::new().route("/cases", post(take)).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/cases", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn codes(&self) -> BTreeSet<String> {
        let told = self.0.lock().unwrap();
        told.iter().map(|(_, case)| case["code"].as_str().unwrap().to_owned()).collect()
    }

    async fn until(&self, wanted: &[&str]) {
        let begun = Instant::now();
        while !wanted.iter().all(|code| self.codes().contains(*code)) {
            assert!(begun.elapsed() < WAIT_MAX, "{:?}, not {wanted:?}", self.codes());
            sleep(LOOK_PERIOD).await;
        }
    }
}

async fn what_looks_wrong_is_told_until_it_is_taken<E: Ground>() {
    let told = Told::default();
    let mut street = Street::on::<E>(2, 86, &[]).await;
    let other = Operator { name: "other".to_owned(), key: OTHER_KEY.to_owned(), roles: None };
    street.config.operators.push(other);
    street.config.cases.webhook_url = told.start().await;
    street.config.cases.webhook_authorization = CREDENTIAL.to_owned();
    street.config.cases.payout_percent_max = 1;
    street.config.cases.payout_bets_min = 1;
    let house = House::<E>::open(&street.config).await;
    house.bet("r", street.wagers("r", 60, 8)).await;
    house.api.result("r", "4").await.unwrap();
    let body = json!({"replaces": 0, "outcome": "5"});
    let path = "/v1/rounds/r/result";
    let refused = house.api.call(Method::POST, path, OTHER_KEY, Some(&body)).await.unwrap();
    assert_eq!((refused.status, refused.text("code")), (409, "version_conflict"));
    told.until(&["results_differ", "payout_out_of_range_EUR"]).await;
    let body = json!({"replaces": 1, "reason": "nobody knows"});
    house.api.operate("/v1/rounds/r/withdraw", &body).await.unwrap();
    told.until(&["result_withdrawn"]).await;
    house.api.correct("r", 2, "5").await.unwrap();
    house.settled().await;
    house.close().await;

    let all = told.0.lock().unwrap().clone();
    assert!(all.iter().all(|(credential, _)| credential.as_deref() == Some(CREDENTIAL)));
    assert_eq!(all[0], all[1], "what was not taken comes again");
    assert!(all.iter().all(|(_, case)| case["round_id"] == "r" && case["step"] == 1));
    let (books, _) = clean::<E>(&street).await;
    let kept: BTreeSet<String> = books.cases.iter().map(|case| case.code.clone()).collect();
    assert!(told.codes().is_subset(&kept), "{kept:?}");
}
