//! What partners say of rounds and bets when they are asked.

use super::World;
use super::calls::Call;
use super::reach::Moment;
use super::wallet::Manner;
use bytes::Bytes;
use schemas::RoundId;
use schemas::contract::{CloseRequest, QueryRequest};

impl World {
    /// What the partner's register says of a round.
    pub(super) fn close_round(&mut self, call: &Call, manner: Manner) -> Result<Bytes, u16> {
        let request: CloseRequest = serde_json::from_slice(&call.body).map_err(|_| 400_u16)?;
        let register = self.wallets.registers.get(&call.partner).ok_or(404_u16)?;
        self.reach.hit(Moment::RoundClosed);
        let closed = match manner.rows_lost() {
            0 => register.close(&request),
            lost => register.without(&request.round_id, lost).close(&request),
        };
        serde_json::to_vec(&closed).map(Bytes::from).map_err(|_| 500)
    }

    pub(super) fn query(&self, call: &Call) -> Result<Bytes, u16> {
        let request: QueryRequest = serde_json::from_slice(&call.body).map_err(|_| 400_u16)?;
        let register = self.wallets.registers.get(&call.partner).ok_or(404_u16)?;
        let response = register.query(&request);
        serde_json::to_vec(&response).map(Bytes::from).map_err(|_| 500)
    }

    /// Its rows of a round, few to a page.
    pub(super) fn round_bets(
        &mut self,
        call: &Call,
        (round, after): (&RoundId, &str),
        manner: Manner,
    ) -> Result<Bytes, u16> {
        let register = self.wallets.registers.get(&call.partner).ok_or(404_u16)?;
        self.reach.hit(Moment::RowsCompared);
        let page = match manner.rows_lost() {
            0 => register.round_bets(round.as_str(), after, 3),
            lost => register.without(round.as_str(), lost).round_bets(round.as_str(), after, 3),
        };
        serde_json::to_vec(&page).map(Bytes::from).map_err(|_| 500)
    }
}
