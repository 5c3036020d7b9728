//! Others that we call: where they are, and whose word counts.

use super::{CallError, HttpAnswer, HttpClient};
use crate::Clock;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use signing::{Refused, SecretKey, VerifyingKey, sign, verify_reply};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("`{0}` is not of the form http://host[:port][/path], without a query")]
    Form(String),
    /// A user or a password, which would not be sent.
    #[error("has a user before its host, which is not sent; leave it away")]
    User,
}

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
    /// Headers besides those of the signature.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body, JSON.
    pub body: Option<Bytes>,
}

#[derive(Debug)]
struct Peer {
    base: String,
    keys: PeerKeys,
}

/// Others by name. They may change while calls are made. Cheap to clone; clones know the same.
#[derive(Clone, Debug)]
pub struct Peers<K>(Arc<RwLock<BTreeMap<K, Arc<Peer>>>>);

impl<K> Default for Peers<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord> Peers<K> {
    /// Adds somebody, or replaces what is known of them: `base` stands before the path of each call.
    ///
    /// # Errors
    /// [`AddressError`]; then what was known before stands.
    pub fn set(&self, name: K, base: &str, keys: PeerKeys) -> Result<(), AddressError> {
        let peer = Peer { base: checked(base)?.to_owned(), keys };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(peer));
        Ok(())
    }

    /// The address of `path`, which begins with a slash; `None` if nobody of the name is known.
    pub fn url(&self, name: &K, path: &str) -> Option<Uri> {
        self.get(name)?.url(path)
    }

    fn get(&self, name: &K) -> Option<Arc<Peer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Sends a signed message, and reads the whole answer, at most `answer_bytes_max` bytes of body. A 200
    /// counts only if it is signed as the reply to this message; whatever else is answered says nothing for
    /// certain, so nothing of it is checked.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unknown`] if nobody of the name is known.
    pub async fn call(
        &self,
        client: &HttpClient,
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
        let (answer, headers) = client
            .exchange(message.method, &url, &headers, message.body, deadline, answer_bytes_max)
            .await?;
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
}

/// A base address without the slash at its end.
///
/// # Errors
/// [`AddressError`].
pub fn checked(base: &str) -> Result<&str, AddressError> {
    if base.split(['?', '#']).next().is_some_and(|base| base.contains('@')) {
        return Err(AddressError::User);
    }
    let usable = base.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none()
    });
    if usable { Ok(base.trim_end_matches('/')) } else { Err(AddressError::Form(base.to_owned())) }
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
        set("http://one:1/w/").unwrap();
        assert_eq!(other.url(&"acme", "/a").unwrap(), "http://one:1/w/a");
        set("http://two").unwrap();
        assert_eq!(other.url(&"acme", "/a?b=1").unwrap(), "http://two/a?b=1");
        assert!(set("two").is_err());
        assert_eq!(other.url(&"acme", "/a").unwrap(), "http://two/a", "what stood stands");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for bad in ["", "wallet", "/wallet", "https://wallet", "http://", "http://w?a=1", "ftp://w"]
        {
            assert_eq!(checked(bad), Err(AddressError::Form(bad.to_owned())), "{bad}");
        }
        assert_eq!(checked("http://me:secret@wallet"), Err(AddressError::User));
    }
}
