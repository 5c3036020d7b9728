//! Where a die falls, and how anyone can see that it fell there by itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::RoundId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use thiserror::Error;

/// Characters of the hash in a round's id: with the two before them all that an id may have, 204 bits.
const COMMITMENT_CHARS: usize = 34;
/// What a table's round ids begin with.
const PREFIX: &str = "d_";
/// Bytes at or above this are skipped, so that each side of the die is as likely as the others.
const FAIR_BELOW: u8 = 252;

/// What the table commits to before a round is opened: 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(String);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever reads it in a log while the round is open could know too much.
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// The seed of these 32 bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(64);
        for byte in bytes {
            // Writing into a text cannot fail.
            let _written = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The id of the seed's round: `d_` and the first 34 characters of the base64url of the SHA-256 of the
    /// seed's digits.
    ///
    /// # Panics
    /// Never: the characters are those of an id.
    pub fn commitment(&self) -> RoundId {
        let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()));
        text.truncate(COMMITMENT_CHARS);
        let id = format!("{PREFIX}{text}");
        id.parse().unwrap_or_else(|_| unreachable!("36 characters of the alphabet"))
    }

    /// Where the die falls in a round that was sealed at `sealed_at` (ms since the Unix epoch): the first
    /// byte below 252 of the SHA-256 of `<seed>/<round id>/<sealed_at>`, modulo 6, plus 1. Were no byte
    /// below 252 (about once in 10^57), `/` and one more hash of that text decide.
    pub fn draw(&self, sealed_at: i64) -> Drawn {
        let round_id = self.commitment();
        let mut text = format!("{}/{round_id}/{sealed_at}", self.0);
        loop {
            let hash = Sha256::digest(text.as_bytes());
            if let Some(byte) = hash.iter().find(|byte| **byte < FAIR_BELOW) {
                let outcome = byte % 6 + 1;
                return Drawn { round_id, seed: self.0.clone(), sealed_at, outcome };
            }
            text.push('/');
        }
    }
}

/// A drawn round with everything that proves it: a line of the table's list of proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// The round; names the hash of the seed.
    pub round_id: RoundId,
    /// 64 hexadecimal digits.
    pub seed: String,
    /// When the herald said `sealed`, ms since the Unix epoch, UTC.
    pub sealed_at: i64,
    /// 1 to 6.
    pub outcome: u8,
}

/// Why a draw is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The seed is not the one that the round's id commits to.
    #[error("the seed belongs to round {0}, not to this one")]
    Seed(RoundId),
    /// The die falls elsewhere.
    #[error("seed and seal give {0}")]
    Outcome(u8),
}

impl Drawn {
    /// What people read in the result's reason.
    pub(super) fn reason(&self) -> String {
        format!("drawn with seed {}, sealed at {}", self.seed, self.sealed_at)
    }

    /// Reckons the draw again.
    ///
    /// # Errors
    /// [`ProofError`] if it does not come out as it was said.
    pub fn check(&self) -> Result<(), ProofError> {
        let again = Seed(self.seed.clone()).draw(self.sealed_at);
        if again.round_id != self.round_id {
            return Err(ProofError::Seed(again.round_id));
        }
        if again.outcome != self.outcome {
            return Err(ProofError::Outcome(again.outcome));
        }
        Ok(())
    }
}
