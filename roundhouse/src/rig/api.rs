//! A client of the API, for rounds and for many players at once.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for an answer: a void is held for half a minute until its round is sealed.
const CALL_WAIT_MAX: Duration = Duration::from_secs(40);
/// How often a server is asked that is waited for.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
/// Wait before an operator's call is repeated that got no verdict.
const REPEAT_WAIT: Duration = Duration::from_millis(200);
/// For so long an operator's call is made again before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Speaks to servers of one house, to each in turn. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    bases: Arc<[String]>,
    calls: Arc<AtomicUsize>,
    operator_key: String,
    patience: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body; a string if it is no JSON.
    pub body: Value,
}

impl Reply {
    /// A text field of the body.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}

impl Api {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: String, operator_key: String) -> Self {
        Self::of(vec![base], operator_key)
    }

    /// A client of the servers at `bases`; a call that is repeated goes to the next one.
    pub fn of(bases: Vec<String>, operator_key: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(8))
            .build(connector);
        let (calls, patience) = (Arc::default(), PATIENCE);
        Self { client, bases: bases.into(), calls, operator_key, patience }
    }

    /// The same client, whose operator's calls are made again for so long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn next_base(&self) -> &str {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed) % self.bases.len().max(1);
        self.bases.get(turn).map_or("", String::as_str)
    }

    /// One call.
    ///
    /// # Errors
    /// If no complete answer came.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        self.call_at(self.next_base(), method, path, bearer, body).await
    }

    async fn call_at(
        &self,
        base: &str,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Reply> {
        let bytes = body.map(serde_json::to_vec).transpose().context("the body is not JSON")?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(AUTHORIZATION, format!("Bearer {bearer}"));
        if bytes.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(bytes.unwrap_or_default())));
        let request = request.context("the request cannot be made")?;
        let call = async {
            let response = self.client.request(request).await.context("no answer")?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.context("the answer broke off")?;
            let body = body.to_bytes();
            let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
            let body = serde_json::from_slice(&body).unwrap_or_else(|_| text());
            Ok(Reply { status, body })
        };
        timeout(CALL_WAIT_MAX, call).await.context("no answer in time")?
    }

    /// An operator's call, made again until it gets an answer that is not a passing trouble of ours.
    ///
    /// # Errors
    /// If it was refused, or there was no verdict for longer than the client's patience; then with what came instead,
    /// from when on.
    pub async fn operate(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        let begun = Instant::now();
        let mut troubles: Vec<(Duration, String)> = Vec::new();
        while begun.elapsed() < self.patience {
            let at = begun.elapsed();
            let trouble = match self.call(Method::POST, path, &self.operator_key, Some(body)).await
            {
                Ok(reply) if reply.status < 300 => return Ok(reply),
                Ok(reply) if reply.status < 500 && reply.text("code") != "not_sealed" => {
                    bail!("POST {path} was refused with {}: {}", reply.status, reply.body);
                }
                Ok(reply) => format!("{} {}", reply.status, reply.body),
                Err(error) => format!("{error:#}"),
            };
            if troubles.last().is_none_or(|(_, last)| *last != trouble) {
                troubles.push((at, trouble));
            }
            sleep(REPEAT_WAIT).await;
        }
        bail!("POST {path} got no verdict in {:?}: {troubles:#?}", self.patience)
    }

    /// What an operator is shown.
    ///
    /// # Errors
    /// As [`Api::call`].
    pub async fn look(&self, path: &str) -> anyhow::Result<Reply> {
        self.call(Method::GET, path, &self.operator_key, None).await
    }

    /// Opens a round of a die for `betting_ms`; the round's id is the request's too.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn open_die(
        &self,
        round: &str,
        betting_ms: i64,
        grace_ms: i64,
    ) -> anyhow::Result<Reply> {
        let body = json!({
            "round_id": round,
            "game": "die",
            "selections": die_offers(),
            "betting_ms": betting_ms,
            "grace_ms": grace_ms,
            "request_id": format!("{round}-open"),
        });
        self.operate("/v1/rounds", &body).await
    }

    /// Closes betting.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn close(&self, round: &str) -> anyhow::Result<Reply> {
        self.operate(&format!("/v1/rounds/{round}/close"), &json!({})).await
    }

    /// The first result; waits for the seal.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn result(&self, round: &str, outcome: &str) -> anyhow::Result<Reply> {
        let path = format!("/v1/rounds/{round}/result?wait=true");
        self.operate(&path, &json!({"replaces": 0, "outcome": outcome})).await
    }

    /// Another result in place of version `replaces`.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn correct(
        &self,
        round: &str,
        replaces: u32,
        outcome: &str,
    ) -> anyhow::Result<Reply> {
        let reason = "the camera shows another number";
        let body = json!({"replaces": replaces, "outcome": outcome, "reason": reason});
        self.operate(&format!("/v1/rounds/{round}/correct"), &body).await
    }

    /// Takes the result back.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn withdraw(&self, round: &str, replaces: u32) -> anyhow::Result<Reply> {
        let body = json!({"replaces": replaces, "reason": "under review"});
        self.operate(&format!("/v1/rounds/{round}/withdraw"), &body).await
    }

    /// Voids the round; waits for the seal.
    ///
    /// # Errors
    /// As [`Api::operate`].
    pub async fn void(&self, round: &str, replaces: u32) -> anyhow::Result<Reply> {
        let body = json!({"replaces": replaces, "reason": "the game broke down"});
        self.operate(&format!("/v1/rounds/{round}/void"), &body).await
    }

    /// Waits until every server is ready.
    ///
    /// # Errors
    /// If one is not within `wait_max`.
    pub async fn ready(&self, wait_max: Duration) -> anyhow::Result<()> {
        let ready = self.everywhere("/readyz", wait_max, |reply| reply.status == 200).await;
        ready.context("the server did not become ready")
    }

    /// Waits until every server knows that the round takes bets.
    ///
    /// # Errors
    /// If one does not within `wait_max`.
    pub async fn betting(&self, round: &str, wait_max: Duration) -> anyhow::Result<()> {
        let path = format!("/v1/rounds/{round}");
        let betting = |reply: &Reply| reply.text("status") == "betting";
        self.everywhere(&path, wait_max, betting)
            .await
            .with_context(|| format!("{round} does not take bets"))
    }

    /// Waits until every server knows that every bet of the round is known.
    ///
    /// # Errors
    /// If one does not within `wait_max`.
    pub async fn sealed(&self, round: &str, wait_max: Duration) -> anyhow::Result<()> {
        let path = format!("/v1/rounds/{round}");
        let sealed = |reply: &Reply| reply.text("status") == "sealed";
        self.everywhere(&path, wait_max, sealed)
            .await
            .with_context(|| format!("{round} is not sealed"))
    }

    async fn everywhere(
        &self,
        path: &str,
        wait_max: Duration,
        wanted: impl Fn(&Reply) -> bool,
    ) -> anyhow::Result<()> {
        for base in self.bases.iter() {
            let asked = async {
                loop {
                    match self.call_at(base, Method::GET, path, &self.operator_key, None).await {
                        Ok(reply) if wanted(&reply) => return,
                        Ok(_) | Err(_) => sleep(LOOK_PERIOD).await,
                    }
                }
            };
            timeout(wait_max, asked)
                .await
                .with_context(|| format!("nothing good from {base}{path} in time"))?;
        }
        Ok(())
    }
}

/// Every selection of the die.
pub const DIE: &[&str] = &["1", "2", "3", "4", "5", "6", "odd", "even", "low", "high"];

/// The odds of a selection of the die, as text.
pub fn die_odds(selection: &str) -> &'static str {
    if selection.len() == 1 { "5.71" } else { "1.93" }
}

fn die_offers() -> Value {
    let offer = |selection: &&str| json!({"id": selection, "odds": die_odds(selection)});
    Value::Array(DIE.iter().map(offer).collect())
}
