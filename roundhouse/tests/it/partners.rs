//! Operators and partners while a server runs: one is paused, one is created, one moves its wallet, one changes
//! its key. Others bet on, what was bet is settled, and a restart forgets nothing.

use crate::house::{Ground, House, OPERATOR_KEY, Street, clean};
use crate::singly::{code, until};
use roundhouse::rig::keys::PartnerKey;
use roundhouse::rig::players::Wager;
use runtime::{Clock, SystemClock};
use serde_json::{Value, json};

on_every_engine!(a_pause_is_for_one_partner_and_outlives_the_process);
on_every_engine!(partners_come_and_change_while_others_bet);

/// What a command of `partner` says.
#[track_caller]
fn said<E: Ground>(house: &House<E>, arguments: &[&str]) -> Value {
    let output = house.command(OPERATOR_KEY, &[&["partner"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bets of one partner's players in the round `r`.
fn of(street: &Street, partner: &'static str) -> impl Iterator<Item = Wager> + use<> {
    let mut wagers = street.wagers("r", 4_000, 1);
    wagers.iter_mut().for_each(|wager| wager.cancel = false);
    wagers.into_iter().filter(move |wager| wager.partner == partner)
}

async fn a_pause_is_for_one_partner_and_outlives_the_process<E: Ground>() {
    let street = Street::on::<E>(2, 85, &[]).await;
    let (paused, other) = ("p01", "p02");
    let (mut of_paused, mut of_other) = (of(&street, paused), of(&street, other));
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    until(&house.api, &mut of_paused, "").await;
    said(&house, &["pause", paused, "--reason", "their wallet moves tonight"]);
    until(&house.api, &mut of_paused, "betting_paused").await;
    assert_eq!(code(&house.api, &of_other.next().unwrap()).await, "", "others bet on");
    house.close().await;

    let house = House::<E>::open(&street.config).await;
    let first = code(&house.api, &of_paused.next().unwrap()).await;
    assert_eq!(first, "betting_paused", "not one bet is taken before it is known");
    let listed = said(&house, &["list"]);
    let partners = listed["partners"].as_array().unwrap();
    let words: Vec<&Value> = partners.iter().map(|partner| &partner["betting"]).collect();
    assert_eq!(words, ["paused", "open"]);
    assert_eq!(partners[0]["reason"], "their wallet moves tonight");
    said(&house, &["resume", paused, "--reason", "it moved"]);
    until(&house.api, &mut of_paused, "").await;
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}

async fn partners_come_and_change_while_others_bet<E: Ground>() {
    let mut street = Street::on::<E>(3, 86, &[]).await;
    let [mut of_key, mut of_moved, mut of_new] =
        ["p01", "p02", "p03"].map(|partner| of(&street, partner));
    // The configuration does not know the third, and has the second where nobody answers.
    street.config.partners.pop();
    street.config.partners[1].wallet_url = "http://127.0.0.1:1".to_owned();
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    until(&house.api, &mut of_key, "").await;
    assert_eq!(code(&house.api, &of_new.next().unwrap()).await, "token_invalid");
    assert_eq!(said(&house, &["check", "p01"])["differences"], json!([]));
    let nobody = house.command(OPERATOR_KEY, &["partner", "check", "p02"]);
    let told = String::from_utf8_lossy(&nobody.stdout).into_owned();
    assert_eq!(nobody.status.code(), Some(1), "{told}");
    assert!(told.contains("its capabilities cannot be read"), "{told}");

    let file = street.directory.path().join("p03.toml");
    let stake_max = |units: u32| {
        let text = format!(
            "wallet_url = '{}'\ntoken_key = '{}'\nreply_keys = ['{}']\n[[currencies]]\ncurrency = 'EUR'\nexponent = 2\n\
             stake_min_units = 1\nstake_max_units = {units}\npayout_max_units = 1000000000\n\
             liability_max_units = 1000000000000\n",
            street.wallets.urls["p03"],
            street.keys["p03"].public(),
            street.keys["p03"].replies().verifying().public().unwrap()
        );
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap()
    };
    let from = ["p03", "--reason", "ticket 1", "--from"];
    said(&house, &[&["create"], &from[..], &[stake_max(1_000_000)]].concat());
    until(&house.api, &mut of_new, "").await;
    said(&house, &[&["set"], &from[..], &[stake_max(1)]].concat());
    until(&house.api, &mut of_new, "stake_limit").await;
    let again =
        house.command(OPERATOR_KEY, &[&["partner", "create"], &from[..], &[stake_max(2)]].concat());
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && told.contains("partner_exists"), "{told}");

    let moved = [street.wallets.urls["p02"].as_str(), "--reason", "ticket 2"];
    said(&house, &[&["set", "p02", "--wallet-url"], &moved[..]].concat());
    until(&house.api, &mut of_moved, "").await;

    let key = PartnerKey::of_seed("p01", 9_000);
    let key_of_p01 = key.public();
    let change = ["set", "p01", "--token-key", &key_of_p01, "--reason", "ticket 3"];
    let rates = ["--calls-per-s", "70", "--stakes-per-s", "700"];
    let changed = said(&house, &[&change[..], &rates[..]].concat());
    assert_eq!(changed["profile"]["calls_per_s"], 70);
    assert_eq!(changed["profile"]["stakes_per_s"], 700);
    until(&house.api, &mut of_key, "token_invalid").await;
    let mut signed_anew = of_key.map(|wager| {
        let token = key.token("player-1", SystemClock.now()).into();
        Wager { token, ..wager }
    });
    until(&house.api, &mut signed_anew, "").await;
    house.close().await;

    // Not one call goes by the configuration again.
    let house = House::<E>::open(&street.config).await;
    assert_eq!(code(&house.api, &of_moved.next().unwrap()).await, "");
    assert_eq!(code(&house.api, &of_new.next().unwrap()).await, "stake_limit");
    assert_eq!(code(&house.api, &signed_anew.next().unwrap()).await, "");
    let shown = said(&house, &["show", "p02"]);
    assert_eq!(shown["profile"]["wallet_url"], street.wallets.urls["p02"]);
    assert_eq!(shown["profile"]["set"]["reason"], "ticket 2");
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
