//! Whatever a partner asks about another's bets is answered as if they had never been: every call of the document, with
//! ids and cursors of the other one, and with such as nobody was ever given.

use crate::histories::caught_up;
use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roundhouse::rig::keys::platform;
use runtime::{Clock, SystemClock};
use schemas::contract::{get_id, parse_timestamp, post_id};
use serde_json::{Value, json};
use signing::{SecretKey, sign, verify_reply};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(another_partners_is_as_if_it_never_was);

/// The round that the other partner alone plays, and one of the same length that nobody does.
const THEIRS: &str = "theirs";
const NEVER: &str = "nobody";
/// A cursor of events that nobody was given: `nobody@1`.
const NO_CURSOR: &str = "bm9ib2R5QDE";
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Headers that are another's with every request.
const OF_THE_REQUEST: [&str; 4] = ["date", "webhook-id", "webhook-timestamp", "webhook-signature"];

/// What a request names.
struct Named {
    round: &'static str,
    bet: String,
    /// A bet in the same place of every list, whether it is there or not.
    near: String,
    cursor: String,
    /// A place in the list of a day.
    place: String,
}

/// What both name besides.
struct Common {
    /// The day on which all of it was, and a bet of the caller's own.
    day: String,
    own: String,
}

/// A request, and the status of the answer to it.
struct Case {
    path: String,
    body: Option<Value>,
    status: u16,
}

/// Every way in which an operation can name something that is another's.
fn cases(operation: &str, named: &Named, common: &Common) -> Vec<Case> {
    let Named { round, bet, near, cursor, place } = named;
    let Common { day, own } = common;
    let get = |path: String, status| Case { path, body: None, status };
    let post = |body: Value, status| {
        let path = "/partner/v1/replay".to_owned();
        Case { path, body: Some(body), status }
    };
    let statement = |round: &str| format!("/partner/v1/rounds/{round}/statement");
    match operation {
        "bet" => vec![get(format!("/partner/v1/bets/{bet}"), 404)],
        "events" => vec![get(format!("/partner/v1/events?after={cursor}"), 400)],
        "round_statement" => vec![
            get(statement(round), 404),
            get(format!("{}?after={bet}", statement(round)), 404),
            // A place in a list of one's own says nothing of what stands there elsewhere.
            get(format!("{}?after={near}", statement("ours")), 200),
        ],
        "day_statement" => vec![get(format!("/partner/v1/statements/{day}?after={place}"), 200)],
        "replay" => {
            let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T23:59:59.999Z"));
            vec![
                post(json!({"bet_ids": [bet]}), 404),
                post(json!({"bet_ids": [own, bet]}), 404),
                post(json!({"round_id": round}), 404),
                post(json!({"from": from, "to": to, "after": place}), 202),
            ]
        }
        other => panic!("what can a partner name in `{other}` that is another's?"),
    }
}

/// An answer without what differs with every request.
#[derive(Debug, PartialEq)]
struct Came {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A partner that asks, and looks at every header.
struct Partner {
    name: &'static str,
    key: SecretKey,
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Partner {
    fn new<E: Ground>(name: &'static str, street: &Street, house: &House<E>) -> Self {
        let base = format!("http://{}", house.running.address);
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { name, key: street.keys[name].replies(), base, client }
    }

    async fn once(&self, path: &str, body: Option<&Value>) -> Came {
        let body = body.map(ToString::to_string);
        let (method, id) = match &body {
            Some(body) => (Method::POST, post_id(self.name, path, body.as_bytes())),
            None => (Method::GET, get_id(self.name, path)),
        };
        let bytes = Bytes::from(body.unwrap_or_default());
        let now_s = || SystemClock.now() / 1_000;
        let signed = sign(std::slice::from_ref(&self.key), &id, now_s(), &bytes).unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("partner-id", self.name)
            .header("content-type", "application/json")
            .body(Full::new(bytes))
            .unwrap();
        request.headers_mut().extend(HeaderMap::from_iter(signed));
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let ours = [platform(OPERATOR_KEY).verifying()];
        verify_reply(&ours, &head.headers, now_s(), &id, &body).unwrap();
        let headers =
            head.headers.iter().filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str()));
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Came {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Asks until it is not too soon.
    async fn ask(&self, case: &Case) -> Came {
        let begun = Instant::now();
        let mut came = self.once(&case.path, case.body.as_ref()).await;
        while came.status == 503 {
            assert!(begun.elapsed() < WAIT_MAX, "{}", case.path);
            sleep(LOOK_PERIOD).await;
            came = self.once(&case.path, case.body.as_ref()).await;
        }
        // It names the request.
        if let Ok(Value::Object(mut told)) = serde_json::from_str::<Value>(&came.body)
            && told.remove("replay_id").is_some()
        {
            came.headers.remove("content-length");
            came.body = Value::from(told).to_string();
        }
        came
    }

    async fn get(&self, path: &str) -> Value {
        let came = self.once(path, None).await;
        assert_eq!(came.status, 200, "{path}: {}", came.body);
        serde_json::from_str(&came.body).unwrap()
    }
}

async fn another_partners_is_as_if_it_never_was<E: Ground>() {
    let street = Street::on::<E>(2, 98, &[]).await;
    let house = House::<E>::open(&street.config).await;
    let [us, them] = ["p01", "p02"].map(|name| Partner::new(name, &street, &house));
    let mut bets = Vec::new();
    for (round, name) in [("ours", "p01"), (THEIRS, "p02")] {
        let mut wagers = street.wagers(round, 12, 1);
        wagers.retain(|wager| wager.partner == name);
        wagers.iter_mut().for_each(|wager| wager.cancel = false);
        let told = house.bet(round, wagers).await;
        bets.push(told.keys().next().unwrap().clone());
        house.api.result(round, "3").await.unwrap();
    }
    house.settled().await;
    caught_up(house.running.engine()).await;
    let [own, theirs] = <[String; 2]>::try_from(bets).unwrap();

    // It is there, for the one whose it is.
    let told = them.get(&format!("/partner/v1/bets/{theirs}")).await;
    assert_eq!(told["revisions"][1]["status"], "applied", "{told}");
    them.get(&format!("/partner/v1/rounds/{THEIRS}/statement")).await;
    let caused_at = told["revisions"][1]["caused_at"].as_str().unwrap();
    let at = parse_timestamp(caused_at).unwrap();
    let place = |bet: &str| URL_SAFE_NO_PAD.encode(format!("{at}@{bet}/3"));
    let mut near = theirs.clone();
    let last = if near.pop() == Some('0') { '1' } else { '0' };
    near.push(last);
    let cursor = them.get("/partner/v1/events").await["next"].as_str().unwrap().to_owned();
    let found = Named {
        round: THEIRS,
        place: place(&theirs),
        near: theirs.clone(),
        bet: theirs.clone(),
        cursor,
    };
    let none = Named {
        round: NEVER,
        bet: theirs.replace(THEIRS, NEVER),
        place: place(&near),
        near,
        cursor: NO_CURSOR.to_owned(),
    };
    let common = Common { day: caused_at[..10].to_owned(), own };

    let document = house.api.call(Method::GET, "/partner/v1/openapi.json", "", None).await.unwrap();
    let paths = document.body["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|item| item.as_object().unwrap().values());
    let mut seen = 0;
    for operation in operations.map(|operation| operation["operationId"].as_str().unwrap()) {
        let pairs = cases(operation, &found, &common).into_iter();
        for (found, none) in pairs.zip(cases(operation, &none, &common)) {
            let (told, never) = (us.ask(&found).await, us.ask(&none).await);
            assert_eq!(told.status, found.status, "{operation} {}: {}", found.path, told.body);
            let never = Came { body: never.body.replace(NEVER, THEIRS), ..never };
            assert_eq!(told, never, "{operation} {}", found.path);
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
    house.close().await;
}
