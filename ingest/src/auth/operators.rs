//! Operators' keys.

use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;

/// Characters a key must have at least: a key of random letters is then beyond guessing.
pub const KEY_CHARS_MIN: usize = 20;

/// A key that could be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the key of operator `{operator}` is shorter than {KEY_CHARS_MIN} characters")]
pub struct KeyTooShort {
    /// Whose key.
    pub operator: String,
}

/// The operators by their keys. Keeps hashes alone.
#[derive(Clone, Default)]
pub struct Operators {
    hashes: Vec<([u8; 32], String)>,
}

impl Operators {
    /// Operators as (name, key). The name becomes the `actor` of what they say.
    ///
    /// # Errors
    /// [`KeyTooShort`].
    pub fn new(keys: impl IntoIterator<Item = (String, String)>) -> Result<Self, KeyTooShort> {
        let mut hashes = Vec::new();
        for (operator, key) in keys {
            if key.len() < KEY_CHARS_MIN {
                return Err(KeyTooShort { operator });
            }
            hashes.push((hash(&key), operator));
        }
        Ok(Self { hashes })
    }

    /// The name of the operator with this key.
    ///
    /// Takes the same time for every key of one length: all hashes are compared, to their ends.
    pub fn named(&self, key: &str) -> Option<&str> {
        let given = hash(key);
        let mut found = None;
        for (known, operator) in &self.hashes {
            let different = known.iter().zip(&given).fold(0, |seen, (a, b)| seen | (a ^ b));
            if std::hint::black_box(different) == 0 {
                found = Some(operator.as_str());
            }
        }
        found
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hashes.iter().map(|(_, operator)| operator)).finish()
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
