use super::*;
use crate::breaker::Circuit;
use crate::chunk::Filling;
use crate::dispatcher::{Owed, OwedOf};
use crate::fixtures::{applied, ok, won};
use runtime::http::{Guard, HttpOptions, Outbound, PeerKeys};
use runtime::{Millis, telemetry};
use schemas::contract::Traffic;
use signing::{SecretKey, sign};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Clone, Copy)]
struct Stopped(Millis);

impl Clock for Stopped {
    fn now(&self) -> Millis {
        self.0
    }
}

fn partner() -> PartnerId {
    "acme".parse().unwrap()
}

fn call() -> StateCall {
    let mut filling = Filling::new();
    filling.add(1, &won("a", 3), (2, false), 10_000).unwrap();
    filling.finish(partner(), Traffic::Live).call
}

fn sender(wallets: Peers<PartnerId>, metrics: &telemetry::Metrics) -> Sender<Stopped> {
    let pools = wallets.pools(HttpOptions {
        connect_wait_max: Duration::from_secs(5),
        idle_max: Duration::from_secs(5),
        idle_connections_max: 1,
    });
    // The fixtures' settlements were caused at 1000 ms.
    let wait = Duration::from_secs(10);
    Sender::new(pools, wallets, wait, Metrics::register(metrics), Stopped(1_500))
}

/// A chunk goes to a wallet that answers `came`, signed: the call, how it was read, the request as the wallet saw
/// it, what it was signed with, and the metrics.
async fn exchange(
    call: StateCall,
    came: impl FnOnce(&StateCall) -> Came,
) -> (Came, Answer, Vec<u8>, Vec<(HeaderName, HeaderValue)>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, Vec::new());
    let wallets = Peers::new(Outbound { guard, tls: None });
    let (ours, theirs) = (SecretKey::of_seed(&[1; 32]), SecretKey::of_seed(&[2; 32]));
    let keys = PeerKeys { ours: vec![ours.clone()], theirs: vec![theirs.verifying()] };
    wallets.set(partner(), &format!("http://{}", listener.local_addr().unwrap()), keys).unwrap();
    let came = came(&call);
    let bytes = if call.gzip { pack(&call.bytes).unwrap() } else { call.bytes.clone() };
    let body = came.as_ref().unwrap().body.clone();
    let chunk_id = call.request.chunk_id.clone();
    let signed = sign(&[ours], &chunk_id, 1, &bytes).unwrap().into_iter().collect();
    let wallet = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(&bytes) {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in sign(&[theirs], &chunk_id, 1, &body).unwrap() {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        head += "\r\n";
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        request
    });
    let metrics = telemetry::Metrics::default();
    let answer = sender(wallets, &metrics).call(call).await;
    (came, answer, wallet.await.unwrap(), signed, metrics.text().unwrap())
}

#[tokio::test]
async fn a_chunk_goes_out_as_the_contract_says_and_is_counted() {
    let good =
        |call: &StateCall| ok(&call.request, call.request.items.iter().map(applied).collect());
    let (came, answer, request, signed, text) = exchange(call(), good).await;
    assert_eq!(answer.after(Duration::ZERO), Answer::from(&came), "but for how long it took");
    let request = String::from_utf8(request).unwrap();
    assert!(!request.contains("content-encoding"), "{request}");
    assert!(request.starts_with("POST /wallet/v1/bets/state HTTP/1.1\r\n"), "{request}");
    let version = format!("api-version: {API_VERSION}");
    for header in [version.as_str(), "attempt: 3", "content-type: application/json"] {
        assert!(request.contains(&format!("{header}\r\n")), "{header} is not in {request}");
    }
    for (name, value) in signed {
        let header = format!("{name}: {}\r\n", value.to_str().unwrap());
        assert!(request.contains(&header), "{header} is not in {request}");
    }
    for line in [
        "roundhouse_partner_delivery_attempts_total{partner=\"acme\",outcome=\"answered\"} 1",
        "roundhouse_partner_delivery_duration_seconds_count{partner=\"acme\"} 1",
        "roundhouse_settlement_result_to_partner_ack_seconds_sum{partner=\"acme\"} 0.5",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

/// And what is signed is what travels: it is verified before it is unpacked.
#[tokio::test]
async fn a_chunk_is_packed_for_a_wallet_that_takes_it_so() {
    let call = StateCall { gzip: true, ..call() };
    let bytes = call.bytes.clone();
    let (_, _, request, signed, text) = exchange(call, |call| ok(&call.request, Vec::new())).await;
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (head, packed) = request.split_at(head);
    let head = String::from_utf8(head.to_vec()).unwrap();
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    for (name, value) in signed {
        let header = format!("{name}: {}\r\n", value.to_str().unwrap());
        assert!(head.contains(&header), "{header} is not in {head}");
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, bytes);
    assert_eq!(pack(&bytes).unwrap(), packed, "the same bytes each time");
    assert!(text.contains("outcome=\"nonsense\"} 1"), "{text}");
}

#[tokio::test]
async fn a_200_that_says_nothing_acknowledges_nothing() {
    let (_, _, _, _, text) = exchange(call(), |call| ok(&call.request, Vec::new())).await;
    assert!(text.contains("attempts_total{partner=\"acme\",outcome=\"nonsense\"} 1"), "{text}");
    assert!(!text.contains("outcome=\"answered\"") && !text.contains("ack_seconds_sum{"), "{text}");
}

#[tokio::test]
async fn without_a_wallet_nothing_is_sent_and_people_are_told() {
    let metrics = telemetry::Metrics::default();
    let before = telemetry::alarms("wallet_unknown");
    let answer = sender(Peers::default(), &metrics).call(call()).await;
    assert_eq!(answer, Answer::from(&Err(CallError::Unknown)));
    assert_eq!(telemetry::alarms("wallet_unknown"), before + 1);
    assert!(metrics.text().unwrap().contains("outcome=\"wallet_unknown\"} 1"));
}

/// A wallet that answers everything with 503 on connections that it keeps; tells of each call its connection.
async fn busy(listener: TcpListener, seen: UnboundedSender<usize>) {
    for connection in 0.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = seen.clone();
        tokio::spawn(async move {
            loop {
                let mut request = Vec::new();
                // What these calls end with.
                while !request.ends_with(b"]}") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                seen.send(connection).unwrap();
                let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(busy).await.unwrap();
            }
        });
    }
}

/// Also where partners are at one address.
#[tokio::test]
async fn partners_and_kinds_of_traffic_share_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, Vec::new());
    let wallets = Peers::new(Outbound { guard, tls: None });
    let ours = vec![SecretKey::of_seed(&[1; 32])];
    for name in ["acme", "bolt"] {
        let keys = PeerKeys { ours: ours.clone(), theirs: Vec::new() };
        wallets.set(name.parse().unwrap(), &base, keys).unwrap();
    }
    let (seen, mut calls) = unbounded_channel();
    tokio::spawn(busy(listener, seen));
    let sender = sender(wallets, &telemetry::Metrics::default());
    let mut by_connection = BTreeMap::<usize, BTreeSet<_>>::new();
    for _ in 0..5 {
        for (partner, traffic, revision) in [
            ("acme", Traffic::Live, 3),
            ("acme", Traffic::Void, 2),
            ("acme", Traffic::Correction, 4),
            ("bolt", Traffic::Live, 3),
        ] {
            let mut filling = Filling::new();
            filling.add(1, &won("a", revision), (0, false), 10_000).unwrap();
            sender.call(filling.finish(partner.parse().unwrap(), traffic).call).await;
            let connection = calls.recv().await.unwrap();
            by_connection.entry(connection).or_default().insert((partner, traffic));
        }
    }
    assert!(by_connection.values().all(|of| of.len() == 1), "{by_connection:?}");
    assert!(by_connection.len() < 20, "connections are kept: {by_connection:?}");
}

#[test]
fn what_is_owed_is_shown_until_its_partition_moves_on() {
    let metrics = telemetry::Metrics::default();
    let shown = Metrics::register(&metrics);
    let owed = OwedOf {
        items: [(Traffic::Void, 2)].into(),
        in_flight: 1,
        tiers: [3, 0, 0, 0, 1],
        circuits: [(Traffic::Void, Circuit::Open)].into(),
        to_fix: [Traffic::Void].into(),
        withheld: [(Traffic::Void, 3)].into(),
        parked: 4,
        oldest_at: Some(500),
        oldest_void_at: Some(700),
        ..OwedOf::default()
    };
    let owed = Owed { partition: 1, held: 3, partners: [(partner(), owed)].into() };
    let mut before = BTreeSet::new();
    for (owed, numbers) in [(&[owed][..], ([2, 3, 1, 4], "0.7")), (&[], ([0; 4], "0.0"))] {
        shown.show(1_200, owed, &mut before);
        let text = metrics.text().unwrap();
        let ([void, tier, last, parked], oldest) = numbers;
        for line in [
            format!("partner_owed_records{{partner=\"acme\",traffic=\"void\"}} {void}\n"),
            format!("partner_held_records {tier}\n"),
            format!("partner_retry_backlog{{partner=\"acme\",tier=\"5s\"}} {tier}\n"),
            format!("partner_retry_backlog{{partner=\"acme\",tier=\"1h\"}} {last}\n"),
            format!(
                "partner_circuit_state{{partner=\"acme\",traffic=\"void\",state=\"open\"}} {last}\n"
            ),
            format!("partner_fix_then_retry{{partner=\"acme\",traffic=\"void\"}} {last}\n"),
            format!("partner_repeats_withheld{{partner=\"acme\",traffic=\"void\"}} {tier}\n"),
            format!("partner_parked_records{{partner=\"acme\"}} {parked}\n"),
            format!("partner_oldest_undelivered_age_seconds{{partner=\"acme\"}} {oldest}\n"),
            format!("partner_oldest_void_timestamp_seconds{{partner=\"acme\"}} {oldest}\n"),
        ] {
            assert!(text.contains(&line), "{line} is not in {text}");
        }
    }
}
