//! Messages to wallets and their answers are signed, over real HTTP: what is not signed right counts for
//! nothing, and keys take over from each other while bets are placed.

use crate::house::{Ground, House, OPERATOR_KEY, Street, clean};
use crate::singly::{code, until};
use partner_kit::faults::FaultSettings;
use roundhouse::rig::keys::{PartnerKey, platform};
use roundhouse::rig::players::Wager;
use signing::SecretKey;
use std::time::Duration;
use tokio::time::sleep;

on_every_engine!(an_answer_that_is_forged_counts_for_nothing);
on_every_engine!(keys_take_over_from_each_other);

/// What a bet is told whose stake nobody holds: that it is rejected, in the end.
const NOT_HELD: [&str; 2] = ["bet_rejected", "undecided"];
/// Longer than a partner that answers needs for everything.
const WHILE_FORGED: Duration = Duration::from_secs(2);

fn wagers(street: &Street) -> impl Iterator<Item = Wager> + use<> {
    let mut wagers = street.wagers("r", 2_000, 1);
    wagers.iter_mut().for_each(|wager| wager.cancel = false);
    wagers.into_iter()
}

/// The wallet does all it is told and signs something else than its answer: no stake counts as held, no
/// settlement as done. Once it signs right, everything is.
async fn an_answer_that_is_forged_counts_for_nothing<E: Ground>() {
    let street = Street::on::<E>(1, 87, &[]).await;
    let mut wagers = wagers(&street);
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    until(&house.api, &mut wagers, "").await;
    street.faults(FaultSettings { forge_rate: 1_000, ..FaultSettings::NONE }).await;
    assert!(NOT_HELD.contains(&code(&house.api, &wagers.next().unwrap()).await.as_str()));
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    sleep(WHILE_FORGED).await;
    assert!(!house.watch.seen().owed.is_empty(), "something was taken for an answer");
    street.faults(FaultSettings::NONE).await;
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}

async fn keys_take_over_from_each_other<E: Ground>() {
    let mut street = Street::on::<E>(1, 88, &[]).await;
    let mut wagers = wagers(&street);
    // Theirs: the one that the configuration knows is not the one that the wallet signs with.
    let right = street.config.partners[0].reply_keys[0].clone();
    let other = PartnerKey::of_seed("p01", 9_000).replies().verifying().public().unwrap();
    street.config.partners[0].reply_keys = vec![other.clone()];
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    assert!(NOT_HELD.contains(&code(&house.api, &wagers.next().unwrap()).await.as_str()));
    let both = ["--reply-key", &other, "--reply-key", &right, "--reason", "they change their key"];
    let set = [&["partner", "set", "p01"], &both[..]].concat();
    let told = house.command(OPERATOR_KEY, &set);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    until(&house.api, &mut wagers, "").await;
    house.close().await;

    // Ours: the new one alone is not known to the wallet yet, and with the old one beside it all is well.
    let (old, new) = (platform(OPERATOR_KEY), SecretKey::of_seed(&[5; 32]));
    street.config.signing.keys = vec![new.reveal()];
    let house = House::<E>::open(&street.config).await;
    assert!(NOT_HELD.contains(&code(&house.api, &wagers.next().unwrap()).await.as_str()));
    house.close().await;
    street.config.signing.keys = vec![new.reveal(), old.reveal()];
    let house = House::<E>::open(&street.config).await;
    assert_eq!(code(&house.api, &wagers.next().unwrap()).await, "");
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
