//! `kill -9` of the server and of the wallets at random moments, under load and with faults.

use crate::house::{EXE, OPERATOR_KEY, Street, books};
use partner_kit::faults::SplitMix;
use roundhouse::audit::audit;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::{Told, Wager, place_all};
use roundhouse::rig::processes::ServerProcess;
use roundhouse::rig::setup;
use schemas::decisions::{DecisionSaid, Verdict};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Kills, unless the environment says otherwise (`ROUNDHOUSE_TEST_KILLS`).
const KILLS: usize = 25;
/// Bets of each round.
const BETS: usize = 150;
/// Times the server is given some more time to come to rest.
const RESTS_MAX: usize = 12;
/// That time.
const REST: Duration = Duration::from_secs(5);

const FAULTS: &[&str] = &[
    "--jitter-ms", "20", "--error-500-rate", "20", "--error-500-after-apply-rate", "20",
    "--timeout-after-apply-rate", "5", "--timeout-ms", "1500", "--reset-rate", "20",
    "--swap-rate", "20", "--repeat-rate", "20", "--decline-rate", "20",
];

fn kills() -> usize {
    let wanted = std::env::vars().find(|(name, _)| name == "ROUNDHOUSE_TEST_KILLS");
    wanted.and_then(|(_, count)| count.parse().ok()).unwrap_or(KILLS)
}

/// A port that was free a moment ago.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

struct Site {
    street: Street,
    config: PathBuf,
    listen: String,
}

impl Site {
    async fn serve(&self) -> ServerProcess {
        let directory = self.street.directory.path();
        ServerProcess::start(Path::new(EXE), &self.config, directory, &self.listen).await.unwrap()
    }
}

/// Rounds until told to stop, each with a result, a void or a correction.
async fn load(api: Api, rounds: Vec<Vec<Wager>>, stop: CancellationToken) -> (Told, usize) {
    let (mut told, mut played) = (Told::new(), 0);
    for (index, wagers) in rounds.into_iter().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        let round = format!("k-{index}");
        api.open_die(&round, 60_000, 200).await.unwrap();
        let placed = Arc::new(AtomicUsize::new(0));
        for (bet, words) in place_all(&api, wagers, 32, &placed).await {
            told.entry(bet).or_default().extend(words);
        }
        assert!(0 < placed.load(Ordering::Relaxed));
        api.close(&round).await.unwrap();
        match index % 3 {
            0 => {
                api.result(&round, "4").await.unwrap();
                api.correct(&round, 1, "5").await.unwrap();
            }
            1 => {
                api.result(&round, "2").await.unwrap();
            }
            _ => {
                api.void(&round, 0).await.unwrap();
            }
        }
        played = index + 1;
    }
    (told, played)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_not_a_cent_is_amiss() {
    let street = Street::open(4, 31, FAULTS).await;
    let config = street.directory.path().join("roundhouse.toml");
    let further = "dispatcher = { call_ms_max = 1000 }".parse().unwrap();
    setup::write(&street.config, further, &config).unwrap();
    let rounds = (0..500).map(|index| {
        street.wagers(&format!("k-{index}"), BETS, u64::try_from(index).unwrap())
    });
    let rounds = rounds.collect();
    let mut site = Site { street, config, listen: free_port() };
    let mut server = site.serve().await;
    let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
    let stop = CancellationToken::new();
    let playing = tokio::spawn(load(api, rounds, stop.clone()));
    let seed = 32;
    let mut random = SplitMix::new(seed);
    for _ in 0..kills() {
        sleep(Duration::from_millis(100 + random.below(900))).await;
        if random.below(3) == 0 {
            site.street.wallets.kill_and_restart().await.unwrap();
        } else {
            server.kill().await.unwrap();
            server = site.serve().await;
        }
    }
    stop.cancel();
    let (told, played) = playing.await.unwrap();
    assert!(0 < played, "no round was played");
    at_rest(&site, server, &told).await;
}

/// Lets everything come to rest and audits it.
async fn at_rest(site: &Site, mut server: ServerProcess, told: &Told) {
    for rest in 0..RESTS_MAX {
        sleep(REST).await;
        server.stop().await.unwrap();
        let books = books(site.street.directory.path()).await;
        let report = audit(&books, false).unwrap();
        assert!(report.clean, "{report}");
        if report.owed == 0 && report.undecided == 0 {
            assert!(audit(&books, true).unwrap().clean);
            let mut checked = 0;
            for (_, said) in books.decisions.iter().flatten() {
                let DecisionSaid::Decided(decision) = said else { continue };
                let Some(words) = told.get(decision.bet.id.as_str()) else { continue };
                let otherwise = match decision.verdict {
                    Verdict::Accepted | Verdict::Cancelled(_) => "rejected",
                    Verdict::Rejected(_) => "accepted",
                };
                assert!(!words.iter().any(|word| word == otherwise), "{decision:?} {words:?}");
                checked += 1;
            }
            assert!(0 < checked, "no client was told anything");
            return;
        }
        assert!(rest + 1 < RESTS_MAX, "never at rest:\n{report}");
        server = site.serve().await;
    }
}
