//! Kinds of facts and the headers of records.

/// The bet is in: framed `DecisionRecord`.
pub const ACCEPTED: &str = "accepted";
/// The bet never was: framed `DecisionRecord`.
pub const REJECTED: &str = "rejected";
/// The bet was taken back: framed `DecisionRecord`.
pub const CANCELLED: &str = "cancelled";
/// A marker of the round, as it stood in the partition: framed `BetRecord`.
pub const MARKER: &str = "marker";
/// The tally of (round, partition): framed `TallyRecord`.
pub const TALLY: &str = "tally";
/// A record that could not be decoded: framed `UnreadableRecord`.
pub const UNREADABLE: &str = "unreadable";
/// A freeze or a thaw: framed `FreezeRecord`.
pub const FREEZE: &str = "freeze";
/// Something the herald admitted: framed `RoundRecord`.
pub const ADMITTED: &str = "admitted";
/// A final delivery answer, or a parking: framed `DeliveryRecord`.
pub const DELIVERED: &str = "delivered";

/// Every kind of fact.
pub const KINDS: &[&str] =
    &[ACCEPTED, REJECTED, CANCELLED, MARKER, TALLY, UNREADABLE, FREEZE, ADMITTED, DELIVERED];

/// Header: the partner.
pub const HEADER_PARTNER: &str = "partner";
/// Header: the round.
pub const HEADER_ROUND: &str = "round";
/// Header: the bet.
pub const HEADER_BET: &str = "bet";
/// Header: the kind of record.
pub const HEADER_KIND: &str = "kind";
/// Header: the partition of `bets` that the record concerns.
pub const HEADER_BETS_PARTITION: &str = "bets_partition";
