//! Signatures of messages between us and partners: [Standard Webhooks](https://www.standardwebhooks.com)
//! 1.0, both ways (partner contract 8).
//!
//! A message is its id, the time of this attempt and its bytes. It is signed over `id.timestamp.body` with
//! every key of its sender that is live, and counts if one of the keys that the receiver knows fits one of
//! its signatures: so either side changes its key without a moment at which nothing counts. `v1a` is Ed25519;
//! `v1` is HMAC-SHA256 with a secret that both sides hold.
//!
//! Pure: the time is an argument. What is not covered is the method, the path and the status; so bodies say
//! what they are, and a reply is signed under the id of what it answers.

mod key;
#[cfg(test)]
mod tests;

pub use key::{KEYS_MAX, KeyError, SecretKey, VerifyingKey};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use thiserror::Error;

/// Header: the message's id. The same for every attempt, and for the reply.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// Header: when this attempt was signed, in s since the Unix epoch.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Header: the signatures, separated by blanks.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// How far the time of a message may be from the receiver's, in s, either way (partner contract 8).
pub const WINDOW_S: i64 = 300;
/// Signatures that are looked at; each one costs a check.
const SIGNATURES_MAX: usize = 2 * KEYS_MAX;

/// Why a message does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// One of the three headers is missing.
    #[error("the message is not signed")]
    Unsigned,
    /// A header is not of its form.
    #[error("a header of the signature is not of its form")]
    Malformed,
    /// It is what was sent, sent back.
    #[error("the answer is our own message")]
    OwnMessage,
    /// The id is another: a reply to something else.
    #[error("the message has another id")]
    OtherId,
    /// Signed too long ago, or in the future: replayed, or a clock is wrong.
    #[error("the message was not signed within the last {WINDOW_S} s")]
    Stale,
    /// No signature was made with a key that is known.
    #[error("no key fits the signature")]
    NoKeyFits,
}

/// The three headers of a message that is signed now with each of `keys`; `None` if the id cannot stand in a
/// header.
pub fn sign(
    keys: &[SecretKey],
    id: &str,
    now_s: i64,
    body: &[u8],
) -> Option<[(HeaderName, HeaderValue); 3]> {
    let content = content(id, &now_s.to_string(), body);
    let signatures: Vec<String> = keys.iter().map(|key| key.signature(&content)).collect();
    Some([
        (ID, HeaderValue::from_str(id).ok()?),
        (TIMESTAMP, HeaderValue::from(now_s)),
        (SIGNATURE, HeaderValue::try_from(signatures.join(" ")).ok()?),
    ])
}

/// Whether `body` came with these headers from somebody who holds one of `keys`; the message's id.
///
/// # Errors
/// [`Refused`].
pub fn verify<'a>(
    keys: &[VerifyingKey],
    headers: &'a HeaderMap,
    now_s: i64,
    body: &[u8],
) -> Result<&'a str, Refused> {
    let header = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Err(Refused::Unsigned),
            // Whoever reads the first and whoever reads the last would see different messages.
            (Some(_), Some(_)) => Err(Refused::Malformed),
            (Some(value), None) => value.to_str().map_err(|_| Refused::Malformed),
        }
    };
    let (id, timestamp, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let signed_s: i64 = timestamp.parse().ok().filter(|_| digits).ok_or(Refused::Malformed)?;
    // With a dot in it, the id could be taken for another with a part of the body.
    if id.is_empty() || id.contains('.') {
        return Err(Refused::Malformed);
    }
    if WINDOW_S < now_s.saturating_sub(signed_s).saturating_abs() {
        return Err(Refused::Stale);
    }
    let content = content(id, timestamp, body);
    let signatures = signatures.split_ascii_whitespace().take(SIGNATURES_MAX);
    let fits = |text: &str| keys.iter().take(KEYS_MAX).any(|key| key.fits(text, &content));
    if signatures.into_iter().any(fits) { Ok(id) } else { Err(Refused::NoKeyFits) }
}

/// Whether a reply counts as the answer to the message `id`: [`verify`], and it repeats the id.
///
/// # Errors
/// [`Refused`].
pub fn verify_reply(
    keys: &[VerifyingKey],
    headers: &HeaderMap,
    now_s: i64,
    id: &str,
    body: &[u8],
) -> Result<(), Refused> {
    if verify(keys, headers, now_s, body)? == id { Ok(()) } else { Err(Refused::OtherId) }
}

/// What is signed.
fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}
