//! What is refused before an intent exists (DESIGN 5). The settler judges none of it: from the intent
//! on, the log alone decides.

use super::ask::{NotTaken, Place, Refusal};
use super::exposure::{Exposure, payout_hundredths};
use super::options::{Limits, PartnerBook, PartnerEntry};
use crate::rounds_view::{RoundInfo, RoundStatus, RoundsView};
use runtime::Millis;
use schemas::partners::CurrencyLimits;

/// What the checks look at.
pub(super) struct World<'a> {
    pub(super) view: &'a RoundsView,
    pub(super) partners: &'a PartnerBook,
    pub(super) limits: &'a Limits,
    pub(super) exposure: &'a Exposure,
    pub(super) clock_offset_ms: Millis,
}

/// What the round and the clock say of a bet that may be placed.
pub(super) struct Terms {
    pub(super) rules_version: u32,
    pub(super) expires_at: Millis,
}

/// The terms of the bet that `place` asks for, or why it is not taken.
pub(super) fn terms(world: &World<'_>, now: Millis, place: &Place) -> Result<Terms, Refusal> {
    let entry = partner(world, place)?;
    let round = round(world, place)?;
    let expires_at = expires_at(world.limits, now, round);
    if round.closes_at <= now || expires_at <= now {
        let detail = format!("betting closed at {}, it is {now}", round.closes_at);
        return Err(Refusal::new(NotTaken::DeadlinePassed, detail));
    }
    offer(place, round)?;
    let limits = currency(place, entry)?;
    amounts(world, place, limits)?;
    Ok(Terms { rules_version: round.rules_version, expires_at })
}

/// When the partner must no longer hold a stake placed at `now`: min(placed + 4 s, close + grace - 500 ms)
/// (R8).
fn expires_at(limits: &Limits, now: Millis, round: &RoundInfo) -> Millis {
    let by_stake = now.saturating_add(limits.hold_within_ms);
    let cut_off = round.closes_at.saturating_add(round.grace_ms);
    by_stake.min(cut_off.saturating_sub(limits.hold_margin_ms))
}

fn partner<'a>(world: &World<'a>, place: &Place) -> Result<&'a PartnerEntry, Refusal> {
    let Some(entry) = world.partners.get(&place.partner) else {
        let detail = format!("partner {} is not known", place.partner);
        return Err(Refusal::new(NotTaken::PartnerUnknown, detail));
    };
    if world.limits.clock_offset_max_ms < world.clock_offset_ms.saturating_abs() {
        let detail = format!("the clock is {} ms off", world.clock_offset_ms);
        return Err(Refusal::new(NotTaken::ClockOffset, detail));
    }
    match &entry.betting_paused {
        Some(reason) => Err(Refusal::new(NotTaken::BettingPaused, reason.clone())),
        None => Ok(entry),
    }
}

fn round<'a>(world: &World<'a>, place: &Place) -> Result<&'a RoundInfo, Refusal> {
    let Some(round) = world.view.get(&place.round) else {
        let detail = format!("round {} is not known", place.round);
        return Err(Refusal::new(NotTaken::RoundUnknown, detail));
    };
    if round.status == RoundStatus::Betting {
        return Ok(round);
    }
    let detail = format!("round {} is {}", place.round, round.status);
    Err(Refusal::new(NotTaken::NotBetting, detail))
}

fn offer(place: &Place, round: &RoundInfo) -> Result<(), Refusal> {
    let Some(offer) = round.offers.iter().find(|offer| offer.selection == place.selection) else {
        let detail = format!("round {} has no selection {}", place.round, place.selection);
        return Err(Refusal::new(NotTaken::SelectionUnknown, detail));
    };
    if offer.odds == place.odds {
        return Ok(());
    }
    let detail = format!("the odds of {} are {} now", place.selection, offer.odds);
    Err(Refusal::new(NotTaken::OddsChanged, detail))
}

fn currency<'a>(place: &Place, entry: &'a PartnerEntry) -> Result<&'a CurrencyLimits, Refusal> {
    let limits = entry.currencies.get(&place.stake.currency);
    limits.filter(|limits| limits.exponent == place.stake.exponent).ok_or_else(|| {
        let (currency, exponent) = (place.stake.currency, place.stake.exponent);
        let detail = format!("no bets in {currency} with {exponent} decimals");
        Refusal::new(NotTaken::CurrencyUnknown, detail)
    })
}

fn amounts(world: &World<'_>, place: &Place, limits: &CurrencyLimits) -> Result<(), Refusal> {
    let stake = place.stake;
    let stake_min = limits.stake_min.max(1);
    if stake.units < stake_min || limits.stake_max < stake.units {
        let (least, most) = (stake.with_units(stake_min), stake.with_units(limits.stake_max));
        let detail = format!("a stake is {least} to {most}");
        return Err(Refusal::new(NotTaken::StakeLimit, detail));
    }
    let payout = payout_hundredths(stake, place.odds);
    if i128::from(limits.payout_max) * 100 < payout {
        let detail = format!("a payout is at most {}", stake.with_units(limits.payout_max));
        return Err(Refusal::new(NotTaken::PayoutLimit, detail));
    }
    let open = world.exposure.open(&place.round, &place.partner, stake.currency);
    // Without a limit the sum of many rounds' largest bets must not refuse any.
    let limited = limits.liability_max < i64::MAX;
    if limited && i128::from(limits.liability_max) * 100 < open.saturating_add(payout) {
        let detail = format!("round {} takes no more stakes on this partner", place.round);
        return Err(Refusal::new(NotTaken::LiabilityLimit, detail));
    }
    Ok(())
}
