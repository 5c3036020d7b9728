//! Others that we call: where they are, and whose word counts.

use super::pools::Pools;
use super::timing::Timing;
use super::{
    AddressError, CallError, Failure, HttpAnswer, HttpClient, HttpOptions, Outbound, retry_after_ms,
};
use crate::Clock;
use crate::telemetry::Metrics;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use signing::{Refused, SecretKey, VerifyingKey, sign, verify_reply};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The keys of messages to somebody and of the replies.
#[derive(Clone, Debug, Default)]
pub struct PeerKeys {
    /// What messages to them are signed with, each with all of these.
    pub ours: Vec<SecretKey>,
    /// What their replies are checked with: one must fit.
    pub theirs: Vec<VerifyingKey>,
}

/// A message to somebody.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The id: the same for every attempt. The reply repeats it.
    pub id: &'a str,
    /// The method.
    pub method: Method,
    /// The path, which begins with a slash, and the query if there is one.
    pub path: &'a str,
    /// The path as it is counted: without what stands in it of the message.
    pub route: &'static str,
    /// Headers besides those of the signature.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body, JSON.
    pub body: Option<Bytes>,
}

#[derive(Debug)]
struct Peer {
    base: String,
    keys: PeerKeys,
    /// Why it cannot be called stands in the log since the last answer.
    told: AtomicBool,
}

/// What others are called with: nobody is who may not be called. Cheap to clone; clones share the pool.
#[derive(Clone, Debug)]
pub struct PeerClient(pub(super) HttpClient);

/// Others by name. They may change while calls are made. Cheap to clone; clones know the same.
#[derive(Clone, Debug)]
pub struct Peers<K> {
    known: Arc<RwLock<BTreeMap<K, Arc<Peer>>>>,
    outbound: Outbound,
    timing: Timing,
}

/// Nobody is known, and nothing but https on the public internet could be.
impl<K> Default for Peers<K> {
    fn default() -> Self {
        Self::new(Outbound::default())
    }
}

impl<K> Peers<K> {
    /// Nobody yet; those to come are called as `outbound` says.
    pub fn new(outbound: Outbound) -> Self {
        Self { known: Arc::default(), outbound, timing: Timing::default() }
    }

    /// Counts the calls in these metrics.
    pub fn measure(&self, metrics: &Metrics) {
        self.timing.register(metrics);
    }

    /// How they are called.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// A client for [`Self::call`], with a pool of its own.
    pub fn client(&self, options: HttpOptions) -> PeerClient {
        PeerClient(HttpClient::guarded(options, self.outbound.clone()))
    }

    /// Clients for [`Self::call`], each with a pool of its own.
    pub fn pools<Q>(&self, options: HttpOptions) -> Pools<Q> {
        Pools::new(options, self.outbound.clone())
    }
}

impl<K: Ord> Peers<K> {
    /// Adds somebody, or replaces what is known of them: `base` stands before the path of each call.
    ///
    /// # Errors
    /// [`AddressError`]; then what was known before stands.
    pub fn set(&self, name: K, base: &str, keys: PeerKeys) -> Result<(), AddressError> {
        let base = self.outbound.checked(base)?.to_owned();
        let peer = Peer { base, keys, told: AtomicBool::new(false) };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(peer));
        Ok(())
    }

    /// The address of `path`, which begins with a slash; `None` if nobody of the name is known.
    pub fn url(&self, name: &K, path: &str) -> Option<Uri> {
        self.get(name)?.url(path)
    }

    fn get(&self, name: &K) -> Option<Arc<Peer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Sends a signed message, and reads the whole answer, at most `answer_bytes_max` bytes of body. A 200
    /// counts only if it is signed as the reply to this message; whatever else is answered says nothing for
    /// certain, so nothing of it is checked.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unknown`] if nobody of the name is known.
    pub async fn call(
        &self,
        client: &PeerClient,
        name: &K,
        message: Message<'_>,
        deadline: Duration,
        answer_bytes_max: usize,
        clock: &impl Clock,
    ) -> Result<HttpAnswer, CallError> {
        let (begun, route) = (Instant::now(), message.route);
        let came = self.exchange(client, name, message, deadline, answer_bytes_max, clock).await;
        self.timing.ended(route, &came, begun.elapsed());
        came
    }

    async fn exchange(
        &self,
        client: &PeerClient,
        name: &K,
        message: Message<'_>,
        deadline: Duration,
        answer_bytes_max: usize,
        clock: &impl Clock,
    ) -> Result<HttpAnswer, CallError> {
        let peer = self.get(name).ok_or(CallError::Unknown)?;
        let url = peer.url(message.path).ok_or(CallError::Unknown)?;
        let now_s = || clock.now().div_euclid(1_000);
        let sent = message.body.clone().unwrap_or_default();
        let signed = sign(&peer.keys.ours, message.id, now_s(), &sent).ok_or(CallError::Unknown)?;
        let headers = [message.headers, &signed].concat();
        let exchanged = client
            .0
            .exchange(message.method, &url, &headers, message.body, deadline, answer_bytes_max)
            .await;
        let (mut answer, headers) = exchanged.map_err(|failure| peer.note(&failure))?;
        answer.retry_after_ms = retry_after_ms(&headers, Some(clock.now()));
        peer.told.store(false, Ordering::Relaxed);
        if answer.status == StatusCode::OK {
            // With a secret that both share, what we signed would pass for theirs.
            if !sent.is_empty() && answer.body == sent {
                return Err(CallError::Signature(Refused::OwnMessage));
            }
            verify_reply(&peer.keys.theirs, &headers, now_s(), message.id, &answer.body)
                .map_err(CallError::Signature)?;
        }
        Ok(answer)
    }
}

impl Peer {
    fn url(&self, path: &str) -> Option<Uri> {
        format!("{}{path}", self.base).parse().ok()
    }

    /// Says once in the log what will not pass by itself, however often they are called.
    fn note(&self, failure: &Failure) -> CallError {
        let lasting = matches!(failure.error, CallError::Tls | CallError::Forbidden);
        if lasting && !self.told.swap(true, Ordering::Relaxed) {
            let (url, cause) = (&self.base, &failure.cause);
            tracing::warn!(url, cause, "{}", failure.error);
        }
        failure.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_for_all_who_know_it() {
        let known = Peers::default();
        let other = known.clone();
        let set = |base| known.set("acme", base, PeerKeys::default());
        assert_eq!(other.url(&"acme", "/a"), None);
        set("https://one:1/w/").unwrap();
        assert_eq!(other.url(&"acme", "/a").unwrap(), "https://one:1/w/a");
        set("https://two").unwrap();
        assert_eq!(other.url(&"acme", "/a?b=1").unwrap(), "https://two/a?b=1");
        assert!(set("two").is_err());
        assert_eq!(other.url(&"acme", "/a").unwrap(), "https://two/a", "what stood stands");
    }
}
