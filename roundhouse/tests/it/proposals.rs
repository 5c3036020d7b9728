//! A correction by two people, over the API and by command: what was shown is what the wallets then move, to
//! the cent.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use crate::second;
use http::Method;
use roundhouse::config::Operator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Output;

/// Bets of the round.
const BETS: usize = 80;
/// The key of the operator who approves.
const NIGHT_KEY: &str = "the night's key, long enough";

on_every_engine!(two_people_correct_a_round, two_people_correct_a_round_by_command);

fn units(line: &Value, field: &str) -> i128 {
    line[field].as_str().unwrap().parse().unwrap()
}

/// The bets of an approved correction: those that change, are settled, and are confirmed.
fn progress(body: &Value) -> (u64, u64, u64) {
    let lines = body["progress"].as_object().unwrap();
    let sum = |field| lines.values().map(|line| line[field].as_u64().unwrap()).sum();
    (sum("changed"), sum("settled"), sum("confirmed"))
}

/// A house with two operators and a round that has a result.
async fn resulted<E: Ground>(street: &mut Street) -> House<E> {
    let night = Operator { name: "night".to_owned(), key: NIGHT_KEY.to_owned(), roles: None };
    street.config.operators.push(night);
    let house = House::<E>::open(&street.config).await;
    house.bet("wrong", street.wagers("wrong", BETS, 7)).await;
    house.api.result("wrong", "4").await.unwrap();
    house.settled().await;
    house
}

/// What a command of `correction` says.
#[track_caller]
fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn two_people_correct_a_round_by_command<E: Ground>() {
    let mut street = Street::on::<E>(3, 15, &[]).await;
    let house = resulted::<E>(&mut street).await;
    let propose = |what: &[&str]| {
        let flags = [&["correction", "propose", "wrong", "--reason", "swapped"], what].concat();
        let proposed = said(&house.command(OPERATOR_KEY, &flags));
        assert_eq!(proposed["preview"]["undelivered"], json!({}), "everything was confirmed");
        proposed["proposal_id"].as_str().unwrap().to_owned()
    };
    let proposal = propose(&["--replaces", "1", "--outcome", "5"]);
    let approve = ["correction", "approve", "wrong", &proposal];
    let refused = house.command(OPERATOR_KEY, &approve);
    assert_eq!(refused.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("same_operator"), "{errors}");
    let approved = said(&house.command(NIGHT_KEY, &approve));
    let (changed, settled, confirmed) = progress(&approved);
    assert!(0 < changed && changed == settled && settled == confirmed, "{approved}");

    let withdrawal = propose(&["--replaces", "2", "--withdrawn"]);
    let because = ["--reason", "the second result is right"];
    let reject = [&["correction", "reject", "wrong", &withdrawal], &because[..]].concat();
    said(&house.command(NIGHT_KEY, &reject));
    let listed = said(&house.command(NIGHT_KEY, &["correction", "list", "wrong"]));
    let ends: Vec<&str> = listed["corrections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"].as_str().unwrap())
        .collect();
    assert_eq!((ends, &listed["version"]), (vec!["approved", "rejected"], &json!(2)));
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}

async fn two_people_correct_a_round<E: Ground>() {
    let mut street = Street::on::<E>(3, 14, &[]).await;
    let house = resulted::<E>(&mut street).await;
    let body = json!({"replaces": 1, "outcome": "5", "reason": "the feed swapped the sides"});
    let proposed = house.api.operate("/v1/rounds/wrong/corrections", &body).await.unwrap();
    let (preview, hash) = (&proposed.body["preview"], proposed.body["hash"].clone());
    assert_eq!(preview["undelivered"], json!({}), "everything was confirmed");
    let path = format!("/v1/rounds/wrong/corrections/{}", proposed.text("proposal_id"));
    let (approve, approval) = (format!("{path}/approve"), json!({"hash": hash}));
    let refused = house.api.operate(&approve, &approval).await.unwrap_err().to_string();
    assert!(refused.contains("same_operator"), "{refused}");
    let call = |path: String| {
        let (api, approval) = (&house.api, &approval);
        async move { api.call(Method::POST, &path, NIGHT_KEY, Some(approval)).await.unwrap() }
    };
    let approved = call(approve.clone()).await;
    assert_eq!((approved.status, &approved.body["version"]), (200, &json!(2)), "{}", approved.body);
    let again = call(approve).await;
    assert_eq!((again.status, again.body), (200, approved.body));

    let changed = preview["changed"].as_u64().unwrap();
    assert!(0 < changed, "no bet flips");
    let until = tokio::time::Instant::now() + WAIT_MAX;
    loop {
        let shown = house.api.call(Method::GET, &path, NIGHT_KEY, None).await.unwrap();
        let at = progress(&shown.body);
        assert!(at.0 == changed && at.2 <= at.1 && at.1 <= at.0, "{at:?}");
        if at.2 == changed {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{at:?} of {changed}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    house.settled().await;
    house.close().await;

    let (books, _) = clean::<E>(&street).await;
    second::agrees(&books);
    let mut moved: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for (partner, movements) in books.journals.iter().flatten() {
        for movement in movements.iter().filter(|movement| movement.revision == 4) {
            let (more, back) = moved.entry(partner.to_string()).or_default();
            let units = i128::from(movement.moved);
            *if 0 <= units { more } else { back } += units.abs();
        }
    }
    let lines = preview["money"].as_array().unwrap().iter();
    let shown = lines.map(|line| {
        let partner = line["partner"].as_str().unwrap().to_owned();
        (partner, (units(line, "to_pay"), units(line, "to_take_back")))
    });
    assert_eq!(moved, shown.collect(), "what the wallets moved and what was shown");
}
