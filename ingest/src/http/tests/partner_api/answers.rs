//! Every route, asked as it should be.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::contract::{CloseDigest, CloseRequest, CloseTotal, RowStatus, StateItem, timestamp};
use schemas::decisions::RejectReason;
use schemas::wire::CloseRecord;
use serde_json::json;
use std::collections::BTreeSet;

const APPLIED: DeliveryOutcome = DeliveryOutcome::Applied;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// 2026-11-22, at noon.
const NOON: i64 = 1_795_348_800_000;

#[tokio::test]
async fn a_bet_is_told_with_every_revision() {
    let house = House::new();
    house.keep_histories();
    let bet = bet("acme", "r1", "c1", NOON);
    decide(&house, &[&bet], &Verdict::Accepted).await;
    let won = settle(&bet, 3, Target::Held, Target::Settled(2_500), NOON + 1_000);
    let lost = settle(&bet, 4, won.target, Target::Settled(0), NOON + 2_000);
    let parked = delivered(&lost, DeliveryOutcome::Parked);
    house.write(vec![said(&won), delivered(&won, APPLIED), said(&lost), parked]).await;
    let path = format!("/partner/v1/bets/{}", bet.id);
    let whole = |body: &Value| body.pointer("/revisions/2/deliveries/0").is_some();
    let told = until(&house, "acme", &path, whole).await;
    assert_eq!(told["bet_id"], bet.id.as_str());
    assert_eq!((&told["round_id"], &told["status"]), (&json!("r1"), &json!("lost")));
    assert_eq!(told["partner_player_id"], "p_9");
    let eur = |units: &str| json!({ "units": units, "currency": "EUR", "exponent": 2 });
    assert_eq!(told["stake"], eur("1000"));
    let line =
        |at: usize, fields: [&str; 5]| fields.map(|field| told["revisions"][at][field].clone());
    let fields = ["revision", "target", "reason", "status", "moved"];
    assert_eq!(
        line(0, fields),
        [json!(1), json!("held"), json!(null), json!("approved"), eur("-1000")]
    );
    let first = [json!(3), json!("settled"), json!("result"), json!("applied"), eur("2500")];
    assert_eq!(line(1, fields), first);
    let second =
        [json!(4), json!("settled"), json!("result_corrected"), json!("parked"), json!(null)];
    assert_eq!(line(2, fields), second);
    assert_eq!(told["revisions"][1]["result_version"], 1);
    assert_eq!(told["revisions"][1]["caused_at"], timestamp(NOON + 1_000));
    let delivery = &told["revisions"][1]["deliveries"][0];
    assert_eq!(
        (&delivery["outcome"], &delivery["ledger_epoch"]),
        (&json!("applied"), &json!("e1"))
    );
    assert_eq!(told["revisions"][2]["deliveries"][0]["code"], "unknown_bet");
}

/// Pages of `limit` from `after` to the end: items, and the last cursor.
async fn events(house: &House, limit: usize, after: Option<&str>) -> (Vec<StateItem>, String) {
    let (mut items, mut after) = (Vec::new(), after.map(ToOwned::to_owned));
    loop {
        let cursor = after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/partner/v1/events?limit={limit}{cursor}");
        let page = get(house, "acme", &path).await;
        let found = page["events"].as_array().unwrap();
        assert!(found.len() <= limit);
        let item =
            |event: &Value| serde_json::from_value::<StateItem>(event["item"].clone()).unwrap();
        items.extend(found.iter().map(item));
        let next = page["next"].as_str().unwrap().to_owned();
        if page["more"] == false {
            return (items, next);
        }
        after = Some(next);
    }
}

/// No history is kept here: what partners are told comes from the log itself.
#[tokio::test]
async fn events_are_all_that_was_said_in_its_order_and_nobody_elses() {
    let house = House::new();
    let (none, start) = events(&house, 3, None).await;
    assert!(none.is_empty());
    let mut wanted = Vec::new();
    let mut records = Vec::new();
    // Partners of the same lane too, however many there are.
    for n in 0..40 {
        let ours =
            settle(&bet("acme", "r1", &n.to_string(), 0), 3, Target::Held, Target::Voided, NOON);
        records.push(said(&ours));
        wanted.push(StateItem::from(&ours));
        let partner = format!("rival_{n}");
        let theirs = bet(&partner, "r1", "c", 0);
        records.push(said(&settle(&theirs, 3, Target::Held, Target::Settled(1), NOON)));
    }
    let lanes: BTreeSet<u32> = records.iter().map(|record| record.partition).collect();
    assert!(lanes.len() == 4, "some rivals share the lane: {lanes:?}");
    house.write(records).await;
    // Pages that end in the middle, exactly at the end, and behind it.
    for limit in [1, 7, 40, 41] {
        let (all, next) = events(&house, limit, None).await;
        assert_eq!(all, wanted, "{limit} on a page");
        assert_eq!(events(&house, limit, Some(&start)).await.0, wanted);
        assert_eq!(events(&house, limit, Some(&next)).await, (Vec::new(), next.clone()), "polled");
    }
    // Made late: caused long before what stands already, and seen by whoever read up to there.
    let (_, next) = events(&house, 7, None).await;
    let late = settle(&bet("acme", "r0", "late", 0), 3, Target::Held, Target::Settled(5), 1);
    house.write(vec![said(&late), said(&late)]).await;
    let late = StateItem::from(&late);
    let (found, _) = events(&house, 7, Some(&next)).await;
    assert_eq!(found, [late.clone(), late], "also what is said again");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_told_as_one() {
    let house = House::new();
    let good = settle(&bet("acme", "r1", "c", 0), 3, Target::Held, Target::Voided, NOON);
    let broken = Append { value: b"no record".to_vec().into(), ..said(&good) };
    house.write(vec![broken, said(&good)]).await;
    let page = get(&house, "acme", "/partner/v1/events").await;
    assert_eq!(page["events"][0]["unreadable"], good.id());
    assert_eq!(page["events"][0].get("item"), None);
    assert_eq!(page["events"][1]["item"]["bet_id"], good.bet.as_str());
}

/// Among very many of others a page may be empty, and the next one goes on behind them.
#[tokio::test]
async fn a_page_reads_so_far_and_no_further() {
    let house = House::new();
    let ours = settle(&bet("acme", "r1", "c", 0), 3, Target::Held, Target::Voided, NOON);
    let theirs = settle(&bet("other", "r1", "c", 0), 3, Target::Held, Target::Voided, NOON);
    let partition = said(&ours).partition;
    let foreign = Append { partition, ..said(&theirs) };
    // Its header says that it is ours, and it is not.
    let mistaken = Append { headers: said(&ours).headers, ..foreign.clone() };
    house
        .write(std::iter::repeat_n(foreign, 10_000).chain([mistaken, said(&ours)]).collect())
        .await;
    let page = get(&house, "acme", "/partner/v1/events").await;
    assert_eq!((&page["events"], &page["more"]), (&json!([]), &json!(true)));
    let next = page["next"].as_str().unwrap();
    let page = get(&house, "acme", &format!("/partner/v1/events?after={next}")).await;
    assert_eq!((page["events"].as_array().unwrap().len(), &page["more"]), (1, &json!(false)));
    assert_eq!(page["events"][0]["item"]["bet_id"], ours.bet.as_str());
}

/// The projection comes in its own time; here it never does.
#[tokio::test]
async fn a_bet_of_which_nothing_is_read_yet_has_a_row() {
    let house = House::new();
    let one = bet("acme", "r1", "c", NOON);
    decide(&house, &[&one], &Verdict::Accepted).await;
    version(&house, "acme", "r1", 1).await;
    let told = get(&house, "acme", "/partner/v1/rounds/r1/statement").await;
    let row = json!({ "bet_id": one.id, "revision": 1, "status": "held", "delivery": "unread" });
    assert_eq!(told["rows"], json!([row]));
    assert_eq!((&told["whole"]["not_final"], &told["whole"]["agreed"]), (&json!(1), &json!(false)));
}

#[expect(
    clippy::too_many_lines,
    reason = "one round, looked at after each thing that is said of it"
)]
#[tokio::test]
async fn a_round_is_told_as_its_close_says_it() {
    let house = House::new();
    house.keep_histories();
    let names = ["a", "b", "c", "d", "e"];
    let mut bets = names.map(|name| bet("acme", "r1", name, NOON));
    bets.sort_by(|one, other| one.id.cmp(&other.id));
    let [won, void, cancelled, parked, owed] = &bets;
    let foreign = bet("other", "r1", "a", NOON);
    decide(&house, &[won, void, parked, owed, &foreign], &Verdict::Accepted).await;
    decide(&house, &[cancelled], &Verdict::Cancelled("q".parse().unwrap())).await;
    version(&house, "acme", "r1", 1).await;
    let settled = |bet, revision, target| settle(bet, revision, Target::Held, target, NOON + 1);
    let finals = [
        settled(won, 3, Target::Settled(2_500)),
        settled(void, 3, Target::Voided),
        settled(cancelled, 2, Target::Voided),
    ];
    for one in &finals {
        house.write(vec![said(one), delivered(one, APPLIED)]).await;
    }
    let set_aside = settled(parked, 3, Target::Settled(0));
    let owes = settled(owed, 3, Target::Settled(0));
    let parking = delivered(&set_aside, DeliveryOutcome::Parked);
    house.write(vec![said(&set_aside), parking, said(&owes)]).await;
    let path = "/partner/v1/rounds/r1/statement";
    let told = until(&house, "acme", path, |body| {
        body["whole"]["parked"] != json!([])
            && body["rows"].as_array().unwrap().len() == 5
            && body["whole"]["not_final"] == 1
    })
    .await;
    let mut digest = CloseDigest::new();
    digest.row(won.id.as_str(), 3, RowStatus::Settled, 1_000, 2_500);
    digest.row(void.id.as_str(), 3, RowStatus::Voided, 1_000, 0);
    let total = CloseTotal {
        currency: "EUR".to_owned(),
        exponent: 2,
        bets: 2,
        stake: "2000".to_owned(),
        payout: "2500".to_owned(),
        voided: 1,
        parked: 1,
    };
    let whole = &told["whole"];
    assert_eq!(whole["totals"], json!([total]));
    assert_eq!(whole["parked"], json!([parked.id]));
    assert_eq!((&whole["open_holds"], &whole["result_version"]), (&json!(1), &json!(1)));
    assert_eq!(whole["agreed"], false);
    let row = |row: &Value| {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        (text("bet_id"), row["revision"].as_u64().unwrap(), text("status"), text("delivery"))
    };
    let found: Vec<_> = told["rows"].as_array().unwrap().iter().map(row).collect();
    let wanted = [
        (won, 3, "settled", "applied"),
        (void, 3, "voided", "applied"),
        (cancelled, 2, "voided", "applied"),
        (parked, 3, "settled", "parked"),
        (owed, 3, "settled", "owed"),
    ];
    let wanted = wanted.map(|(bet, revision, status, delivery)| {
        (bet.id.to_string(), revision, status.to_owned(), delivery.to_owned())
    });
    assert_eq!(found, wanted, "ordered, and nobody else's");

    // The partner takes the last one, and confirms a close that says the same.
    house.write(vec![delivered(&owes, APPLIED)]).await;
    let told = until(&house, "acme", path, |body| body["whole"]["not_final"] == 0).await;
    assert_eq!(told["whole"]["agreed"], false, "nobody closed it");
    let said = CloseRequest {
        partner_id: "acme".to_owned(),
        round_id: "r1".to_owned(),
        result_version: 1,
        totals: vec![CloseTotal { bets: 3, stake: "3000".to_owned(), ..total }],
        open_holds: 1,
        digest: {
            digest.row(owed.id.as_str(), 3, RowStatus::Settled, 1_000, 0);
            digest.finish()
        },
        listed: vec![parked.id.to_string()],
    };
    assert_eq!(told["whole"]["digest"], said.digest);
    let mut close = CloseRecord {
        round_id: "r1".to_owned(),
        partner_id: "acme".to_owned(),
        result_version: 1,
        said: said.hash().unwrap().to_string(),
        case_id: Some("case_1".to_owned()),
        ended: Vec::new(),
    };
    let lane = lane(&"acme".parse().unwrap());
    facts(&house, vec![outgoing::close_fact(&close, lane, 9_001).unwrap()]).await;
    assert_eq!(get(&house, "acme", path).await["whole"]["agreed"], false, "a case is no agreement");
    close.case_id = None;
    facts(&house, vec![outgoing::close_fact(&close, lane, 9_001).unwrap()]).await;
    assert_eq!(get(&house, "acme", path).await["whole"]["agreed"], true);

    // Page by page the same rows; the last page is exactly full.
    for limit in [1, 2, 5] {
        let (mut rows, mut query) = (Vec::new(), String::new());
        loop {
            let page = get(&house, "acme", &format!("{path}?limit={limit}{query}")).await;
            assert_eq!(page.get("whole").is_some(), query.is_empty());
            rows.extend(page["rows"].as_array().unwrap().iter().map(row));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("&after={next}");
        }
        let took = |(bet, revision, status, delivery): (String, u64, String, String)| {
            let delivery = if delivery == "owed" { "applied".to_owned() } else { delivery };
            (bet, revision, status, delivery)
        };
        assert_eq!(rows, wanted.clone().map(took), "{limit} on a page");
    }

    // What is frozen is told as set aside, and is what a close is not about.
    let freeze = schemas::wire::FreezeRecord {
        round_id: "r1".to_owned(),
        bet_id: Some(won.id.to_string()),
        frozen: true,
        code: "contradiction".to_owned(),
        ..schemas::wire::FreezeRecord::default()
    };
    facts(&house, vec![outgoing::freeze_fact(&freeze, "acme/0", lane, 9_002).unwrap()]).await;
    let told = get(&house, "acme", path).await;
    assert_eq!(told["whole"]["parked"], json!([won.id, parked.id]));
    assert_eq!(
        (&told["rows"][0]["delivery"], &told["whole"]["agreed"]),
        (&json!("frozen"), &json!(false))
    );
}

#[tokio::test]
async fn a_day_adds_up_and_a_correction_stands_with_both_days() {
    let house = House::new();
    house.keep_histories();
    let later = NOON + 7 * DAY_MS;
    let names = ["won", "void", "corrected", "cancelled"];
    let bets = names.map(|name| bet("acme", "r1", name, NOON));
    let [won, void, corrected, cancelled] = &bets;
    let declined = bet("acme", "r1", "declined", NOON);
    decide(&house, &[won, void, corrected], &Verdict::Accepted).await;
    // It was held before it was taken back.
    decide(&house, &[cancelled], &Verdict::Accepted).await;
    let no = Verdict::Rejected(RejectReason::Declined("insufficient_funds".to_owned()));
    decide(&house, &[&declined], &no).await;
    let all = [
        settle(won, 3, Target::Held, Target::Settled(2_500), NOON + 1),
        settle(void, 3, Target::Held, Target::Voided, NOON + 1),
        settle(corrected, 3, Target::Held, Target::Settled(2_500), NOON + 1),
        settle(corrected, 4, Target::Settled(2_500), Target::Settled(0), later),
        settle(cancelled, 2, Target::Held, Target::Voided, NOON + 1),
        settle(&declined, 2, Target::Held, Target::Voided, NOON + 1),
    ];
    for one in &all {
        house.write(vec![said(one), delivered(one, APPLIED)]).await;
    }
    let path = "/partner/v1/statements/2026-11-22";
    let whole = |body: &Value| {
        body["totals"][0]["held"]["bets"] == 4
            && body["totals"][0]["not_final"] == 0
            && body["totals"][0]["voided"]["bets"] == 2
            && body["totals"][0]["corrected"] != json!([])
    };
    let told = until(&house, "acme", path, whole).await;
    let total = json!({
        "currency": "EUR", "exponent": 2,
        "held": { "bets": 4, "stake": "4000" },
        "settled": { "bets": 2, "stake": "2000" },
        "payout": "5000",
        "voided": { "bets": 2, "stake": "2000" },
        "corrections": [],
        "corrected": [{ "day": "2026-11-29", "revisions": 1, "change": "-2500" }],
        "change": "3000",
        "shortfall": "0",
        "not_final": 0,
    });
    assert_eq!(told, json!({ "day": "2026-11-22", "totals": [total] }));
    let booked = get(&house, "acme", "/partner/v1/statements/2026-11-29").await;
    let total = &booked["totals"][0];
    let correction = json!([{ "day": "2026-11-22", "revisions": 1, "change": "-2500" }]);
    assert_eq!((&total["corrections"], &total["corrected"]), (&correction, &json!([])));
    assert_eq!((&total["change"], &total["held"]["bets"]), (&json!("-2500"), &json!(0)));
    for (at, day) in [(NOON - DAY_MS / 2 - 1, "2026-11-21"), (NOON - DAY_MS / 2, "2026-11-22")] {
        let after = URL_SAFE_NO_PAD.encode(format!("{at}@"));
        let ask = Ask::of("acme", &format!("/partner/v1/statements/2026-11-22?after={after}"));
        let status = if day == "2026-11-22" { 200 } else { 400 };
        assert_eq!(ask.send(&house).await.status, status, "a cursor of {day}");
    }
    let empty = get(&house, "acme", "/partner/v1/statements/2026-11-23").await;
    assert_eq!(empty, json!({ "day": "2026-11-23", "totals": [] }));
}

/// More than one answer adds up.
#[tokio::test]
async fn the_parts_of_a_long_day_add_up() {
    const BETS: usize = 2_050;
    let house = House::new();
    house.keep_histories();
    let bets: Vec<Bet> = (0..BETS).map(|n| bet("acme", "r1", &n.to_string(), NOON)).collect();
    let one = |bet| said(&settle(bet, 3, Target::Held, Target::Settled(7), NOON + 5));
    house.write(bets.iter().map(one).collect()).await;
    let path = "/partner/v1/statements/2026-11-22";
    let mut tries = 0;
    loop {
        let (mut bets, mut payout, mut parts, mut query) = (0, 0, 0, String::new());
        loop {
            let part = get(&house, "acme", &format!("{path}{query}")).await;
            parts += 1;
            if let Some(total) = part["totals"].get(0) {
                bets += total["settled"]["bets"].as_u64().unwrap();
                payout += total["payout"].as_str().unwrap().parse::<u64>().unwrap();
                assert_eq!(total["not_final"], total["settled"]["bets"]);
            }
            let Some(next) = part["next"].as_str() else { break };
            query = format!("?after={next}");
        }
        let all = u64::try_from(BETS).unwrap();
        assert!(bets <= all, "counted twice");
        if bets == all {
            assert_eq!((payout, parts), (all * 7, 2));
            return;
        }
        tries += 1;
        assert!(tries < 1_000, "{bets} of {BETS}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
