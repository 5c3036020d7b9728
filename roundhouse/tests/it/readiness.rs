//! `/readyz`: a process is ready once each of its memberships carries its share, and says what is missing.

use crate::house::{Ground, OPERATOR_KEY, Street, WAIT_MAX, clean};
use crate::roles::part;
use crate::simple::simple;
use crate::watched::Watched;
use http::Method;
use roundhouse::engine::{CASES, DISPATCHER, HERALD, HISTORY, RECONCILER, SETTLER};
use roundhouse::rig::api::{Api, Reply};
use roundhouse::rig::players::place_all;
use roundhouse::serve::{Role, Roles, Running, listen};
use runtime::{Clock, SystemClock, Topic};
use schemas::catalogue::ROUNDS;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(
    a_process_waits_for_each_of_its_groups,
    a_bet_sent_to_a_ready_process_finds_its_settler,
    a_member_for_which_there_is_no_partition_is_ready,
    a_list_of_events_that_stands_still_is_served,
);

const LOOK_PERIOD: Duration = Duration::from_millis(5);

async fn readyz(admin: &Api) -> Reply {
    admin.call(Method::GET, "/readyz", "", None).await.unwrap()
}

/// What `/readyz` says is missing.
fn missing(reply: &Reply) -> Vec<String> {
    let checks = reply.body["checks"].as_object().unwrap().iter();
    checks.filter(|(_, said)| *said != "ok").map(|(name, _)| name.clone()).collect()
}

/// All is well but what the group does: it is named, and ready follows when it is shared out.
async fn a_process_waits_for_each_of_its_groups<E: Ground>() {
    let street = Street::on::<E>(1, 61, &[]).await;
    let engine = E::open(&street.config).await;
    // A process that has everything to itself reconciles without a group.
    let groups = [HERALD, SETTLER, DISPATCHER, HISTORY, CASES, RECONCILER];
    for group in groups.iter().filter(|group| E::SHARED || **group != RECONCILER) {
        let held = Watched::new(engine.clone());
        held.hold(Some(*group));
        let listener = listen(&street.config).await.unwrap();
        let running =
            Running::with(&street.config, listener, held.clone(), &Roles::all()).await.unwrap();
        let api = Api::new(format!("http://{}", running.address), OPERATOR_KEY.to_owned());
        let admin = Api::new(format!("http://{}", running.admin), String::new());
        let begun = Instant::now();
        loop {
            let said = readyz(&admin).await;
            assert_eq!(said.status, 503, "{group} is held: {}", said.body);
            // Groups and roles have the same names.
            assert!(missing(&said).iter().any(|name| name == group), "{}", said.body);
            if missing(&said) == [*group] {
                break;
            }
            assert!(begun.elapsed() < WAIT_MAX, "{}", said.body);
            sleep(LOOK_PERIOD).await;
        }
        held.hold(None);
        api.ready(WAIT_MAX).await.unwrap();
        running.leave().await.unwrap();
    }
    engine.close().await;
}

/// The first bet comes at once, and is told its decision in its first answer.
async fn a_bet_sent_to_a_ready_process_finds_its_settler<E: Ground>() {
    let street = Street::on::<E>(1, 62, &[]).await;
    let engine = E::open(&street.config).await;
    let (api, running) = part(&street, &engine, &all()).await;
    api.open_die("first", 60_000, 200).await.unwrap();
    let wager = street.wagers("first", 1, 1).remove(0);
    let begun = Instant::now();
    let told = loop {
        let told =
            api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await.unwrap();
        // Bet placing may hear of the round a little later than whoever opened it.
        if told.text("code") != "round_unknown" {
            break told;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{}", told.body);
        sleep(LOOK_PERIOD).await;
    };
    assert_eq!((told.status, told.text("status")), (201, "accepted"), "{}", told.body);
    let wagers = street.wagers("first", 40, 2);
    place_all(&api, wagers, 8, &Arc::new(AtomicUsize::new(0))).await;
    api.close("first").await.unwrap();
    api.result("first", "4").await.unwrap();
    let watch = roundhouse::rig::watch::Watch::start(engine.clone());
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
    drop(watch);
    running.stop().await.unwrap();
    clean::<E>(&street).await;
}

fn all() -> Vec<Role> {
    use clap::ValueEnum;
    Role::value_variants().to_vec()
}

/// More heralds than there are partitions: one waits to take over, and is ready to.
async fn a_member_for_which_there_is_no_partition_is_ready<E: Ground>() {
    let street = Street::on::<E>(1, 63, &[]).await;
    let engine = E::open(&street.config).await;
    let mut heralds = Vec::new();
    for _ in 0..=E::PARTITIONS.rounds {
        heralds.push(part(&street, &engine, &[Role::Herald]).await.1);
    }
    for herald in heralds {
        herald.leave().await.unwrap();
    }
    engine.close().await;
}

/// The topic behind bet-maker's list stands still for over 5 s: the list is there, its age grows, and the
/// process is not ready; it is again once the topic moves.
async fn a_list_of_events_that_stands_still_is_served<E: Ground>() {
    let street = Street::on::<E>(1, 64, &[]).await;
    let engine = Watched::new(E::open(&street.config).await);
    let config = simple(&street);
    let listeners = listen(&config).await.unwrap();
    let running = Running::with(&config, listeners, engine.clone(), &Roles::all()).await.unwrap();
    let api = Api::new(format!("http://{}", running.address), String::new());
    let admin = Api::new(format!("http://{}", running.admin), String::new());
    api.ready(WAIT_MAX).await.unwrap();
    let deadline = SystemClock.now() / 1_000 + 600;
    let event = json!({"event_id": "still", "coefficient": "1.50", "deadline": deadline});
    let made = api.call(Method::POST, "/line-provider/events", "", Some(&event)).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.body);
    let listed = async || api.call(Method::GET, "/bet-maker/events", "", None).await.unwrap();
    let begun = Instant::now();
    while listed().await.body[0]["event_id"] != "still" {
        assert!(begun.elapsed() < WAIT_MAX);
        sleep(LOOK_PERIOD).await;
    }

    engine.stall(Some(Topic(ROUNDS)));
    let begun = Instant::now();
    while missing(&readyz(&admin).await) != ["events"] {
        assert!(begun.elapsed() < WAIT_MAX, "{}", readyz(&admin).await.body);
        sleep(LOOK_PERIOD).await;
    }
    assert!(Duration::from_secs(4) < begun.elapsed(), "an age below 5 s is no reason");
    assert_eq!(readyz(&admin).await.status, 503);
    let seen = listed().await;
    assert_eq!((seen.status, seen.body[0]["event_id"].as_str()), (200, Some("still")));

    engine.stall(None);
    api.ready(WAIT_MAX).await.unwrap();
    running.stop().await.unwrap();
}
