//! Keys of partners and operators, and the tokens that they sign.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ingest::auth::{AUDIENCE, Audience, Claims, LIFETIME_S_MAX, issue};
use serde_json::json;
use sha2::{Digest, Sha256};
use signing::SecretKey;
use std::collections::BTreeMap;
use std::io::Read;

/// A partner's key pair for players' tokens.
#[derive(Clone)]
pub struct PartnerKey {
    partner: String,
    secret: [u8; 32],
}

impl PartnerKey {
    /// The key of a demo's partner: the same seed gives the same key. Not for anything real.
    pub fn of_seed(partner: &str, seed: u64) -> Self {
        let secret = Sha256::digest(format!("demo key of {partner}, seed {seed}")).into();
        Self { partner: partner.to_owned(), secret }
    }

    /// The key with this secret, in base64url.
    ///
    /// # Errors
    /// If it is not 32 bytes.
    pub fn of_secret(partner: &str, secret: &str) -> anyhow::Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(secret).context("the key is not base64url")?;
        let secret = bytes.try_into().ok().context("the key has not 32 bytes")?;
        Ok(Self { partner: partner.to_owned(), secret })
    }

    /// The secret, base64url of 32 bytes.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }

    /// The public key, base64url of 32 bytes.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(SigningKey::from_bytes(&self.secret).verifying_key().as_bytes())
    }

    /// What the partner's wallet signs its replies with.
    pub fn replies(&self) -> SecretKey {
        let seed = [b"replies of ".as_slice(), &self.secret].concat();
        SecretKey::of_seed(&Sha256::digest(seed).into())
    }

    /// A token of `player`, valid from now for as long as the API takes one.
    pub fn token(&self, player: &str, now_ms: i64) -> String {
        let now_s = now_ms.div_euclid(1_000);
        let claims = Claims {
            iss: self.partner.clone(),
            sub: player.to_owned(),
            aud: Audience::One(AUDIENCE.to_owned()),
            iat: now_s,
            exp: now_s.saturating_add(LIFETIME_S_MAX),
            nbf: None,
            cur: None,
        };
        issue(&SigningKey::from_bytes(&self.secret), &claims)
    }
}

/// What an installation that is made up here signs its messages with: as secret as its operator's key.
pub fn platform(operator_key: &str) -> SecretKey {
    SecretKey::of_seed(&Sha256::digest(format!("messages of {operator_key}")).into())
}

/// The keys of the wallets of `partners`, as `roundhouse wallet` takes them.
pub fn wallet_keys(operator_key: &str, partners: &BTreeMap<String, PartnerKey>) -> String {
    let own = partners.iter().map(|(name, key)| (name.clone(), json!([key.replies().reveal()])));
    let own: serde_json::Map<_, _> = own.collect();
    json!({"platform": [platform(operator_key).verifying().public()], "partners": own}).to_string()
}

/// 32 bytes that nobody can guess, in base64url.
///
/// # Errors
/// If the system has no randomness.
pub fn secret() -> anyhow::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
}

/// 32 bytes that nobody can guess.
///
/// # Errors
/// If the system has no randomness.
pub fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut random =
        std::fs::File::open("/dev/urandom").context("/dev/urandom cannot be opened")?;
    random.read_exact(&mut bytes).context("/dev/urandom cannot be read")?;
    Ok(bytes)
}
