//! Keys, in the form in which Standard Webhooks writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Live keys of one sender: the one in use and the one it takes over from, or the next.
pub const KEYS_MAX: usize = 2;
const SECRET: &str = "whsk_";
const PUBLIC: &str = "whpk_";
const SHARED: &str = "whsec_";
/// Bytes of a shared secret, as Standard Webhooks bounds them.
const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is no key. It says nothing of the text: that may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not what is needed here.
    #[error("must begin with {0}")]
    Prefix(&'static str),
    /// Not base64.
    #[error("is not base64 behind its prefix")]
    Base64,
    /// Too short or too long.
    #[error(
        "has {0} bytes; an Ed25519 key has 32 (a secret one 32 or 64), a shared secret 24 to 64"
    )]
    Length(usize),
    /// The 32 bytes are no key, or the public half is another's.
    #[error("is no Ed25519 key")]
    Ed25519,
}

/// What messages are signed with. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub enum SecretKey {
    /// `whsk_`: signs as `v1a`.
    Ed25519(Box<SigningKey>),
    /// `whsec_`: signs as `v1`.
    Shared(Vec<u8>),
}

/// What signatures are checked with. Its `Debug` shows nothing of a shared secret.
#[derive(Clone)]
pub enum VerifyingKey {
    /// `whpk_`.
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    /// `whsec_`.
    Shared(Vec<u8>),
}

impl SecretKey {
    /// The Ed25519 key with this seed.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self::Ed25519(Box::new(SigningKey::from_bytes(seed)))
    }

    /// What the other side checks its signatures with.
    pub fn verifying(&self) -> VerifyingKey {
        match self {
            Self::Ed25519(key) => VerifyingKey::Ed25519(Box::new(key.verifying_key())),
            Self::Shared(secret) => VerifyingKey::Shared(secret.clone()),
        }
    }

    /// The key as text: for whoever keeps it.
    pub fn reveal(&self) -> String {
        match self {
            Self::Ed25519(key) => format!("{SECRET}{}", STANDARD.encode(key.as_bytes())),
            Self::Shared(secret) => format!("{SHARED}{}", STANDARD.encode(secret)),
        }
    }

    pub(crate) fn signature(&self, content: &[u8]) -> String {
        match self {
            Self::Ed25519(key) => format!("v1a,{}", STANDARD.encode(key.sign(content).to_bytes())),
            Self::Shared(secret) => {
                let tag = mac(secret, content).map(|mac| mac.finalize().into_bytes());
                format!("v1,{}", STANDARD.encode(tag.unwrap_or_default()))
            }
        }
    }
}

impl VerifyingKey {
    /// The public key as text; `None` of a shared secret, which is not for others.
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Ed25519(key) => Some(format!("{PUBLIC}{}", STANDARD.encode(key.as_bytes()))),
            Self::Shared(_) => None,
        }
    }

    /// Whether one signature of the header was made over `content` with this key.
    pub(crate) fn fits(&self, signature: &str, content: &[u8]) -> bool {
        let Some((version, tag)) = signature.split_once(',') else { return false };
        let Ok(tag) = STANDARD.decode(tag) else { return false };
        match (self, version) {
            (Self::Ed25519(key), "v1a") => {
                let signature = Signature::from_slice(&tag);
                signature.is_ok_and(|signature| key.verify_strict(content, &signature).is_ok())
            }
            (Self::Shared(secret), "v1") => {
                mac(secret, content).is_some_and(|mac| mac.verify_slice(&tag).is_ok())
            }
            (Self::Ed25519(_) | Self::Shared(_), _) => false,
        }
    }
}

/// A key of any length is a key.
fn mac(secret: &[u8], content: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(content);
    Some(mac)
}

fn bytes(text: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(text).map_err(|_| KeyError::Base64)
}

fn shared(text: &str) -> Result<Vec<u8>, KeyError> {
    let secret = bytes(text)?;
    let right = SHARED_BYTES.contains(&secret.len());
    if right { Ok(secret) } else { Err(KeyError::Length(secret.len())) }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some(text) = text.strip_prefix(SHARED) {
            return Ok(Self::Shared(shared(text)?));
        }
        let text = text.strip_prefix(SECRET).ok_or(KeyError::Prefix("whsk_ or whsec_"))?;
        let bytes = bytes(text)?;
        if let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()) {
            return Ok(Self::of_seed(&seed));
        }
        // Some write the public half behind the secret one.
        let pair = <[u8; 64]>::try_from(bytes.as_slice());
        let pair = pair.map_err(|_| KeyError::Length(bytes.len()))?;
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| KeyError::Ed25519)?;
        Ok(Self::Ed25519(Box::new(key)))
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some(text) = text.strip_prefix(SHARED) {
            return Ok(Self::Shared(shared(text)?));
        }
        let text = text.strip_prefix(PUBLIC).ok_or(KeyError::Prefix("whpk_ or whsec_"))?;
        let bytes = bytes(text)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        let key = key.map_err(|_| KeyError::Length(bytes.len()))?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| KeyError::Ed25519)?;
        // Under such a key anybody could sign.
        if key.is_weak() { Err(KeyError::Ed25519) } else { Ok(Self::Ed25519(Box::new(key))) }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public().unwrap_or_else(|| "Shared(..)".to_owned()))
    }
}
