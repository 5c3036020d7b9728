//! How many calls a partner has at once, for one kind of traffic: as many as it answers without making them wait.
//!
//! ```text
//! something of a round was answered in about the best time ──► one more
//! all of a round was late                                  ──► a quarter fewer
//! silence, or "too busy"                                   ──► half
//! ```
//!
//! A round is as many answers as there are slots. The best time is the smallest seen lately, and what counts
//! against it is the smallest of a round: a call that was late by chance says nothing, a queue at the wallet makes
//! all of them late. Only full chunks are timed. They are alike in size, and without more to send behind them
//! there is nothing to limit.
//!
//! A best time that was seen among other calls may itself be that of a wallet with a queue. So now and then, and
//! whenever one slot is left, a call is made alone, and its time stands in place of the one before: also where
//! the wallet has become slower for good.

use runtime::Millis;

/// What a call may take above twice the best time, in ms, before it is late. It is about what a wallet needs for a
/// chunk; lower would take a busy moment of our own for one of the wallet's.
const SLACK_MS: u64 = 20;
/// Rounds with a full chunk before the first call that is made alone. Fewer would cost partners that are sent a few
/// thousand settlements now and then, which need no limit.
const ALONE_FIRST: u32 = 8;
/// Rounds with a full chunk between two calls made alone: they cost a round or two of these.
const ALONE_EVERY: u32 = 128;

/// The limit of one partner and kind of traffic. It never is below 1 nor above the ceiling that each method is given.
#[derive(Debug)]
pub(crate) struct Concurrency {
    limit: usize,
    /// The smallest time to the answer of a full chunk, in ms; none before there was one.
    best_ms: Option<u64>,
    /// Answers of this round.
    answers: usize,
    /// One of them was not late.
    near: bool,
    /// One of them was for a full chunk.
    timed: bool,
    /// Calls made so far.
    calls: u64,
    /// Calls up to this one were made under another limit, and say nothing of it as it is now.
    since: u64,
    /// Rounds until a call is made alone.
    alone_in: u32,
    /// The next call is made alone.
    alone: bool,
}

/// How a call was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    at: Millis,
    number: u64,
    /// More waited than it could take.
    full: bool,
    /// Nothing else was on its way, nor could be.
    alone: bool,
}

impl Default for Concurrency {
    /// At the ceiling: most partners need no limit.
    fn default() -> Self {
        Self {
            limit: usize::MAX,
            best_ms: None,
            answers: 0,
            near: false,
            timed: false,
            calls: 0,
            since: 0,
            alone_in: ALONE_FIRST,
            alone: false,
        }
    }
}

impl Concurrency {
    /// Calls that may be on their way.
    pub(crate) fn max(&self, ceiling: usize) -> usize {
        if self.alone { 1 } else { self.limit.min(ceiling).max(1) }
    }

    /// Calls that may be on their way if the next one repeats what failed: it has the slot that it had.
    pub(crate) fn max_again(&self, ceiling: usize) -> usize {
        if self.alone { 1 } else { ceiling.max(1) }
    }

    /// A call is made while `others` are on their way; `full` if it has as much as a chunk may have, and more
    /// waits.
    pub(crate) fn sent(&mut self, at: Millis, full: bool, others: usize, ceiling: usize) -> Sent {
        self.calls += 1;
        Sent { at, number: self.calls, full, alone: others == 0 && self.max(ceiling) == 1 }
    }

    /// The partner answered a call.
    pub(crate) fn answered(&mut self, now: Millis, sent: Sent, ceiling: usize) {
        let late = self.is_late(now, sent);
        self.ended(sent);
        if sent.number <= self.since {
            return;
        }
        self.near |= !late;
        self.timed |= sent.full;
        self.answers += 1;
        let limit = self.limit.min(ceiling);
        if limit <= self.answers {
            self.alone_in = self.alone_in.saturating_sub(u32::from(self.timed));
            if self.alone_in == 0 {
                (self.alone, self.alone_in) = (true, ALONE_EVERY);
            }
            let next = if self.near { limit + 1 } else { limit - limit.div_ceil(4) };
            self.begin(next, ceiling);
        }
    }

    /// A call got no answer, or that it was one too many.
    pub(crate) fn failed(&mut self, sent: Sent, ceiling: usize) {
        self.ended(sent);
        // What failed with it tells of the same moment.
        if self.since < sent.number {
            self.begin(self.limit.min(ceiling) / 2, ceiling);
        }
    }

    /// A call ended that tells nothing of the limit.
    pub(crate) fn ended(&mut self, sent: Sent) {
        self.alone &= !sent.alone;
    }

    fn begin(&mut self, limit: usize, ceiling: usize) {
        self.limit = limit.clamp(1, ceiling.max(1));
        (self.since, self.answers) = (self.calls, 0);
        (self.near, self.timed) = (false, false);
    }

    fn is_late(&mut self, now: Millis, sent: Sent) -> bool {
        // A clock that was set back times nothing.
        let took = now.checked_sub(sent.at).and_then(|took| u64::try_from(took).ok());
        let Some(took) = took.filter(|_| sent.full) else { return false };
        if sent.alone {
            (self.best_ms, self.alone_in) = (Some(took), ALONE_EVERY);
            return false;
        }
        let best = self.best_ms.map_or(took, |best| best.min(took));
        self.best_ms = Some(best);
        best.saturating_mul(2).saturating_add(SLACK_MS) < took
    }
}

#[cfg(test)]
mod tests;
