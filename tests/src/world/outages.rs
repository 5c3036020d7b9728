//! Partners that are down, and parked settlements that people send again.

use super::calls::{Call, Endpoint};
use super::reach::Moment;
use super::wallet::Wallets;
use super::{Micros, World};
use partner_dispatcher::replayed;
use schemas::PartnerId;
use schemas::contract::{ItemOutcome, StateItem, StateResult, TargetBody, parse_units};

/// Least time between two replays of one settlement.
const REPLAY_WAIT: Micros = 6_000_000;

impl World {
    /// A partner goes down for a while.
    pub(super) fn outage(&mut self) {
        let partners: Vec<PartnerId> = self.wallets.names();
        let partner = self.rng.pick(&partners).clone();
        let ms = self.rng.between(500, self.faults.outage_ms_max);
        let stakes_too = self.rng.chance(300);
        self.fault();
        self.reach.hit(Moment::PartnerDown);
        self.note(16, u64::try_from(ms).unwrap_or(0), u64::from(stakes_too), || {
            format!("{partner} is down for {ms} ms, for stakes too: {stakes_too}")
        });
        self.wallets.down.insert(partner, (self.now + ms * 1_000, stakes_too));
    }

    pub(super) fn is_down(&self, call: &Call) -> bool {
        let down = self.wallets.down.get(&call.partner);
        down.is_some_and(|(until, stakes_too)| {
            self.now < *until && (*stakes_too || call.endpoint != Endpoint::Authorize)
        })
    }

    /// Sends again what is parked and has no final answer, as the command does.
    pub(super) fn replay_parked(&mut self) {
        for due in self.checks.due_again(self.now, REPLAY_WAIT) {
            let Ok(append) = replayed(&due.settlement, due.orig, due.partition) else { continue };
            self.reach.hit(Moment::ReplayedParked);
            self.land_by_hand(append);
        }
    }
}

impl Wallets {
    /// What a partner says that claims a movement it did not make; `None` where the row is as asked.
    pub(super) fn applied_lie(&self, partner: &PartnerId, item: &StateItem) -> Option<StateResult> {
        let stake = parse_units(&item.stake.units)?;
        let payout = item.payout.as_ref().and_then(|payout| parse_units(&payout.units));
        let wanted = match item.target {
            TargetBody::Held => -stake,
            TargetBody::Settled => payout? - stake,
            TargetBody::Voided => 0,
        };
        let stands = self.net_of(partner, &item.bet_id);
        (stands != wanted).then(|| StateResult {
            bet_id: item.bet_id.clone(),
            revision: item.revision,
            outcome: ItemOutcome::Applied,
            status: None,
            moved: None,
            collected_net: Some(stands.to_string()),
            shortfall: None,
            replayed: false,
            code: None,
            partner_ref: None,
        })
    }
}
