//! Players and a desk, through both ingests, until told to stop.

use crate::cast::Cast;
use partner_kit::faults::SplitMix;
use roundhouse::audit::books::Books;
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::PartnerKey;
use roundhouse::rig::players::{Told, place_all, wagers};
use runtime::{Clock, SystemClock};
use schemas::decisions::{DecisionSaid, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bets of each round, and requests at once through each ingest.
const BETS: usize = 120;
const CONNECTIONS: usize = 16;
/// A round's betting outlasts any freeze; the desk closes it.
const BETTING_MS: i64 = 600_000;
const GRACE_MS: i64 = 200;

/// Starts to play; ends behind `stop` with what clients were told and the number of rounds.
pub(crate) fn start(cast: &Cast, seed: u64, stop: &CancellationToken) -> JoinHandle<(Told, usize)> {
    let tables: Vec<_> = cast
        .apis()
        .into_iter()
        .enumerate()
        .map(|(table, api)| {
            let keys = cast.street.keys.clone();
            tokio::spawn(play(api, table, keys, seed, stop.clone()))
        })
        .collect();
    tokio::spawn(async move {
        let (mut told, mut rounds) = (Told::new(), 0);
        for table in tables {
            let (more, played) = table.await.unwrap();
            told.extend(more);
            rounds += played;
        }
        (told, rounds)
    })
}

/// Rounds through one ingest, each with results, corrections, a withdrawal or a void.
async fn play(
    api: Api,
    table: usize,
    keys: BTreeMap<String, PartnerKey>,
    seed: u64,
    stop: CancellationToken,
) -> (Told, usize) {
    let (mut told, mut played) = (Told::new(), 0);
    while !stop.is_cancelled() {
        let round = format!("c{table}-{played}");
        let lot = seed.wrapping_mul(1_000_003) + u64::try_from(table * 100_000 + played).unwrap();
        let mut random = SplitMix::new(lot);
        let bets = wagers(&round, BETS, &keys, 10, SystemClock.now(), &mut random);
        api.open_die(&round, BETTING_MS, GRACE_MS).await.unwrap();
        let placed = Arc::new(AtomicUsize::new(0));
        for (bet, words) in place_all(&api, bets, CONNECTIONS, &placed).await {
            told.entry(bet).or_default().extend(words);
        }
        api.close(&round).await.unwrap();
        match played % 4 {
            0 => {
                api.result(&round, "4").await.unwrap();
                api.correct(&round, 1, "5").await.unwrap();
            }
            1 => {
                api.result(&round, "2").await.unwrap();
            }
            2 => {
                api.void(&round, 0).await.unwrap();
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

/// No client was told what the log does not say.
pub(crate) fn as_told(books: &Books, told: &Told) {
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
    let mut words_count = 0;
    for (bet, words) in told {
        for word in words {
            let said = stands.get(bet.as_str()).is_some_and(|said| said.contains(word.as_str()));
            assert!(said, "{bet} was told {words:?}, the log says {:?}", stands.get(bet.as_str()));
            words_count += 1;
        }
    }
    assert!(BETS < words_count, "only {words_count} words were told");
}
