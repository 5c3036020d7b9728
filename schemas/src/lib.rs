//! The contract: Avro records, the topic catalogue, ids, money, odds and the partner's HTTP bodies.
//!
//! No IO and no clock. Bytes become a wire record ([`wire`], one flat struct per topic, equal to its
//! `.avsc` file), and a wire record becomes what it says ([`bets`], [`rounds`], ...), or is refused with
//! a typed error. Money is integer minor units; odds are integer hundredths; no float anywhere.

pub mod acts;
pub mod attempts;
pub mod bets;
pub mod catalogue;
pub mod contract;
pub mod decisions;
pub mod facts;
#[cfg(test)]
mod fixtures;
pub mod frame;
pub mod ids;
pub mod money;
pub mod odds;
pub mod outgoing;
pub mod partners;
pub mod proposal;
pub mod rounds;
pub mod settlements;
pub mod wire;

pub use ids::{
    BetId, ClientRef, ContentHash, HashText, IdError, Lane, PartnerId, PlayerId, RequestId,
    RoundId, Selection,
};
pub use money::{Currency, Money, MoneyError};
pub use odds::{Odds, OddsError};
