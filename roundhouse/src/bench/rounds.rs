//! Rounds as they stand in `bets.v1`, made without ingest, herald and wallets.

use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::{Append, Clock, SystemClock};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::Outcome;
use schemas::{BetId, Currency, Money, Odds, PartnerId, RoundId};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bets of one partner between whose intents and answers no other record stands.
const UNDER_WAY: usize = 50;
/// Players of each partner.
const PLAYERS: u64 = 500;
/// Minor units of the largest stake.
const STAKE_MAX: u64 = 5_000;
/// What is bet on, with its odds in hundredths.
const SELECTIONS: [(&str, i64); 4] = [("1", 579), ("6", 579), ("odd", 193), ("even", 193)];
/// How long a partner may be asked, in ms.
const ASKED_MS: i64 = 4_000;

/// Makes rounds of bets of the same partners.
pub(super) struct Maker {
    partitions: Partitions,
    partners: Vec<PartnerId>,
    currency: Currency,
    random: SplitMix,
}

impl Maker {
    /// # Errors
    /// Never, for the names of [`crate::rig::setup`].
    pub(super) fn new(partitions: Partitions, partners: usize, seed: u64) -> anyhow::Result<Self> {
        let names = crate::rig::setup::partner_names(partners);
        let partners = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let currency = crate::rig::setup::CURRENCY.parse()?;
        Ok(Self { partitions, partners, currency, random: SplitMix::new(seed) })
    }

    /// `opened`, in every partition.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn opened(&self, round: &RoundId) -> anyhow::Result<Vec<Append>> {
        let game = "die".to_owned();
        let selections = SELECTIONS.iter().map(|(name, _)| name.parse());
        let selections = selections.collect::<Result<_, _>>()?;
        let opened = MarkerBody::Opened { game, rules_version: 1, selections };
        self.marker(round, 1, &opened)
    }

    /// The intents of these bets, and their approvals.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn bets(
        &mut self,
        round: &RoundId,
        numbers: Range<usize>,
    ) -> anyhow::Result<Vec<Append>> {
        let mut records = Vec::new();
        let mut answers: BTreeMap<u32, Vec<Append>> = BTreeMap::new();
        for number in numbers {
            let (intent, answer) = self.bet(round, number)?;
            let waiting = answers.entry(intent.partition).or_default();
            records.push(intent);
            waiting.push(answer);
            if UNDER_WAY <= waiting.len() {
                records.append(waiting);
            }
        }
        records.extend(answers.into_values().flatten());
        Ok(records)
    }

    /// `closed`, in every partition.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn closed(&self, round: &RoundId) -> anyhow::Result<Vec<Append>> {
        self.marker(round, 2, &MarkerBody::Closed)
    }

    /// The first result, in every partition.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn result(&mut self, round: &RoundId) -> anyhow::Result<Vec<Append>> {
        let outcome = Outcome::Game((1 + self.random.below(6)).to_string());
        self.marker(round, 3, &MarkerBody::Version { version: 1, outcome })
    }

    fn bet(&mut self, round: &RoundId, index: usize) -> anyhow::Result<(Append, Append)> {
        let partner = self.partners.get(index % self.partners.len().max(1));
        let partner = partner.context("there is no partner")?.clone();
        let player = format!("player-{}", self.random.below(PLAYERS)).parse()?;
        let client_ref = format!("bet-{index}").parse()?;
        let selection = usize::try_from(self.random.below(4)).unwrap_or(0);
        let (selection, odds) = SELECTIONS.get(selection).context("no selection")?;
        let stake = i64::try_from(1 + self.random.below(STAKE_MAX))?;
        let placed_at = SystemClock.now();
        let bet = Bet {
            id: BetId::of(round, &partner, &player, &client_ref),
            partner: partner.clone(),
            player,
            client_ref,
            selection: selection.parse()?,
            stake: Money::new(stake, self.currency, 2)?,
            odds: Odds::new(*odds)?,
            rules_version: 1,
            placed_at,
        };
        let (id, content) = (bet.id.clone(), bet.content_hash());
        let lane = self.partitions.of_partner(&partner);
        let answer = BetSaid::Answer { bet: id, partner, content, answer: HoldAnswer::Approved };
        let intent = BetSaid::Intent(Intent::new(bet, placed_at + ASKED_MS));
        Ok((said(round, intent, placed_at, lane)?, said(round, answer, placed_at, lane)?))
    }

    fn marker(
        &self,
        round: &RoundId,
        number: u32,
        body: &MarkerBody,
    ) -> anyhow::Result<Vec<Append>> {
        let at = SystemClock.now();
        let marker = |lane| {
            let body = body.clone();
            said(round, BetSaid::Marker(Marker { number, body }), at, lane)
        };
        (0..self.partitions.lanes).map(marker).collect()
    }
}

fn said(round: &RoundId, said: BetSaid, at: i64, lane: u32) -> anyhow::Result<Append> {
    let event = BetEvent { round: Some(round.clone()), said_at: at, said };
    Ok(outgoing::bet(&event, lane)?.into_parts().into())
}
