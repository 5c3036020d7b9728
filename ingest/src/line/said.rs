//! What the line is asked, and what it says.

use crate::rounds_view::RoundInfo;
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use schemas::wire::RoundKind;
use schemas::{RequestId, RoundId};

/// Something to be said about a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// The record to be appended. Its request id names the request: the same id with the same content
    /// is the same request.
    pub event: RoundEvent,
    /// Whether a refusal with `not_sealed` is held, and the record appended again when the round is
    /// sealed.
    pub hold: bool,
}

/// What may be asked of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Append this and wait for the verdict.
    Say(Say),
    /// A round as the herald admitted it.
    Get(RoundId),
    /// Rounds, newest first.
    List {
        /// `opened_at` and id of the last round of the page before.
        after: Option<(i64, RoundId)>,
        /// Rounds wanted, at most [`super::LIST_ROUNDS_MAX`].
        limit: usize,
        /// Leave out the rounds that are closed.
        open_only: bool,
    },
}

/// The herald's verdict on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The round.
    pub round: RoundId,
    /// The request.
    pub request: RequestId,
    /// What was said.
    pub kind: RoundKind,
    /// `None` if it was admitted, else why not: a stable code.
    pub refused: Option<String>,
    /// The round's result version after it.
    pub version: u32,
    /// opened, amended: the deadline that was said, ms since the Unix epoch, UTC.
    pub closes_at: Option<i64>,
}

impl Judged {
    /// The verdict on `event`.
    pub(super) fn of(event: &RoundEvent, verdict: &Verdict) -> Self {
        Self {
            round: event.round.clone(),
            request: event.request.clone(),
            kind: event.kind(),
            refused: verdict.refused.clone(),
            version: verdict.version,
            closes_at: match &event.said {
                RoundSaid::Opened(opened) => Some(opened.closes_at),
                RoundSaid::Amended { closes_at, .. } => *closes_at,
                RoundSaid::Closing
                | RoundSaid::Closed
                | RoundSaid::Sealed
                | RoundSaid::Version { .. }
                | RoundSaid::Proposed { .. }
                | RoundSaid::Rejected { .. }
                | RoundSaid::Verdict(_) => None,
            },
        }
    }
}

/// Why a request was not taken. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The line is still reading what was said before it began.
    Starting,
    /// Too many requests wait.
    Busy,
    /// There is no room left to write.
    Full,
    /// The record does not survive its own encoding.
    Unwritable,
}

/// What the line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The herald's verdict.
    Verdict(Judged),
    /// This request id was admitted with other content.
    RequestReused,
    /// No verdict came in time. The record may stand: the same request again gets its verdict.
    Undecided,
    /// Nothing was written.
    NotTaken(NotTaken),
    /// The answer to [`Ask::Get`].
    Round(Option<Box<RoundInfo>>),
    /// The answer to [`Ask::List`], without histories.
    Rounds(Vec<RoundInfo>),
}
