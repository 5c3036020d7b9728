//! A partner asks to be told again.

use super::*;
use crate::replays::Replay;
use schemas::contract::timestamp;
use serde_json::json;
use std::sync::atomic::Ordering;

/// What `partner` asks, signed right.
fn ask(partner: &str, body: &Value) -> Ask {
    Ask::posted(partner, body.to_string().as_bytes(), now_s())
}

/// Asks as a partner that is not told to come later; the answer is signed by us as the answer to this.
async fn asked(house: &House, partner: &str, body: Value) -> Came {
    let ask = ask(partner, &body);
    let id = ask.headers["webhook-id"].to_str().unwrap().to_owned();
    let came = ask.send(house).await;
    verify_reply(&[our_key().verifying()], &came.headers, now_s(), &id, &came.body).unwrap();
    assert_eq!(came.headers["cache-control"], "no-store");
    came
}

/// A house in which a minute passes between any two looks at the clock: nobody is told to come later.
fn patient() -> House {
    use std::sync::atomic::AtomicI64;
    let mut house = House::new();
    let ahead = AtomicI64::new(0);
    // Signatures look at whole minutes behind each other too, so it goes back and forth within their window.
    house.answer_as(|api| {
        api.now = std::sync::Arc::new(move || {
            SystemClock.now() + ahead.fetch_add(3_000, Ordering::Relaxed) % 200_000
        });
    });
    house
}

#[tokio::test]
async fn what_is_asked_for_is_handed_on_under_the_id_of_the_request() {
    let house = patient();
    let bets = json!({"bet_ids": ["r1:a", "r2:b", "r1:c"]});
    let came = asked(&house, "acme", bets.clone()).await;
    let id = post_id("acme", REPLAY, bets.to_string().as_bytes());
    assert_eq!(came.status, 202, "{}", came.json());
    let told = json!({
        "replay_id": id, "told_again": 2, "held": 1, "owed": 0, "parked": 0, "frozen": 0,
        "told_often": 0,
    });
    assert_eq!(came.json(), told);
    assert_eq!(asked(&house, "acme", json!({"round_id": "r1"})).await.status, 202);
    let bet = |text: &str| text.parse::<BetId>().unwrap();
    let replays = house.shows.replays.lock().unwrap().clone();
    let rounds = replays.iter().map(|replay| replay.rounds.clone()).collect::<Vec<_>>();
    let r1 = ("r1".parse().unwrap(), [bet("r1:a"), bet("r1:c")].into());
    let r2 = ("r2".parse().unwrap(), [bet("r2:b")].into());
    assert_eq!(rounds, [[r1, r2].into(), [("r1".parse().unwrap(), [].into())].into()]);
    let of = |replay: &Replay| (replay.partner.to_string(), replay.request.clone());
    assert_eq!(of(&replays[0]), ("acme".to_owned(), id));
}

#[tokio::test]
async fn a_span_names_its_own_bets_in_parts_of_fifty_rounds() {
    let house = patient();
    house.keep_histories();
    let begun = 1_700_000_000_000;
    let bets: Vec<Bet> = (0..60).map(|n| bet("acme", &format!("r{n}"), "a", begun + n)).collect();
    let theirs = bet("other", "r1", "a", begun);
    let all: Vec<&Bet> = bets.iter().chain([&theirs]).collect();
    decide(&house, &all, &Verdict::Accepted).await;
    let path = format!("/partner/v1/bets/{}", bets[59].id);
    until(&house, "acme", &path, |told| told["status"] == "accepted").await;
    let span = |after: Option<&Value>| {
        let mut span = json!({"from": timestamp(begun), "to": timestamp(begun + 60)});
        if let Some(after) = after {
            span["after"] = after.clone();
        }
        span
    };
    let mut named = std::collections::BTreeSet::new();
    let mut next = None;
    for (part, rounds) in [(1, 50), (2, 10)] {
        let came = asked(&house, "acme", span(next.as_ref())).await;
        assert_eq!((came.status, &came.json()["told_again"]), (202, &json!(rounds)), "part {part}");
        next = came.json().get("next").cloned();
        let replay = house.shows.replays.lock().unwrap().pop().unwrap();
        named.extend(replay.rounds.into_values().flatten());
    }
    assert_eq!(next, None);
    assert_eq!(named, bets.iter().map(|bet| bet.id.clone()).collect());
}

/// In one form for what is another's and for what never was.
#[tokio::test]
async fn what_cannot_be_told_again_is_refused_in_signed_words() {
    let house = patient();
    for (body, status, code) in [
        (json!({"bet_ids": ["r1:a", "r1:theirs"]}), 404, "bet_unknown"),
        (json!({"round_id": "theirs"}), 404, "round_unknown"),
        (json!({"round_id": "r1", "from": "now"}), 422, "invalid_field"),
        (json!([]), 422, "invalid_field"),
    ] {
        let came = asked(&house, "acme", body.clone()).await;
        assert_eq!((came.status, came.code().as_str()), (status, code), "{body}");
    }
    assert_eq!(house.shows.replays.lock().unwrap().len(), 0);
    house.shows.is_away.store(true, Ordering::Relaxed);
    let came = asked(&house, "acme", json!({"round_id": "r1"})).await;
    assert_eq!((came.status, came.code().as_str()), (503, "storage_unavailable"));
}

#[tokio::test]
async fn who_asks_for_much_waits() {
    let house = House::new();
    let body = json!({"round_id": "r1"});
    assert_eq!(asked(&house, "acme", body.clone()).await.status, 202);
    let came = asked(&house, "acme", body.clone()).await;
    assert_eq!((came.status, came.code().as_str()), (503, "overloaded"));
    assert_eq!(asked(&house, "other", body).await.status, 202, "no partner waits for another");
    assert_eq!(house.shows.replays.lock().unwrap().len(), 2);
}

/// It was read from its facts all the same.
#[tokio::test]
async fn what_is_refused_costs_as_much() {
    let mut house = House::new();
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let ahead = std::sync::Arc::clone(&clock);
    house.answer_as(|api| {
        api.now = std::sync::Arc::new(move || SystemClock.now() + ahead.load(Ordering::Relaxed));
    });
    let mut bets: Vec<String> =
        (0..499).map(|number| format!("r{}:a{number}", number % 50)).collect();
    bets.push("r1:theirs".to_owned());
    let body = json!({"bet_ids": bets});
    assert_eq!(asked(&house, "acme", body.clone()).await.code(), "bet_unknown");
    clock.store(5_000, Ordering::Relaxed);
    assert_eq!(asked(&house, "acme", body.clone()).await.code(), "overloaded");
    clock.store(10_000, Ordering::Relaxed);
    assert_eq!(asked(&house, "acme", body).await.code(), "bet_unknown");
}

/// The id covers the body, so neither another body nor our own answer, which stands under the same id, is a request.
#[tokio::test]
async fn a_request_is_its_body() {
    let house = patient();
    let body = json!({"round_id": "r1"});
    let came = asked(&house, "acme", body.clone()).await;
    let resigned = |partner: &str, id: &str, body: &[u8], key: &SecretKey| {
        let mut one = ask(partner, &json!({"round_id": "r1"}));
        let signed = sign(std::slice::from_ref(key), id, now_s(), body).unwrap();
        one.headers.extend(HeaderMap::from_iter(signed));
        one.body = body.to_vec();
        one
    };
    let id = post_id("acme", REPLAY, body.to_string().as_bytes());
    let get = get_id("acme", REPLAY);
    let (own, other) = (partner_key("acme"), partner_key("other"));
    let mut changed = ask("acme", &body);
    changed.body = json!({"round_id": "r2"}).to_string().into_bytes();
    for refused in [
        changed,
        resigned("acme", &id, &came.body, &own),
        resigned("acme", &get, body.to_string().as_bytes(), &own),
        resigned("acme", &id, body.to_string().as_bytes(), &other),
        ask("acme", &body).with_partner("other"),
    ] {
        let came = refused.clone().send(&house).await;
        assert_eq!((came.status, came.code().as_str()), (401, "signature_invalid"), "{refused:?}");
        assert!(!came.headers.contains_key("webhook-signature"));
    }
    let get = Ask { method: Method::GET, ..ask("acme", &body) }.send(&house).await;
    assert_eq!(get.status, 405);
    assert_eq!(house.shows.replays.lock().unwrap().len(), 1);
}

impl Ask {
    fn with_partner(mut self, partner: &'static str) -> Self {
        self.headers.insert(PARTNER, HeaderValue::from_static(partner));
        self
    }
}
