//! Rounds as they stand in `bets.v1`, made without ingest, herald and wallets.

use super::ground::LANES;
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::{Append, Clock, SystemClock};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::Outcome;
use schemas::{BetId, Currency, Money, Odds, PartnerId, RoundId};
use std::collections::BTreeMap;

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
    partners: Vec<PartnerId>,
    currency: Currency,
    random: SplitMix,
}

impl Maker {
    /// # Errors
    /// Never, for the names of [`crate::rig::setup`].
    pub(super) fn new(partners: usize, seed: u64) -> anyhow::Result<Self> {
        let names = crate::rig::setup::partner_names(partners);
        let partners = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let currency = crate::rig::setup::CURRENCY.parse()?;
        Ok(Self { partners, currency, random: SplitMix::new(seed) })
    }

    /// `opened`, then `count` intents and their approvals, then `closed`.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn closed(&mut self, round: &RoundId, count: usize) -> anyhow::Result<Vec<Append>> {
        let game = "die".to_owned();
        let selections = SELECTIONS.iter().map(|(name, _)| name.parse());
        let selections = selections.collect::<Result<_, _>>()?;
        let opened = MarkerBody::Opened { game, rules_version: 1, selections };
        let mut records = marker(round, 1, opened)?;
        let mut answers: BTreeMap<u32, Vec<Append>> = BTreeMap::new();
        for index in 0..count {
            let (intent, answer) = self.bet(round, index)?;
            let waiting = answers.entry(intent.partition).or_default();
            records.push(intent);
            waiting.push(answer);
            if UNDER_WAY <= waiting.len() {
                records.append(waiting);
            }
        }
        records.extend(answers.into_values().flatten());
        records.extend(marker(round, 2, MarkerBody::Closed)?);
        Ok(records)
    }

    /// The first result, in every partition.
    ///
    /// # Errors
    /// If a record cannot be encoded.
    pub(super) fn result(&mut self, round: &RoundId) -> anyhow::Result<Vec<Append>> {
        let outcome = Outcome::Game((1 + self.random.below(6)).to_string());
        marker(round, 3, MarkerBody::Version { version: 1, outcome })
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
        let lane = Partitions::CLUSTER.of_partner(&partner);
        let answer = BetSaid::Answer { bet: id, partner, content, answer: HoldAnswer::Approved };
        let intent = BetSaid::Intent(Intent { bet, expires_at: placed_at + ASKED_MS });
        Ok((said(round, intent, placed_at, lane)?, said(round, answer, placed_at, lane)?))
    }
}

fn marker(round: &RoundId, number: u32, body: MarkerBody) -> anyhow::Result<Vec<Append>> {
    let at = SystemClock.now();
    let marker = |lane| {
        let body = body.clone();
        said(round, BetSaid::Marker(Marker { number, body }), at, lane)
    };
    (0..LANES).map(marker).collect()
}

fn said(round: &RoundId, said: BetSaid, at: i64, lane: u32) -> anyhow::Result<Append> {
    let event = BetEvent { round: Some(round.clone()), said_at: at, said };
    Ok(outgoing::bet(&event, lane)?.into_parts().into())
}
