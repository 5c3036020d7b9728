//! What partners ask, over HTTP: signed here as a partner signs, and every answer checked as a partner checks.
//! Settler, dispatcher and reconciler are words written by hand.

mod answers;
mod document;
mod recorded;
mod refusals;
mod replays;

use super::house::{House, our_key, partner_key};
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use runtime::{Append, Batch, Clock, Engine, Fact, SystemClock};
use schemas::bets::{Bet, BetEvent, BetSaid, Marker, MarkerBody};
use schemas::contract::{get_id, post_id};
use schemas::decisions::{Decision, DecisionSaid, Verdict};
use schemas::outgoing::{self, FactRow, Outgoing, Partitions, SettlementTopic};
use schemas::rounds::Outcome;
use schemas::settlements::{Reason, Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{BetId, Money, Odds, PartnerId};
use serde_json::Value;
use signing::{SecretKey, sign, verify_reply};
use tower::ServiceExt;

const PARTNER: HeaderName = HeaderName::from_static("partner-id");

/// The one path that takes a `POST`.
const REPLAY: &str = "/partner/v1/replay";

fn now_s() -> i64 {
    SystemClock.now() / 1_000
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
struct Came {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Ask {
    /// What `partner` asks, signed right.
    fn of(partner: &str, path: &str) -> Self {
        Self::signed(partner, path, &partner_key(partner), now_s())
    }

    fn signed(partner: &str, path: &str, key: &SecretKey, at_s: i64) -> Self {
        let id = get_id(partner, path);
        let signed = sign(std::slice::from_ref(key), &id, at_s, b"").unwrap();
        let mut headers = HeaderMap::from_iter(signed);
        headers.insert(PARTNER, HeaderValue::from_str(partner).unwrap());
        Self { method: Method::GET, path: path.to_owned(), headers, body: Vec::new() }
    }

    /// What `partner` posts, signed right.
    fn posted(partner: &str, body: &[u8], at_s: i64) -> Self {
        Self::posted_by(partner, body, &partner_key(partner), at_s)
    }

    fn posted_by(partner: &str, body: &[u8], key: &SecretKey, at_s: i64) -> Self {
        let id = post_id(partner, REPLAY, body);
        let signed = sign(std::slice::from_ref(key), &id, at_s, body).unwrap();
        let mut headers = HeaderMap::from_iter(signed);
        headers.insert(PARTNER, HeaderValue::from_str(partner).unwrap());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, path: REPLAY.to_owned(), headers, body: body.to_vec() }
    }

    async fn send(self, house: &House) -> Came {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        *request.headers_mut().unwrap() = self.headers;
        let request = request.body(Body::from(self.body)).unwrap();
        let (parts, body) = house.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Came { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

impl Came {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// What `partner` is answered, which must be signed by us as the answer to this.
async fn came(house: &House, partner: &str, path: &str) -> Came {
    let came = Ask::of(partner, path).send(house).await;
    let (ours, id) = ([our_key().verifying()], get_id(partner, path));
    verify_reply(&ours, &came.headers, now_s(), &id, &came.body).unwrap();
    assert_eq!(came.headers["cache-control"], "no-store", "paths are the same for everybody");
    came
}

async fn get(house: &House, partner: &str, path: &str) -> Value {
    let came = came(house, partner, path).await;
    assert_eq!(came.status, 200, "{path}: {}", came.json());
    came.json()
}

/// Asks until `wanted` holds: the projection comes in its own time.
async fn until(house: &House, partner: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1_000 {
        let came = came(house, partner, path).await;
        if came.status == 200 && wanted(&came.json()) {
            return came.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{path} never came to what was wanted");
}

fn bet(partner: &str, round: &str, name: &str, placed_at: i64) -> Bet {
    let (partner, player) = (partner.parse().unwrap(), "p_9".parse().unwrap());
    let (round, client_ref) = (round.parse().unwrap(), name.parse().unwrap());
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "odd".parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at,
    }
}

fn lane(partner: &PartnerId) -> u32 {
    Partitions::EMBEDDED.of_partner(partner)
}

fn append(outgoing: Outgoing) -> Append {
    outgoing.into_parts().into()
}

async fn facts(house: &House, rows: Vec<FactRow>) {
    let facts = rows.into_iter().map(|row| Fact::from(row.into_parts())).collect();
    let batch = Batch { facts: vec![facts], ..Batch::default() };
    house.state.engine.apply(None, batch).await.unwrap();
}

/// The settler decides the bets: a fact and a record of each.
async fn decide(house: &House, bets: &[&Bet], verdict: &Verdict) {
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for (bet, at) in bets.iter().zip(1_000..) {
        let (bet, verdict) = ((*bet).clone(), verdict.clone());
        let caused_at = bet.placed_at + 5;
        let partition = lane(&bet.partner);
        let decision = Decision { bet, verdict, at, intent_at: Some(0), caused_at };
        rows.push(outgoing::decision_fact(&decision, partition).unwrap());
        let said = DecisionSaid::Decided(decision);
        records.push(append(outgoing::decision(&said, partition).unwrap()));
    }
    facts(house, rows).await;
    house.write(records).await;
}

/// A result version stands in the partner's partition.
async fn version(house: &House, partner: &str, round: &str, version: u32) {
    let outcome = Outcome::Game("4".to_owned());
    let body = MarkerBody::Version { version, outcome };
    let round = round.parse().unwrap();
    let marker = BetSaid::Marker(Marker { number: version + 2, body });
    let event = BetEvent { round: Some(round), said_at: 0, said: marker };
    let (partition, at) = (lane(&partner.parse().unwrap()), 9_000 + u64::from(version));
    let round = event.round.clone().unwrap();
    facts(house, vec![outgoing::marker_fact(&event, &round, partition, at).unwrap()]).await;
}

fn settle(
    bet: &Bet,
    revision: u32,
    previous: Target,
    target: Target,
    caused_at: i64,
) -> Settlement {
    let reason = match revision {
        2 => Reason::BetCancelled,
        3 => Reason::Result,
        _ => Reason::ResultCorrected,
    };
    Settlement::of(bet, revision, previous, target, reason, caused_at)
}

fn said(settlement: &Settlement) -> Append {
    let partition = lane(&settlement.partner);
    append(outgoing::settlement(settlement, SettlementTopic::Settlements, partition).unwrap())
}

fn delivered(settlement: &Settlement, outcome: DeliveryOutcome) -> Append {
    let record = DeliveryRecord {
        bet_id: settlement.bet.to_string(),
        revision: i64::from(settlement.revision),
        round_id: settlement.bet.round_str().to_owned(),
        partner_id: settlement.partner.to_string(),
        ledger_epoch: "e1".to_owned(),
        outcome,
        code: (outcome == DeliveryOutcome::Parked).then(|| "unknown_bet".to_owned()),
        ..DeliveryRecord::default()
    };
    append(outgoing::delivery(&record.identified(), lane(&settlement.partner)).unwrap())
}
