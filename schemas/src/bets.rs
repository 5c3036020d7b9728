//! What a record of `bets.v1` says.

use crate::frame::{self, FrameError};
use crate::rounds::Outcome;
use crate::wire::{BetKind, BetRecord, Text};
use crate::{
    BetId, ClientRef, ContentHash, HashText, IdError, Money, MoneyError, Odds, OddsError,
    PartnerId, PlayerId, RequestId, RoundId, Selection,
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
        let [mut units, mut exponent, mut odds] = [itoa::Buffer::new(); 3];
        ContentHash::of(&[
            self.partner.as_str(),
            self.player.as_str(),
            self.id.round_str(),
            self.selection.as_str(),
            units.format(self.stake.units),
            self.stake.currency.as_str(),
            exponent.format(self.stake.exponent),
            odds.format(self.odds.hundredths()),
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
    content: ContentHash,
}

impl Intent {
    /// Writes `bet` down, which is not changed any more.
    pub fn new(bet: Bet, expires_at: i64) -> Self {
        let content = bet.content_hash();
        Self { bet, expires_at, content }
    }

    /// The hash of what the bet says (R12): known once, and compared with each answer.
    pub fn content(&self) -> ContentHash {
        self.content
    }
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

/// The text of a field that must be there.
pub(crate) fn text<'a>(
    field: &'a Option<impl AsRef<str>>,
    name: &'static str,
) -> Result<&'a str, Unreadable> {
    need(field.as_ref().map(AsRef::as_ref), name)
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
        Self::try_from(frame::decode::<BetRecord<&str>>(bytes)?)
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        frame::encode(&BetRecord::of(self, self.content().as_deref()))
    }

    /// The hash of the content that the record is about, where it is about one.
    fn content(&self) -> Option<HashText> {
        match &self.said {
            BetSaid::Intent(intent) => Some(intent.content.text()),
            BetSaid::Answer { content, .. } => Some(content.text()),
            BetSaid::Cancel { .. } | BetSaid::Marker(_) | BetSaid::Tick | BetSaid::Thaw { .. } => {
                None
            }
        }
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

impl<'a> BetRecord<&'a str> {
    /// What the event says; `content` is the hash that it is about, where it is about one.
    pub(crate) fn of(event: &'a BetEvent, content: Option<&'a str>) -> Self {
        let mut record = Self {
            kind: event.kind(),
            round_id: event.round.as_ref().map(RoundId::as_str).unwrap_or_default(),
            said_at: event.said_at,
            content_hash: content,
            ..Self::default()
        };
        match &event.said {
            BetSaid::Intent(intent) => record.set_intent(intent),
            BetSaid::Answer { bet, partner, answer, .. } => {
                record.set_names(bet, partner);
                if let HoldAnswer::Declined(code) = answer {
                    record.code = Some(code.as_str());
                }
            }
            BetSaid::Cancel { bet, partner, request } => {
                record.set_names(bet, partner);
                record.request_id = Some(request.as_str());
            }
            BetSaid::Marker(marker) => record.set_marker(marker),
            BetSaid::Tick => {}
            BetSaid::Thaw { bet, request, reason } => {
                if let Some((bet, partner)) = bet {
                    record.set_names(bet, partner);
                }
                record.request_id = Some(request.as_str());
                record.reason = Some(reason.as_str());
            }
        }
        record
    }

    fn set_names(&mut self, bet: &'a BetId, partner: &'a PartnerId) {
        self.bet_id = Some(bet.as_str());
        self.partner_id = Some(partner.as_str());
    }

    fn set_intent(&mut self, intent: &'a Intent) {
        let bet = &intent.bet;
        self.set_names(&bet.id, &bet.partner);
        self.partner_player_id = Some(bet.player.as_str());
        self.client_ref = Some(bet.client_ref.as_str());
        self.selection = Some(bet.selection.as_str());
        self.stake_units = Some(bet.stake.units);
        self.currency = Some(bet.stake.currency.as_str());
        self.exponent = Some(i32::from(bet.stake.exponent));
        self.odds = Some(bet.odds.hundredths());
        self.rules_version = Some(i64::from(bet.rules_version));
        self.expires_at = Some(intent.expires_at);
    }

    fn set_marker(&mut self, marker: &'a Marker) {
        self.number = Some(i64::from(marker.number));
        match &marker.body {
            MarkerBody::Opened { game, rules_version, selections } => {
                self.game = Some(game.as_str());
                self.rules_version = Some(i64::from(*rules_version));
                self.selections = selections.iter().map(Selection::as_str).collect();
            }
            MarkerBody::Closed => {}
            MarkerBody::Version { version, outcome } => {
                self.version = Some(i64::from(*version));
                (self.outcome, self.won, self.void) = outcome.to_columns();
            }
        }
    }
}

impl<T: Text> BetRecord<T> {
    fn names(&self) -> Result<(BetId, PartnerId), Unreadable> {
        let bet: BetId = text(&self.bet_id, "bet_id")?.parse()?;
        if bet.round_str() != self.round_id.as_ref() {
            return Err(Unreadable::Range("round_id"));
        }
        let partner = text(&self.partner_id, "partner_id")?.parse()?;
        Ok((bet, partner))
    }

    fn intent(&self) -> Result<Intent, Unreadable> {
        let (id, partner) = self.names()?;
        let bet = Bet {
            id,
            partner,
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
            placed_at: self.said_at,
        };
        if bet.stake.units <= 0 {
            return Err(Unreadable::Range("stake_units"));
        }
        let told: ContentHash = text(&self.content_hash, "content_hash")?.parse()?;
        let intent = Intent::new(bet, need(self.expires_at, "expires_at")?);
        if told == intent.content { Ok(intent) } else { Err(Unreadable::Range("content_hash")) }
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
        let content = text(&self.content_hash, "content_hash")?.parse()?;
        Ok(BetSaid::Answer { bet, partner, content, answer })
    }
}

impl<T: Text> TryFrom<BetRecord<T>> for BetEvent {
    type Error = Unreadable;

    fn try_from(record: BetRecord<T>) -> Result<Self, Unreadable> {
        let request = || Ok::<_, Unreadable>(text(&record.request_id, "request_id")?.parse()?);
        let said = match record.kind {
            BetKind::Unknown => return Err(Unreadable::UnknownKind),
            BetKind::Intent => BetSaid::Intent(record.intent()?),
            BetKind::Approved => record.answer(HoldAnswer::Approved)?,
            BetKind::Declined => {
                record.answer(HoldAnswer::Declined(text(&record.code, "code")?.to_owned()))?
            }
            BetKind::Cancel => {
                let (bet, partner) = record.names()?;
                BetSaid::Cancel { bet, partner, request: request()? }
            }
            BetKind::Opened => record.marker(MarkerBody::Opened {
                game: text(&record.game, "game")?.to_owned(),
                rules_version: small(
                    need(record.rules_version, "rules_version")?,
                    "rules_version",
                )?,
                selections: crate::rounds::selections(&record.selections)?,
            })?,
            BetKind::Closed => record.marker(MarkerBody::Closed)?,
            BetKind::Result => record.version(Outcome::from_columns(
                record.outcome.as_ref().map(AsRef::as_ref),
                &record.won,
                &record.void,
            )?)?,
            BetKind::Withdrawn => record.version(Outcome::Withdrawn)?,
            BetKind::Voided => record.version(Outcome::Voided)?,
            BetKind::Tick => BetSaid::Tick,
            BetKind::Thaw => BetSaid::Thaw {
                bet: if record.bet_id.is_some() { Some(record.names()?) } else { None },
                request: request()?,
                reason: record.reason.as_ref().map_or("", AsRef::as_ref).to_owned(),
            },
        };
        let round = match said {
            BetSaid::Tick => None,
            BetSaid::Intent(_)
            | BetSaid::Answer { .. }
            | BetSaid::Cancel { .. }
            | BetSaid::Marker(_)
            | BetSaid::Thaw { .. } => Some(record.round_id.as_ref().parse()?),
        };
        Ok(Self { round, said_at: record.said_at, said })
    }
}

#[cfg(test)]
mod tests;
