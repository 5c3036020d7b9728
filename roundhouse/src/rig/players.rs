//! Many players at once: places bets over HTTP, repeats what got no answer, takes some back.

use super::api::{Api, DIE, Reply, die_odds};
use super::keys::PartnerKey;
use super::setup::{CURRENCY, EXPONENT};
use http::Method;
use partner_kit::faults::SplitMix;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Times a bet is sent before its player gives up; the same bet each time.
const SENDS_MAX: usize = 4;
/// Wait before it is sent again.
const AGAIN_WAIT: Duration = Duration::from_millis(100);
/// Minor units of the largest stake.
const STAKE_MAX: u64 = 5_000;
/// One accepted bet in so many is taken back.
const CANCEL_EVERY: usize = 500;

/// A bet of a plan.
#[derive(Clone, Debug)]
pub struct Wager {
    /// The partner.
    pub partner: String,
    /// The player's token.
    pub token: Arc<str>,
    /// The body of the request.
    pub body: serde_json::Value,
    /// Whether it is to be taken back once it is accepted.
    pub cancel: bool,
}

/// What clients were told of bets, finally: `accepted`, `rejected` or `cancelled`.
pub type Told = BTreeMap<String, Vec<String>>;

/// Makes the bets of one round: partners in turn, players and stakes drawn from `random`.
pub fn wagers(
    round: &str,
    count: usize,
    keys: &BTreeMap<String, PartnerKey>,
    players: usize,
    now_ms: i64,
    random: &mut SplitMix,
) -> Vec<Wager> {
    let tokens: Vec<(&String, Vec<Arc<str>>)> = keys
        .iter()
        .map(|(partner, key)| {
            let token = |number| Arc::from(key.token(&format!("player-{number}"), now_ms));
            (partner, (0..players.max(1)).map(token).collect())
        })
        .collect();
    let mut wagers = Vec::with_capacity(count);
    for index in 0..count {
        let Some((partner, tokens)) = tokens.get(index % tokens.len().max(1)) else { break };
        let below = |random: &mut SplitMix, bound: usize| {
            usize::try_from(random.below(u64::try_from(bound).unwrap_or(1))).unwrap_or(0)
        };
        let Some(token) = tokens.get(below(random, tokens.len())) else { break };
        let selection = DIE.get(below(random, DIE.len())).copied().unwrap_or("odd");
        let stake = 1 + random.below(STAKE_MAX);
        wagers.push(Wager {
            partner: (*partner).clone(),
            token: Arc::clone(token),
            body: json!({
                "client_ref": format!("bet-{index}"),
                "round_id": round,
                "selection": selection,
                "stake": {"units": stake.to_string(), "currency": CURRENCY, "exponent": EXPONENT},
                "odds": die_odds(selection),
            }),
            cancel: index % CANCEL_EVERY == CANCEL_EVERY / 2,
        });
    }
    wagers
}

/// Places `wagers`, `at_once` at a time, and says what was told.
///
/// `placed` counts the answers as they come. A server that is away is asked again: a bet may be sent
/// several times, always the same one.
pub async fn place_all(
    api: &Api,
    wagers: Vec<Wager>,
    at_once: usize,
    placed: &Arc<AtomicUsize>,
) -> Told {
    let queue = Arc::new(Mutex::new(wagers.into_iter()));
    let told = Arc::new(Mutex::new(Told::new()));
    let mut players = JoinSet::new();
    for _ in 0..at_once.max(1) {
        let (api, queue) = (api.clone(), Arc::clone(&queue));
        let (told, placed) = (Arc::clone(&told), Arc::clone(placed));
        players.spawn(async move {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(wager) = next else { return };
                let said = place(&api, &wager).await;
                placed.fetch_add(1, Ordering::Relaxed);
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                for (bet, word) in said {
                    told.entry(bet).or_default().push(word);
                }
            }
        });
    }
    while players.join_next().await.is_some() {}
    std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Places one bet, and says the final words on it. Without an answer it is sent again, a few times.
pub async fn place(api: &Api, wager: &Wager) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for _ in 0..SENDS_MAX {
        let reply = api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await;
        let Ok(reply) = reply else {
            sleep(AGAIN_WAIT).await;
            continue;
        };
        match reply.status {
            200 | 201 => {
                told.extend(word(&reply.body));
                let bet = reply.text("bet_id");
                if wager.cancel && reply.status == 201 {
                    told.extend(cancel(api, wager, bet).await);
                }
                return told;
            }
            422 if reply.body["final"] == true => {
                told.extend(word(&reply.body["bet"]));
                return told;
            }
            // This server has not read yet what another, or another of its loops, has told us.
            422 if reply.text("code") == "round_unknown" => sleep(AGAIN_WAIT).await,
            400..=499 => return told,
            _ => sleep(AGAIN_WAIT).await,
        }
    }
    told
}

async fn cancel(api: &Api, wager: &Wager, bet: &str) -> Option<(String, String)> {
    let path = format!("/v1/bets/{bet}/cancel");
    for _ in 0..SENDS_MAX {
        let reply = api.call(Method::POST, &path, &wager.token, Some(&json!({}))).await;
        match reply {
            Ok(Reply { status: 200, body }) => return word(&body),
            Ok(Reply { status: 400..=499, .. }) => return None,
            Ok(_) | Err(_) => sleep(AGAIN_WAIT).await,
        }
    }
    None
}

/// The bet and its status, if it is a final one.
fn word(body: &serde_json::Value) -> Option<(String, String)> {
    let status = body["status"].as_str()?;
    let last = matches!(status, "accepted" | "rejected" | "cancelled");
    last.then(|| (body["bet_id"].as_str().unwrap_or_default().to_owned(), status.to_owned()))
}
