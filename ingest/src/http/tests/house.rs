//! A whole house behind the router: the real log, herald, line and bet placing; a toy wallet and settler.

mod settler;

use self::settler::settle;
use super::shows::Shows;
use crate::auth::{AUDIENCE, Audience, Claims, Duty, InForce, Operators, issue};
use crate::corrections::Corrections;
use crate::herald::{Herald, RoundRules};
use crate::history::{self, History};
use crate::http::{ApiState, Check, router};
use crate::line::{Line, LineOptions};
use crate::partners::{Partners, Secrets};
use crate::placing::{
    AuthorizeCall, HoldReply, Limits, PartnerEntry, Placing, PlacingOptions, SessionToken,
};
use crate::simple::bet_maker::book::{Book, BookOptions, Ends};
use crate::simple::bet_maker::{self, BetMaker};
use crate::simple::line_provider::{self, Coin, DrawOptions, Drawer, LineProvider};
use crate::tail::{Tail, decisions, rounds};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use runtime::drive::NoCalls;
use runtime::embedded::{Embedded, Options};
use runtime::http::Outbound;
use runtime::telemetry::Metrics;
use runtime::{
    Append, Caller, Catalogue, Clock, Handle, Handles, Job, RecordLog, Source, SystemClock, Topic,
    TopicSpec, keep, supervise,
};
use schemas::catalogue::{ROUNDS, TOPICS};
use schemas::contract::{AuthorizeRequest, AuthorizeResponse, HoldDecision, RowStatus};
use schemas::facts;
use schemas::outgoing::Partitions;
use schemas::partners::{CurrencyLimits, Profile, StateCalls};
use schemas::rounds::Outcome;
use serde_json::Value;
use signing::SecretKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const DESK: &str = "desk-key-of-the-operator";
pub(crate) const NIGHT: &str = "night-key-of-the-operator";
/// Stakes that the toy wallet declines, and those to which it says nothing.
pub(crate) const DECLINED: i64 = 666;
pub(crate) const SILENT: i64 = 777;
/// The player of bet-maker.
pub(crate) const BETTER: &str = "bet-maker";

pub(crate) struct House {
    pub(crate) router: Router,
    pub(super) state: ApiState<Embedded>,
    simple: Simple,
    /// What corrections are shown to change.
    pub(crate) shows: Arc<Shows>,
    shutdown: CancellationToken,
    _data: TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What the simple APIs need beside the state.
#[derive(Clone)]
pub(crate) struct Simple {
    /// Whether line-provider is open to anybody.
    pub(crate) open: bool,
    /// What bet-maker lists; `None` if nobody bets here.
    pub(crate) book: Option<Handle<Book>>,
}

impl Simple {
    fn router(&self, state: &ApiState<Embedded>) -> Router {
        let offers = match state.line {
            Some(_) => {
                let api = state.clone();
                line_provider::router(LineProvider { api, open: self.open }, false)
            }
            None => line_provider::absent(),
        };
        let bets = match (self.book.clone(), state.placing.clone()) {
            (Some(book), Some(placing)) => {
                let better = BetMaker {
                    book,
                    placing,
                    partner: "acme".parse().unwrap(),
                    player: BETTER.parse().unwrap(),
                    currency: "EUR".parse().unwrap(),
                    session: Arc::new(|_| SessionToken::new(token("acme", BETTER))),
                    now: Arc::clone(&state.now),
                    version: state.version,
                };
                bet_maker::router(better, false)
            }
            (_, _) => bet_maker::absent(),
        };
        offers.merge(bets)
    }
}

/// An answer: status, headers, body.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

pub(crate) fn key(partner: &str) -> SigningKey {
    SigningKey::from_bytes(&if partner == "acme" { [7; 32] } else { [8; 32] })
}

/// A token of `player` that expires `life_s` from now.
pub(crate) fn token_for(partner: &str, player: &str, life_s: i64) -> String {
    let now_s = SystemClock.now() / 1_000;
    let claims = Claims {
        iss: partner.to_owned(),
        sub: player.to_owned(),
        aud: Audience::One(AUDIENCE.to_owned()),
        iat: now_s - 60,
        exp: now_s + life_s,
        nbf: None,
        cur: None,
    };
    issue(&key(partner), &claims)
}

pub(crate) fn token(partner: &str, player: &str) -> String {
    token_for(partner, player, 600)
}

impl House {
    pub(crate) fn new() -> Self {
        Self::by(SystemClock)
    }

    /// A house whose log and API go by this clock.
    pub(crate) fn by(clock: impl Clock) -> Self {
        let data = tempfile::tempdir().unwrap();
        let topics = TOPICS.iter().map(|topic| TopicSpec {
            topic: Topic(topic.name),
            partitions: topic.partitions_embedded,
            kept_forever: topic.forever,
            compacted: !topic.money,
        });
        let catalogue = Catalogue::new(topics, facts::KINDS.iter().copied());
        let options = Options { reserve_bytes: 0, ..Options::new(data.path()) };
        let engine = Embedded::open(&options, catalogue, clock.clone()).unwrap();
        let shutdown = CancellationToken::new();
        herald(&engine, &shutdown);
        for partition in 0..Partitions::EMBEDDED.lanes {
            tokio::spawn(settle(engine.clone(), partition));
        }
        draw(&engine, &shutdown);
        let shows = Arc::new(Shows::default());
        let corrections: Arc<dyn Corrections> = shows.clone();
        let simple = Simple { open: true, book: Some(book(&engine, &shutdown)) };
        let state = ApiState {
            line: Some(line(&engine, &shutdown)),
            placing: Some(placing(&engine, &shutdown)),
            histories: true,
            engine,
            operators: InForce::new(operators()),
            corrections,
            replays: shows.clone(),
            partners: partners(),
            partitions: Partitions::EMBEDDED,
            rules_version: 1,
            grace_ms: 20,
            now: Arc::new(move || clock.now()),
            metrics: Metrics::default(),
            checks: Arc::new(|| {
                let wrong = Some("is being read".to_owned());
                vec![Check { name: "log", wrong: None }, Check { name: "line", wrong }]
            }),
            version: "1.2.3",
        };
        let router = router(state.clone(), simple.router(&state));
        Self { router, state, simple, shows, shutdown, _data: data }
    }

    /// Keeps histories from now on.
    pub(crate) fn keep_histories(&self) {
        let [topic, also @ ..] = history::TOPICS.map(Topic);
        tokio::spawn(supervise(
            self.state.engine.clone(),
            Job { group: "history", topic, also: also.to_vec() },
            |_, positions| History::new(positions, Partitions::EMBEDDED),
            Arc::new(NoCalls),
            Handles::default(),
            SystemClock,
            self.shutdown.clone(),
        ));
    }

    /// Writes what a part says that is not in this house.
    pub(crate) async fn write(&self, records: Vec<Append>) {
        self.state.engine.append(records).await.unwrap();
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.state.metrics.clone()
    }

    /// Answers from now on as another process over the same log does.
    pub(crate) fn answer_as(&mut self, change: impl FnOnce(&mut ApiState<Embedded>)) {
        let mut state = self.state.clone();
        change(&mut state);
        let simple = self.simple.router(&state);
        self.router = router(state, simple);
    }

    /// The same with another choice of simple APIs.
    pub(crate) fn offer(&mut self, change: impl FnOnce(&mut Simple)) {
        change(&mut self.simple);
        self.answer_as(|_| {});
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Told {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Told { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn call(&self, line: &str, bearer: &str, body: &str) -> Told {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {bearer}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// Replaces the operators by these, with their keys, who may do everything.
    pub(crate) fn operated_by(&self, operators: &[(&str, &str)]) {
        let owned = |(name, key): &(&str, &str)| ((*name).to_owned(), (*key).to_owned());
        self.state.operators.replace(Operators::new(operators.iter().map(owned)).unwrap());
    }

    /// What an operator says.
    pub(crate) async fn desk(&self, line: &str, body: &str) -> Told {
        self.call(line, DESK, body).await
    }

    /// Opens a round of the die that takes bets for `betting_ms`.
    pub(crate) async fn open(&self, round: &str, betting_ms: i64) {
        let body = format!(
            r#"{{"round_id":"{round}","game":"die","betting_ms":{betting_ms},
                "selections":[{{"id":"odd","odds":"2.50"}},{{"id":"even","odds":"1.60"}}]}}"#
        );
        let told = self.desk("POST /v1/rounds", &body).await;
        assert_eq!(told.status, 201, "{}", told.body);
    }

    /// Asks until `wanted` holds: for what another part of the house does in its own time.
    pub(crate) async fn until(
        &self,
        line: &str,
        bearer: &str,
        body: &str,
        wanted: impl Fn(&Told) -> bool,
    ) -> Told {
        for _ in 0..1_000 {
            let told = self.call(line, bearer, body).await;
            if wanted(&told) {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{line} never came to what was wanted");
    }
}

/// The key of somebody who may do this alone.
pub(crate) fn key_for(duty: Duty) -> String {
    format!("the key of {} and of nobody else", duty.name())
}

fn operators() -> Operators {
    let all: BTreeSet<Duty> = Duty::ALL.iter().copied().collect();
    let whole = [("desk", DESK), ("night", NIGHT)];
    let whole = whole.map(|(name, key)| (name.to_owned(), key.to_owned(), all.clone()));
    let single = Duty::ALL
        .iter()
        .map(|duty| (duty.name().to_owned(), key_for(*duty), BTreeSet::from([*duty])));
    Operators::with_duties(whole.into_iter().chain(single)).unwrap()
}

/// What a partner's replies are checked with.
pub(super) fn reply_key() -> String {
    partner_key("acme").verifying().public().unwrap()
}

/// What this house signs its messages to partners with.
pub(super) fn our_key() -> SecretKey {
    SecretKey::of_seed(&[5; 32])
}

/// What a partner signs its messages with.
pub(super) fn partner_key(partner: &str) -> SecretKey {
    SecretKey::of_seed(&if partner == "acme" { [9; 32] } else { [10; 32] })
}

fn partners() -> Partners {
    let secrets = Secrets { keys: vec![our_key()], ..Secrets::default() };
    let partners = Partners::new(secrets, Outbound::default());
    for partner in ["acme", "other"] {
        let profile = Profile {
            wallet_url: format!("https://{partner}"),
            token_key: URL_SAFE_NO_PAD.encode(key(partner).verifying_key()),
            reply_keys: vec![partner_key(partner).verifying().public().unwrap()],
            currencies: [("EUR".parse().unwrap(), CurrencyLimits::unlimited(2))].into(),
            calls_per_s: None,
            stakes_per_s: None,
            state_calls: StateCalls::default(),
        };
        partners.configure(partner.parse().unwrap(), profile).unwrap();
    }
    partners
}

fn herald(engine: &Embedded, shutdown: &CancellationToken) {
    let rules = RoundRules {
        check_opened: |opened, said_at| match opened.game.as_str() {
            _ if opened.closes_at <= said_at => Err("deadline_out_of_range"),
            "die" | "direct" | "two_way" => Ok(()),
            _ => Err("unknown_game"),
        },
        check_outcome: |_, _, outcome| match outcome {
            Outcome::Game(face) if face == "7" => Err("unknown_outcome"),
            Outcome::Game(_) | Outcome::Named { .. } | Outcome::Withdrawn | Outcome::Voided => {
                Ok(())
            }
        },
    };
    let job = Job { group: "herald", topic: Topic(ROUNDS), also: Vec::new() };
    let build = move |lease: runtime::Lease, positions: Vec<(Source, u64)>| {
        Herald::new(lease.source.partition, Partitions::EMBEDDED, rules, positions[0].1)
    };
    tokio::spawn(supervise(
        engine.clone(),
        job,
        build,
        Arc::new(NoCalls),
        Handles::default(),
        SystemClock,
        shutdown.clone(),
    ));
}

fn line(engine: &Embedded, shutdown: &CancellationToken) -> Handle<Line> {
    let (handle, requests) = Handle::channel();
    let log = engine.clone();
    let build = move || {
        let log = log.clone();
        async move { Ok(Line::new(LineOptions::read(&log, Partitions::EMBEDDED).await?)) }
    };
    let (engine, shutdown) = (engine.clone(), shutdown.clone());
    tokio::spawn(async move {
        keep(engine, build, Arc::new(NoCalls), requests, SystemClock, shutdown).await
    });
    handle
}

fn book(engine: &Embedded, shutdown: &CancellationToken) -> Handle<Book> {
    let (handle, requests) = Handle::channel();
    let log = engine.clone();
    let build = move || {
        let log = log.clone();
        async move {
            let (partner, player) = ("acme".parse().unwrap(), BETTER.parse().unwrap());
            Ok(Book::new(BookOptions::read(&log, Partitions::EMBEDDED, partner, player).await?))
        }
    };
    let (ends, engine, shutdown) = (Ends(engine.clone()), engine.clone(), shutdown.clone());
    tokio::spawn(async move {
        keep(engine, build, Arc::new(ends), requests, SystemClock, shutdown).await
    });
    handle
}

fn draw(engine: &Embedded, shutdown: &CancellationToken) {
    let (_, requests) = Handle::channel();
    let log = engine.clone();
    let build = move || {
        let log = log.clone();
        async move { Ok(Drawer::new(DrawOptions::read(&log, Partitions::EMBEDDED).await?)) }
    };
    let (engine, shutdown) = (engine.clone(), shutdown.clone());
    tokio::spawn(async move {
        keep(engine, build, Arc::new(Coin), requests, SystemClock, shutdown).await
    });
}

fn placing(engine: &Embedded, shutdown: &CancellationToken) -> Handle<Placing> {
    let (handle, requests) = Handle::channel();
    let log = engine.clone();
    let build = move || {
        let log = log.clone();
        async move {
            let entry = PartnerEntry {
                currencies: BTreeMap::from([(
                    "EUR".parse().unwrap(),
                    CurrencyLimits::unlimited(2),
                )]),
                ..PartnerEntry::default()
            };
            let partitions = Partitions::EMBEDDED;
            Ok(Placing::new(PlacingOptions {
                partitions,
                tails: Tail::all(&log, rounds(partitions).chain(decisions(partitions))).await?,
                partners: BTreeMap::from([("acme".parse().unwrap(), entry)]),
                limits: Limits { answer_within_ms: 300, ..Limits::STANDARD },
            }))
        }
    };
    let (engine, shutdown) = (engine.clone(), shutdown.clone());
    tokio::spawn(async move {
        keep(engine, build, Arc::new(Wallet), requests, SystemClock, shutdown).await
    });
    handle
}

struct Wallet;

impl Caller<Placing> for Wallet {
    async fn call(&self, call: AuthorizeCall) -> HoldReply {
        let asked: AuthorizeRequest = serde_json::from_slice(&call.body).unwrap();
        let units: i64 = asked.stake.units.parse().unwrap();
        if units == SILENT {
            return HoldReply::Nothing { why: "silent".to_owned() };
        }
        let declined = units == DECLINED;
        let answer = AuthorizeResponse {
            message_id: asked.message_id,
            bet_id: asked.bet_id,
            revision: 1,
            decision: Some(if declined { HoldDecision::Declined } else { HoldDecision::Approved }),
            status: if declined { RowStatus::Declined } else { RowStatus::Held },
            code: declined.then(|| "insufficient_funds".to_owned()),
            player_message: None,
            replayed: false,
            partner_ref: None,
            processed_at: None,
            balance: None,
        };
        HoldReply::Http { status: 200, body: serde_json::to_vec(&answer).unwrap().into() }
    }
}
