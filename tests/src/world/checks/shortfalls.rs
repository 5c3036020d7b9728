//! The books of partners: balances are what rows say, and what could not be taken back is told as it stands.

use super::super::reach::{Moment, Reach};
use super::super::wallet::Wallets;
use super::Checks;
use partner_kit::misbehaviours::Money;
use partner_kit::register::{ClawBack, Register};
use runtime::Record;
use schemas::PartnerId;
use schemas::facts::HEADER_SHORTFALL;
use schemas::frame;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};

impl Checks {
    /// Takes what a final answer says of a shortfall.
    pub(super) fn shortfall_said(&mut self, record: &Record) {
        let Ok(said) = frame::decode::<DeliveryRecord>(&record.value) else { return };
        if said.outcome != DeliveryOutcome::Applied {
            return;
        }
        let units = record.header(HEADER_SHORTFALL).map_or(Ok(0), str::parse);
        let (Ok(units), Ok(revision)) = (units, u32::try_from(said.revision)) else {
            self.broken("7", format!("{} has no shortfall that can be read", said.delivery_id));
            return;
        };
        self.shortfalls.insert((said.bet_id, revision), (said.ledger_epoch, units));
    }

    /// At rest: no balance is another than what its player's bets came to, none that is only collected is below zero,
    /// and every shortfall is told.
    pub(in crate::world) fn books(&mut self, wallets: &Wallets, reach: &mut Reach) {
        for (partner, register) in wallets.ledgers() {
            self.balances(partner, register);
            for (bet, row) in register.rows() {
                let told = self.shortfalls.get(&(bet.to_owned(), row.revision));
                let Some((epoch, units)) = told else { continue };
                if *epoch != register.ledger_epoch() {
                    continue;
                }
                if *units != row.shortfall() {
                    let stands = row.shortfall();
                    let what = format!("{bet}: a shortfall of {units} is told, it is {stands}");
                    self.broken("1", what);
                    return;
                }
                if 0 < *units {
                    reach.hit(Moment::ShortfallTold);
                }
            }
        }
    }

    fn balances(&mut self, partner: &PartnerId, register: &Register) {
        // A wallet that takes money twice may take what is not there.
        let honest = self.misbehaves.is_none_or(|which| which.entry().money != Money::Wrong);
        for (player, account) in register.accounts() {
            let rows = register.rows().filter(|(_, row)| *row.player == *player);
            let collected: i64 = rows.map(|(_, row)| row.collected_net).sum();
            let (free, options) = (account.free.units, register.options());
            let below = options.claw_back == ClawBack::CollectAvailable && free < 0;
            if free != options.opening_units + collected || below && honest {
                let what = format!("{player} of {partner} has {free}, {collected} was moved");
                self.broken("1", what);
            }
        }
    }
}
