//! What follows from the epoch that a partner's ledger names (R20). Pure.

use schemas::partners::{LedgerWord, Said};

/// Which ledger counts, and who said so.
type Ledger = (LedgerWord, Said);

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// It is the first that was ever named: it counts.
    First,
    /// It is another one than that which counts: betting is paused until people sign it off.
    Other { before: &'a str },
}

/// Compares an epoch that was heard with the ledger that counted `then`, when it was asked for, and counts `now`.
/// Nothing follows from what was heard before another ledger was signed off, or once betting is `paused` for it.
pub(super) fn heard<'a>(
    then: Option<&Ledger>,
    now: Option<&'a Ledger>,
    paused: bool,
    epoch: &str,
) -> Option<Heard<'a>> {
    if then != now {
        return None;
    }
    match now {
        None => Some(Heard::First),
        Some((ledger, _)) if ledger.epoch == epoch || paused => None,
        Some((ledger, _)) => Some(Heard::Other { before: &ledger.epoch }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_epoch_than_the_one_that_counts_pauses_once() {
        let ledger = |epoch: &str, said_at| {
            let by = Said { reason: String::new(), actor: "ann".to_owned(), said_at };
            (LedgerWord { epoch: epoch.to_owned(), restored: true }, by)
        };
        let (one, two) = (ledger("1", 1), ledger("2", 2));
        assert_eq!(heard(None, None, false, "1"), Some(Heard::First));
        assert_eq!(heard(Some(&one), Some(&one), false, "1"), None);
        let other = Some(Heard::Other { before: "1" });
        assert_eq!(heard(Some(&one), Some(&one), false, "2"), other);
        assert_eq!(heard(Some(&one), Some(&one), true, "2"), None, "it is said already");
        // Signed off between the question and its answer: what was heard is of the ledger before.
        assert_eq!(heard(Some(&one), Some(&two), false, "1"), None);
        assert_eq!(heard(None, Some(&one), false, "2"), None);
        // Signed off again, of the same epoch.
        assert_eq!(heard(Some(&one), Some(&ledger("1", 3)), false, "2"), None);
    }
}
