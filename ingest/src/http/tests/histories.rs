//! Histories over HTTP: a settler's and a dispatcher's words are written here by hand.

use super::house::{DECLINED, DESK, House, Told, token};
use runtime::{Append, Clock, SystemClock};
use schemas::bets::Bet;
use schemas::contract::timestamp;
use schemas::outgoing::{self, Partitions, SettlementTopic};
use schemas::settlements::{Reason, Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{BetId, Money, Odds};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MINE: &str = "GET /v1/bets";
const ASKED: &str = "GET /v1/partners/acme/transactions";

fn bet(player: &str, round: &str, client_ref: &str) -> Bet {
    let (partner, player) = ("acme".parse().unwrap(), player.parse().unwrap());
    let (round, client_ref) = (round.parse().unwrap(), client_ref.parse().unwrap());
    Bet {
        id: BetId::of(&round, &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "odd".parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        odds: Odds::new(250).unwrap(),
        rules_version: 1,
        placed_at: 0,
    }
}

fn settled(bet: &Bet, revision: u32, target: Target) -> Append {
    let reason = if revision == 3 { Reason::Result } else { Reason::ResultCorrected };
    let now = SystemClock.now();
    let said = Settlement::of(bet, revision, Target::Held, target, reason, now);
    let partition = Partitions::EMBEDDED.of_partner(&bet.partner);
    outgoing::settlement(&said, SettlementTopic::Settlements, partition)
        .unwrap()
        .into_parts()
        .into()
}

fn applied(bet: &Bet, revision: u32) -> Append {
    let record = DeliveryRecord {
        bet_id: bet.id.to_string(),
        revision: i64::from(revision),
        round_id: bet.id.round_str().to_owned(),
        partner_id: bet.partner.to_string(),
        ledger_epoch: "e1".to_owned(),
        outcome: DeliveryOutcome::Applied,
        ..DeliveryRecord::default()
    };
    let partition = Partitions::EMBEDDED.of_partner(&bet.partner);
    outgoing::delivery(&record.identified(), partition).unwrap().into_parts().into()
}

/// A house with rounds, of which `r1` and `r2` take bets.
async fn house() -> House {
    let house = House::new();
    for round in ["r1", "r2"] {
        house.open(round, 60_000).await;
    }
    house
}

async fn place(house: &House, player: &str, round: &str, client_ref: &str, units: i64) -> Told {
    let body = json!({
        "client_ref": client_ref, "round_id": round, "selection": "odd", "odds": "2.50",
        "stake": { "units": units.to_string(), "currency": "EUR", "exponent": 2 },
    });
    let taken = |told: &Told| told.code() != "round_unknown" && told.code() != "not_betting";
    house.until("POST /v1/bets", &token("acme", player), &body.to_string(), taken).await
}

async fn mine(house: &House, player: &str, query: &str) -> Told {
    house.call(&format!("{MINE}{query}"), &token("acme", player), "").await
}

fn refs(told: &Told) -> Vec<&str> {
    let bets = told.body["bets"].as_array().unwrap_or_else(|| panic!("{}", told.body));
    bets.iter().map(|bet| bet["client_ref"].as_str().unwrap()).collect()
}

/// The query of the next page, as the `Link` header has it.
fn next(told: &Told) -> Option<String> {
    let link = told.headers.get("link")?.to_str().unwrap();
    let (address, relation) = link.split_once(">; ").unwrap();
    assert_eq!(relation, "rel=\"next\"");
    Some(format!("?{}", address.split_once('?').unwrap().1))
}

/// No history is kept here: what was answered is shown all the same.
#[tokio::test]
async fn an_answered_bet_is_in_the_list_at_once() {
    let house = house().await;
    assert_eq!(mine(&house, "p_9", "").await.body, json!({ "bets": [] }));
    assert_eq!(place(&house, "p_9", "r1", "c1", 1_000).await.status, 201);
    assert_eq!(place(&house, "p_9", "r1", "c2", DECLINED).await.status, 422);
    assert_eq!(place(&house, "p_8", "r1", "c1", 1_000).await.status, 201);
    let told = mine(&house, "p_9", "").await;
    assert_eq!(refs(&told), ["c2", "c1"], "newest first, and nobody else's");
    let [declined, accepted] = [&told.body["bets"][0], &told.body["bets"][1]];
    assert_eq!(
        (&declined["status"], &declined["reason"]),
        (&json!("rejected"), &json!("declined"))
    );
    assert_eq!(declined["decline_code"], "insufficient_funds");
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(accepted["stake"], json!({ "units": "1000", "currency": "EUR", "exponent": 2 }));
    assert_eq!(accepted.get("payout"), None);
    // The projection holds the same, and each is shown once.
    house.keep_histories();
    let listed =
        |told: &Told| told.body["transactions"].as_array().is_some_and(|all| all.len() == 3);
    house.until(ASKED, DESK, "", listed).await;
    assert_eq!(mine(&house, "p_9", "").await.body, told.body);
}

#[tokio::test]
async fn a_correction_is_shown_with_both_results() {
    let house = house().await;
    house.keep_histories();
    place(&house, "p_9", "r1", "c1", 1_000).await;
    let bet = bet("p_9", "r1", "c1");
    house.write(vec![settled(&bet, 3, Target::Settled(2_500)), applied(&bet, 3)]).await;
    let me = token("acme", "p_9");
    let status =
        |wanted: &'static str| move |told: &Told| told.body["bets"][0]["status"] == json!(wanted);
    house.until(MINE, &me, "", status("won")).await;
    house.write(vec![settled(&bet, 4, Target::Settled(0)), applied(&bet, 4)]).await;
    let told = house.until(MINE, &me, "", status("lost")).await;
    let found = &told.body["bets"][0];
    assert_eq!(found["payout"]["units"], "0");
    let results: Vec<[&Value; 4]> = found["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| ["version", "status", "reason"].map(|field| &result[field]))
        .zip(found["results"].as_array().unwrap())
        .map(|([version, status, reason], result)| {
            [version, status, reason, &result["payout"]["units"]]
        })
        .collect();
    let wanted = [
        [&json!(1), &json!("won"), &json!("result"), &json!("2500")],
        [&json!(2), &json!("lost"), &json!("result_corrected"), &json!("0")],
    ];
    assert_eq!(results, wanted);

    // The partner's side of the same.
    let answered = |told: &Told| told.body["transactions"][0]["status"] == json!("applied");
    let told = house.until(ASKED, DESK, "", answered).await;
    let movements: Vec<_> = told.body["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (line["revision"].as_u64(), line["status"].as_str(), line["moved"]["units"].as_str())
        })
        .collect();
    let wanted = [
        (Some(4), Some("applied"), Some("-2500")),
        (Some(3), Some("applied"), Some("2500")),
        (Some(1), Some("approved"), Some("-1000")),
    ];
    assert_eq!(movements, wanted);
    let other = house.desk("GET /v1/partners/other/transactions", "").await;
    assert_eq!(other.body, json!({ "transactions": [] }));
}

#[tokio::test]
async fn filters() {
    let house = house().await;
    house.keep_histories();
    for (round, client_ref, units) in
        [("r1", "c1", 1_000), ("r1", "c2", DECLINED), ("r2", "c3", 1_000), ("r2", "c4", 1_000)]
    {
        place(&house, "p_9", round, client_ref, units).await;
    }
    house.write(vec![settled(&bet("p_9", "r2", "c4"), 3, Target::Voided)]).await;
    let me = token("acme", "p_9");
    let listed =
        |told: &Told| told.body["transactions"].as_array().is_some_and(|all| all.len() == 5);
    house.until(ASKED, DESK, "", listed).await;
    let (now, ago) = (SystemClock.now(), |ms: i64| timestamp(SystemClock.now() - ms));
    for (query, wanted) in [
        ("?status=accepted".to_owned(), &["c3", "c1"][..]),
        ("?status=rejected".to_owned(), &["c2"]),
        ("?status=void".to_owned(), &["c4"]),
        ("?status=won".to_owned(), &[]),
        ("?round=r1".to_owned(), &["c2", "c1"]),
        ("?round=r2&status=accepted".to_owned(), &["c3"]),
        ("?round=r3".to_owned(), &[]),
        (format!("?from={}", ago(60_000)), &["c4", "c3", "c2", "c1"]),
        (format!("?from={}", timestamp(now + 30_000)), &[]),
        (format!("?to={}", ago(60_000)), &[]),
        // The same moments with another offset.
        ("?from=2026-01-01T02:00:00%2B02:00&to=2026-01-02T00:00:00Z".to_owned(), &[]),
    ] {
        let told = house.call(&format!("{MINE}{query}"), &me, "").await;
        assert_eq!(told.status, 200, "{query}: {}", told.body);
        assert_eq!(refs(&told), wanted, "{query}");
    }
    let told = house.desk(&format!("{ASKED}?status=owed&round=r2"), "").await;
    let lines = told.body["transactions"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["target"], &lines[0]["revision"]), (&json!("voided"), &json!(3)));
}

#[tokio::test]
async fn pages_survive_new_rows() {
    let house = house().await;
    house.keep_histories();
    for n in 0..5 {
        place(&house, "p_9", "r1", &format!("c{n}"), 1_000).await;
    }
    let first = mine(&house, "p_9", "?limit=2&round=r1").await;
    assert_eq!(refs(&first), ["c4", "c3"]);
    let to_next = next(&first).unwrap();
    assert!(to_next.contains("&round=r1") && to_next.contains("limit=2"), "{to_next}");
    assert_eq!(first.body["next"].as_str().map(|next| to_next.contains(next)), Some(true));
    place(&house, "p_9", "r1", "late", 1_000).await;
    let second = mine(&house, "p_9", &to_next).await;
    assert_eq!(refs(&second), ["c2", "c1"]);
    let third = mine(&house, "p_9", &next(&second).unwrap()).await;
    assert_eq!(refs(&third), ["c0"]);
    assert_eq!(next(&third), None);
    assert_eq!(refs(&mine(&house, "p_9", "?limit=1").await), ["late"]);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let house = house().await;
    for query in [
        "?cursor=nonsense",
        "?cursor=MTIz",
        "?limit=0",
        "?limit=501",
        "?status=maybe",
        "?from=2026-11-21",
        "?from=2026-11-21T18:00:00",
        "?from=2026-11-21T18:00:00Z&to=2026-11-21T18:00:00Z",
        "?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "?format=xml",
        "?player=p_8",
        "?round=no%20round",
    ] {
        for told in
            [mine(&house, "p_9", query).await, house.desk(&format!("{ASKED}{query}"), "").await]
        {
            assert_eq!((told.status.as_u16(), told.code()), (400, "invalid_query"), "{query}");
            assert_eq!(told.headers["content-type"], "application/problem+json");
        }
    }
    let me = token("acme", "p_9");
    for (line, bearer, code) in [
        (MINE, DESK, "token_invalid"),
        (ASKED, me.as_str(), "operator_unknown"),
        ("GET /v1/bets/r1:some/timeline", me.as_str(), "operator_unknown"),
    ] {
        let told = house.call(line, bearer, "").await;
        assert_eq!((told.status.as_u16(), told.code()), (401, code), "{line}");
    }
    let told = house.desk("GET /v1/partners/NOBODY/transactions", "").await;
    assert_eq!((told.status.as_u16(), told.code()), (404, "not_found"));
    for bet in ["r1:some", "r9:some", "no-bet"] {
        let told = house.desk(&format!("GET /v1/bets/{bet}/timeline"), "").await;
        assert_eq!((told.status.as_u16(), told.code()), (404, "bet_unknown"), "{bet}");
    }
}

#[tokio::test]
async fn a_timeline_says_who_said_what() {
    let house = house().await;
    house.keep_histories();
    place(&house, "p_9", "r1", "c1", 1_000).await;
    let bet = bet("p_9", "r1", "c1");
    let result = r#"{"replaces":0,"outcome":"3","reason":"seen"}"#;
    house.desk("POST /v1/rounds/r1/result?wait=true", result).await;
    house.write(vec![settled(&bet, 3, Target::Settled(2_500)), applied(&bet, 3)]).await;
    let correction = r#"{"replaces":1,"outcome":"4","reason":"the camera shows it"}"#;
    house.desk("POST /v1/rounds/r1/correct", correction).await;
    house.write(vec![settled(&bet, 4, Target::Settled(0))]).await;
    let line = format!("GET /v1/bets/{}/timeline", bet.id);
    let whole = |told: &Told| told.body["status"] == json!("lost");
    let told = house.until(&line, DESK, "", whole).await;
    assert_eq!(told.body["partner_player_id"], "p_9");
    let said = told.body["timeline"].as_array().unwrap();
    let words = |said: &Value| {
        let of = |field: &str| said[field].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", of("who"), of("said"), of("reason"))
    };
    let found: BTreeSet<String> = said.iter().map(words).collect();
    let wanted = [
        "player placed -",
        "acme approved -",
        "settler accepted -",
        "desk result seen",
        "settler settled result",
        "acme applied -",
        "desk result the camera shows it",
        "settler settled result_corrected",
    ];
    assert_eq!(found, wanted.map(ToOwned::to_owned).into());
    assert_eq!(said.len(), wanted.len());
    let times: Vec<&str> = said.iter().map(|said| said["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        times.iter().all(|at| at.ends_with('Z') && at.len() == "2026-11-21T18:00:00.000Z".len())
    );
    let corrected = said.iter().find(|said| said["reason"] == "the camera shows it").unwrap();
    assert_eq!(corrected["version"], 2);
    assert_eq!(corrected["result"], json!({ "kind": "result", "outcome": "4" }));
}

#[tokio::test]
async fn csv_says_what_json_says() {
    let house = house().await;
    house.keep_histories();
    for (client_ref, units) in [("c1", 1_000), ("=1+1", 1_000), ("say \"hi\", you", DECLINED)] {
        place(&house, "p_9", "r1", client_ref, units).await;
    }
    house.write(vec![settled(&bet("p_9", "r1", "c1"), 3, Target::Settled(2_500))]).await;
    let me = token("acme", "p_9");
    let won = |told: &Told| told.body["bets"][2]["status"] == json!("won");
    let bets = house.until(MINE, &me, "", won).await;
    let told = mine(&house, "p_9", "?format=csv").await;
    assert_eq!(told.headers["content-type"], "text/csv");
    let text = told.body.as_str().unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 4, "{text}");
    let column = |name: &str| lines[0].split(',').position(|found| found == name).unwrap();
    let won = lines[3].split(',').collect::<Vec<_>>();
    for (name, pointer) in [
        ("bet_id", "/bet_id"),
        ("client_ref", "/client_ref"),
        ("stake_units", "/stake/units"),
        ("payout_units", "/payout/units"),
        ("status", "/status"),
        ("placed_at", "/placed_at"),
    ] {
        let of_json = bets.body["bets"][2].pointer(pointer).unwrap();
        assert_eq!(of_json.as_str(), Some(won[column(name)]), "{name}");
    }
    assert!(lines[2].contains(",'=1+1,"), "{}", lines[2]);
    assert!(lines[1].contains(r#","say ""hi"", you","#), "{}", lines[1]);

    // A page of it, by the header; and the same filters.
    let mut request = http::Request::builder().uri("/v1/bets?limit=1&status=won");
    request = request.header("accept", "text/html, text/csv;q=0.9");
    request = request.header("authorization", format!("Bearer {me}"));
    let page = house.send(request.body(axum::body::Body::empty()).unwrap()).await;
    let text = page.body.as_str().unwrap();
    assert_eq!(text.split_terminator("\r\n").collect::<Vec<_>>(), [lines[0], lines[3]]);
    assert!(next(&page).is_some(), "a full page may not be the last");
    let transactions = house.desk(&format!("{ASKED}?format=csv"), "").await;
    let text = transactions.body.as_str().unwrap();
    assert_eq!(text.split_terminator("\r\n").count(), 5, "{text}");
}

/// More than a page holds, and more than the machine writes at once.
#[tokio::test]
async fn a_long_list_is_streamed_whole() {
    const MOVEMENTS: usize = 1_203;
    let house = House::new();
    house.keep_histories();
    let bets: Vec<Bet> = (0..MOVEMENTS).map(|n| bet("p_9", "r1", &n.to_string())).collect();
    house.write(bets.iter().map(|bet| settled(bet, 3, Target::Voided)).collect()).await;
    let ids: BTreeSet<String> = bets.iter().map(|bet| bet.id.to_string()).collect();
    let whole = |told: &Told| {
        told.body
            .as_str()
            .is_some_and(|text| text.split_terminator("\r\n").count() == MOVEMENTS + 1)
    };
    let told = house.until(&format!("{ASKED}?format=csv"), DESK, "", whole).await;
    let lines = told.body.as_str().unwrap().split_terminator("\r\n").skip(1);
    let listed: BTreeSet<String> =
        lines.map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(listed, ids);

    let (mut paged, mut query) = (BTreeSet::new(), "?limit=500".to_owned());
    loop {
        let told = house.desk(&format!("{ASKED}{query}"), "").await;
        let lines = told.body["transactions"].as_array().unwrap();
        paged.extend(lines.iter().map(|line| line["bet_id"].as_str().unwrap().to_owned()));
        let Some(next) = next(&told) else { break };
        query = next;
    }
    assert_eq!(paged, ids);
}
