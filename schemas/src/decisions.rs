//! What a record of `decisions.v1` says.

use crate::bets::{Bet, Unreadable, need, small, text};
use crate::frame::{self, FrameError};
use crate::wire::{DecisionKind, DecisionRecord, Text};
use crate::{BetId, ContentHash, Money, Odds, PartnerId, RequestId};

/// Why a bet never was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The partner does not hold the stake, with its code.
    Declined(String),
    /// No answer stood in the log at the 6th tick behind the intent (R8).
    Expired,
    /// The cut-off came first.
    Closed,
    /// The intent stands before its round's `opened`.
    NotOpen,
    /// The bet was frozen before it was decided, and thawed.
    Thawed,
}

impl RejectReason {
    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Declined(_) => "declined",
            Self::Expired => "expired",
            Self::Closed => "closed",
            Self::NotOpen => "not_open",
            Self::Thawed => "thawed",
        }
    }
}

/// What was decided about a bet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bet is in.
    Accepted,
    /// The bet never was.
    Rejected(RejectReason),
    /// The bet was taken back before the cut-off, by this request.
    Cancelled(RequestId),
}

/// A decision: a fact, said by the settler alone (R13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The whole bet.
    pub bet: Bet,
    /// What was decided.
    pub verdict: Verdict,
    /// Offset in `bets.v1` of the record that decided.
    pub at: u64,
    /// `said_at` of that record.
    pub caused_at: i64,
    /// Offset in `bets.v1` of the intent that this decision ends; `None` for the cancel of an accepted
    /// bet, which ends none. A settler that starts between the two knows by it that the bet is decided
    /// (R1, R2).
    pub intent_at: Option<u64>,
}

impl Decision {
    /// The fact's id: `<bet_id>/<rank>`, rank 1 for accepted and rejected, 2 for cancelled.
    pub fn id(&self) -> String {
        let rank = match self.verdict {
            Verdict::Accepted | Verdict::Rejected(_) => "1",
            Verdict::Cancelled(_) => "2",
        };
        [self.bet.id.as_str(), "/", rank].concat()
    }

    /// The kind of record and of fact.
    pub fn kind(&self) -> DecisionKind {
        match self.verdict {
            Verdict::Accepted => DecisionKind::Accepted,
            Verdict::Rejected(_) => DecisionKind::Rejected,
            Verdict::Cancelled(_) => DecisionKind::Cancelled,
        }
    }
}

/// A cancel that came too late or for nothing; a record, never a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRefused {
    /// The bet named by the cancel.
    pub bet: BetId,
    /// The partner.
    pub partner: PartnerId,
    /// The cancel's request.
    pub request: RequestId,
    /// `closed` or `unknown_bet`.
    pub reason: String,
    /// Offset of the cancel.
    pub at: u64,
    /// `said_at` of the cancel.
    pub caused_at: i64,
}

/// What is said by one record of `decisions.v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionSaid {
    /// A decision.
    Decided(Decision),
    /// A refused cancel.
    CancelRefused(CancelRefused),
}

impl DecisionSaid {
    /// Reads a framed record.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::try_from(frame::decode::<DecisionRecord<&str>>(bytes)?)
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        match self {
            Self::Decided(decision) => {
                let content = decision.bet.content_hash().text();
                frame::encode(&DecisionRecord::of(decision, &content))
            }
            Self::CancelRefused(refused) => frame::encode(&DecisionRecord::of_refused(refused)),
        }
    }

    /// The record's key.
    pub fn key(&self) -> String {
        match self {
            Self::Decided(decision) => decision.id(),
            Self::CancelRefused(refused) => format!("{}/refused/{}", refused.bet, refused.at),
        }
    }

    /// The bet.
    pub fn bet_id(&self) -> &BetId {
        match self {
            Self::Decided(decision) => &decision.bet.id,
            Self::CancelRefused(refused) => &refused.bet,
        }
    }

    /// The partner.
    pub fn partner(&self) -> &PartnerId {
        match self {
            Self::Decided(decision) => &decision.bet.partner,
            Self::CancelRefused(refused) => &refused.partner,
        }
    }

    /// The kind of record.
    pub fn kind(&self) -> DecisionKind {
        match self {
            Self::Decided(decision) => decision.kind(),
            Self::CancelRefused(_) => DecisionKind::CancelRefused,
        }
    }
}

impl<'a> DecisionRecord<&'a str> {
    /// What a decision says; `content` is the hash of its bet.
    pub(crate) fn of(decision: &'a Decision, content: &'a str) -> Self {
        let bet = &decision.bet;
        debug_assert_eq!(*content, *bet.content_hash().text());
        let mut record = Self::about(&bet.id, &bet.partner, decision.kind());
        record.set_decision(decision);
        record.content_hash = Some(content);
        record
    }

    fn of_refused(refused: &'a CancelRefused) -> Self {
        Self {
            at: i64::try_from(refused.at).unwrap_or(i64::MAX),
            caused_at: refused.caused_at,
            reason: Some(refused.reason.as_str()),
            request_id: Some(refused.request.as_str()),
            ..Self::about(&refused.bet, &refused.partner, DecisionKind::CancelRefused)
        }
    }

    fn about(bet: &'a BetId, partner: &'a PartnerId, kind: DecisionKind) -> Self {
        Self {
            kind,
            bet_id: bet.as_str(),
            round_id: bet.round_str(),
            partner_id: partner.as_str(),
            ..Self::default()
        }
    }

    fn set_decision(&mut self, decision: &'a Decision) {
        let bet = &decision.bet;
        self.at = i64::try_from(decision.at).unwrap_or(i64::MAX);
        self.caused_at = decision.caused_at;
        self.intent_at = decision.intent_at.and_then(|at| i64::try_from(at).ok());
        match &decision.verdict {
            Verdict::Accepted => {}
            Verdict::Rejected(reason) => {
                self.reason = Some(reason.code());
                if let RejectReason::Declined(code) = reason {
                    self.decline_code = Some(code.as_str());
                }
            }
            Verdict::Cancelled(request) => self.request_id = Some(request.as_str()),
        }
        self.partner_player_id = Some(bet.player.as_str());
        self.client_ref = Some(bet.client_ref.as_str());
        self.selection = Some(bet.selection.as_str());
        self.stake_units = Some(bet.stake.units);
        self.currency = Some(bet.stake.currency.as_str());
        self.exponent = Some(i32::from(bet.stake.exponent));
        self.odds = Some(bet.odds.hundredths());
        self.rules_version = Some(i64::from(bet.rules_version));
        self.placed_at = Some(bet.placed_at);
    }
}

impl<T: Text> DecisionRecord<T> {
    fn bet(&self) -> Result<Bet, Unreadable> {
        let bet = Bet {
            id: self.bet_id.as_ref().parse()?,
            partner: self.partner_id.as_ref().parse()?,
            player: text(&self.partner_player_id, "partner_player_id")?.parse()?,
            client_ref: text(&self.client_ref, "client_ref")?.parse()?,
            selection: text(&self.selection, "selection")?.parse()?,
            stake: Money::new(
                need(self.stake_units, "stake_units")?,
                text(&self.currency, "currency")?.parse()?,
                i64::from(need(self.exponent, "exponent")?),
            )?,
            odds: Odds::new(need(self.odds, "odds")?)?,
            rules_version: small(need(self.rules_version, "rules_version")?, "rules_version")?,
            placed_at: need(self.placed_at, "placed_at")?,
        };
        let told: ContentHash = text(&self.content_hash, "content_hash")?.parse()?;
        if told == bet.content_hash() { Ok(bet) } else { Err(Unreadable::Range("content_hash")) }
    }

    fn reject_reason(&self) -> Result<RejectReason, Unreadable> {
        match text(&self.reason, "reason")? {
            "declined" => {
                Ok(RejectReason::Declined(text(&self.decline_code, "decline_code")?.to_owned()))
            }
            "expired" => Ok(RejectReason::Expired),
            "closed" => Ok(RejectReason::Closed),
            "not_open" => Ok(RejectReason::NotOpen),
            "thawed" => Ok(RejectReason::Thawed),
            _ => Err(Unreadable::Range("reason")),
        }
    }
}

impl<T: Text> TryFrom<DecisionRecord<T>> for DecisionSaid {
    type Error = Unreadable;

    fn try_from(record: DecisionRecord<T>) -> Result<Self, Unreadable> {
        let id: BetId = record.bet_id.as_ref().parse()?;
        if id.round_str() != record.round_id.as_ref() {
            return Err(Unreadable::Range("round_id"));
        }
        let at = u64::try_from(record.at).map_err(|_| Unreadable::Range("at"))?;
        let request = || Ok::<_, Unreadable>(text(&record.request_id, "request_id")?.parse()?);
        let verdict = match record.kind {
            DecisionKind::Unknown => return Err(Unreadable::UnknownKind),
            DecisionKind::Accepted => Verdict::Accepted,
            DecisionKind::Rejected => Verdict::Rejected(record.reject_reason()?),
            DecisionKind::Cancelled => Verdict::Cancelled(request()?),
            DecisionKind::CancelRefused => {
                return Ok(Self::CancelRefused(CancelRefused {
                    bet: id,
                    partner: record.partner_id.as_ref().parse()?,
                    request: request()?,
                    reason: text(&record.reason, "reason")?.to_owned(),
                    at,
                    caused_at: record.caused_at,
                }));
            }
        };
        let bet = record.bet()?;
        let intent_at = record.intent_at.map(u64::try_from).transpose();
        let intent_at = intent_at.map_err(|_| Unreadable::Range("intent_at"))?;
        Ok(Self::Decided(Decision { bet, verdict, at, caused_at: record.caused_at, intent_at }))
    }
}

#[cfg(test)]
mod tests;
