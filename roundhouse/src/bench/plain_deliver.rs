//! `plain-deliver`: what bringing a round's settlements to the partners costs with no logic.
//!
//! Writes settlements and records of deliveries as each engine's plain program does
//! ([`Plain`](super::plain::Plain)); between them posts chunks of the same items to the same wallets, over one
//! connection a chunk. Nothing is graded, matched, judged or remembered.

use super::tail::Taken;
use super::wallets::MemoryWallets;
use anyhow::Context;
use bytes::Bytes;
use http::Uri;
use runtime::http::HttpClient;
use runtime::{Clock, SystemClock};
use schemas::contract::{STATE_PATH, StateItem, StateRequest, StateResponse, Traffic};
use schemas::settlements::Settlement;
use signing::{SecretKey, sign};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Items of a chunk, as the server's configuration has it.
const CHUNK_ITEMS: usize = 500;
/// Longest wait for a wallet, and bytes of its answer.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A round's posts, made ready before the clock runs.
pub(super) struct PlainRound {
    /// Address and body of each chunk.
    chunks: Vec<(Uri, Bytes)>,
    /// What they are signed with.
    platform: SecretKey,
}

impl PlainRound {
    /// The same posts as these records stand for. Each item goes one revision higher, so that the wallets
    /// write a row for it once more.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(super) fn of(settlements: &[Taken], wallets: &MemoryWallets) -> anyhow::Result<Self> {
        let mut by_partner = BTreeMap::<String, Vec<StateItem>>::new();
        for record in settlements {
            let due = Settlement::decode(&record.value).context("a settlement cannot be read")?;
            by_partner.entry(due.partner.to_string()).or_default().push(item(&due));
        }
        let mut chunks = Vec::new();
        for (partner, items) in by_partner {
            let base = wallets.urls.get(&partner).context("a partner has no wallet")?;
            let url: Uri = format!("{base}{STATE_PATH}").parse().context("a wallet's address")?;
            for items in items.chunks(CHUNK_ITEMS) {
                chunks.push((url.clone(), body(items)?));
            }
        }
        Ok(Self { chunks, platform: wallets.platform.clone() })
    }

    /// Posts every chunk; the answers.
    ///
    /// # Errors
    /// If a wallet does not answer with 200.
    pub(super) async fn post(&self, client: &HttpClient) -> anyhow::Result<Vec<Bytes>> {
        let mut calls = JoinSet::new();
        for (url, body) in &self.chunks {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            let keys = std::slice::from_ref(&self.platform);
            let now_s = SystemClock.now().div_euclid(1_000);
            let signed = sign(keys, "plain", now_s, &body).context("the id is no header")?;
            calls.spawn(async move {
                client.post_json(&url, &signed, body, CALL_WAIT_MAX, ANSWER_BYTES_MAX).await
            });
        }
        let mut answers = Vec::with_capacity(self.chunks.len());
        while let Some(answer) = calls.join_next().await {
            let answer = answer.context("a call broke down")?.context("a wallet gave no answer")?;
            anyhow::ensure!(answer.status == 200, "a wallet answered {}", answer.status);
            answers.push(answer.body);
        }
        Ok(answers)
    }

    /// Checks, after the clock has stopped, that the wallets took every item.
    ///
    /// # Errors
    /// If they did not.
    pub(super) fn check(&self, answers: &[Bytes], items: usize) -> anyhow::Result<()> {
        let mut applied = 0_usize;
        for answer in answers {
            let answer: StateResponse =
                serde_json::from_slice(answer).context("a wallet's answer cannot be read")?;
            let taken = answer.results.iter();
            applied +=
                taken.filter(|r| r.outcome == schemas::contract::ItemOutcome::Applied).count();
        }
        anyhow::ensure!(applied == items, "the wallets took {applied} of {items} plain items");
        Ok(())
    }

    /// Chunks to post.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }
}

fn item(due: &Settlement) -> StateItem {
    StateItem { revision: due.revision.saturating_add(1), ..StateItem::from(due) }
}

fn body(items: &[StateItem]) -> anyhow::Result<Bytes> {
    let request = StateRequest {
        op: "state".to_owned(),
        // As long as the hash that it would be.
        chunk_id: "0".repeat(64),
        traffic: Traffic::Live,
        items: items.to_vec(),
    };
    Ok(Bytes::from(serde_json::to_vec(&request).context("a chunk is not JSON")?))
}
