//! What a record of `bets.v1` says.

use crate::frame::{self, FrameError};
use crate::rounds::Outcome;
use crate::wire::{BetKind, BetRecord};
use crate::{
    BetId, ClientRef, ContentHash, IdError, Money, MoneyError, Odds, OddsError, PartnerId,
    PlayerId, RequestId, RoundId, Selection,
};
use thiserror::Error;

/// Why a wire record says nothing that this build understands.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The bytes are not the record's.
    #[error("the value cannot be decoded")]
    Frame(#[from] FrameError),
    /// A field of this kind of record is absent.
    #[error("a record of this kind needs `{0}`")]
    Missing(&'static str),
    /// An id has the wrong shape.
    #[error("an id is malformed")]
    Id(#[from] IdError),
    /// An amount has the wrong shape.
    #[error("an amount is malformed")]
    Money(#[from] MoneyError),
    /// Odds have the wrong shape.
    #[error("odds are malformed")]
    Odds(#[from] OddsError),
    /// A number is outside its range.
    #[error("`{0}` is out of range")]
    Range(&'static str),
    /// A kind this build does not know.
    #[error("the kind is not known to this build")]
    UnknownKind,
}

/// One stake of one player on one selection, with all that a grade will need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bet {
    /// The bet; names its round.
    pub id: BetId,
    /// The bookmaker.
    pub partner: PartnerId,
    /// The player.
    pub player: PlayerId,
    /// The client's own name for the bet.
    pub client_ref: ClientRef,
    /// What is bet on.
    pub selection: Selection,
    /// The stake.
    pub stake: Money,
    /// The odds the player saw.
    pub odds: Odds,
    /// Version of the rules it was placed under.
    pub rules_version: u32,
    /// When ingest wrote the intent, ms since the Unix epoch, UTC.
    pub placed_at: i64,
}

impl Bet {
    /// The hash of what the bet says: partner, player, round, selection, stake, currency and odds (R12).
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::of(&[
            self.partner.as_str(),
            self.player.as_str(),
            self.id.round_str(),
            self.selection.as_str(),
            &self.stake.units.to_string(),
            self.stake.currency.as_str(),
            &self.stake.exponent.to_string(),
            &self.odds.hundredths().to_string(),
        ])
    }
}

/// A bet written down before the partner is asked for the stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The bet.
    pub bet: Bet,
    /// When the partner must no longer hold the stake; binds the partner and ingest's repeats alone (R8).
    pub expires_at: i64,
}

/// What the partner said when it was asked for the stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldAnswer {
    /// The stake is held.
    Approved,
    /// The stake is not held, with the partner's code.
    Declined(String),
}

/// A copy of something the herald admitted, numbered 1, 2, ... per round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Its number in the round, from 1, without gaps.
    pub number: u32,
    /// What it says.
    pub body: MarkerBody,
}

/// What a marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkerBody {
    /// The round is offered under these rules.
    Opened {
        /// The game.
        game: String,
        /// Version of the rules that grade the round.
        rules_version: u32,
        /// The selections.
        selections: Vec<Selection>,
    },
    /// The cut-off.
    Closed,
    /// A result version.
    Version {
        /// 1, 2, ...
        version: u32,
        /// What it says.
        outcome: Outcome,
    },
}

/// What is said by one record of `bets.v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetSaid {
    /// A bet is written down.
    Intent(Intent),
    /// The partner answered.
    Answer {
        /// The bet.
        bet: BetId,
        /// The partner.
        partner: PartnerId,
        /// Hash of the content the partner was asked about (R12).
        content: ContentHash,
        /// The answer.
        answer: HoldAnswer,
    },
    /// The player wants the bet back.
    Cancel {
        /// The bet.
        bet: BetId,
        /// The partner.
        partner: PartnerId,
        /// Names the request.
        request: RequestId,
    },
    /// A marker of the round.
    Marker(Marker),
    /// A second has passed.
    Tick,
    /// The bet, or the round in this partition where none is named, is computed again.
    Thaw {
        /// The bet.
        bet: Option<(BetId, PartnerId)>,
        /// Names the request.
        request: RequestId,
        /// Why.
        reason: String,
    },
}

/// A record of `bets.v1`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetEvent {
    /// The round; absent for ticks alone.
    pub round: Option<RoundId>,
    /// When the writer said it, ms since the Unix epoch, UTC.
    pub said_at: i64,
    /// What it says.
    pub said: BetSaid,
}

pub(crate) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, Unreadable> {
    field.ok_or(Unreadable::Missing(name))
}

pub(crate) fn small(number: i64, name: &'static str) -> Result<u32, Unreadable> {
    u32::try_from(number).map_err(|_| Unreadable::Range(name))
}

/// Counts from 1.
fn positive(number: Option<i64>, name: &'static str) -> Result<u32, Unreadable> {
    match small(need(number, name)?, name)? {
        0 => Err(Unreadable::Range(name)),
        number => Ok(number),
    }
}

impl BetEvent {
    /// Reads a framed record.
    ///
    /// # Errors
    /// [`Unreadable`]: the record becomes a fact and freezes what its headers name (R23).
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::try_from(frame::decode::<BetRecord>(bytes)?)
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        frame::encode(&BetRecord::from(self))
    }

    /// The kind of record, as in its headers.
    pub fn kind(&self) -> BetKind {
        match &self.said {
            BetSaid::Intent(_) => BetKind::Intent,
            BetSaid::Answer { answer: HoldAnswer::Approved, .. } => BetKind::Approved,
            BetSaid::Answer { answer: HoldAnswer::Declined(_), .. } => BetKind::Declined,
            BetSaid::Cancel { .. } => BetKind::Cancel,
            BetSaid::Marker(marker) => match &marker.body {
                MarkerBody::Opened { .. } => BetKind::Opened,
                MarkerBody::Closed => BetKind::Closed,
                MarkerBody::Version { outcome, .. } => match outcome {
                    Outcome::Game(_) | Outcome::Named { .. } => BetKind::Result,
                    Outcome::Withdrawn => BetKind::Withdrawn,
                    Outcome::Voided => BetKind::Voided,
                },
            },
            BetSaid::Tick => BetKind::Tick,
            BetSaid::Thaw { .. } => BetKind::Thaw,
        }
    }
}

impl From<&BetEvent> for BetRecord {
    fn from(event: &BetEvent) -> Self {
        let mut record = Self {
            kind: event.kind(),
            round_id: event.round.as_ref().map(ToString::to_string).unwrap_or_default(),
            said_at: event.said_at,
            ..Self::default()
        };
        match &event.said {
            BetSaid::Intent(intent) => record.set_intent(intent),
            BetSaid::Answer { bet, partner, content, answer } => {
                record.set_names(bet, partner);
                record.content_hash = Some(content.to_string());
                if let HoldAnswer::Declined(code) = answer {
                    record.code = Some(code.clone());
                }
            }
            BetSaid::Cancel { bet, partner, request } => {
                record.set_names(bet, partner);
                record.request_id = Some(request.to_string());
            }
            BetSaid::Marker(marker) => record.set_marker(marker),
            BetSaid::Tick => {}
            BetSaid::Thaw { bet, request, reason } => {
                if let Some((bet, partner)) = bet {
                    record.set_names(bet, partner);
                }
                record.request_id = Some(request.to_string());
                record.reason = Some(reason.clone());
            }
        }
        record
    }
}

impl BetRecord {
    fn set_names(&mut self, bet: &BetId, partner: &PartnerId) {
        self.bet_id = Some(bet.to_string());
        self.partner_id = Some(partner.to_string());
    }

    fn set_intent(&mut self, intent: &Intent) {
        let bet = &intent.bet;
        self.set_names(&bet.id, &bet.partner);
        self.partner_player_id = Some(bet.player.as_str().to_owned());
        self.client_ref = Some(bet.client_ref.as_str().to_owned());
        self.selection = Some(bet.selection.as_str().to_owned());
        self.stake_units = Some(bet.stake.units);
        self.currency = Some(bet.stake.currency.as_str().to_owned());
        self.exponent = Some(i32::from(bet.stake.exponent));
        self.odds = Some(bet.odds.hundredths());
        self.rules_version = Some(i64::from(bet.rules_version));
        self.expires_at = Some(intent.expires_at);
        self.content_hash = Some(bet.content_hash().to_string());
    }

    fn set_marker(&mut self, marker: &Marker) {
        self.number = Some(i64::from(marker.number));
        match &marker.body {
            MarkerBody::Opened { game, rules_version, selections } => {
                self.game = Some(game.clone());
                self.rules_version = Some(i64::from(*rules_version));
                self.selections = selections.iter().map(ToString::to_string).collect();
            }
            MarkerBody::Closed => {}
            MarkerBody::Version { version, outcome } => {
                self.version = Some(i64::from(*version));
                (self.outcome, self.won, self.void) = outcome.to_columns();
            }
        }
    }

    fn names(&self) -> Result<(BetId, PartnerId), Unreadable> {
        let bet: BetId = need(self.bet_id.as_deref(), "bet_id")?.parse()?;
        if bet.round_str() != self.round_id {
            return Err(Unreadable::Range("round_id"));
        }
        let partner = need(self.partner_id.as_deref(), "partner_id")?.parse()?;
        Ok((bet, partner))
    }

    fn intent(&self) -> Result<Intent, Unreadable> {
        let (id, partner) = self.names()?;
        let bet = Bet {
            id,
            partner,
            player: need(self.partner_player_id.as_deref(), "partner_player_id")?.parse()?,
            client_ref: need(self.client_ref.as_deref(), "client_ref")?.parse()?,
            selection: need(self.selection.as_deref(), "selection")?.parse()?,
            stake: Money::new(
                need(self.stake_units, "stake_units")?,
                need(self.currency.as_deref(), "currency")?.parse()?,
                i64::from(need(self.exponent, "exponent")?),
            )?,
            odds: Odds::new(need(self.odds, "odds")?)?,
            rules_version: small(need(self.rules_version, "rules_version")?, "rules_version")?,
            placed_at: self.said_at,
        };
        if bet.stake.units <= 0 {
            return Err(Unreadable::Range("stake_units"));
        }
        let told: ContentHash = need(self.content_hash.as_deref(), "content_hash")?.parse()?;
        if told != bet.content_hash() {
            return Err(Unreadable::Range("content_hash"));
        }
        Ok(Intent { bet, expires_at: need(self.expires_at, "expires_at")? })
    }

    fn marker(&self, body: MarkerBody) -> Result<BetSaid, Unreadable> {
        let number = positive(self.number, "number")?;
        Ok(BetSaid::Marker(Marker { number, body }))
    }

    fn version(&self, outcome: Outcome) -> Result<BetSaid, Unreadable> {
        let version = positive(self.version, "version")?;
        self.marker(MarkerBody::Version { version, outcome })
    }

    fn answer(&self, answer: HoldAnswer) -> Result<BetSaid, Unreadable> {
        let (bet, partner) = self.names()?;
        let content = need(self.content_hash.as_deref(), "content_hash")?.parse()?;
        Ok(BetSaid::Answer { bet, partner, content, answer })
    }
}

impl TryFrom<BetRecord> for BetEvent {
    type Error = Unreadable;

    fn try_from(record: BetRecord) -> Result<Self, Unreadable> {
        let request =
            || Ok::<_, Unreadable>(need(record.request_id.clone(), "request_id")?.try_into()?);
        let said = match record.kind {
            BetKind::Unknown => return Err(Unreadable::UnknownKind),
            BetKind::Intent => BetSaid::Intent(record.intent()?),
            BetKind::Approved => record.answer(HoldAnswer::Approved)?,
            BetKind::Declined => {
                record.answer(HoldAnswer::Declined(need(record.code.clone(), "code")?))?
            }
            BetKind::Cancel => {
                let (bet, partner) = record.names()?;
                BetSaid::Cancel { bet, partner, request: request()? }
            }
            BetKind::Opened => record.marker(MarkerBody::Opened {
                game: need(record.game.clone(), "game")?,
                rules_version: small(
                    need(record.rules_version, "rules_version")?,
                    "rules_version",
                )?,
                selections: crate::rounds::selections(&record.selections)?,
            })?,
            BetKind::Closed => record.marker(MarkerBody::Closed)?,
            BetKind::Result => record.version(Outcome::from_columns(
                record.outcome.as_deref(),
                &record.won,
                &record.void,
            )?)?,
            BetKind::Withdrawn => record.version(Outcome::Withdrawn)?,
            BetKind::Voided => record.version(Outcome::Voided)?,
            BetKind::Tick => BetSaid::Tick,
            BetKind::Thaw => BetSaid::Thaw {
                bet: if record.bet_id.is_some() { Some(record.names()?) } else { None },
                request: request()?,
                reason: record.reason.clone().unwrap_or_default(),
            },
        };
        let round = match said {
            BetSaid::Tick => None,
            BetSaid::Intent(_)
            | BetSaid::Answer { .. }
            | BetSaid::Cancel { .. }
            | BetSaid::Marker(_)
            | BetSaid::Thaw { .. } => Some(RoundId::try_from(record.round_id)?),
        };
        Ok(Self { round, said_at: record.said_at, said })
    }
}

#[cfg(test)]
mod tests;
