//! Partners that are down, and parked settlements that people send again.

use super::calls::{Call, Endpoint};
use super::misbehaving::wanted;
use super::reach::Moment;
use super::wallet::Wallets;
use super::{Micros, World};
use partner_dispatcher::replayed;
use runtime::{Source, Topic};
use schemas::PartnerId;
use schemas::catalogue::SETTLEMENTS;
use schemas::contract::{ItemOutcome, StateItem, StateResult};
use schemas::facts::HEADER_ASKED;
use schemas::outgoing::{self, SettlementTopic};
use schemas::settlements::Settlement;

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
        if call.endpoint == Endpoint::Authorize && self.restoring.rests(&call.partner) {
            return true;
        }
        let down = self.wallets.down.get(&call.partner);
        down.is_some_and(|(until, stakes_too)| {
            self.now < *until && (*stakes_too || call.endpoint != Endpoint::Authorize)
        })
    }

    /// Sends again what is parked and has no final answer, as the command does.
    pub(super) fn replay_parked(&mut self) {
        for due in self.checks.due_again(self.now, REPLAY_WAIT) {
            let Settlement { partner, bet, revision, .. } = &due.settlement;
            if self.wallets.is_wrong(partner, bet.as_str(), *revision) {
                // Its partner must put it right: to be told it again mends nothing.
                continue;
            }
            let from = (due.orig, due.asked.as_deref());
            let Ok(append) = replayed(&due.settlement, from, due.partition) else { continue };
            self.reach.hit(Moment::ReplayedParked);
            self.land_by_hand(append);
        }
    }

    /// Says again what was said before, as if a partner had asked for it; also what has been corrected since.
    pub(super) fn tell_again(&mut self) {
        let partition =
            u32::try_from(self.rng.below(u64::from(self.partitions.lanes))).unwrap_or(0);
        let source = Source { topic: Topic(SETTLEMENTS), partition };
        let Some(end) = self.log.end(source).checked_sub(1) else { return };
        let from = self.rng.below(end + 1);
        let Some(said) = self.log.from(source, from).first() else { return };
        let Ok(said) = Settlement::decode(&said.value) else { return };
        let again = outgoing::settlement(&said, SettlementTopic::Settlements, partition);
        let Ok(mut again) = again else { return };
        again.headers.push((HEADER_ASKED, "post_1".to_owned()));
        self.reach.hit(Moment::ToldAgain);
        self.land_by_hand(again.into_parts().into());
    }
}

impl Wallets {
    /// What a partner says that claims a movement it did not make; `None` where the row is as asked.
    pub(super) fn applied_lie(&self, partner: &PartnerId, item: &StateItem) -> Option<StateResult> {
        let wanted = wanted(item)?;
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
