use super::house::{DECLINED, House, SILENT, token};
use crate::bet_view::{self, Standing};
use crate::http::bets::read;
use runtime::{EngineError, Fact, FactStore, Scope};
use schemas::bets::Bet;
use schemas::decisions::{Decision, Verdict};
use schemas::wire::TallyRecord;
use schemas::{BetId, Money, Odds, outgoing};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn place(client_ref: &str, units: i64, odds: &str) -> String {
    json!({
        "client_ref": client_ref, "round_id": "r1", "selection": "odd", "odds": odds,
        "stake": { "units": units.to_string(), "currency": "EUR", "exponent": 2 },
    })
    .to_string()
}

fn bet_id(partner: &str, player: &str, client_ref: &str) -> String {
    let of = |text: &str| text.parse().unwrap();
    BetId::of(&of_round(), &partner.parse().unwrap(), &player.parse().unwrap(), &of(client_ref))
        .to_string()
}

fn of_round() -> schemas::RoundId {
    "r1".parse().unwrap()
}

#[tokio::test]
async fn placing() {
    let house = House::new();
    house.open("r1", 60_000).await;
    let me = token("acme", "p_9");
    // Bet placing reads the round's verdict in its own time.
    let post = "POST /v1/bets";
    house.until(post, &me, &place("first", 100, "2.50"), |told| told.status == 201).await;
    let told = house.call(post, &me, &place("c1", 1_250, "2.50")).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let id = bet_id("acme", "p_9", "c1");
    assert_eq!(told.body["bet_id"], json!(id));
    assert_eq!((&told.body["status"], &told.body["final"]), (&json!("accepted"), &json!(true)));
    assert_eq!(told.body["stake"], json!({"units":"1250","currency":"EUR","exponent":2}));
    assert_eq!(told.headers["location"], format!("/v1/bets/{id}"));
    let again = house.call(post, &me, &place("c1", 1_250, "2.50")).await;
    assert_eq!((again.status, again.body), (told.status, told.body));

    for (client_ref, units, odds, status, code, last) in [
        ("c1", 1_251, "2.50", 409, "reference_reused", false),
        ("c2", DECLINED, "2.50", 422, "bet_rejected", true),
        ("c3", 100, "2.51", 409, "odds_changed", false),
    ] {
        let told = house.call(post, &me, &place(client_ref, units, odds)).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{client_ref}");
        assert_eq!(told.body["final"], last, "{client_ref}");
        assert_eq!(told.body["bet"]["bet_id"], json!(bet_id("acme", "p_9", client_ref)));
    }
    let told = house.call(post, &me, &place("c2", DECLINED, "2.50")).await;
    assert_eq!(told.body["bet"]["decline_code"], "insufficient_funds");
    let told = house.call(post, &me, &place("c4", SILENT, "2.50")).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (202, &json!("pending")));
    assert_eq!(told.headers["location"], format!("/v1/bets/{}", bet_id("acme", "p_9", "c4")));
    let other = house.call(post, &token("other", "p_9"), &place("c1", 100, "2.50")).await;
    assert_eq!((other.status.as_u16(), other.code()), (403, "partner_unknown"));
    let nowhere = place("c1", 100, "2.50").replace("r1", "r2");
    let told = house.call(post, &me, &nowhere).await;
    assert_eq!((told.status.as_u16(), told.code()), (422, "round_unknown"));
    assert_eq!(told.body["final"], false);
}

#[tokio::test]
async fn looking_and_taking_back() {
    let house = House::new();
    house.open("r1", 60_000).await;
    let me = token("acme", "p_9");
    let post = "POST /v1/bets";
    house.until(post, &me, &place("c1", 100, "2.50"), |told| told.status == 201).await;
    house.call(post, &me, &place("c2", 100, "2.50")).await;
    house.call(post, &me, &place("c4", SILENT, "2.50")).await;
    let get = |client_ref: &str| format!("GET /v1/bets/{}", bet_id("acme", "p_9", client_ref));
    let cancel =
        |client_ref: &str| format!("POST /v1/bets/{}/cancel", bet_id("acme", "p_9", client_ref));
    let told = house.call(&get("c1"), &me, "").await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (200, &json!("accepted")));
    let said: Vec<&Value> =
        told.body["timeline"].as_array().unwrap().iter().map(|moment| &moment["said"]).collect();
    assert_eq!(said, [&json!("placed"), &json!("accepted")]);
    for unknown in ["c4", "never-sent"] {
        let told = house.call(&get(unknown), &me, "").await;
        assert_eq!((told.status.as_u16(), &told.body["status"]), (200, &json!("pending")));
        assert_eq!(told.body["final"], false);
    }

    // Somebody else sees of it what he would see of no bet at all.
    for stranger in [token("acme", "p_8"), token("other", "p_9")] {
        for (line, body) in
            [(get("c1"), ""), (cancel("c1"), ""), (cancel("c1"), r#"{"client_ref":"c1"}"#)]
        {
            let (real, none) = (
                line.clone(),
                line.replace(&bet_id("acme", "p_9", "c1"), &bet_id("acme", "p_9", "no")),
            );
            let (real, none) = (
                house.call(&real, &stranger, body).await,
                house.call(&none, &stranger, body).await,
            );
            let masked = |told: &Value, id: &str| told.to_string().replace(id, "ID");
            assert_eq!(real.status, none.status, "{line} {body}");
            assert_eq!(
                masked(&real.body, &bet_id("acme", "p_9", "c1")),
                masked(&none.body, &bet_id("acme", "p_9", "no")),
            );
        }
    }
    assert_eq!(house.call(&get("c1"), &me, "").await.body["status"], "accepted");

    // A bet without a decision is cancelled by who can name it.
    let told = house.call(&cancel("c4"), &me, "").await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "bet_pending"));
    let told = house.call(&cancel("c4"), &me, r#"{"client_ref":"c4"}"#).await;
    assert_eq!((told.status.as_u16(), &told.body["status"]), (200, &json!("cancelled")));
    let told = house.call(&cancel("c2"), &me, r#"{"request_id":"undo"}"#).await;
    assert_eq!((told.status.as_u16(), &told.body["cancelled_by"]), (200, &json!("undo")));
    let again = house.call(&cancel("c2"), &me, r#"{"request_id":"undo"}"#).await;
    assert_eq!((again.status, again.body), (told.status, told.body));
    assert_eq!(house.call(post, &me, &place("c2", 100, "2.50")).await.body["status"], "cancelled");

    // Behind the cut-off.
    house.desk("POST /v1/rounds/r1/result?wait=true", r#"{"replaces":0,"outcome":"3"}"#).await;
    let told = house.until(&get("never-sent"), &me, "", |told| told.status == 404).await;
    assert_eq!((told.code(), &told.body["final"]), ("bet_unknown", &json!(true)));
    let told = house.call(&cancel("c1"), &me, "").await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "cancel_refused"), "{}", told.body);
    let told = house.call(post, &me, &place("c9", 100, "2.50")).await;
    assert_eq!((told.status.as_u16(), &told.body["final"]), (409, &json!(false)));
    let closed = |told: &super::house::Told| {
        let timeline = told.body["timeline"].as_array().unwrap();
        timeline.last().is_some_and(|moment| moment["version"] == json!(1))
    };
    let told = house.until(&get("c1"), &me, "", closed).await;
    assert_eq!(told.body["timeline"][2]["said"], "closed");
    assert_eq!(told.body["timeline"][3]["result"], json!({"kind":"result","outcome":"3"}));
}

/// A store in which `facts` are written right behind the first read.
#[derive(Clone)]
struct Racing {
    facts: Vec<Fact>,
    reads: Arc<AtomicUsize>,
}

impl FactStore for Racing {
    async fn scan(&self, _: Scope) -> Result<Vec<Fact>, EngineError> {
        Err(EngineError::Closed)
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        if self.reads.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(Vec::new());
        }
        let asked = |fact: &&Fact| {
            fact.key.scope == scope && fact.key.lane == lane && fact.key.subject == subject
        };
        Ok(self.facts.iter().filter(asked).cloned().collect())
    }
}

/// R13: the tally is read before the decision. The other way round a decision that lands between the
/// two reads would be told as `never`.
#[tokio::test]
async fn a_decision_that_lands_between_the_reads_is_not_called_never() {
    let bet = Bet {
        id: bet_id("acme", "p_9", "c1").parse().unwrap(),
        partner: "acme".parse().unwrap(),
        player: "p_9".parse().unwrap(),
        client_ref: "c1".parse().unwrap(),
        selection: "odd".parse().unwrap(),
        stake: Money::new(100, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: 1,
    };
    let (verdict, intent_at) = (Verdict::Accepted, Some(1));
    let decision = Decision { bet: bet.clone(), verdict, at: 2, intent_at, caused_at: 2 };
    let tally = TallyRecord { round_id: "r1".to_owned(), ..TallyRecord::default() };
    let facts = [
        outgoing::decision_fact(&decision, 0).unwrap(),
        outgoing::tally_fact(&tally, 0, 3).unwrap(),
    ];
    let facts = facts.into_iter().map(|row| Fact::from(row.into_parts())).collect();
    let store = Racing { facts, reads: Arc::default() };
    let found = read(&store, 0, &bet.id, &bet.partner).await.unwrap();
    let view = bet_view::tell(&found, &bet.player).unwrap();
    assert!(matches!(view.standing, Standing::Decided(_)), "{:?}", view.standing);
}
