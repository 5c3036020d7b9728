//! The simple APIs: the example client plays them on every engine, and the books are right behind it.

use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean, held, nets};
use http::Method;
use roundhouse::config::{Config, Simple};
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::{ServerProcess, free_ports};
use roundhouse::rig::watch::Watch;
use roundhouse::serve::{Role, Running, listen};
use runtime::embedded::Embedded;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

on_every_engine!(
    the_example_plays,
    a_restart_changes_nothing,
    /// Two services apart: without line-provider, bet-maker lists events and decides bets.
    apart,
);

/// The partner whose player bets.
const PARTNER: &str = "p01";

/// A configuration in which both APIs are served to anybody.
pub(crate) fn simple(street: &Street) -> Config {
    let mut config = street.config.clone();
    config.simple = Simple {
        open: true,
        partner: PARTNER.to_owned(),
        player: "bet-maker".to_owned(),
        currency: "EUR".to_owned(),
        partner_secret: street.keys[PARTNER].secret(),
    };
    config
}

/// Plays the example against `url`; what it prints.
async fn play(url: String, arguments: &'static [&'static str]) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/simple/play.py");
    let played = tokio::task::spawn_blocking(move || {
        Command::new("python3").arg(example).args(["--url", &url]).args(arguments).output()
    });
    let output = played.await.unwrap().expect("the test needs Python 3.10");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    printed
}

async fn get(api: &Api, path: &str) -> Value {
    api.call(Method::GET, path, "", None).await.unwrap().body
}

async fn until(api: &Api, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = timeout(WAIT_MAX, async {
        loop {
            let seen = get(api, path).await;
            if wanted(&seen) {
                return seen;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{path} never came to what was wanted"))
}

async fn call(api: &Api, method: Method, path: &str, body: Value, status: u16) -> Value {
    let reply = api.call(method, path, "", Some(&body)).await.unwrap();
    assert_eq!(reply.status, status, "{path} {body}: {}", reply.body);
    reply.body
}

/// The example's parts hold, and the audit agrees with the wallet.
async fn the_example_plays<E: Ground>() {
    let street = Street::on::<E>(1, 81, &[]).await;
    let house = House::<E>::open(&simple(&street)).await;
    let printed = play(format!("http://{}", house.running.address), &[]).await;
    for part in ["win_loss_correction", "deadline", "drawn", "keys", "refusals", "many"] {
        assert!(printed.contains(&format!("{part} holds")), "{printed}");
    }
    house.settled().await;
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    assert!(640 < nets(&books).len());
}

/// A deadline that passes while nothing runs ends betting all the same; bets, events, keys and the draw of a
/// result are as they were.
async fn a_restart_changes_nothing<E: Ground>() {
    let street = Street::on::<E>(1, 82, &[]).await;
    let config = simple(&street);
    let house = House::<E>::open(&config).await;
    let deadline = timestamp(SystemClock.now() + 3_000);
    for (event, drawn) in [("passes", false), ("drawn", true)] {
        let body = json!({
            "event_id": event, "coefficient": "1.50", "deadline": deadline, "auto_result": drawn,
        });
        call(&house.api, Method::POST, "/line-provider/events", body, 201).await;
        let body = json!({"event_id": event, "amount": "4.00"});
        call(&house.api, Method::POST, "/bet-maker/bet", body, 201).await;
    }
    let bets = get(&house.api, "/bet-maker/bets").await;
    assert_eq!(bets.as_array().unwrap().len(), 2);
    house.close().await;

    let house = House::<E>::open(&config).await;
    let passed =
        until(&house.api, "/line-provider/events/passes", |event| event["status"] == "sealed");
    passed.await;
    until(&house.api, "/line-provider/events/drawn", |event| event["state"] != 1).await;
    assert_eq!(get(&house.api, "/bet-maker/events").await, json!([]));
    let body = json!({ "state": 2 });
    call(&house.api, Method::PATCH, "/line-provider/events/passes", body, 200).await;
    let ended = |list: &Value| {
        list.as_array().is_some_and(|bets| bets.iter().all(|bet| bet["status"] != "pending"))
    };
    let after = until(&house.api, "/bet-maker/bets", ended).await;
    let same = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|bet| bet["bet_id"].clone()).collect()
    };
    assert_eq!(same(&after), same(&bets));
    house.settled().await;
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    let passed = held(&books, "passes");
    assert_eq!(passed.keys().map(|bet| nets(&books)[bet]).sum::<i128>(), 200);
}

async fn part<E: Ground>(config: &Config, engine: &E, roles: &[Role]) -> (Api, Running<E>) {
    let listener = listen(config).await.unwrap();
    let roles = roles.iter().copied().collect();
    let running = Running::with(config, listener, engine.clone(), &roles).await.unwrap();
    let api = Api::new(format!("http://{}", running.address), OPERATOR_KEY.to_owned());
    api.ready(WAIT_MAX).await.unwrap();
    (api, running)
}

async fn apart<E: Ground>() {
    let street = Street::on::<E>(1, 83, &[]).await;
    let config = simple(&street);
    let engine = E::open(&config).await;
    let watch = Watch::start(engine.clone());
    let rest = [Role::Herald, Role::Settler, Role::Reconciler, Role::Dispatcher];
    let (_, core) = part(&config, &engine, &rest).await;
    let (lines, offering) = part(&config, &engine, &[Role::LineProvider]).await;
    let (bets, betting) = part(&config, &engine, &[Role::BetMaker]).await;
    let absent = |body: &Value| body["code"] == "not_served_here";
    assert!(absent(&get(&lines, "/bet-maker/events").await));
    assert!(absent(&get(&lines, "/v1/rounds").await));
    assert!(absent(&get(&bets, "/line-provider/events").await));
    assert!(absent(&get(&bets, "/v1/bets/r:x").await));

    // A service that is alone needs no prefix.
    for (api, path) in
        [(&lines, "/docs/"), (&lines, "/events"), (&bets, "/docs/"), (&bets, "/bets")]
    {
        let reply = api.call(Method::GET, path, "", None).await.unwrap();
        assert_eq!(reply.status, 200, "{path}");
    }

    let body = json!({
        "event_id": "e", "coefficient": "1.50", "deadline": timestamp(SystemClock.now() + 60_000),
    });
    call(&lines, Method::POST, "/line-provider/events", body, 201).await;
    until(&bets, "/bet-maker/events", |list| list[0]["event_id"] == "e").await;
    offering.leave().await.unwrap();
    assert_eq!(get(&bets, "/bet-maker/events").await[0]["event_id"], "e");
    let body = json!({"event_id": "e", "amount": 2});
    let bet = call(&bets, Method::POST, "/bet-maker/bet", body, 201).await;
    assert_eq!(get(&bets, "/bet-maker/bets").await, json!([bet]));

    let (lines, offering) = part(&config, &engine, &[Role::LineProvider]).await;
    call(&lines, Method::PATCH, "/line-provider/events/e", json!({ "state": 3 }), 200).await;
    until(&bets, "/bet-maker/bets", |list| list[0]["status"] == "lost").await;
    assert!(watch.settled(WAIT_MAX).await, "still owed: {:?}", watch.seen().owed);
    drop(watch);
    offering.leave().await.unwrap();
    betting.leave().await.unwrap();
    core.stop().await.unwrap();
    clean::<E>(&street).await;
}

/// The real command, with its own wallet, twice on one directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let serve = ["serve", "--sandbox", "--announce", "--log", "warn", "--listen", "127.0.0.1:0"];
    let mut arguments: Vec<String> = serve.iter().map(ToString::to_string).collect();
    arguments.extend(["--data-dir".to_owned(), path]);
    for turn in 0..2 {
        let begun = Instant::now();
        let server = ServerProcess::run(&PathBuf::from(EXE), &arguments).await.unwrap();
        Api::new(server.url.clone(), String::new()).ready(WAIT_MAX).await.unwrap();
        let printed = play(server.url.clone(), &[]).await;
        assert!(printed.contains("many holds"), "{printed}");
        println!("turn {turn}, {:.1?}:\n{printed}", begun.elapsed());
        server.stop().await.unwrap();
    }
    let audit = Command::new(EXE).arg("audit").arg("--data-dir").arg(directory.path()).output();
    let audit = audit.unwrap();
    assert_eq!(audit.status.code(), Some(0), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// A server whose output nobody reads, as behind `| head`, serves on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_nobody_listens_to() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_ports(1).unwrap());
    let mut server = tokio::process::Command::new(EXE)
        .args(["serve", "--sandbox", "--announce", "--log", "error", "--listen", &listen])
        .args(["--admin-listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(directory.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(server.stdout.take());
    let api = Api::new(format!("http://{listen}"), String::new());
    api.ready(WAIT_MAX).await.unwrap();
    let body = json!({
        "event_id": "e", "coefficient": 1.5, "deadline": timestamp(SystemClock.now() + 60_000),
    });
    call(&api, Method::POST, "/line-provider/events", body, 201).await;
    until(&api, "/bet-maker/events", |events| events[0]["event_id"] == "e").await;
    assert!(server.try_wait().unwrap().is_none(), "the server has ended");
}

/// Without a sandbox line-provider needs the operator's key, and nobody bets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sandbox() {
    let street = Street::open(1, 84, &[]).await;
    let house = House::<Embedded>::open(&street.config).await;
    let path = "/line-provider/events";
    let body = json!({
        "event_id": "e", "coefficient": 1.5, "deadline": timestamp(SystemClock.now() + 60_000),
    });
    let refused = call(&house.api, Method::POST, path, body.clone(), 401).await;
    assert_eq!(refused["code"], "credential_missing");
    let reply = house.api.call(Method::POST, path, OPERATOR_KEY, Some(&body)).await.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(get(&house.api, "/bet-maker/bets").await["code"], "not_served_here");
    house.close().await;
}
