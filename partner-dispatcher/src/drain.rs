//! How far a partner that is back has been read ahead of the tiers' heads.

use schemas::catalogue::{RetryTier, TIERS};

/// A drain: each tier is read once from its head's place to its end, the shortest wait first. Records that
/// were on their way to a tier when it began may land behind that end, so it goes on until none is.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The offset to read next in each tier.
    cursors: [u64; TIERS],
    read: [bool; TIERS],
    /// Nothing was on its way to a tier when this pass began.
    clean: bool,
    /// The token of the read on its way.
    peeking: Option<u64>,
}

/// What a drain waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A read on its way.
    Answer,
    /// A read from this offset of this tier on.
    Peek(RetryTier, u64),
    /// Records on their way to a tier.
    Moves,
    /// Nothing: it is over.
    Over,
}

impl Drain {
    pub(crate) fn new(cursors: [u64; TIERS], clean: bool) -> Self {
        Self { cursors, read: [false; TIERS], clean, peeking: None }
    }

    /// What comes next; `moving` is the number of the partner's records on their way to a tier.
    pub(crate) fn next(&mut self, moving: usize) -> Next {
        if self.peeking.is_some() {
            return Next::Answer;
        }
        let pass = |drain: &Self| RetryTier::ALL.into_iter().find(|t| !drain.read[t.index()]);
        if let Some(tier) = pass(self) {
            return Next::Peek(tier, self.cursors[tier.index()]);
        }
        if self.clean {
            return Next::Over;
        }
        if 0 < moving {
            return Next::Moves;
        }
        (self.clean, self.read) = (true, [false; TIERS]);
        Next::Peek(RetryTier::S5, self.cursors[0])
    }

    pub(crate) fn peeking(&mut self, token: u64) {
        self.peeking = Some(token);
    }

    /// The read on its way came to `cursor` of `end`; false if it belonged to an earlier drain.
    pub(crate) fn peeked(&mut self, token: u64, tier: RetryTier, cursor: u64, end: u64) -> bool {
        if self.peeking != Some(token) {
            return false;
        }
        self.peeking = None;
        self.cursors[tier.index()] = cursor;
        self.read[tier.index()] = end <= cursor;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_read_to_its_end_and_again_if_records_were_on_their_way() {
        let mut drain = Drain::new([3, 0, 0, 0, 7], false);
        assert_eq!(drain.next(1), Next::Peek(RetryTier::S5, 3));
        drain.peeking(1);
        assert_eq!(drain.next(1), Next::Answer);
        assert!(!drain.peeked(9, RetryTier::S5, 5, 5), "of another drain");
        assert!(drain.peeked(1, RetryTier::S5, 5, 8));
        assert_eq!(drain.next(1), Next::Peek(RetryTier::S5, 5), "not at the end");
        for (token, tier) in (2..).zip(RetryTier::ALL) {
            drain.peeking(token);
            assert!(drain.peeked(token, tier, 8, 8));
        }
        assert_eq!(drain.next(1), Next::Moves);
        assert_eq!(drain.next(0), Next::Peek(RetryTier::S5, 8));
        for (token, tier) in (9..).zip(RetryTier::ALL) {
            drain.peeking(token);
            assert!(drain.peeked(token, tier, 9, 9));
        }
        assert_eq!(drain.next(1), Next::Over, "what is moved by now was sent before");
    }
}
