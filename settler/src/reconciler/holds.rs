//! Holds that stand for long (contract 8): a round without a result is not closed with anybody, and what a partner lost of
//! it would show only when its result comes.
//!
//! Whatever else is unresolved is asked about already: each attempt of a delivery is answered with the state of its row.

use super::Reconciler;
use super::book::Book;
use super::closing::Seen;
use super::desk::{Closing, Question};
use runtime::Millis;
use runtime::machine::Effect;
use schemas::PartnerId;
use schemas::wire::CloseRecord;

/// Ms for which a stake has been held before its partner is asked about it.
const HELD_MS_MIN: Millis = 2 * 60 * 1_000;
/// Ms between two such questions about a round.
const ASK_MS: Millis = 10 * 60 * 1_000;

impl Reconciler {
    /// Asks the partner how the bets of a round without a result stand, unless it was asked a moment ago.
    pub(super) fn ask_holds(
        &mut self,
        now: Millis,
        partition: u32,
        seen: &Seen<'_>,
        (partner, mut book): (&PartnerId, Book),
        closes: &[CloseRecord],
    ) -> Option<Effect<Self>> {
        let of = (seen.round.clone(), partner.clone());
        let asked = &mut self.lanes.get_mut(&partition)?.holds_asked;
        asked.retain(|_, at| now.saturating_sub(*at) < ASK_MS);
        book.lines.retain(|line| HELD_MS_MIN <= now.saturating_sub(line.placed_at));
        if asked.contains_key(&of) || book.lines.is_empty() {
            return None;
        }
        let closing = Closing::of(seen, 0, (partner, book), closes)?;
        let said = format!("holds_{}", closing.said);
        let closing = Closing { question: Question::Holds, said, ..closing };
        let effect = self.begin(now, partition, partner, closing)?;
        self.lanes.get_mut(&partition)?.holds_asked.insert(of, now);
        Some(effect)
    }
}
