//! Signatures, around everything else: what is not signed by the platform changes nothing, and every answer
//! is signed under the id of what it answers.

use crate::problem::Problem;
use crate::wallet::Clock;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use schemas::PartnerId;
use schemas::contract::{ANSWER_BYTES_MAX, STATE_BYTES_MAX};
use serde::Deserialize;
use signing::{KeyError, Refused, SecretKey, VerifyingKey, sign, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
        "the keys are not JSON like {{\"platform\":[\"whpk_...\"],\"partners\":{{\"acme\":[\"whsk_...\"]}}}}"
    )]
    Form(#[from] serde_json::Error),
    /// One of them is none.
    #[error("a key of {of}")]
    Key {
        /// Whose.
        of: String,
        /// What is wrong.
        source: KeyError,
    },
    /// Nothing could be signed.
    #[error("there is no key of {0}")]
    None(PartnerId),
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
        Ok(serde_json::from_str(text)?)
    }

    pub(crate) fn of(&self, partner: &PartnerId) -> Result<WalletKeys, KeysError> {
        let wrong = |of: &str| {
            let of = of.to_owned();
            move |source| KeysError::Key { of, source }
        };
        let own = self.partners.get(partner).filter(|own| !own.is_empty());
        let own = own.ok_or_else(|| KeysError::None(partner.clone()))?;
        let own: Vec<SecretKey> = own
            .iter()
            .map(|text| text.parse().map_err(wrong(partner.as_str())))
            .collect::<Result<_, _>>()?;
        let mut platform: Vec<VerifyingKey> = self
            .platform
            .iter()
            .map(|text| text.parse().map_err(wrong("the platform")))
            .collect::<Result<_, _>>()?;
        // With a secret that both share, both sign.
        let shared = own.iter().filter(|key| matches!(key, SecretKey::Shared(_)));
        platform.extend(shared.map(SecretKey::verifying));
        Ok(WalletKeys { platform, own })
    }
}

/// On a response: sign something else than is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forge;

/// What the layer needs.
#[derive(Clone)]
pub(crate) struct Signing {
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
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_BYTES_MAX).await else {
        return Problem::internal("the answer is too long").into_response();
    };
    let forged = parts.extensions.get::<Forge>().is_some();
    let content = if forged { &b"something else"[..] } else { &body };
    if let Some(headers) = sign(&signing.keys.own, &id, signing.now_s(), content) {
        parts.headers.extend(HeaderMap::from_iter(headers));
    }
    Response::from_parts(parts, Body::from(body))
}
