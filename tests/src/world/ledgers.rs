//! A partner that restores its ledger from a backup, and the people who sign that off (R20).
//!
//! Rows fall back, and none of the answers since counts for the new ledger. As in production its betting rests until the
//! sign-off, which tells dispatchers first, and then sends again the newest settlement of what it had confirmed since the backup.

use super::actor::{RawInput, Request};
use super::cast::PARTNERS;
use super::checks::Movements;
use super::misbehaving::Mischief;
use super::reach::Moment;
use super::slot::{Role, SlotRef};
use super::wallet::Wallets;
use super::{Event, Micros, World};
use partner_dispatcher::{OwedQuery, replayed};
use partner_kit::movement::Epoch;
use partner_kit::register::Register;
use runtime::{Source, Topic};
use schemas::PartnerId;
use schemas::catalogue::{DELIVERIES, SETTLEMENTS};
use schemas::frame;
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ms from a restore, and from the end of the faults, to the sign-off: what was on its way by then has come.
const SIGN_OFF_MS: i64 = 12_000;
/// Ms until every dispatcher has heard of a sign-off, as the command waits for it.
const HEARD_MS: i64 = 3_000;

/// A step of a partner's restore.
#[derive(Clone, Copy, Debug)]
pub(super) enum LedgerStep {
    BackUp,
    Restore,
    SignOff,
    SendAgain,
}

/// A copy of what a partner had, and what it had moved by then.
#[derive(Debug)]
struct Backup {
    made_at: Micros,
    register: Register,
    movements: Movements,
}

/// The one partner of a world that restores its ledger, if any does.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    partner: Option<PartnerId>,
    backup: Option<Backup>,
    restored_at: Option<Micros>,
    /// Nothing is left to be done.
    done: bool,
    /// What dispatchers are told: epochs that were signed off.
    signed: Arc<BTreeMap<PartnerId, String>>,
}

impl Restoring {
    /// What dispatchers know of it.
    fn known(&self) -> OwedQuery {
        OwedQuery { restored: Arc::clone(&self.signed), ..OwedQuery::default() }
    }

    /// True if a ledger will be restored, or was. Then no bet is void by a result: a row that is lost and told so counts as one
    /// that was never held, and what a correction makes of it later is for people (contract 1).
    pub(super) fn is_planned(&self) -> bool {
        self.partner.is_some()
    }

    /// True while the betting of this partner rests.
    pub(super) fn rests(&self, partner: &PartnerId) -> bool {
        self.restored_at.is_some()
            && self.signed.is_empty()
            && self.partner.as_ref() == Some(partner)
    }

    /// The partner whose restore is not through.
    pub(super) fn unfinished(&self) -> Option<&PartnerId> {
        self.partner.as_ref().filter(|_| !self.done)
    }
}

impl World {
    /// Draws whether a partner loses its ledger, and when.
    pub(super) fn plan_restore(&mut self) {
        if !self.rng.chance(self.faults.ledger_restored) {
            return;
        }
        self.restoring.partner = self.rng.pick(&PARTNERS).parse().ok();
        let backup_ms = self.rng.between(500, 8_000);
        let restore_ms = backup_ms + self.rng.between(500, 6_000);
        self.after_ms(backup_ms, Event::Ledger(LedgerStep::BackUp));
        self.after_ms(restore_ms, Event::Ledger(LedgerStep::Restore));
    }

    pub(super) fn ledger(&mut self, step: LedgerStep) {
        let Some(partner) = self.restoring.partner.clone() else { return };
        match step {
            LedgerStep::BackUp => self.back_up(&partner),
            LedgerStep::Restore => self.restore(&partner),
            LedgerStep::SignOff => self.sign_off(partner),
            LedgerStep::SendAgain => self.send_lost(&partner),
        }
    }

    fn back_up(&mut self, partner: &PartnerId) {
        let Some(register) = self.wallets.copy(partner) else { return };
        let movements = self.checks.movements_of(partner);
        self.restoring.backup = Some(Backup { made_at: self.now, register, movements });
    }

    fn restore(&mut self, partner: &PartnerId) {
        let Some(backup) = &self.restoring.backup else { return };
        let (register, movements) = (backup.register.clone(), backup.movements.clone());
        let fell = self.wallets.restore(partner, register);
        self.checks.fell_back(partner, movements);
        self.restoring.restored_at = Some(self.now);
        self.fault();
        self.reach.hit(Moment::LedgerRestored);
        if 0 < fell {
            self.reach.hit(Moment::RowsFellBack);
        }
        self.note(17, fell, 0, || format!("{partner} restores its ledger: {fell} rows fall back"));
        self.after_ms(SIGN_OFF_MS, Event::Ledger(LedgerStep::SignOff));
    }

    fn sign_off(&mut self, partner: PartnerId) {
        let healed = self.healing_since.is_some_and(|at| SIGN_OFF_MS * 1_000 <= self.now - at);
        if !healed {
            self.after_ms(1_000, Event::Ledger(LedgerStep::SignOff));
            return;
        }
        let epoch = self.wallets.epoch_of(&partner);
        self.note(18, 0, 0, || format!("epoch {epoch} of {partner} is signed off"));
        self.restoring.signed = Arc::new([(partner, epoch)].into());
        self.tell_dispatchers();
        self.after_ms(HEARD_MS, Event::Ledger(LedgerStep::SendAgain));
    }

    /// What dispatchers know of partners.
    pub(super) fn known(&self) -> OwedQuery {
        OwedQuery { state_calls: self.narrow.state_calls(), ..self.restoring.known() }
    }

    /// Tells every dispatcher what is known of partners: soon, as whoever looks after them does.
    pub(super) fn tell_dispatchers(&mut self) {
        for at in self.dispatchers() {
            let request = Request::Owed(self.known());
            let when = self.soon(1_000);
            self.at(when, Event::Input { at, input: RawInput::Request { token: 0, request } });
        }
    }

    fn dispatchers(&mut self) -> Vec<SlotRef> {
        let role = Role::Dispatcher;
        let mut running = Vec::new();
        for (process, of) in self.processes.iter_mut().enumerate() {
            let slots = of.owned.get_mut(&role).into_iter().flat_map(|owned| owned.iter_mut());
            running.extend(slots.map(|(partition, slot)| SlotRef {
                process,
                role,
                partition,
                epoch: slot.epoch,
            }));
        }
        running
    }

    /// Sends again what the partner confirmed since the backup in another ledger than this one.
    fn send_lost(&mut self, partner: &PartnerId) {
        self.restoring.done = true;
        let partition = self.partitions.of_partner(partner);
        for (orig, settlement) in self.lost_of(partner, partition) {
            let Ok(again) = replayed(&settlement, (orig, None), partition) else { continue };
            self.reach.hit(Moment::RestoredSentAgain);
            self.land_by_hand(again);
        }
    }

    /// The newest settlement of each such bet, with its offset.
    fn lost_of(&self, partner: &PartnerId, partition: u32) -> Vec<(u64, Settlement)> {
        let since = self.restoring.backup.as_ref().map_or(0, |backup| backup.made_at);
        let epoch = self.wallets.epoch_of(partner);
        let mut bets = BTreeSet::new();
        for record in self.log.all(Source { topic: Topic(DELIVERIES), partition }) {
            let Ok(said) = frame::decode::<DeliveryRecord>(&record.value) else { continue };
            let last =
                matches!(said.outcome, DeliveryOutcome::Applied | DeliveryOutcome::Superseded);
            let late = since.div_euclid(1_000) <= record.appended_at;
            if last && late && said.ledger_epoch != epoch && said.partner_id == partner.as_str() {
                bets.insert(said.bet_id);
            }
        }
        let mut newest: BTreeMap<String, (u64, Settlement)> = BTreeMap::new();
        for record in self.log.all(Source { topic: Topic(SETTLEMENTS), partition }) {
            let Ok(said) = Settlement::decode(&record.value) else { continue };
            let bet = said.bet.to_string();
            let newer =
                newest.get(&bet).is_none_or(|(_, standing)| standing.revision < said.revision);
            if newer && bets.contains(&bet) {
                newest.insert(bet, (record.offset, said));
            }
        }
        newest.into_values().collect()
    }
}

impl Wallets {
    fn copy(&self, partner: &PartnerId) -> Option<Register> {
        self.registers.get(partner).cloned()
    }

    /// Puts a copy in the place of the ledger, under a new epoch; tells how many rows are not as they were.
    fn restore(&mut self, partner: &PartnerId, mut copy: Register) -> u64 {
        let Some(standing) = self.registers.get_mut(partner) else { return 0 };
        let ledger_epoch = standing.options().ledger_epoch + 1;
        copy.begin_epoch(Epoch { partner: partner.to_string(), ledger_epoch });
        let fell = standing.rows().filter(|(bet, row)| copy.row(bet) != Some(*row)).count();
        *standing = copy;
        self.remembered.retain(|(of, _), _| of != partner);
        self.mischief = Mischief::default();
        u64::try_from(fell).unwrap_or(u64::MAX)
    }

    /// The epoch that the partner's ledger names.
    pub(super) fn epoch_of(&self, partner: &PartnerId) -> String {
        self.registers.get(partner).map(Register::ledger_epoch).unwrap_or_default()
    }

    /// True if the partner named this epoch before, and names another now.
    pub(super) fn is_past(&self, partner: &PartnerId, epoch: &str) -> bool {
        let now = self.registers.get(partner).map_or(0, |register| register.options().ledger_epoch);
        epoch.parse::<u64>().is_ok_and(|epoch| epoch < now)
    }
}
