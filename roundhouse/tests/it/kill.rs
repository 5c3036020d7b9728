//! `kill -9` of the server and of the wallets at random moments, under load and with faults.

use crate::house::{EXE, Ground, OPERATOR_KEY, Street, WAIT_MAX, books, journals, planted};
use crate::second;
use partner_kit::faults::{FaultSettings, SplitMix};
use roundhouse::audit::audit;
use roundhouse::audit::books::Books;
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::PartnerKey;
use roundhouse::rig::players::{Told, Wager, place_all, wagers};
use roundhouse::rig::processes::{ServerProcess, free_ports};
use runtime::{Clock, SystemClock};
use schemas::decisions::{DecisionSaid, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

on_every_engine!(killed_again_and_again_not_a_cent_is_amiss);

/// Partners, each with a wallet; all wallets are one process.
const PARTNERS: usize = 4;
/// Bets of each round, and requests at once.
const BETS: usize = 150;
const CONNECTIONS: usize = 32;
/// Of those, one in so many is of the wallets.
const WALLETS_EVERY: u64 = 3;
/// Seed of the moments.
const SEED: u64 = 32;
/// Ms between a process that works and the next kill: at least, and up to so many more.
const ALIVE_MS: (u64, u64) = (100, 900);
/// Longest time, once faults are off, until nothing is undecided or owed.
const REST_MAX: Duration = Duration::from_secs(90);
/// How long the server runs between two looks at its books.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

const FAULTS: &[&str] = &[
    "--jitter-ms",
    "20",
    "--error-500-rate",
    "20",
    "--error-500-after-apply-rate",
    "20",
    "--timeout-after-apply-rate",
    "5",
    "--timeout-ms",
    "1500",
    "--reset-rate",
    "20",
    "--swap-rate",
    "20",
    "--repeat-rate",
    "20",
    "--decline-rate",
    "20",
];

/// Kills on engine `E`, unless the environment says otherwise (`ROUNDHOUSE_TEST_KILLS`).
fn kills<E: Ground>() -> usize {
    let wanted = std::env::vars().find(|(name, _)| name == "ROUNDHOUSE_TEST_KILLS");
    wanted.and_then(|(_, count)| count.parse().ok()).unwrap_or(E::KILLS)
}

struct Site {
    street: Street,
    exe: PathBuf,
    config: PathBuf,
    listen: String,
}

impl Site {
    async fn open<E: Ground>() -> Self {
        let street = Street::on::<E>(PARTNERS, SEED, FAULTS).await;
        let config = street.file("dispatcher = { call_ms_max = 1000 }");
        let listen = format!("127.0.0.1:{}", free_ports(1).unwrap());
        let exe = executable(street.directory.path());
        Self { street, exe, config, listen }
    }

    async fn serve(&self) -> ServerProcess {
        let directory = self.street.directory.path();
        ServerProcess::start(&self.exe, &self.config, directory, &self.listen).await.unwrap()
    }
}

/// The binary; through a script where the environment asks for a broken guard.
fn executable(directory: &Path) -> PathBuf {
    let Some(bug) = planted() else { return PathBuf::from(EXE) };
    let script = directory.join("broken");
    std::fs::write(&script, format!("#!/bin/sh\nexec {EXE} \"$@\" --planted {bug}\n")).unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    script
}

/// The bets of a round; one in ten is taken back.
fn round_of(index: usize, keys: &BTreeMap<String, PartnerKey>) -> (String, Vec<Wager>) {
    let round = format!("k-{index}");
    let mut random = SplitMix::new(SEED.wrapping_add(u64::try_from(index).unwrap()));
    let mut wagers = wagers(&round, BETS, keys, 10, SystemClock.now(), &mut random);
    for wager in wagers.iter_mut().skip(index % 10).step_by(10) {
        wager.cancel = true;
    }
    (round, wagers)
}

/// Rounds until told to stop, each with results, corrections, a withdrawal or a void; what clients were
/// told, and the number of rounds.
async fn load(
    api: Api,
    keys: BTreeMap<String, PartnerKey>,
    stop: CancellationToken,
) -> (Told, usize) {
    let (mut told, mut played) = (Told::new(), 0);
    while !stop.is_cancelled() {
        let (round, wagers) = round_of(played, &keys);
        api.open_die(&round, 60_000, 200).await.unwrap();
        let placed = Arc::new(AtomicUsize::new(0));
        for (bet, words) in place_all(&api, wagers, CONNECTIONS, &placed).await {
            told.entry(bet).or_default().extend(words);
        }
        api.close(&round).await.unwrap();
        match played % 4 {
            0 => {
                api.result(&round, "4").await.unwrap();
                api.correct(&round, 1, "5").await.unwrap();
            }
            1 => {
                api.void(&round, 0).await.unwrap();
            }
            2 => {
                api.result(&round, "2").await.unwrap();
            }
            _ => {
                api.result(&round, "1").await.unwrap();
                api.withdraw(&round, 1).await.unwrap();
                api.correct(&round, 2, "6").await.unwrap();
            }
        }
        played += 1;
    }
    (told, played)
}

async fn killed_again_and_again_not_a_cent_is_amiss<E: Ground>() {
    println!("seed {SEED}");
    let mut site = Site::open::<E>().await;
    let mut server = site.serve().await;
    let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
    let stop = CancellationToken::new();
    let playing = tokio::spawn(load(api, site.street.keys.clone(), stop.clone()));
    let mut random = SplitMix::new(SEED);
    let mut of_wallets = 0;
    for _ in 0..kills::<E>() {
        sleep(Duration::from_millis(E::STARTS_MS + ALIVE_MS.0 + random.below(ALIVE_MS.1))).await;
        if random.below(WALLETS_EVERY) == 0 {
            of_wallets += 1;
            site.street.wallets.kill_and_restart().await.unwrap();
        } else {
            server.kill().await.unwrap();
            server = site.serve().await;
        }
    }
    stop.cancel();
    let (told, played) = playing.await.unwrap();
    site.street.faults(FaultSettings::NONE).await;
    let books = at_rest::<E>(&site, server).await;
    let kills = kills::<E>();
    println!("{kills} kills ({of_wallets} of wallets), {played} rounds, {} bets", told.len());
    second::agrees(&books);
    as_told(&books, &told);
    audited(&site);
}

/// Lets everything come to rest, and stops the server.
async fn at_rest<E: Ground>(site: &Site, mut server: ServerProcess) -> Books {
    let begun = Instant::now();
    loop {
        let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
        api.ready(WAIT_MAX).await.unwrap();
        sleep(LOOK_PERIOD).await;
        server.stop().await.unwrap();
        let books = books::<E>(&site.street).await;
        let report = audit(&books, false).unwrap();
        assert!(report.clean, "seed {SEED}: {report}");
        if report.owed == 0 && report.undecided == 0 {
            return books;
        }
        assert!(begun.elapsed() < REST_MAX, "seed {SEED}: never at rest:\n{report}");
        server = site.serve().await;
    }
}

/// No client was told what the log does not say.
fn as_told(books: &Books, told: &Told) {
    let mut stands: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, said) in books.decisions.iter().flatten() {
        let DecisionSaid::Decided(decision) = said else { continue };
        let word = match decision.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Cancelled(_) => "cancelled",
            Verdict::Rejected(_) => "rejected",
        };
        stands.entry(decision.bet.id.as_str()).or_default().insert(word);
    }
    let mut cancelled = 0;
    for (bet, words) in told {
        for word in words {
            let said = stands.get(bet.as_str()).is_some_and(|said| said.contains(word.as_str()));
            assert!(
                said,
                "seed {SEED}: {bet} was told {words:?}, the log says {:?}",
                stands.get(bet.as_str())
            );
            cancelled += usize::from(word == "cancelled");
        }
    }
    assert!(0 < cancelled && BETS < told.len(), "{} told, {cancelled} cancelled", told.len());
}

/// The audit as its user runs it.
fn audited(site: &Site) {
    let mut command = Command::new(EXE);
    command.args(["audit", "--at-rest", "--config"]).arg(&site.config);
    let journals = journals(site.street.directory.path());
    let output = command.arg("--journal").arg(journals).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "seed {SEED}: {out}{err}");
}
