//! Ids: text with a shape, so that mixing up two kinds does not compile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A text that cannot be the id it was given as.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a {kind}: {shape}")]
pub struct IdError {
    /// The text, cut after 64 characters.
    pub text: String,
    /// The kind of id.
    pub kind: &'static str,
    /// The shape it must have.
    pub shape: &'static str,
}

impl IdError {
    fn new(text: &str, kind: &'static str, shape: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), kind, shape }
    }
}

macro_rules! text_id {
    ($(#[doc = $doc:literal])+ $name:ident, $kind:literal, $shape:literal, $allowed:expr) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                let allowed: fn(&str) -> bool = $allowed;
                if allowed(&text) { Ok(Self(text)) } else { Err(IdError::new(&text, $kind, $shape)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

fn within(text: &str, chars_max: usize, allowed: fn(char) -> bool) -> bool {
    let count = text.chars().take(chars_max.saturating_add(1)).count();
    0 < count && count <= chars_max && text.chars().all(allowed)
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn printable(c: char) -> bool {
    !c.is_control() && c != '\u{2028}' && c != '\u{2029}'
}

text_id! {
    /// A bookmaker. Comes from the credential, never from a body.
    PartnerId, "partner id", "1 to 32 of a-z, 0-9, _ and -",
    |text| within(text, 32, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}
text_id! {
    /// A partner's player, opaque to us and given back byte for byte.
    PlayerId, "player id", "1 to 128 printable characters",
    |text| within(text, 128, printable)
}
text_id! {
    /// One game cycle or one sports event; ours or the caller's.
    RoundId, "round id", "1 to 36 of A-Z, a-z, 0-9, _ and -",
    |text| within(text, 36, word)
}
text_id! {
    /// What can be bet on in a round.
    Selection, "selection", "1 to 64 of A-Z, a-z, 0-9, _, -, . and :",
    |text| within(text, 64, |c| word(c) || c == '.' || c == ':')
}
text_id! {
    /// The client's own name for a bet, unique per player and round.
    ClientRef, "client reference", "1 to 64 printable characters",
    |text| within(text, 64, printable)
}
text_id! {
    /// Names one request, so that its repeat gets the same answer.
    RequestId, "request id", "1 to 96 printable characters",
    |text| within(text, 96, printable)
}

/// A bet: `<round_id>:<hash of partner, player and client reference>`.
///
/// At most 64 characters of `[A-Za-z0-9_:-]`. Two requests with the same round, partner, player and
/// client reference name the same bet, whatever else they say (R12).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BetId {
    text: String,
    round_chars: usize,
}

impl BetId {
    const KIND: &'static str = "bet id";
    const SHAPE: &'static str = "<round id>:<1 to 27 of A-Z, a-z, 0-9, _ and ->";

    /// The id of the bet that `player` of `partner` calls `client_ref` in `round`.
    ///
    /// Do not change: the same request must name the same bet for as long as the round can be corrected.
    pub fn of(
        round: &RoundId,
        partner: &PartnerId,
        player: &PlayerId,
        client_ref: &ClientRef,
    ) -> Self {
        let mut hash = Sha256::new();
        for part in [partner.as_str(), player.as_str(), client_ref.as_str()] {
            hash_part(&mut hash, part);
        }
        let digest = hash.finalize();
        let mut text = format!("{round}:");
        URL_SAFE_NO_PAD.encode_string(&digest[..20], &mut text);
        Self { text, round_chars: round.as_str().len() }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The round the bet belongs to, as text.
    pub fn round_str(&self) -> &str {
        &self.text[..self.round_chars]
    }

    /// The round the bet belongs to.
    pub fn round(&self) -> RoundId {
        RoundId(self.round_str().to_owned())
    }
}

impl fmt::Display for BetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BetId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for BetId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let error = || IdError::new(&text, Self::KIND, Self::SHAPE);
        let (round, hash) = text.split_once(':').ok_or_else(error)?;
        if !within(round, 36, word) || !within(hash, 27, word) {
            return Err(error());
        }
        let round_chars = round.len();
        Ok(Self { text, round_chars })
    }
}

impl From<BetId> for String {
    fn from(id: BetId) -> Self {
        id.text
    }
}

/// A partner's stream, `<partner_id>/0`. Version 1 has one lane per partner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane of a partner.
    pub fn of(partner: &PartnerId) -> Self {
        Self(format!("{partner}/0"))
    }

    /// The lane as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a bet says, in 16 bytes: two intents or answers mean the same bet only if these are equal (R12).
///
/// Covers partner, player, round, selection, stake, currency, exponent and odds, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl ContentHash {
    /// Hashes `parts`, each with its length, so that no two lists of parts look alike.
    ///
    /// Do not change: stored facts and answers carry it.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash_part(&mut hash, part);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        Self(short)
    }
}

fn hash_part(hash: &mut Sha256, part: &str) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(part.as_bytes());
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ContentHash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new(text, "content hash", "32 of 0-9 and a-f");
        // One text per hash: `from_str_radix` alone would take capitals and signs as well.
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(error());
        }
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * index..2 * index + 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests;
