//! What one batch of records makes durable.

use runtime::machine::Alarm;
use runtime::{Append, Batch, Fact};
use schemas::bets::{BetEvent, BetSaid, Intent};
use schemas::decisions::{CancelRefused, Decision, DecisionSaid};
use schemas::frame::FrameError;
use schemas::outgoing::{self, SettlementTopic};
use schemas::settlements::Settlement;
use schemas::wire::{FreezeRecord, TallyRecord, UnreadableRecord};
use schemas::{BetId, ContentHash, Lane, PartnerId, RoundId};

/// Facts, tallies, records and alarms, in the order of the log.
#[derive(Debug)]
pub(crate) struct Output {
    partition: u32,
    facts: Vec<Fact>,
    tallies: Vec<Fact>,
    records: Vec<Append>,
    pub(crate) alarms: Vec<Alarm>,
}

impl Output {
    pub(crate) fn new(partition: u32) -> Self {
        Self {
            partition,
            facts: Vec::new(),
            tallies: Vec::new(),
            records: Vec::new(),
            alarms: Vec::new(),
        }
    }

    /// Makes room for what follows from so many records.
    pub(crate) fn reserve(&mut self, records: usize) {
        self.facts.reserve(records);
        self.records.reserve(records);
    }

    /// A decision for the first time: its fact and its record.
    /// `content` is the hash of its bet.
    pub(crate) fn decide(
        &mut self,
        decision: &Decision,
        content: ContentHash,
    ) -> Result<(), FrameError> {
        let (row, record) = outgoing::decided(decision, content, self.partition)?;
        self.facts.push(Fact::from(row.into_parts()));
        self.records.push(Append::from(record.into_parts()));
        Ok(())
    }

    /// A decision once more: its record alone, for whoever asked again.
    pub(crate) fn repeat(&mut self, decision: &Decision) -> Result<(), FrameError> {
        self.say(DecisionSaid::Decided(decision.clone()))
    }

    pub(crate) fn refuse_cancel(&mut self, refused: CancelRefused) -> Result<(), FrameError> {
        self.say(DecisionSaid::CancelRefused(refused))
    }

    fn say(&mut self, said: DecisionSaid) -> Result<(), FrameError> {
        let out = outgoing::decision(&said, self.partition)?;
        self.records.push(Append::from(out.into_parts()));
        Ok(())
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Result<(), FrameError> {
        let out = outgoing::settlement(settlement, SettlementTopic::Settlements, self.partition)?;
        self.records.push(Append::from(out.into_parts()));
        Ok(())
    }

    pub(crate) fn marker(
        &mut self,
        event: &BetEvent,
        round: &RoundId,
        at: u64,
    ) -> Result<(), FrameError> {
        let row = outgoing::marker_fact(event, round, self.partition, at)?;
        self.facts.push(Fact::from(row.into_parts()));
        Ok(())
    }

    /// The tally, durable behind all facts below it (R5).
    pub(crate) fn tally(&mut self, tally: &TallyRecord, at: u64) -> Result<(), FrameError> {
        let row = outgoing::tally_fact(tally, self.partition, at)?;
        self.tallies.push(Fact::from(row.into_parts()));
        Ok(())
    }

    /// Freezes a bet at offset `at`, with its intent and the intent's offset if it was not decided, and
    /// pages.
    pub(crate) fn freeze_bet(
        &mut self,
        bet: &BetId,
        partner: Option<&PartnerId>,
        pending: Option<(&Intent, u64)>,
        at: u64,
        code: &str,
    ) -> Result<(), FrameError> {
        let known = pending.map(|(intent, _)| BetEvent {
            round: Some(bet.round()),
            said_at: intent.bet.placed_at,
            said: BetSaid::Intent(intent.clone()),
        });
        let record = FreezeRecord {
            round_id: bet.round_str().to_owned(),
            bet_id: Some(bet.to_string()),
            frozen: true,
            code: code.to_owned(),
            text: format!("bet {bet} is frozen at offset {at}: {code}"),
            intent_at: pending.and_then(|(_, intent_at)| i64::try_from(intent_at).ok()),
            known: known.map(|event| event.encode()).transpose()?.unwrap_or_default(),
        };
        let lane = partner.map(Lane::of);
        self.freeze(&record, lane.as_ref().map_or("", Lane::as_str), at, "bet_frozen")
    }

    /// Freezes the round in this partition at offset `at`, and pages.
    pub(crate) fn freeze_round(
        &mut self,
        round: &RoundId,
        at: u64,
        code: &str,
    ) -> Result<(), FrameError> {
        let record = FreezeRecord {
            round_id: round.to_string(),
            frozen: true,
            code: code.to_owned(),
            text: format!(
                "round {round} is frozen in bets/{} at offset {at}: {code}",
                self.partition
            ),
            ..FreezeRecord::default()
        };
        self.freeze(&record, "", at, "round_frozen")
    }

    /// Thaws a bet, or the round where none is named.
    pub(crate) fn thaw(
        &mut self,
        round: &RoundId,
        bet: Option<&(BetId, PartnerId)>,
        at: u64,
        reason: &str,
    ) -> Result<(), FrameError> {
        let record = FreezeRecord {
            round_id: round.to_string(),
            bet_id: bet.map(|(bet, _)| bet.to_string()),
            frozen: false,
            code: "thawed".to_owned(),
            text: reason.to_owned(),
            intent_at: None,
            known: Vec::new(),
        };
        let lane = bet.map(|(_, partner)| Lane::of(partner));
        self.freeze(&record, lane.as_ref().map_or("", Lane::as_str), at, "thawed")
    }

    fn freeze(
        &mut self,
        record: &FreezeRecord,
        lane: &str,
        at: u64,
        alarm: &'static str,
    ) -> Result<(), FrameError> {
        let row = outgoing::freeze_fact(record, lane, self.partition, at)?;
        self.facts.push(Fact::from(row.into_parts()));
        self.alarms.push(Alarm { name: alarm, text: record.text.clone() });
        Ok(())
    }

    /// A record that cannot be decoded, under the names its headers give (R23).
    pub(crate) fn unreadable(
        &mut self,
        record: &UnreadableRecord,
        names: (&str, &str, &str),
    ) -> Result<(), FrameError> {
        let row = outgoing::unreadable_fact(record, schemas::catalogue::BETS, names)?;
        self.facts.push(Fact::from(row.into_parts()));
        self.alarms.push(Alarm {
            name: "record_unreadable",
            text: format!(
                "{}/{} offset {}: {}",
                record.topic, record.partition, record.offset, record.error
            ),
        });
        Ok(())
    }

    pub(crate) fn into_batch(self) -> (Batch, Vec<Alarm>) {
        let batch = Batch {
            facts: vec![self.facts, self.tallies],
            records: vec![self.records],
            ..Batch::default()
        };
        (batch, self.alarms)
    }
}
