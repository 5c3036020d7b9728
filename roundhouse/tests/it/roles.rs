//! Roles apart: three processes' worth of machines over one log, each with an API of its own.

use crate::house::{EXE, Ground, OPERATOR_KEY, Street, WAIT_MAX, clean};
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::place_all;
use roundhouse::rig::watch::Watch;
use roundhouse::serve::{Opened, Role, Running, listen};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

on_every_engine!(a_round_over_three_parts);

const BETS: usize = 100;

/// A process's worth of machines with these roles, once it is ready.
pub(crate) async fn part<E: Opened>(
    street: &Street,
    engine: &E,
    roles: &[Role],
) -> (Api, Running<E>) {
    let listener = listen(&street.config).await.unwrap();
    let roles = roles.iter().copied().collect();
    let running = Running::with(&street.config, listener, engine.clone(), &roles).await.unwrap();
    let api = Api::new(format!("http://{}", running.address), OPERATOR_KEY.to_owned());
    api.ready(WAIT_MAX).await.unwrap();
    (api, running)
}

async fn code(api: &Api, path: &str) -> String {
    api.call(Method::GET, path, "", None).await.unwrap().text("code").to_owned()
}

async fn a_round_over_three_parts<E: Ground>() {
    let street = Street::on::<E>(2, 71, &[]).await;
    let engine = E::open(&street.config).await;
    let watch = Watch::start(engine.clone());
    let (rounds, one) = part(&street, &engine, &[Role::Line, Role::Herald]).await;
    let (bets, two) = part(&street, &engine, &[Role::Bets]).await;
    let rest = [Role::Settler, Role::Reconciler, Role::Dispatcher, Role::History];
    let (ops, three) = part(&street, &engine, &rest).await;

    for (api, path, wanted) in [
        (&rounds, "/v1/rounds", "credential_missing"),
        (&rounds, "/v1/bets/r:some", "not_served_here"),
        (&bets, "/v1/bets/r:some", "credential_missing"),
        (&bets, "/v1/rounds/r", "not_served_here"),
        (&ops, "/v1/bets", "not_served_here"),
        (&ops, "/v1/rounds", "not_served_here"),
        (&bets, "/v1/partners/p01/transactions", "not_served_here"),
        (&ops, "/v1/partners/p01/transactions", "credential_missing"),
    ] {
        assert_eq!(code(api, path).await, wanted, "{path}");
    }

    rounds.open_die("r", 60_000, 200).await.unwrap();
    let wagers = street.wagers("r", BETS, 1);
    let told = place_all(&bets, wagers, 16, &Arc::new(AtomicUsize::new(0))).await;
    assert!(BETS / 2 <= told.len(), "only {} bets were told anything", told.len());
    rounds.close("r").await.unwrap();
    rounds.result("r", "3").await.unwrap();
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
    assert!(0 < watch.seen().confirmed);

    drop(watch);
    one.leave().await.unwrap();
    two.leave().await.unwrap();
    three.stop().await.unwrap();
    clean::<E>(&street).await;
}

#[track_caller]
fn refused(arguments: &[&str], words: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Command::new(EXE);
    let output = process.args(arguments).current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(words), "`{words}` is not in: {said}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing may be made: {said}");
}

/// Of the embedded engine alone: on the other one these commands are what runs there.
#[test]
fn what_one_directory_cannot_do_is_said() {
    refused(&["ingest"], "use `roundhouse serve`");
    refused(&["ingest", "--role", "bets"], "use `roundhouse serve`");
    refused(&["settler"], "use `roundhouse serve`");
    refused(&["dispatcher"], "use `roundhouse serve`");
    refused(&["ingest", "--role", "settler"], "line, herald, bets");
    refused(&["serve", "--brokers", "kafka:9092"], "--engine cluster");
    refused(&["serve", "--engine", "cluster", "--sandbox"], "--sandbox");
    refused(&["demo", "--target", "http://localhost:1"], "--prepare");
    refused(&["demo", "--prepare", "d", "--engine", "embedded"], "only the cluster engine");
}
