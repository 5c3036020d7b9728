//! What happened, as one number for comparing two runs, and as lines for people.

use super::{BEGIN_MS, Micros};

/// The trace of one world.
pub(super) struct Trace {
    hash: u64,
    printing: bool,
}

impl Trace {
    pub(super) fn new(printing: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, printing }
    }

    /// Takes an event of `kind` about `a` and `b`; `text` is only made if somebody reads it.
    pub(super) fn note(
        &mut self,
        now: Micros,
        kind: u64,
        a: u64,
        b: u64,
        text: impl FnOnce() -> String,
    ) {
        for word in [now.unsigned_abs(), kind, a, b] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        if self.printing {
            let us = now - BEGIN_MS * 1_000;
            println!("{:>6}.{:06} {}", us / 1_000_000, us % 1_000_000, text());
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}

/// A number for bytes, so that a record or a fact is in the hash with its content.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    let chunks = bytes.chunks_exact(8);
    let tail = chunks.remainder();
    for chunk in chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
    tail.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
