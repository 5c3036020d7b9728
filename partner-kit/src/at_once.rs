//! How many calls are answered at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count of calls, and the most there were.
#[derive(Debug, Default)]
pub(crate) struct AtOnce {
    now: AtomicU64,
    most: AtomicU64,
}

impl AtOnce {
    /// A call begins; it ends when what is given is dropped, also if its caller does not wait for it.
    pub(crate) fn begin(&self) -> Call<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        self.most.fetch_max(now, Ordering::SeqCst);
        Call(self)
    }

    /// The most calls at once so far.
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }
}

/// A call that is being answered.
#[derive(Debug)]
pub(crate) struct Call<'a>(&'a AtOnce);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_at_once_is_kept() {
        let calls = AtOnce::default();
        let (one, two) = (calls.begin(), calls.begin());
        drop(one);
        let three = calls.begin();
        assert_eq!(calls.most(), 2);
        let four = calls.begin();
        drop((two, three, four));
        assert_eq!(calls.most(), 3);
    }
}
