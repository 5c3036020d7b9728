//! Signatures, around everything else: what is not signed by the platform changes nothing, and every answer
//! is signed under the id of what it answers.

use crate::problem::Problem;
use crate::wallet::Clock;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method};
use schemas::PartnerId;
use schemas::contract::{ANSWER_BYTES_MAX, STATE_BYTES_MAX, get_id};
use serde::Deserialize;
use signing::{KEYS_MAX, KeyError, Refused, SecretKey, VerifyingKey, sign, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// The keys of one wallet.
#[derive(Clone, Debug)]
pub struct WalletKeys {
    /// What the platform's messages are verified with: one must fit.
    pub platform: Vec<VerifyingKey>,
    /// What answers are signed with, each with all of these.
    pub own: Vec<SecretKey>,
}

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("the keys cannot be read from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not of the form.
    #[error(
        "the keys are not JSON like {{\"platform\":[\"whpk_...\"],\"partners\":{{\"acme\":[\"whsk_...\"]}}}}: \
         line {line}, column {column}"
    )]
    Form {
        /// Where, and no more: what stands there may be a secret.
        line: usize,
        /// Where.
        column: usize,
    },
    /// One of them is none.
    #[error("a key of {of}")]
    Key {
        /// Whose.
        of: String,
        /// What is wrong.
        source: KeyError,
    },
    /// Nothing could be signed, or nothing verified.
    #[error("there is no key of {0}")]
    None(String),
    /// Some would never be tried.
    #[error("there are more than {KEYS_MAX} keys of {0}")]
    Many(String),
}

/// The keys of several wallets, as a file says them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keyring {
    platform: Vec<String>,
    partners: BTreeMap<PartnerId, Vec<String>>,
}

impl Keyring {
    pub(crate) fn of_file(path: &Path) -> Result<Self, KeysError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
        Self::of_json(&text)
    }

    pub(crate) fn of_json(text: &str) -> Result<Self, KeysError> {
        serde_json::from_str(text)
            .map_err(|error| KeysError::Form { line: error.line(), column: error.column() })
    }

    pub(crate) fn of(&self, partner: &PartnerId) -> Result<WalletKeys, KeysError> {
        let own = self.partners.get(partner).map(Vec::as_slice).unwrap_or_default();
        let own: Vec<SecretKey> = read(partner.as_str(), own)?;
        // With a secret that both share, both sign.
        let shared = own.iter().filter(|key| matches!(key, SecretKey::Shared(_)));
        let mut platform: Vec<VerifyingKey> = shared.map(SecretKey::verifying).collect();
        if platform.is_empty() {
            platform = read("the platform", &self.platform)?;
        }
        Ok(WalletKeys { platform, own })
    }
}

/// One or two keys.
fn read<K: FromStr<Err = KeyError>>(of: &str, texts: &[String]) -> Result<Vec<K>, KeysError> {
    if texts.is_empty() {
        return Err(KeysError::None(of.to_owned()));
    }
    if KEYS_MAX < texts.len() {
        return Err(KeysError::Many(of.to_owned()));
    }
    let key =
        |text: &String| text.parse().map_err(|source| KeysError::Key { of: of.to_owned(), source });
    texts.iter().map(key).collect()
}

/// On a response: how it is not to be signed right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missigned {
    /// What is signed is something else than is sent.
    Forged,
    /// The time of the signature is off by so many s.
    At(i64),
    /// With a key that nobody was told of.
    OtherKey,
    /// Not at all.
    Unsigned,
}

/// Seed of a key that no platform knows.
const UNKNOWN: [u8; 32] = [0xA5; 32];

/// What the layer needs.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) partner: PartnerId,
    pub(crate) keys: Arc<WalletKeys>,
    pub(crate) clock: Clock,
}

impl Signing {
    fn now_s(&self) -> i64 {
        (self.clock)().div_euclid(1_000)
    }
}

/// Verifies the request before anything is done with it, and signs the answer.
pub(crate) async fn signed(
    State(signing): State<Signing>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, STATE_BYTES_MAX).await else {
        return Problem::too_large().into_response();
    };
    let id = match verify(&signing.keys.platform, &parts.headers, signing.now_s(), &body) {
        Ok(id) => id.to_owned(),
        Err(Refused::Stale) => return Problem::clock_skew().into_response(),
        Err(refused) => return Problem::bad_signature(&refused).into_response(),
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    if parts.method == Method::GET && id != get_id(&signing.partner, path) {
        return Problem::bad_signature(&Refused::OtherId).into_response();
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_BYTES_MAX).await else {
        return Problem::internal("the answer is too long").into_response();
    };
    let (now_s, own) = (signing.now_s(), &signing.keys.own);
    let headers = match parts.extensions.get::<Missigned>() {
        None => sign(own, &id, now_s, &body),
        Some(Missigned::Forged) => sign(own, &id, now_s, b"something else"),
        Some(Missigned::At(off_s)) => sign(own, &id, now_s.saturating_add(*off_s), &body),
        Some(Missigned::OtherKey) => sign(&[SecretKey::of_seed(&UNKNOWN)], &id, now_s, &body),
        Some(Missigned::Unsigned) => None,
    };
    parts.headers.extend(headers.map(HeaderMap::from_iter).unwrap_or_default());
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn keys(platform: &str, own: &str) -> Result<WalletKeys, KeysError> {
        let text = format!(r#"{{"platform":{platform},"partners":{{"acme":{own}}}}}"#);
        Keyring::of_json(&text)?.of(&"acme".parse().unwrap())
    }

    #[test]
    fn what_are_no_keys_is_said_and_not_shown() {
        let (secret, public) = (format!("[\"{SECRET}\"]"), format!("[\"{PUBLIC}\"]"));
        assert!(keys(&public, &secret).is_ok());
        let three = format!("[\"{PUBLIC}\",\"{PUBLIC}\",\"{PUBLIC}\"]");
        for (platform, own, words) in [
            (public.as_str(), "[]", "no key of acme"),
            ("[]", secret.as_str(), "no key of the platform"),
            (&three, &secret, "more than 2 keys of the platform"),
            (&public, &public, "a key of acme"),
            (&public, &secret.replace("whsk_", "whsk_A"), "a key of acme"),
            // The brackets were forgotten.
            (&public, &format!("\"{SECRET}\""), "line 1"),
            (&public, &format!("[\"{SECRET}"), "line 1"),
        ] {
            let error = keys(platform, own).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(words), "{words} is not in {said}");
            assert!(!said.contains("6Xb"), "{said}");
        }
        let other = Keyring::of_json(r#"{"platform":[],"partners":{}}"#).unwrap();
        assert!(matches!(other.of(&"acme".parse().unwrap()), Err(KeysError::None(_))));
    }

    /// In place of the platform's own keys.
    #[test]
    fn a_shared_secret_verifies_too() {
        let keys = keys("[]", &format!("[\"{SHARED}\"]")).unwrap();
        assert_eq!((keys.platform.len(), keys.own.len()), (1, 1));
        let now_s = 1_000;
        let signed = sign(&keys.own, "m_1", now_s, b"{}").unwrap();
        let headers = HeaderMap::from_iter(signed);
        assert_eq!(verify(&keys.platform, &headers, now_s, b"{}"), Ok("m_1"));
    }
}
