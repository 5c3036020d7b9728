//! Shapes for the document, of what `schemas` writes.

use utoipa::ToSchema;

/// Money: an integer of minor units as text.
#[derive(ToSchema)]
#[schema(as = Money)]
#[expect(dead_code, reason = "the shape of `schemas::contract::MoneyBody`")]
pub(in crate::http) struct MoneyShape {
    /// Minor units.
    #[schema(pattern = "^-?[0-9]+$", example = "1250")]
    units: String,
    /// The currency.
    #[schema(example = "EUR")]
    currency: String,
    /// Decimals between minor and major unit.
    #[schema(minimum = 0, maximum = 8, example = 2)]
    exponent: i64,
}

/// An item of a state call: the state that the partner's row is to be in.
#[derive(ToSchema)]
#[schema(as = StateItem)]
#[expect(dead_code, reason = "the shape of `schemas::contract::StateItem`")]
pub(super) struct StateItemShape {
    /// The bet.
    #[schema(example = "r_77:8f3a1c")]
    bet_id: String,
    /// 2 for a final void, 3 for the first result, above for corrections.
    #[schema(minimum = 2, example = 3)]
    revision: u32,
    /// `held`, `settled` or `voided`.
    #[schema(example = "settled")]
    target: String,
    /// The round.
    #[schema(example = "r_77")]
    round_id: String,
    /// Absent for a final void.
    result_version: Option<u32>,
    /// The partner.
    partner_id: String,
    /// The player, byte for byte.
    partner_player_id: String,
    /// The stake.
    stake: MoneyShape,
    /// settled: the payout, stake included; 0 for a loss.
    payout: Option<MoneyShape>,
    /// Why.
    #[schema(example = "result")]
    reason: String,
}

/// Totals of a round in one currency, over rows at revision 3 and above.
#[derive(ToSchema)]
#[schema(as = CloseTotal)]
#[expect(dead_code, reason = "the shape of `schemas::contract::CloseTotal`")]
pub(super) struct CloseTotalShape {
    /// The currency.
    #[schema(example = "EUR")]
    currency: String,
    /// Decimals between minor and major unit.
    exponent: i64,
    /// Rows.
    bets: u64,
    /// Sum of the stakes, minor units as text.
    stake: String,
    /// Sum of the payouts of settled rows, minor units as text.
    payout: String,
    /// Rows that are voided.
    voided: u64,
    /// Rows whose delivery is parked or frozen, which the others leave out.
    parked: u64,
}
