//! What a record of `rounds.v1` says.

use crate::bets::{Unreadable, need, small};
use crate::frame::{self, FrameError};
use crate::wire::{OfferRecord, RoundKind, RoundRecord};
use crate::{Odds, RequestId, RoundId, Selection};

/// A selection with its odds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What can be bet on.
    pub selection: Selection,
    /// The odds.
    pub odds: Odds,
}

/// What a result version says of the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The outcome of the game, which the game's rules map to grades.
    Game(String),
    /// The winners and void selections by name; a selection not named has lost.
    Named {
        /// Selections that won.
        won: Vec<Selection>,
        /// Selections that are void.
        void: Vec<Selection>,
    },
    /// The result before is taken back; bets are held again.
    Withdrawn,
    /// The round does not count; stakes go back.
    Voided,
}

/// A round is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The game: a name the rules know.
    pub game: String,
    /// Version of the rules that grade the round.
    pub rules_version: u32,
    /// All selections with their odds.
    pub offers: Vec<Offer>,
    /// When betting closes, ms since the Unix epoch, UTC.
    pub closes_at: i64,
    /// Ms between `closing` and `closed`.
    pub grace_ms: i64,
}

/// The herald's word on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The offset of the record judged.
    pub judged: u64,
    /// The kind of the record judged.
    pub kind: RoundKind,
    /// `None` if it was admitted, else why not: a stable code.
    pub refused: Option<String>,
    /// The marker's number in the round; 0 if it is no marker or was refused.
    pub number: u32,
    /// The round's result version after the record.
    pub version: u32,
}

/// What is said by one record of `rounds.v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundSaid {
    /// The round is offered.
    Opened(Opened),
    /// Odds of the selections named, or the deadline, change.
    Amended {
        /// New odds.
        offers: Vec<Offer>,
        /// A new deadline, ms since the Unix epoch, UTC.
        closes_at: Option<i64>,
    },
    /// No more bets from now on.
    Closing,
    /// The grace is over.
    Closed,
    /// `closed` stands in every partition of `bets`.
    Sealed,
    /// A result version.
    Version {
        /// The version it replaces, 0 for none.
        replaces: u32,
        /// What it says.
        outcome: Outcome,
        /// Why, in words.
        reason: String,
    },
    /// A result version is proposed. Its request id names what was shown, see
    /// [`crate::proposal::Step`].
    Proposed {
        /// The version it would replace, 1 or above.
        replaces: u32,
        /// What it would say.
        outcome: Outcome,
        /// Why, in words.
        reason: String,
    },
    /// A proposal, the one that the request id names, is off the table.
    Rejected {
        /// Why, in words.
        reason: String,
    },
    /// The herald's word.
    Verdict(Verdict),
}

/// A record of `rounds.v1`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundEvent {
    /// The round.
    pub round: RoundId,
    /// Names the request.
    pub request: RequestId,
    /// Who said it.
    pub actor: String,
    /// When the writer said it, ms since the Unix epoch, UTC.
    pub said_at: i64,
    /// What it says.
    pub said: RoundSaid,
}

/// The outcome of the game, who won and what is void.
type OutcomeColumns<T> = (Option<T>, Vec<T>, Vec<T>);

impl Outcome {
    pub(crate) fn to_columns<'a, T: From<&'a str>>(&'a self) -> OutcomeColumns<T> {
        let text = |list: &'a [Selection]| list.iter().map(|one| one.as_str().into()).collect();
        match self {
            Self::Game(outcome) => (Some(outcome.as_str().into()), Vec::new(), Vec::new()),
            Self::Named { won, void } => (None, text(won), text(void)),
            Self::Withdrawn | Self::Voided => (None, Vec::new(), Vec::new()),
        }
    }

    pub(crate) fn from_columns(
        outcome: Option<&str>,
        won: &[impl AsRef<str>],
        void: &[impl AsRef<str>],
    ) -> Result<Self, Unreadable> {
        match outcome {
            Some(outcome) => Ok(Self::Game(outcome.to_owned())),
            None => Ok(Self::Named { won: selections(won)?, void: selections(void)? }),
        }
    }
}

pub(crate) fn selections(list: &[impl AsRef<str>]) -> Result<Vec<Selection>, Unreadable> {
    list.iter().map(|text| text.as_ref().parse().map_err(Unreadable::from)).collect()
}

impl RoundEvent {
    /// Reads a framed record.
    ///
    /// # Errors
    /// [`Unreadable`] (R23).
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::try_from(frame::decode::<RoundRecord>(bytes)?)
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        frame::encode(&RoundRecord::from(self))
    }

    /// The kind of record.
    pub fn kind(&self) -> RoundKind {
        match &self.said {
            RoundSaid::Opened(_) => RoundKind::Opened,
            RoundSaid::Amended { .. } => RoundKind::Amended,
            RoundSaid::Closing => RoundKind::Closing,
            RoundSaid::Closed => RoundKind::Closed,
            RoundSaid::Sealed => RoundKind::Sealed,
            RoundSaid::Version { outcome, .. } => match outcome {
                Outcome::Game(_) | Outcome::Named { .. } => RoundKind::Result,
                Outcome::Withdrawn => RoundKind::Withdrawn,
                Outcome::Voided => RoundKind::Voided,
            },
            RoundSaid::Proposed { outcome, .. } => match outcome {
                Outcome::Game(_) | Outcome::Named { .. } => RoundKind::Proposed,
                Outcome::Withdrawn => RoundKind::ProposedWithdrawal,
                Outcome::Voided => RoundKind::ProposedVoid,
            },
            RoundSaid::Rejected { .. } => RoundKind::Rejected,
            RoundSaid::Verdict(_) => RoundKind::Verdict,
        }
    }
}

fn kind_named(name: &str) -> Result<RoundKind, Unreadable> {
    RoundKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.name() == name && *kind != RoundKind::Verdict)
        .ok_or(Unreadable::UnknownKind)
}

fn offer_record(offer: &Offer) -> OfferRecord {
    OfferRecord { selection: offer.selection.to_string(), odds: offer.odds.hundredths() }
}

fn offers(list: &[OfferRecord]) -> Result<Vec<Offer>, Unreadable> {
    list.iter()
        .map(|offer| {
            Ok(Offer { selection: offer.selection.parse()?, odds: Odds::new(offer.odds)? })
        })
        .collect()
}

impl From<&RoundEvent> for RoundRecord {
    fn from(event: &RoundEvent) -> Self {
        let mut record = Self {
            kind: event.kind(),
            round_id: event.round.to_string(),
            request_id: event.request.to_string(),
            actor: event.actor.clone(),
            said_at: event.said_at,
            ..Self::default()
        };
        match &event.said {
            RoundSaid::Opened(opened) => {
                record.game = Some(opened.game.clone());
                record.rules_version = Some(i64::from(opened.rules_version));
                record.offers = opened.offers.iter().map(offer_record).collect();
                record.closes_at = Some(opened.closes_at);
                record.grace_ms = Some(opened.grace_ms);
            }
            RoundSaid::Amended { offers, closes_at } => {
                record.offers = offers.iter().map(offer_record).collect();
                record.closes_at = *closes_at;
            }
            RoundSaid::Closing | RoundSaid::Closed | RoundSaid::Sealed => {}
            RoundSaid::Version { replaces, outcome, reason }
            | RoundSaid::Proposed { replaces, outcome, reason } => {
                record.replaces = Some(i64::from(*replaces));
                (record.outcome, record.won, record.void) = outcome.to_columns();
                record.reason = Some(reason.clone());
            }
            RoundSaid::Rejected { reason } => record.reason = Some(reason.clone()),
            RoundSaid::Verdict(verdict) => record.set_verdict(verdict),
        }
        record
    }
}

impl RoundRecord {
    fn set_verdict(&mut self, verdict: &Verdict) {
        self.judged = i64::try_from(verdict.judged).ok();
        self.judged_kind = Some(verdict.kind.name().to_owned());
        self.admitted = Some(verdict.refused.is_none());
        self.code.clone_from(&verdict.refused);
        self.number = Some(i64::from(verdict.number));
        self.version = Some(i64::from(verdict.version));
    }

    fn version(&self, outcome: Outcome) -> Result<RoundSaid, Unreadable> {
        let replaces = small(need(self.replaces, "replaces")?, "replaces")?;
        Ok(RoundSaid::Version {
            replaces,
            outcome,
            reason: self.reason.clone().unwrap_or_default(),
        })
    }

    fn proposed(&self, outcome: Outcome) -> Result<RoundSaid, Unreadable> {
        let replaces = small(need(self.replaces, "replaces")?, "replaces")?;
        let reason = need(self.reason.clone(), "reason")?;
        Ok(RoundSaid::Proposed { replaces, outcome, reason })
    }

    fn named_outcome(&self) -> Result<Outcome, Unreadable> {
        Outcome::from_columns(self.outcome.as_deref(), &self.won, &self.void)
    }

    fn verdict(&self) -> Result<Verdict, Unreadable> {
        let judged = need(self.judged, "judged")?;
        Ok(Verdict {
            judged: u64::try_from(judged).map_err(|_| Unreadable::Range("judged"))?,
            kind: kind_named(need(self.judged_kind.as_deref(), "judged_kind")?)?,
            refused: if need(self.admitted, "admitted")? {
                None
            } else {
                Some(need(self.code.clone(), "code")?)
            },
            number: small(need(self.number, "number")?, "number")?,
            version: small(need(self.version, "version")?, "version")?,
        })
    }

    fn opened(&self) -> Result<Opened, Unreadable> {
        Ok(Opened {
            game: need(self.game.clone(), "game")?,
            rules_version: small(need(self.rules_version, "rules_version")?, "rules_version")?,
            offers: offers(&self.offers)?,
            closes_at: need(self.closes_at, "closes_at")?,
            grace_ms: need(self.grace_ms, "grace_ms")?,
        })
    }
}

impl TryFrom<RoundRecord> for RoundEvent {
    type Error = Unreadable;

    fn try_from(record: RoundRecord) -> Result<Self, Unreadable> {
        let said = match record.kind {
            RoundKind::Unknown => return Err(Unreadable::UnknownKind),
            RoundKind::Opened => RoundSaid::Opened(record.opened()?),
            RoundKind::Amended => {
                RoundSaid::Amended { offers: offers(&record.offers)?, closes_at: record.closes_at }
            }
            RoundKind::Closing => RoundSaid::Closing,
            RoundKind::Closed => RoundSaid::Closed,
            RoundKind::Sealed => RoundSaid::Sealed,
            RoundKind::Result => record.version(record.named_outcome()?)?,
            RoundKind::Withdrawn => record.version(Outcome::Withdrawn)?,
            RoundKind::Voided => record.version(Outcome::Voided)?,
            RoundKind::Proposed => record.proposed(record.named_outcome()?)?,
            RoundKind::ProposedWithdrawal => record.proposed(Outcome::Withdrawn)?,
            RoundKind::ProposedVoid => record.proposed(Outcome::Voided)?,
            RoundKind::Rejected => {
                RoundSaid::Rejected { reason: need(record.reason.clone(), "reason")? }
            }
            RoundKind::Verdict => RoundSaid::Verdict(record.verdict()?),
        };
        Ok(Self {
            round: record.round_id.try_into()?,
            request: record.request_id.try_into()?,
            actor: record.actor,
            said_at: record.said_at,
            said,
        })
    }
}

#[cfg(test)]
mod tests;
