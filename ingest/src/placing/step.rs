//! The machine's names for its effects: the number of a flight or cancel, and what the effect is for.
//!
//! Appends, timers and calls have names of their own each; the token of a call is the flight's number.

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// An intent.
    Intent,
    /// A hold answer.
    Answer,
    /// A cancel.
    Cancel,
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To ask the partner again.
    AskAgain,
    /// To append the hold answer again.
    AppendAgain,
    /// To tell those who wait for a bet that there is no decision yet.
    Bet,
    /// To tell those who wait for a cancel that there is no word yet.
    Cancel,
}

/// Values per number; a power of two above the count of either enum.
const STEPS: u64 = 4;

impl Written {
    pub(super) fn token(self, number: u64) -> u64 {
        number.wrapping_mul(STEPS).wrapping_add(match self {
            Self::Intent => 0,
            Self::Answer => 1,
            Self::Cancel => 2,
        })
    }

    pub(super) fn of(token: u64) -> (Self, u64) {
        let written = match token % STEPS {
            0 => Self::Intent,
            1 => Self::Answer,
            _ => Self::Cancel,
        };
        (written, token / STEPS)
    }
}

impl Due {
    pub(super) fn token(self, number: u64) -> u64 {
        number.wrapping_mul(STEPS).wrapping_add(match self {
            Self::AskAgain => 0,
            Self::AppendAgain => 1,
            Self::Bet => 2,
            Self::Cancel => 3,
        })
    }

    pub(super) fn of(token: u64) -> (Self, u64) {
        let due = match token % STEPS {
            0 => Self::AskAgain,
            1 => Self::AppendAgain,
            2 => Self::Bet,
            _ => Self::Cancel,
        };
        (due, token / STEPS)
    }
}
