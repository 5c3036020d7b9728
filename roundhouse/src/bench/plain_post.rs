//! `plain-post`: what placing a bet costs with no logic.
//!
//! For each request: append as many bytes as an intent has, post an authorize of the same bytes to the
//! same wallet, append as many bytes as the hold answer has, then as many as the decision has, and answer
//! as many bytes as the server does. Each append waits for its fsync. Nothing is read, checked, signed,
//! decided or remembered.

use super::journal::PlainJournal;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{StatusCode, Uri};
use runtime::http::{HttpClient, HttpOptions};
use runtime::{Clock, SystemClock};
use schemas::contract::{AUTHORIZE_PATH, AuthorizeRequest};
use signing::{SecretKey, sign};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The pool that bet placing has.
const POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(1),
    idle_max: Duration::from_secs(4),
    idle_connections_max: 256,
};
/// Longest wait for the wallet, and bytes of its answer.
const CALL_WAIT_MAX: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of a bet's hash.
const HASH_CHARS: usize = 27;

/// Bytes of the records of one bet: the mean of those that the server wrote in the same run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BetBytes {
    /// The intent.
    pub intent: usize,
    /// The partner's answer.
    pub answer: usize,
    /// The decision.
    pub decision: usize,
}

/// Where it appends.
#[derive(Clone)]
pub(super) enum Journal {
    /// A plain file.
    File(PlainJournal),
    /// A topic of Kafka.
    #[cfg(feature = "cluster")]
    Kafka(super::cluster::plain_kafka::PlainAppends),
}

impl Journal {
    async fn append(&self, bytes: usize) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.append(bytes).await,
            #[cfg(feature = "cluster")]
            Self::Kafka(topic) => topic.append(bytes).await,
        }
    }
}

/// The plain program. Ends when dropped.
pub(super) struct PlainPost {
    /// Where it listens.
    pub(super) address: SocketAddr,
    serving: JoinHandle<()>,
}

struct Plain {
    journal: Journal,
    bytes: BetBytes,
    client: HttpClient,
    wallet: Uri,
    /// What messages to it are signed with.
    platform: SecretKey,
    /// The authorize in two kinds of text: what stays, and where the bet's hash goes.
    authorize: Vec<String>,
    reply: Bytes,
    bets: AtomicUsize,
}

impl PlainPost {
    /// Starts it: `authorize` is the request of a bet `<round>:<hash>`, `reply` what a client is told.
    ///
    /// # Errors
    /// If the port cannot be had.
    pub(super) async fn start(
        journal: Journal,
        bytes: BetBytes,
        (wallet, platform): (&str, &SecretKey),
        authorize: &AuthorizeRequest,
        reply: Bytes,
    ) -> anyhow::Result<Self> {
        let text = serde_json::to_string(authorize).context("the request is not JSON")?;
        let (_, hash) = authorize.bet_id.rsplit_once(':').context("a bet has no hash")?;
        let plain = Arc::new(Plain {
            journal,
            bytes,
            client: HttpClient::new(POOL),
            wallet: format!("{wallet}{AUTHORIZE_PATH}").parse().context("the wallet's address")?,
            platform: platform.clone(),
            authorize: text.split(hash).map(ToOwned::to_owned).collect(),
            reply,
            bets: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port")?;
        let address = listener.local_addr().context("the port cannot be told")?;
        let listener = listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let router = Router::new().route("/v1/bets", post(place)).with_state(plain);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the plain server stopped");
            }
        });
        Ok(Self { address, serving })
    }
}

impl Drop for PlainPost {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn place(State(plain): State<Arc<Plain>>, _body: Bytes) -> Response {
    match plain.place().await {
        Ok(reply) => {
            (StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], reply).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

impl Plain {
    async fn place(&self) -> anyhow::Result<Bytes> {
        let number = self.bets.fetch_add(1, Ordering::Relaxed);
        self.journal.append(self.bytes.intent).await?;
        let body = self.authorize.join(&format!("{number:0HASH_CHARS$}"));
        let now_s = SystemClock.now().div_euclid(1_000);
        let signed = sign(std::slice::from_ref(&self.platform), "plain", now_s, body.as_bytes())
            .context("the id is no header")?;
        let posted = self.client.post_json(
            &self.wallet,
            &signed,
            Bytes::from(body),
            CALL_WAIT_MAX,
            ANSWER_BYTES_MAX,
        );
        let answer = posted.await.context("the wallet gave no answer")?;
        anyhow::ensure!(answer.status == 200, "the wallet answered {}", answer.status);
        self.journal.append(self.bytes.answer).await?;
        self.journal.append(self.bytes.decision).await?;
        Ok(self.reply.clone())
    }
}
