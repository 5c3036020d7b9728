//! Ids: text with a shape, so that mixing up two kinds does not compile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;
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
        ///
        /// A copy shares the text.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

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
                let allowed: fn(&str) -> bool = $allowed;
                if allowed(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError::new(text, $kind, $shape))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
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

/// A map by rounds is asked with the text alone.
impl Borrow<str> for RoundId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A bet: `<round_id>:<hash of partner, player and client reference>`.
///
/// At most 64 characters of `[A-Za-z0-9_:-]`. Two requests with the same round, partner, player and
/// client reference name the same bet, whatever else they say (R12). A copy shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BetId {
    text: Arc<str>,
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
        let digest = digest(&[partner.as_str(), player.as_str(), client_ref.as_str()]);
        let mut text = format!("{round}:");
        URL_SAFE_NO_PAD.encode_string(&digest[..20], &mut text);
        Self { text: text.into(), round_chars: round.as_str().len() }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The round the bet belongs to, as text.
    pub fn round_str(&self) -> &str {
        &self.text[..self.round_chars]
    }

    /// What tells the bet from the others of its round, as text.
    pub fn hash_str(&self) -> &str {
        self.text.get(self.round_chars + 1..).unwrap_or_default()
    }

    /// The round the bet belongs to.
    pub fn round(&self) -> RoundId {
        RoundId(self.round_str().into())
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
        let error = || IdError::new(text, Self::KIND, Self::SHAPE);
        let (round, hash) = text.split_once(':').ok_or_else(error)?;
        if !within(round, 36, word) || !within(hash, 27, word) {
            return Err(error());
        }
        Ok(Self { text: text.into(), round_chars: round.len() })
    }
}

impl TryFrom<String> for BetId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<BetId> for String {
    fn from(id: BetId) -> Self {
        id.as_str().to_owned()
    }
}

/// A partner's stream, `<partner_id>/0`. Version 1 has one lane per partner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane of a partner.
    pub fn of(partner: &PartnerId) -> Self {
        Self([partner.as_str(), "/0"].concat())
    }

    /// The lane as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Lane> for String {
    fn from(lane: Lane) -> Self {
        lane.0
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
        let mut short = [0; 16];
        short.copy_from_slice(&digest(parts)[..16]);
        Self(short)
    }

    /// The hash as text.
    pub fn text(self) -> HashText {
        let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        HashText(text)
    }
}

/// A [`ContentHash`] as text: 32 of 0-9 and a-f.
#[derive(Clone, Copy)]
pub struct HashText([u8; 32]);

impl Deref for HashText {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// SHA-256 over each part behind its length (8 bytes, big endian).
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    // What is short goes in as one piece: many small ones take longer than the hash itself.
    let (mut piece, mut used) = ([0; 256], 0);
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes();
        for bytes in [&length, part.as_bytes()] {
            if piece.len() - used < bytes.len() {
                hash.update(&piece[..used]);
                used = 0;
            }
            match piece.get_mut(used..used + bytes.len()) {
                Some(room) => room.copy_from_slice(bytes),
                None => {
                    hash.update(bytes);
                    continue;
                }
            }
            used += bytes.len();
        }
    }
    hash.update(&piece[..used]);
    hash.finalize().into()
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
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
        // One text per hash: no capitals.
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let text = <&[u8; 32]>::try_from(text.as_bytes()).map_err(|_| error())?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
            let [high, low] = pair.map(digit);
            *byte = high.zip(low).map(|(high, low)| high << 4 | low).ok_or_else(error)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests;
