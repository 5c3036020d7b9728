//! What a server's process says when it is in the way, or is asked to go.

use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use roundhouse::rig::api::Api;
use roundhouse::rig::players::place_all;
use roundhouse::rig::processes::ServerProcess;
use runtime::Embedded;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Instant, sleep};

on_every_engine!(a_signal_drains);

/// Bets on their way when the server is asked to stop.
const BETS: usize = 200;

async fn serve(street: &Street) -> (ServerProcess, PathBuf) {
    let config = street.file("");
    let directory = street.directory.path();
    let started = ServerProcess::start(Path::new(EXE), &config, directory, "127.0.0.1:0").await;
    (started.unwrap(), config)
}

fn run(command: &str, directory: &Path, arguments: &[&str]) -> Output {
    let mut process = Command::new(EXE);
    process.arg(command).arg("--data-dir").arg(directory).args(arguments);
    process.output().unwrap()
}

#[track_caller]
fn unable(output: &Output, directory: &Path) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let sentence = said.lines().find(|line| line.starts_with("roundhouse: ")).unwrap_or_default();
    assert!(sentence.contains(&*directory.to_string_lossy()), "the directory is not named: {said}");
    assert!(sentence.contains("another process") || sentence.contains("in use"), "{said}");
}

/// A second server and an audit are refused while the first server runs, and do it no harm.
///
/// Of the embedded engine alone: Kafka and the store are made to be shared, and there a second server is
/// one more member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_one_process_s() {
    let street = Street::on::<Embedded>(1, 51, &[]).await;
    let (server, config) = serve(&street).await;
    let directory = street.directory.path();
    let config = config.to_str().unwrap();
    let any = "127.0.0.1:0";
    let ports = ["--listen", any, "--admin-listen", any, "--config", config];
    unable(&run("serve", directory, &ports), directory);
    unable(&run("audit", directory, &[]), directory);

    let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
    api.ready(WAIT_MAX).await.unwrap();
    api.open_die("r", 60_000, 100).await.unwrap();
    server.stop().await.unwrap();
    let audit = run("audit", directory, &[]);
    assert_eq!(audit.status.code(), Some(0), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// SIGTERM in the middle of a load: exit code 0 (or `stop` fails), and after the next start everything
/// that clients were told holds.
async fn a_signal_drains<E: Ground>() {
    let street = Street::on::<E>(2, 52, &["--jitter-ms", "30"]).await;
    let (server, _) = serve(&street).await;
    let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
    api.ready(WAIT_MAX).await.unwrap();
    api.open_die("r", 60_000, 100).await.unwrap();
    let placed = Arc::new(AtomicUsize::new(0));
    let wagers = street.wagers("r", BETS, 1);
    let placing = {
        let (api, placed) = (api.clone(), Arc::clone(&placed));
        tokio::spawn(async move { place_all(&api, wagers, 16, &placed).await })
    };
    let begun = Instant::now();
    while placed.load(Ordering::Relaxed) < BETS / 4 {
        assert!(begun.elapsed() < WAIT_MAX, "no bet was answered");
        sleep(std::time::Duration::from_millis(1)).await;
    }
    server.stop().await.unwrap();
    let told = placing.await.unwrap();
    assert!(BETS / 4 <= told.len(), "only {} bets were told anything", told.len());

    let house = House::<E>::open(&street.config).await;
    house.api.close("r").await.unwrap();
    house.api.result("r", "2").await.unwrap();
    house.settled().await;
    let decided = house.watch.seen().decided.clone();
    house.close().await;
    for (bet, words) in told {
        let stands = format!("{:?}", decided[&bet]).to_lowercase();
        let holds =
            |word: &String| *word == stands || (word == "accepted" && stands == "cancelled");
        assert!(words.iter().all(holds), "{bet} was told {words:?} and is {stands}");
    }
    clean::<E>(&street).await;
}
