//! What a partner asks of us while rounds are played, signed both ways: from events alone it knows what its own
//! rows say and what closes said.

use crate::histories::caught_up;
use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean, movements};
use http::{HeaderName, HeaderValue, Method};
use partner_kit::faults::FaultSettings;
use roundhouse::audit::books::Books;
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::{PartnerKey, platform};
use roundhouse::rig::players::Wager;
use runtime::SystemClock;
use runtime::http::{HttpOptions, Message, Outbound, PeerClient, PeerKeys, Peers};
use schemas::contract::{CloseDigest, RowStatus, StateItem, TargetBody, get_id, post_id};
use schemas::settlements::Target;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(
    a_partner_knows_its_books_from_what_it_asks,
    what_a_player_has_spent_is_a_shortfall_that_both_sides_know,
);

/// Bets of each round.
const BETS: usize = 60;
const ROUNDS: [&str; 2] = ["corrected", "void"];
const LOOK_PERIOD: Duration = Duration::from_millis(100);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const HTTP: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(5),
    idle_max: Duration::from_secs(5),
    idle_connections_max: 2,
};

/// A partner that asks.
pub(crate) struct Partner {
    name: String,
    us: Peers<&'static str>,
    client: PeerClient,
    /// Where its events go on, and those that it has read.
    next: Option<String>,
    read: Vec<StateItem>,
}

impl Partner {
    pub(crate) fn new<E: Ground>(
        name: &str,
        key: &PartnerKey,
        outbound: Outbound,
        house: &House<E>,
    ) -> Self {
        let us = Peers::new(outbound);
        let theirs = vec![platform(OPERATOR_KEY).verifying()];
        let keys = PeerKeys { ours: vec![key.replies()], theirs };
        us.set("us", &format!("http://{}", house.running.address), keys).unwrap();
        let client = us.client(HTTP);
        Self { name: name.to_owned(), us, client, next: None, read: Vec::new() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let partner = HeaderValue::from_str(&self.name).unwrap();
        let body = body.map(|body| body.to_string());
        let id = match &body {
            Some(body) => post_id(&self.name, path, body.as_bytes()),
            None => get_id(&self.name, path),
        };
        let message = Message {
            id: &id,
            method,
            path,
            route: "",
            headers: &[(HeaderName::from_static("partner-id"), partner)],
            body: body.map(Into::into),
        };
        let call =
            self.us.call(&self.client, &"us", message, WAIT_MAX, ANSWER_BYTES_MAX, &SystemClock);
        let answer = call.await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// What is answered, signed by the platform as the answer to this.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, told) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {told}");
        told
    }

    /// Asks to be told again, until it is not too soon; how many bets are.
    async fn told_again(&self, what: Value) -> u64 {
        let begun = Instant::now();
        loop {
            let path = "/partner/v1/replay";
            let (status, told) = self.ask(Method::POST, path, Some(what.clone())).await;
            if status == 202 {
                assert_eq!(told["owed"], 0, "{told}");
                return told["told_again"].as_u64().unwrap();
            }
            assert!(status == 503 && begun.elapsed() < WAIT_MAX, "{status}: {told}");
            sleep(LOOK_PERIOD).await;
        }
    }

    /// Reads on to the end as it is now.
    async fn read_on(&mut self) {
        loop {
            let after = self.next.as_ref().map(|next| format!("&after={next}")).unwrap_or_default();
            let page = self.get(&format!("/partner/v1/events?limit=17{after}")).await;
            let items =
                page["events"].as_array().unwrap().iter().map(|event| event["item"].clone());
            self.read.extend(items.map(|item| serde_json::from_value::<StateItem>(item).unwrap()));
            self.next = Some(page["next"].as_str().unwrap().to_owned());
            if page["more"] == false {
                return;
            }
        }
    }

    /// The register as events alone make it: the newest revision of each bet.
    fn register(&self) -> BTreeMap<String, &StateItem> {
        let mut register: BTreeMap<String, &StateItem> = BTreeMap::new();
        for item in &self.read {
            assert_eq!(item.partner_id, self.name);
            let row = register.entry(item.bet_id.clone()).or_insert(item);
            if row.revision == item.revision {
                assert_eq!(*row, item, "a revision never has two contents");
            } else if row.revision < item.revision {
                *row = item;
            }
        }
        register
    }

    /// The statement of a round once a close is agreed that says the same, with all its rows.
    async fn agreed(&self, round: &str) -> (Value, Vec<Value>) {
        let path = format!("/partner/v1/rounds/{round}/statement?limit=11");
        let begun = Instant::now();
        let mut page = loop {
            let page = self.get(&path).await;
            if page["whole"]["agreed"] == true {
                break page;
            }
            assert!(
                begun.elapsed() < WAIT_MAX,
                "{} of {round} never agreed: {}",
                self.name,
                page["whole"]
            );
            sleep(LOOK_PERIOD).await;
        };
        let (whole, mut rows) = (page["whole"].clone(), Vec::new());
        loop {
            rows.extend(page["rows"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return (whole, rows) };
            page = self.get(&format!("{path}&after={next}")).await;
        }
    }

    /// What the days of these movements changed for the players, in minor units.
    async fn days(&self, days: &BTreeSet<String>) -> i128 {
        let mut change = 0;
        for day in days {
            let path = format!("/partner/v1/statements/{day}");
            let mut part = self.get(&path).await;
            loop {
                for total in part["totals"].as_array().unwrap() {
                    assert_eq!(total["not_final"], 0, "{total}");
                    change += total["change"].as_str().unwrap().parse::<i128>().unwrap();
                }
                let Some(next) = part["next"].as_str() else { break };
                part = self.get(&format!("{path}?after={next}")).await;
            }
        }
        change
    }
}

fn day(at_ms: i64) -> String {
    schemas::contract::timestamp(at_ms)[..10].to_owned()
}

async fn a_partner_knows_its_books_from_what_it_asks<E: Ground>() {
    let mut street = Street::on::<E>(2, 92, &[]).await;
    street.config.reconciler.close_after_s = 0;
    let house = House::<E>::open(&street.config).await;
    let outbound = street.config.wallets.outbound().unwrap();
    let new =
        |(name, key): (&String, &PartnerKey)| Partner::new(name, key, outbound.clone(), &house);
    let mut partners: Vec<Partner> = street.keys.iter().map(new).collect();
    let now = || runtime::Clock::now(&SystemClock);
    let mut days = BTreeSet::from([day(now())]);
    street.faults(FaultSettings { decline_rate: 200, ..FaultSettings::NONE }).await;
    let mut wagers = street.wagers("corrected", BETS, 1);
    wagers.iter_mut().step_by(7).for_each(|wager: &mut Wager| wager.cancel = true);
    house.bet("corrected", wagers).await;
    street.faults(FaultSettings::NONE).await;
    house.api.result("corrected", "3").await.unwrap();
    // Read while it is written.
    for partner in &mut partners {
        partner.read_on().await;
    }
    house.settled().await;
    house.api.correct("corrected", 1, "4").await.unwrap();
    for partner in &mut partners {
        partner.read_on().await;
    }
    house.bet("void", street.wagers("void", BETS, 2)).await;
    house.api.void("void", 0).await.unwrap();
    house.settled().await;
    caught_up(house.running.engine()).await;
    days.insert(day(now()));

    let (mut statements, mut changes) = (BTreeMap::new(), BTreeMap::new());
    for partner in &mut partners {
        partner.read_on().await;
        let (from_the_first, read) = (std::mem::take(&mut partner.read), partner.next.take());
        partner.read_on().await;
        assert_eq!(from_the_first, partner.read, "read at once or bit by bit");
        assert_eq!(read, partner.next);
        for round in ROUNDS {
            statements.insert((partner.name.clone(), round), partner.agreed(round).await);
        }
        changes.insert(partner.name.clone(), partner.days(&days).await);
        bets_agree(partner).await;
    }
    for partner in &mut partners {
        again(partner, &house).await;
    }
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    for partner in &partners {
        rows_agree(partner, &books);
        for round in ROUNDS {
            statement_agrees(partner, round, &statements[&(partner.name.clone(), round)]);
        }
        let moved = movements(&books).filter(|movement| movement.partner == partner.name);
        let moved: i128 = moved.map(|movement| i128::from(movement.moved)).sum();
        assert_eq!(changes[&partner.name], moved, "{}", partner.name);
    }
}

/// Players spend what they won before it is taken back, at a wallet that takes no more than there is.
async fn what_a_player_has_spent_is_a_shortfall_that_both_sides_know<E: Ground>() {
    let mut street = Street::on::<E>(1, 94, &["--claw-back", "collect-available"]).await;
    street.config.reconciler.close_after_s = 0;
    let house = House::<E>::open(&street.config).await;
    let outbound = street.config.wallets.outbound().unwrap();
    let partner = Partner::new("p01", &street.keys["p01"], outbound, &house);
    let mut wagers = street.wagers("corrected", BETS, 3);
    wagers.iter_mut().for_each(|wager| wager.cancel = false);
    house.bet("corrected", wagers).await;
    house.api.result("corrected", "3").await.unwrap();
    house.settled().await;
    let wallet = Api::new(street.wallets.urls["p01"].clone(), String::new());
    for number in 0..10 {
        let (player, path) =
            (format!("player-{number}"), format!("/players?player=player-{number}"));
        let has = wallet.call(Method::GET, &path, "", None).await.unwrap().body["balance"].clone();
        let Some(units) = has["units"].as_str() else { continue };
        let mut deposit = has.clone();
        deposit["units"] = json!(format!("-{units}"));
        let spent = json!({"player": player, "deposit": deposit});
        let told = wallet.call(Method::POST, "/players", "", Some(&spent)).await.unwrap();
        assert_eq!(told.body["balance"]["units"], "0", "{}", told.body);
    }
    house.api.correct("corrected", 1, "4").await.unwrap();
    house.settled().await;
    caught_up(house.running.engine()).await;
    let told = loop {
        let (whole, _) = partner.agreed("corrected").await;
        if whole["result_version"] == 2 {
            break whole["shortfalls"].clone();
        }
        sleep(LOOK_PERIOD).await;
    };
    house.close().await;
    let (books, report) = clean::<E>(&street).await;
    let newest = movements(&books).filter(|movement| movement.revision == 4);
    let short: i64 = newest.map(|movement| movement.shortfall).sum();
    assert!(0 < short, "nobody had spent anything");
    assert_eq!(told, json!([{"units": short.to_string(), "currency": "EUR", "exponent": 2}]));
    let total = report.totals.values().next().unwrap();
    let moved: i128 = movements(&books).map(|movement| i128::from(movement.moved)).sum();
    assert_eq!((total.difference, total.moved), (0, moved - i128::from(short)));
}

/// A partner asks for a round again, for a bet, and for all of its day: each comes once more, as it was.
async fn again<E: Ground>(partner: &mut Partner, house: &House<E>) {
    let told = |partner: &Partner| partner.register().into_values().cloned().collect::<Vec<_>>();
    let (before, read) = (told(partner), partner.read.len());
    let of_round = before.iter().filter(|item| item.round_id == "corrected").count();
    let (one, day) = (before[0].bet_id.clone(), day(runtime::Clock::now(&SystemClock)));
    let counts = [
        partner.told_again(json!({"round_id": "corrected"})).await,
        partner.told_again(json!({"bet_ids": [one]})).await,
        partner
            .told_again(
                json!({"from": format!("{day}T00:00:00Z"), "to": format!("{day}T23:59:59.999Z")}),
            )
            .await,
    ];
    assert_eq!(counts[..2], [u64::try_from(of_round).unwrap(), 1]);
    house.settled().await;
    partner.read_on().await;
    let more = u64::try_from(partner.read.len() - read).unwrap();
    assert_eq!((counts.iter().sum::<u64>(), told(partner)), (more, before));
}

/// The newest revision of a bet that was corrected, and of one that was not, is what events say.
async fn bets_agree(partner: &Partner) {
    let register = partner.register();
    for revision in [2, 3, 4] {
        let (bet, item) = register.iter().find(|(_, item)| item.revision == revision).unwrap();
        let told = partner.get(&format!("/partner/v1/bets/{bet}")).await;
        let revisions = told["revisions"].as_array().unwrap();
        let newest = revisions.last().unwrap();
        assert_eq!((&newest["revision"], &newest["status"]), (&revision.into(), &"applied".into()));
        assert_eq!(newest["reason"], item.reason.as_str());
        assert_eq!(revisions.len(), if revision == 4 { 3 } else { 2 }, "{told}");
        assert!(1 <= newest["deliveries"][0]["attempts"].as_u64().unwrap(), "{newest}");
    }
}

/// Every row of the wallet is what events say, and events name no other bet.
fn rows_agree(partner: &Partner, books: &Books) {
    let mut rows = BTreeMap::new();
    for movement in movements(books).filter(|movement| movement.partner == partner.name) {
        let row = rows.entry(movement.bet.clone()).or_insert(movement);
        if row.revision <= movement.revision {
            *row = movement;
        }
    }
    let register = partner.register();
    assert_eq!(register.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>());
    let mut targets = BTreeSet::new();
    for (bet, item) in register {
        let row = rows[&bet];
        let target = match (item.target, &item.payout) {
            (TargetBody::Held, None) => Target::Held,
            (TargetBody::Voided, None) => Target::Voided,
            (TargetBody::Settled, Some(payout)) => Target::Settled(payout.units.parse().unwrap()),
            _ => panic!("{item:?}"),
        };
        targets.insert((item.revision, matches!(target, Target::Voided)));
        assert_eq!((item.revision, Some(target)), (row.revision, row.target), "{bet}");
    }
    let wanted = [(2, true), (3, false), (3, true), (4, false)];
    assert_eq!(targets, wanted.into(), "one of each was played");
}

/// The digest that both sides agreed on, and the rows, are what events say.
fn statement_agrees(partner: &Partner, round: &str, (whole, rows): &(Value, Vec<Value>)) {
    let mut digest = CloseDigest::new();
    let register = partner.register();
    let of_round = register.iter().filter(|(_, item)| item.round_id == round);
    let mut told = rows.iter();
    for (bet, item) in of_round {
        let units = |money: &schemas::contract::MoneyBody| money.units.parse::<i64>().unwrap();
        let payout = item.payout.as_ref().map_or(0, units);
        let status = match item.target {
            TargetBody::Held => RowStatus::Held,
            TargetBody::Settled => RowStatus::Settled,
            TargetBody::Voided => RowStatus::Voided,
        };
        if 3 <= item.revision {
            digest.row(bet, item.revision, status, units(&item.stake), payout);
        }
        let row = told.next().unwrap();
        assert_eq!(
            (&row["bet_id"], &row["revision"]),
            (&bet.as_str().into(), &item.revision.into())
        );
        assert_eq!(
            (&row["status"], &row["delivery"]),
            (&status.as_str().into(), &"applied".into())
        );
    }
    assert_eq!(told.next(), None);
    assert_eq!(whole["digest"], digest.finish(), "{} of {round}: {whole}", partner.name);
    assert_eq!(whole["result_version"], if round == "corrected" { 2 } else { 1 });
    assert_eq!((&whole["not_final"], &whole["open_holds"]), (&0.into(), &0.into()));
}
