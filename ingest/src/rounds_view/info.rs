//! One round as it is shown.

use super::proposals::Proposal;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::wire::RoundKind;
use schemas::{RequestId, RoundId};
use std::fmt;

/// Lines of history kept per round; above it the oldest go.
pub const HISTORY_LINES_MAX: usize = 200;

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoundStatus {
    /// Said, but not admitted yet. The view shows no such round; the word is kept for those who judge.
    Opened,
    /// Bets are taken.
    Betting,
    /// No more bets; answers of partners still count.
    Closing,
    /// The cut-off has come.
    Closed,
    /// The cut-off stands in every partition; a result may come. A withdrawn result leads back here.
    Sealed,
    /// A result version stands.
    Resulted,
    /// The round does not count.
    Voided,
}

impl RoundStatus {
    /// The word of the design.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Betting => "betting",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Sealed => "sealed",
            Self::Resulted => "resulted",
            Self::Voided => "voided",
        }
    }

    /// True before the cut-off.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Opened | Self::Betting | Self::Closing => true,
            Self::Closed | Self::Sealed | Self::Resulted | Self::Voided => false,
        }
    }
}

impl fmt::Display for RoundStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that was said about a round, and the herald's word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// When it was said, ms since the Unix epoch, UTC.
    pub at: i64,
    /// What was said.
    pub kind: RoundKind,
    /// Who said it.
    pub actor: String,
    /// Names the request.
    pub request: RequestId,
    /// `None` if it was admitted, else why not: a stable code.
    pub refused: Option<String>,
    /// The result version after it.
    pub version: u32,
    /// Why it was said, in words; `None` for what is not said with a reason.
    pub reason: Option<String>,
}

impl HistoryLine {
    /// What `event` says, with the herald's word on it.
    pub(super) fn of(event: &RoundEvent, refused: Option<String>, version: u32) -> Self {
        let reason = match &event.said {
            RoundSaid::Version { reason, .. }
            | RoundSaid::Proposed { reason, .. }
            | RoundSaid::Rejected { reason }
                if !reason.is_empty() =>
            {
                Some(reason.clone())
            }
            RoundSaid::Version { .. }
            | RoundSaid::Opened(_)
            | RoundSaid::Amended { .. }
            | RoundSaid::Closing
            | RoundSaid::Closed
            | RoundSaid::Sealed
            | RoundSaid::Proposed { .. }
            | RoundSaid::Rejected { .. }
            | RoundSaid::Verdict(_) => None,
        };
        Self {
            at: event.said_at,
            kind: event.kind(),
            actor: event.actor.clone(),
            request: event.request.clone(),
            refused,
            version,
            reason,
        }
    }
}

/// A round that the herald admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundInfo {
    /// The round.
    pub round: RoundId,
    /// The game: a name the rules know.
    pub game: String,
    /// Version of the rules that grade the round.
    pub rules_version: u32,
    /// All selections with their odds as last amended.
    pub offers: Vec<Offer>,
    /// Where it stands.
    pub status: RoundStatus,
    /// Who said `opened`.
    pub opened_by: String,
    /// When `opened` was said, ms since the Unix epoch, UTC.
    pub opened_at: i64,
    /// When betting closes, as last amended, ms since the Unix epoch, UTC.
    pub closes_at: i64,
    /// Ms between `closing` and `closed`.
    pub grace_ms: i64,
    /// The result version; 0 for none yet.
    pub version: u32,
    /// What the result version says; `None` at version 0.
    pub outcome: Option<Outcome>,
    /// What was said and judged, oldest first, at most [`HISTORY_LINES_MAX`].
    pub history: Vec<HistoryLine>,
    /// The corrections that were proposed, oldest first.
    pub proposals: Vec<Proposal>,
}

impl RoundInfo {
    /// A round that `event`, which says `opened`, opened.
    pub fn betting(event: &RoundEvent, opened: &Opened) -> Self {
        Self {
            round: event.round.clone(),
            game: opened.game.clone(),
            rules_version: opened.rules_version,
            offers: opened.offers.clone(),
            status: RoundStatus::Betting,
            opened_by: event.actor.clone(),
            opened_at: event.said_at,
            closes_at: opened.closes_at,
            grace_ms: opened.grace_ms,
            version: 0,
            outcome: None,
            history: Vec::new(),
            proposals: Vec::new(),
        }
    }

    /// The round that the herald's facts tell: all that was admitted about it, in the order of the log.
    /// `None` if nothing was opened.
    pub fn of_admitted(events: impl IntoIterator<Item = RoundEvent>) -> Option<Self> {
        let mut info: Option<Self> = None;
        for event in events {
            let version = match (&mut info, &event.said) {
                (None, RoundSaid::Opened(opened)) => {
                    info = Some(Self::betting(&event, opened));
                    0
                }
                (None, _) => continue,
                (Some(info), said) => {
                    let version = match said {
                        RoundSaid::Version { replaces, .. } => replaces.saturating_add(1),
                        RoundSaid::Opened(_)
                        | RoundSaid::Amended { .. }
                        | RoundSaid::Closing
                        | RoundSaid::Closed
                        | RoundSaid::Sealed
                        | RoundSaid::Proposed { .. }
                        | RoundSaid::Rejected { .. }
                        | RoundSaid::Verdict(_) => info.version,
                    };
                    info.admit(said, version);
                    info.take_step(&event, version);
                    version
                }
            };
            if let Some(info) = &mut info {
                info.note(HistoryLine::of(&event, None, version));
            }
        }
        info
    }

    /// The round without its history and proposals.
    pub fn without_history(&self) -> Self {
        // The history is most of it, so the parts are copied one by one.
        Self {
            round: self.round.clone(),
            game: self.game.clone(),
            rules_version: self.rules_version,
            offers: self.offers.clone(),
            status: self.status,
            opened_by: self.opened_by.clone(),
            opened_at: self.opened_at,
            closes_at: self.closes_at,
            grace_ms: self.grace_ms,
            version: self.version,
            outcome: self.outcome.clone(),
            history: Vec::new(),
            proposals: Vec::new(),
        }
    }

    /// Takes something admitted after `opened`; `version` is the result version after it. Returns
    /// whether the round changed: steps never go back, so a repeat changes nothing.
    pub fn admit(&mut self, said: &RoundSaid, version: u32) -> bool {
        match said {
            RoundSaid::Opened(_)
            | RoundSaid::Proposed { .. }
            | RoundSaid::Rejected { .. }
            | RoundSaid::Verdict(_) => false,
            RoundSaid::Amended { offers, closes_at } => self.amend(offers, *closes_at),
            RoundSaid::Closing => self.advance(RoundStatus::Closing),
            RoundSaid::Closed => self.advance(RoundStatus::Closed),
            RoundSaid::Sealed => self.advance(RoundStatus::Sealed),
            RoundSaid::Version { outcome, .. } => {
                if version <= self.version {
                    return false;
                }
                self.version = version;
                self.status = match outcome {
                    Outcome::Game(_) | Outcome::Named { .. } => RoundStatus::Resulted,
                    Outcome::Withdrawn => RoundStatus::Sealed,
                    Outcome::Voided => RoundStatus::Voided,
                };
                self.outcome = Some(outcome.clone());
                true
            }
        }
    }

    fn amend(&mut self, offers: &[Offer], closes_at: Option<i64>) -> bool {
        if self.status != RoundStatus::Betting {
            return false;
        }
        for offer in offers {
            for kept in self.offers.iter_mut().filter(|kept| kept.selection == offer.selection) {
                kept.odds = offer.odds;
            }
        }
        self.closes_at = closes_at.unwrap_or(self.closes_at);
        true
    }

    fn advance(&mut self, to: RoundStatus) -> bool {
        let forward = self.status < to;
        if forward {
            self.status = to;
        }
        forward
    }

    /// Adds a line of history, unless the same was said and answered before under the same request.
    pub fn note(&mut self, line: HistoryLine) -> bool {
        let repeated = self.history.iter().any(|known| {
            known.request == line.request
                && known.kind == line.kind
                && known.refused == line.refused
        });
        if repeated {
            return false;
        }
        if HISTORY_LINES_MAX <= self.history.len() {
            self.history.remove(0);
        }
        self.history.push(line);
        true
    }
}
