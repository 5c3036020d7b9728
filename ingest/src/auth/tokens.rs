//! Players' tokens: a compact JWS (RFC 7515) with JWT claims (RFC 7519), signed with Ed25519 (RFC 8037).
//!
//! One algorithm, one key per partner, no header field that chooses either: what usually breaks a
//! verifier cannot be said here. `docs/decisions/0002-player-tokens.md` tells why this is our own code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use runtime::Millis;
use schemas::{Currency, PartnerId, PlayerId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, RwLock};
use thiserror::Error;

/// Who a token must be meant for.
pub const AUDIENCE: &str = "roundhouse";
/// The longest life ahead of a token, in seconds.
pub const LIFETIME_S_MAX: i64 = 15 * 60;
/// Tokens whose signature is not checked again. About 300 bytes each.
pub const CACHED_MAX: usize = 100_000;
/// How far the partner's clock may be ahead of ours, in seconds.
const SKEW_S_MAX: i64 = 30;
/// A longer token is refused unread.
const TOKEN_CHARS_MAX: usize = 4_096;

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not three base64url parts with the JSON that belongs there.
    #[error("the token is not a signed JWT with the claims iss, sub, aud, iat and exp")]
    Malformed,
    /// `alg` is not EdDSA, or a header must be understood that is not.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// No such partner, or not its signature. One word for both, so that partners cannot be probed.
    #[error("the token is not signed by the partner it names")]
    Signature,
    /// Meant for somebody else.
    #[error("the token's audience is not `{AUDIENCE}`")]
    Audience,
    /// It was valid once.
    #[error("the token has expired")]
    Expired,
    /// Valid later, or issued later, by more than clocks differ.
    #[error("the token is not valid yet")]
    NotYet,
    /// It would be valid for too long.
    #[error("the token expires more than 15 minutes ahead")]
    TooLong,
}

/// A player, as the partner's signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Player {
    /// The bookmaker.
    pub partner: PartnerId,
    /// The bookmaker's player.
    pub player: PlayerId,
    /// The only currency that the player may bet in, if the token names one.
    pub currency: Option<Currency>,
}

/// What a token says. Claims that are not here are ignored: partners may have some of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The partner.
    pub iss: String,
    /// The player.
    pub sub: String,
    /// Who it is meant for: one name, or a list of which one must be ours.
    pub aud: Audience,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it expires, in seconds since the Unix epoch.
    pub exp: i64,
    /// When it begins, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The player's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cur: Option<Currency>,
}

/// The two forms of `aud`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One name.
    One(String),
    /// Several.
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood: we understand none.
    crit: Option<serde_json::Value>,
}

/// A public key that cannot verify anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the token key of partner `{partner}` is not base64url of a 32-byte Ed25519 key")]
pub struct TokenKeyError {
    /// Whose key.
    pub partner: PartnerId,
}

/// The partners' public keys.
type Keys = BTreeMap<PartnerId, VerifyingKey>;

/// Verifies tokens, and remembers the good ones until they expire.
#[derive(Debug)]
pub struct Tokens {
    keys: RwLock<Keys>,
    cached: Mutex<Cached>,
    pub(super) cached_max: usize,
}

impl Default for Tokens {
    /// A verifier that knows no partner.
    fn default() -> Self {
        Self { keys: RwLock::default(), cached: Mutex::default(), cached_max: CACHED_MAX }
    }
}

/// Verified tokens by their hash. The token itself is not kept.
#[derive(Debug, Default)]
pub(super) struct Cached {
    pub(super) players: BTreeMap<[u8; 32], (i64, Player)>,
    pub(super) by_exp: BTreeSet<(i64, [u8; 32])>,
}

impl Tokens {
    /// Adds or replaces the key of `partner`: base64url of 32 bytes, without padding. No token of a key that
    /// was replaced is taken any more.
    ///
    /// # Errors
    /// [`TokenKeyError`] for anything else, and for keys of small order, which verify forgeries; then the
    /// key before stands.
    pub fn set_key(&self, partner: PartnerId, token_key: &str) -> Result<(), TokenKeyError> {
        let key = URL_SAFE_NO_PAD
            .decode(token_key)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak());
        let Some(key) = key else { return Err(TokenKeyError { partner }) };
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = keys.insert(partner.clone(), key);
        if replaced.is_some_and(|old| old != key) {
            self.cached().forget(&partner);
        }
        Ok(())
    }

    /// The player that `token` speaks for at `now`, ms since the Unix epoch.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn player(&self, token: &str, now: Millis) -> Result<Player, TokenError> {
        if TOKEN_CHARS_MAX < token.len() {
            return Err(TokenError::Malformed);
        }
        let now_s = now.div_euclid(1_000);
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some((exp, player)) = self.cached().players.get(&hash) {
            return if now_s < *exp { Ok(player.clone()) } else { Err(TokenError::Expired) };
        }
        // Held until the token is remembered: a key that is replaced meanwhile has it forgotten.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (exp, player) = verify(&keys, token, now_s)?;
        self.cached().insert(hash, exp, player.clone(), now_s, self.cached_max);
        Ok(player)
    }

    pub(super) fn cached(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verify(keys: &Keys, token: &str, now_s: i64) -> Result<(i64, Player), TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let header: Header = part(header)?;
    // RFC 9864 calls the same algorithm Ed25519.
    if !matches!(header.alg.as_str(), "EdDSA" | "Ed25519") || header.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    let claims: Claims = part(claims)?;
    let partner: PartnerId = claims.iss.parse().map_err(|_| TokenError::Signature)?;
    let key = keys.get(&partner).ok_or(TokenError::Signature)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
    let signature = Signature::from_slice(&signature).map_err(|_| TokenError::Signature)?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| TokenError::Signature)?;
    claims.check(now_s)?;
    let player = claims.sub.try_into().map_err(|_| TokenError::Malformed)?;
    Ok((claims.exp, Player { partner, player, currency: claims.cur }))
}

impl Claims {
    fn check(&self, now_s: i64) -> Result<(), TokenError> {
        let ours = match &self.aud {
            Audience::One(name) => name == AUDIENCE,
            Audience::Many(names) => names.iter().any(|name| name == AUDIENCE),
        };
        if !ours {
            return Err(TokenError::Audience);
        }
        if self.exp <= now_s {
            return Err(TokenError::Expired);
        }
        let latest = now_s.saturating_add(SKEW_S_MAX);
        if latest < self.iat || self.nbf.is_some_and(|nbf| latest < nbf) {
            return Err(TokenError::NotYet);
        }
        if latest.saturating_add(LIFETIME_S_MAX) < self.exp {
            return Err(TokenError::TooLong);
        }
        Ok(())
    }
}

impl Cached {
    fn forget(&mut self, partner: &PartnerId) {
        let gone = self.players.extract_if(.., |_, (_, player)| player.partner == *partner);
        for (hash, (exp, _)) in gone {
            self.by_exp.remove(&(exp, hash));
        }
    }

    fn insert(&mut self, hash: [u8; 32], exp: i64, player: Player, now_s: i64, cached_max: usize) {
        while let Some((first, old)) = self.by_exp.first().copied() {
            if now_s < first && self.players.len() < cached_max {
                break;
            }
            self.by_exp.remove(&(first, old));
            self.players.remove(&old);
        }
        self.by_exp.insert((exp, hash));
        self.players.insert(hash, (exp, player));
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

/// Signs `claims` as a partner's server does: for sandboxes and tests.
pub fn issue(key: &SigningKey, claims: &Claims) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"JWT"}"#);
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}
