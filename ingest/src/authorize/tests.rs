use super::*;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::post;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use runtime::SystemClock;
use runtime::http::{Guard, Outbound, PeerKeys};
use signing::{ID, SecretKey, TIMESTAMP, sign, verify};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

fn ours() -> SecretKey {
    SecretKey::of_seed(&[1; 32])
}

fn theirs() -> SecretKey {
    SecretKey::of_seed(&[2; 32])
}

/// A wallet that says back what it was sent, signed, unless it is told to hang or not to sign.
async fn wallet() -> String {
    let echo = async |headers: HeaderMap, body: String| {
        match body.as_str() {
            "hang" => std::future::pending().await,
            "slow" => tokio::time::sleep(Duration::from_millis(300)).await,
            "rest" => {
                let rest = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
                return (StatusCode::TOO_MANY_REQUESTS, rest, String::new());
            }
            "busy" => return (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), String::new()),
            "error" => return (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), String::new()),
            "gone" => return (StatusCode::NOT_FOUND, HeaderMap::new(), String::new()),
            _ => {}
        }
        let header = |name: HeaderName| headers[name].to_str().unwrap().to_owned();
        let now_s = header(TIMESTAMP).parse().unwrap();
        verify(&[ours().verifying()], &headers, now_s, body.as_bytes()).unwrap();
        let named = [ID, ATTEMPT, VERSION].map(header).join(" ");
        let reply = format!("{named} {body}");
        let key = if body == "forge" { ours() } else { theirs() };
        let signed: HeaderMap =
            sign(&[key], &header(ID), now_s, reply.as_bytes()).unwrap().into_iter().collect();
        (StatusCode::OK, signed, reply)
    };
    let router = Router::new().route(AUTHORIZE_PATH, post(echo));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

fn call(partner: &str, body: &'static str, budget_ms: u32) -> AuthorizeCall {
    AuthorizeCall {
        partner: partner.parse().unwrap(),
        bet: "r_1:abc".parse().unwrap(),
        body: Bytes::from_static(body.as_bytes()),
        attempt: 2,
        budget_ms,
    }
}

async fn authorize(partner_calls_max: usize) -> Authorize<SystemClock> {
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, Vec::new());
    let wallets = Peers::new(Outbound { guard, tls: None });
    for partner in ["acme", "bolt"] {
        let keys = PeerKeys { ours: vec![ours()], theirs: vec![theirs().verifying()] };
        wallets.set(partner.parse().unwrap(), &wallet().await, keys).unwrap();
    }
    let options = AuthorizeOptions { partner_calls_max, ..AuthorizeOptions::STANDARD };
    Authorize::new(wallets, options, SystemClock)
}

/// Also where they are at one address.
#[tokio::test]
async fn partners_share_no_connection() {
    let (seen, mut calls) = mpsc::unbounded_channel();
    let note = async move |ConnectInfo(from): ConnectInfo<SocketAddr>, body: String| {
        seen.send((body, from)).unwrap();
        StatusCode::SERVICE_UNAVAILABLE
    };
    let router = Router::new().route(AUTHORIZE_PATH, post(note));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let authorize = authorize(1).await;
    for partner in ["acme", "bolt"] {
        let keys = PeerKeys { ours: vec![ours()], theirs: vec![theirs().verifying()] };
        authorize.wallets.set(partner.parse().unwrap(), &base, keys).unwrap();
    }
    let mut by_connection = BTreeMap::<SocketAddr, BTreeSet<String>>::new();
    for partner in ["acme", "bolt"].repeat(5) {
        authorize.call(call(partner, partner, 5_000)).await;
        let (body, from) = calls.recv().await.unwrap();
        by_connection.entry(from).or_default().insert(body);
    }
    assert!(by_connection.values().all(|of| of.len() == 1), "{by_connection:?}");
    assert!(by_connection.len() < 10, "connections are kept: {by_connection:?}");
}

/// A call to `acme` that has its last slot.
async fn begun(
    authorize: &Arc<Authorize<SystemClock>>,
    body: &'static str,
    budget_ms: u32,
) -> JoinHandle<HoldReply> {
    let shared = Arc::clone(authorize);
    let called = tokio::spawn(async move { shared.call(call("acme", body, budget_ms)).await });
    while !authorize.gate(&"acme".parse().unwrap()).is_full() {
        tokio::task::yield_now().await;
    }
    called
}

#[tokio::test]
async fn the_bytes_and_the_attempt_reach_the_wallet() {
    let body = Bytes::from(format!("r_1:abc:1 2 {API_VERSION} {{\"a\":1}}"));
    let reply = authorize(1).await.call(call("acme", "{\"a\":1}", 5_000)).await;
    assert_eq!(reply, HoldReply::Http { status: 200, body });
}

#[tokio::test]
async fn no_wallet_no_time_and_no_signature_are_no_answer() {
    let authorize = authorize(1).await;
    for call in
        [call("nobody", "{}", 5_000), call("acme", "hang", 50), call("acme", "forge", 5_000)]
    {
        assert!(matches!(authorize.call(call).await, HoldReply::Nothing { .. }));
    }
}

#[tokio::test]
async fn a_partner_that_hangs_takes_its_own_calls_alone() {
    let authorize = Arc::new(authorize(1).await);
    let hanging = begun(&authorize, "hang", 60_000).await;
    assert_eq!(authorize.call(call("acme", "{}", 50)).await, HoldReply::Unsent);
    let reply = authorize.call(call("bolt", "{}", 5_000)).await;
    assert!(matches!(reply, HoldReply::Http { status: 200, .. }));
    hanging.abort();
}

/// What each end tells, at the wire: four of them are a round.
#[tokio::test]
async fn what_is_not_answered_in_time_costs_slots_and_what_is_brings_them_back() {
    let authorize = authorize(4).await;
    let max = || authorize.calls_at_once_max(&"acme".parse().unwrap());
    for (count, body, budget_ms, slots) in [
        (4, "{}", 5_000, 4),
        (4, "gone", 5_000, 4),
        (4, "error", 5_000, 4),
        (4, "forge", 5_000, 4),
        (4, "busy", 5_000, 3),
        (3, "{}", 5_000, 4),
        (4, "slow", 500, 3),
        (3, "hang", 50, 2),
        (2, "{}", 5_000, 3),
    ] {
        for _ in 0..count {
            authorize.call(call("acme", body, budget_ms)).await;
        }
        assert_eq!(max(), slots, "{count} {body}");
    }
    assert_eq!(authorize.calls_at_once_max(&"bolt".parse().unwrap()), 4);
}

/// The wait for the slot is not the wallet's.
#[tokio::test]
async fn a_call_is_timed_from_when_it_is_sent() {
    let authorize = Arc::new(authorize(2).await);
    let max = || authorize.calls_at_once_max(&"acme".parse().unwrap());
    for _ in 0..2 {
        authorize.call(call("acme", "busy", 5_000)).await;
    }
    assert_eq!(max(), 1);
    let late = begun(&authorize, "slow", 500).await;
    // It waits 300 ms and is answered in 300 ms: half of its budget is between one and both.
    authorize.call(call("acme", "slow", 1_000)).await;
    late.await.unwrap();
    assert_eq!(max(), 2);
}

/// Also for those that waited for a slot by then.
#[tokio::test]
async fn a_partner_that_asks_for_a_rest_is_not_called_and_the_others_are() {
    let authorize = Arc::new(authorize(1).await);
    let slow = begun(&authorize, "slow", 5_000).await;
    let shared = Arc::clone(&authorize);
    let asked = tokio::spawn(async move { shared.call(call("acme", "rest", 5_000)).await });
    tokio::task::yield_now().await;
    let shared = Arc::clone(&authorize);
    let waits = tokio::spawn(async move { shared.call(call("acme", "{}", 5_000)).await });
    assert!(matches!(slow.await.unwrap(), HoldReply::Http { status: 200, .. }));
    assert_eq!(asked.await.unwrap(), HoldReply::Busy { rest_ms: 7_000 });
    assert_eq!(waits.await.unwrap(), HoldReply::Unsent);
    let reply = authorize.call(call("bolt", "{}", 5_000)).await;
    assert!(matches!(reply, HoldReply::Http { status: 200, .. }));
}

#[test]
fn a_rest_is_what_a_busy_wallet_asks_for_within_bounds() {
    let problem = |ms: u64| {
        format!(
            r#"{{"type":"about:blank","title":"t","status":503,"code":"overloaded","class":"retry_same_bytes","retry_after_ms":{ms}}}"#
        )
    };
    for (status, retry_after_ms, body, wanted) in [
        (503, Some(2_000), String::new(), Some(2_000)),
        (429, Some(2_000), problem(2_500), Some(2_500)),
        (429, None, problem(200), Some(200)),
        (429, Some(21_600_000), String::new(), Some(REST_MS_MAX)),
        (429, Some(0), "<html>".to_owned(), None),
        (429, None, String::new(), None),
        (500, Some(2_000), problem(2_000), None),
        (200, Some(2_000), String::new(), None),
    ] {
        let answer = HttpAnswer { status, retry_after_ms, body: Bytes::from(body) };
        assert_eq!(rest_ms(&answer), wanted, "{answer:?}");
    }
}

#[test]
fn only_what_reached_the_partner_tells_of_it() {
    let answer = |status| Ok(HttpAnswer { status, body: Bytes::new(), retry_after_ms: None });
    for (answer, wanted) in [
        (answer(200), Told::InTime),
        (answer(409), Told::InTime),
        (answer(422), Told::InTime),
        (answer(429), Told::Late),
        (answer(503), Told::Late),
        (answer(500), Told::Nothing),
        (answer(404), Told::Nothing),
        (Err(CallError::Timeout), Told::Late),
        (Err(CallError::Connect), Told::Late),
        (Err(CallError::Tls), Told::Late),
        (Err(CallError::Broken), Told::Late),
        (Err(CallError::Forbidden), Told::Nothing),
        (Err(CallError::TooLarge), Told::Nothing),
        (Err(CallError::Unknown), Told::Nothing),
    ] {
        assert_eq!(told(&answer, true), wanted, "{answer:?}");
        let late = if wanted == Told::InTime { Told::Late } else { wanted };
        assert_eq!(told(&answer, false), late, "{answer:?}");
    }
}

/// Too little time would be left for it.
#[tokio::test]
async fn what_waits_for_half_its_budget_is_not_sent() {
    let authorize = Arc::new(authorize(1).await);
    let hanging = begun(&authorize, "hang", 2_000).await;
    // The slot is free again before its whole budget is over.
    assert_eq!(authorize.call(call("acme", "{}", 3_000)).await, HoldReply::Unsent);
    assert!(matches!(hanging.await.unwrap(), HoldReply::Nothing { .. }));
    let reply = authorize.call(call("acme", "{}", 5_000)).await;
    assert!(matches!(reply, HoldReply::Http { status: 200, .. }));
}
