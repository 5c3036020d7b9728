//! Both APIs over the router, in front of a house of real machines.

mod bad_input;
mod bets;
mod documents;
mod drawing;
mod events;
mod older;

use crate::http::tests::house::{House, Told};
use axum::body::Body;
use http::Request;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};

/// The time `s` seconds from now, as a caller writes it.
fn ahead(s: i64) -> String {
    timestamp(SystemClock.now() + s * 1_000)
}

impl House {
    /// A call without a credential.
    async fn plain(&self, line: &str, body: &Value) -> Told {
        self.with_key(line, None, body).await
    }

    /// The same with an `Idempotency-Key`.
    async fn with_key(&self, line: &str, key: Option<&str>, body: &Value) -> Told {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_null() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    /// Offers an event that takes bets for a minute.
    async fn event(&self, event: &str, coefficient: &str) -> Value {
        let body = json!({"event_id": event, "coefficient": coefficient, "deadline": ahead(60)});
        let told = self.plain("POST /line-provider/events", &body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        told.body
    }

    /// Says the state of an event.
    async fn state(&self, event: &str, state: u8) -> Value {
        let line = format!("PATCH /line-provider/events/{event}");
        let told = self.plain(&line, &json!({ "state": state })).await;
        assert_eq!(told.status, 200, "{}", told.body);
        told.body
    }

    /// Places a bet that is accepted.
    async fn bet(&self, event: &str, amount: &str) -> Value {
        let body = json!({"event_id": event, "amount": amount});
        let told = self.plain("POST /bet-maker/bet", &body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        told.body
    }

    /// Asks until `wanted` holds: for what another part of the house does in its own time.
    async fn until_told(&self, line: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until(line, "", "", |told| wanted(&told.body)).await.body
    }
}

/// The ids in a list.
fn ids<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}
