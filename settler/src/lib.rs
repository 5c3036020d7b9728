//! The settler: bets and markers in, decisions and settlements out.
//!
//! [`Settler`] reads one partition of `bets.v1` in order and decides by that order alone: an approved
//! hold before `closed` is a bet, everything else ends in a void at revision 2 (R11). It writes facts
//! (decisions, markers, tallies, freezes), then `decisions.v1` and `settlements.v1`, then its offset, as
//! one batch whose order is the runtime's (R3).
//!
//! A crash loses nothing: what it keeps in memory is a cache of the facts below the stored offset (R2),
//! and the offset never passes an undecided intent (R1). A second settler of the same partition writes
//! the same facts and the same records. It never reads a clock, a configuration or another topic, and it
//! never judges odds, limits or deadlines: what stands in the log counts.

mod bets;
mod cases;
mod decide;
mod freeze;
mod load;
mod machine;
mod memory;
mod output;
mod preview;
mod reconciler;

pub use cases::{Cases, CasesOptions, SuspicionRules, Tell, Told};
pub use machine::{RECORDS_MAX, Settler, SettlerOptions};
pub use preview::{
    Correction, Done, Flip, MOVERS_MAX, Mover, PartnerMoney, Preview, PreviewError, Units, preview,
    progress,
};
pub use reconciler::{
    AgainError, AskedAgain, CloseAnswer, CloseAsk, CloseCall, Closer, Metrics, Owed, Reconciler,
    ReconcilerAsk, ReconcilerOptions, ReconcilerTold, SaidAgain, Standing, say_again,
};

#[cfg(test)]
mod tests;
