//! `plain-deliver`: what bringing a round's settlements to the partners costs with no logic.
//!
//! Writes settlements and records of deliveries as each engine's plain program does
//! ([`Plain`](super::plain::Plain)); between them posts chunks of the same items to the same wallets, over one
//! connection a chunk. Nothing is graded, matched, judged or remembered.

use super::client::micros;
use super::plain::Plain;
use super::tail::Taken;
use super::wallets::MemoryWallets;
use anyhow::Context;
use bytes::Bytes;
use http::Uri;
use runtime::http::{HttpClient, HttpOptions};
use runtime::{Clock, SystemClock};
use schemas::contract::{STATE_PATH, StateItem, StateRequest, StateResponse, Traffic};
use schemas::settlements::Settlement;
use signing::{SecretKey, sign};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Items of a chunk, as the server's configuration has it.
const CHUNK_ITEMS: usize = 500;
/// Longest wait for a wallet, and bytes of its answer.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The pool that the dispatchers have.
const POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(1),
    idle_max: Duration::from_secs(4),
    idle_connections_max: 16,
};

/// The plain program: what it writes to, and what it posts with.
pub(super) struct PlainDeliver<P> {
    plain: P,
    client: HttpClient,
}

impl<P> PlainDeliver<P> {
    pub(super) fn new(plain: P) -> Self {
        Self { plain, client: HttpClient::new(POOL) }
    }

    /// The program that writes.
    pub(super) fn plain(&self) -> &P {
        &self.plain
    }

    /// The client that posts.
    pub(super) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// Writes a round's settlements, and brings them to the partners: how long it took, in µs.
    ///
    /// # Errors
    /// As [`Self::deliver`].
    pub(super) async fn settle_and_deliver<E>(
        &mut self,
        told: Told<'_, P::Rows>,
    ) -> anyhow::Result<u64>
    where
        P: Plain<E>,
    {
        let begun = Instant::now();
        self.plain.settlements(told.settlements).await?;
        let settled_us = micros(begun.elapsed());
        Ok(settled_us.saturating_add(self.deliver::<E>(told).await?))
    }

    /// Posts a round's settlements, which stand in the log, and writes what is written about their deliveries: how
    /// long it took, in µs.
    ///
    /// # Errors
    /// If something is not taken.
    pub(super) async fn deliver<E>(&mut self, told: Told<'_, P::Rows>) -> anyhow::Result<u64>
    where
        P: Plain<E>,
    {
        let Told { round, work, rows, settlements, deliveries } = told;
        let begun = Instant::now();
        let answers = work.post(&self.client).await?;
        self.plain.deliveries(round, rows, deliveries).await?;
        let took_us = micros(begun.elapsed());
        work.check(&answers, settlements.len())?;
        Ok(took_us)
    }
}

/// A round as its partners were told of it.
pub(super) struct Told<'a, R> {
    pub(super) round: &'a str,
    pub(super) work: &'a PlainRound,
    pub(super) rows: &'a R,
    pub(super) settlements: &'a [Taken],
    pub(super) deliveries: &'a [Taken],
}

/// How the posts of a plain program are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posts {
    /// Chunks on their way at once.
    pub(super) at_once_max: usize,
    /// Whether the wallets have no rows of these bets and are to make them.
    pub(super) recover: bool,
}

impl Posts {
    /// A connection for each chunk, to the wallets that held the stakes.
    pub(super) const ALL: Self = Self { at_once_max: usize::MAX, recover: false };
}

/// A round's posts, made ready before the clock runs.
pub(super) struct PlainRound {
    /// Address and body of each chunk.
    chunks: Vec<(Uri, Bytes)>,
    /// What they are signed with.
    platform: SecretKey,
    at_once_max: usize,
}

impl PlainRound {
    /// The same posts as these records stand for. Each item goes one revision higher, so that the wallets
    /// write a row for it once more.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub(super) fn of(
        settlements: &[Taken],
        wallets: &MemoryWallets,
        posts: Posts,
    ) -> anyhow::Result<Self> {
        let mut by_partner = BTreeMap::<String, Vec<StateItem>>::new();
        for record in settlements {
            let due = Settlement::decode(&record.value).context("a settlement cannot be read")?;
            by_partner.entry(due.partner.to_string()).or_default().push(item(&due, posts));
        }
        let mut chunks = Vec::new();
        for (partner, items) in by_partner {
            let base = wallets.urls.get(&partner).context("a partner has no wallet")?;
            let url: Uri = format!("{base}{STATE_PATH}").parse().context("a wallet's address")?;
            for items in items.chunks(CHUNK_ITEMS) {
                chunks.push((url.clone(), body(items)?));
            }
        }
        let at_once_max = posts.at_once_max.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self { chunks, platform: wallets.platform.clone(), at_once_max })
    }

    /// Posts every chunk; the answers.
    ///
    /// # Errors
    /// If a wallet does not answer with 200.
    pub(super) async fn post(&self, client: &HttpClient) -> anyhow::Result<Vec<Bytes>> {
        let (mut calls, slots) = (JoinSet::new(), Arc::new(Semaphore::new(self.at_once_max)));
        for (url, body) in &self.chunks {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            let keys = std::slice::from_ref(&self.platform);
            let now_s = SystemClock.now().div_euclid(1_000);
            let signed = sign(keys, "plain", now_s, &body).context("the id is no header")?;
            let slot = Arc::clone(&slots).acquire_owned().await.context("there are no slots")?;
            calls.spawn(async move {
                let _slot = slot;
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

fn item(due: &Settlement, posts: Posts) -> StateItem {
    let revision = due.revision.saturating_add(1);
    StateItem { revision, recover: posts.recover, ..StateItem::from(due) }
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
