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
/// What came of closing a round with a partner: framed `CloseRecord`.
pub const CLOSE: &str = "close";
/// A settlement without a final answer was said again (R19): framed `RepeatRecord`. No record caused it: its `at` is 0.
pub const REPEATED: &str = "repeated";
/// What somebody said or had done: framed `ActRecord`.
pub const ACT: &str = "act";
/// History of a bet: a record of `decisions.v1`. Like the three below it a framed `StoryRecord`; in earlier builds a
/// `HistoryRecord`.
pub const HISTORY_DECISION: &str = "history_decision";
/// History of a bet: a record of `settlements.v1`.
pub const HISTORY_SETTLEMENT: &str = "history_settlement";
/// History of a bet: a record of `deliveries.v1`.
pub const HISTORY_DELIVERY: &str = "history_delivery";
/// History of a bet: a parked settlement that was sent again by command.
pub const HISTORY_REPLAY: &str = "history_replay";
/// A place in a list of histories, or in the index of one; its key is all it says.
pub const HISTORY_PLACE: &str = "history_place";

/// History of a bet: what the partner could not take back when it answered, as [`HEADER_SHORTFALL`] says. A framed
/// `StoryRecord` whose value is `<revision> <minor units>` as text.
pub const HISTORY_SHORTFALL: &str = "history_shortfall";

/// History of a bet: attempts of a movement that has no final answer in its record, as [`HEADER_ATTEMPT_LOG`] says them;
/// revision 1 is the hold. A framed `StoryRecord` whose value is the revision as text.
pub const HISTORY_ATTEMPTS: &str = "history_attempts";

/// Every kind of fact.
pub const KINDS: &[&str] = &[
    ACCEPTED,
    REJECTED,
    CANCELLED,
    MARKER,
    TALLY,
    UNREADABLE,
    FREEZE,
    ADMITTED,
    DELIVERED,
    CLOSE,
    REPEATED,
    ACT,
    HISTORY_DECISION,
    HISTORY_SETTLEMENT,
    HISTORY_DELIVERY,
    HISTORY_REPLAY,
    HISTORY_PLACE,
    HISTORY_SHORTFALL,
    HISTORY_ATTEMPTS,
];

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
/// Header of the retry tiers: how often the settlement was sent before; of `deliveries.v1`: how often it was
/// sent in all.
pub const HEADER_ATTEMPT: &str = "attempt";
/// Header of the retry tiers and of `deliveries.v1`: the first of these attempts and the last ones, as
/// [`Attempts`](crate::attempts::Attempts) writes them. A header for the reason that [`HEADER_ATTEMPT`] is one, and a help for
/// people alone.
pub const HEADER_ATTEMPT_LOG: &str = "attempt_log";
/// Header of the retry tiers: the settlement was sent since it was last read from a topic, so its attempts are news.
pub const HEADER_TRIED: &str = "tried";
/// Header of `deliveries.v1`: what the partner could not take back of the revision, minor units. It is there if that is
/// not 0, or if the partner had asked to be told again. A header: the partner may take more of it later, and the same
/// answer must be the same fact.
pub const HEADER_SHORTFALL: &str = "shortfall_units";
/// Header of the first retry tier, for those who read it: the settlement was parked and is sent again by
/// command.
pub const HEADER_REPLAYED: &str = "replayed";
/// Header of `settlements.v1`, the retry tiers and the parking place: the partner asked, by the request of this id, to
/// be told again what it had confirmed.
pub const HEADER_ASKED: &str = "asked_again";
