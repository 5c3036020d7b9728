//! Wire records: one flat struct per topic, equal to the `.avsc` file beside the contract.
//!
//! Every field a reader may meet is here with its meaning; what a record says is decided in the module
//! of its topic, which turns a wire record into a typed value or refuses it.
#![expect(clippy::disallowed_types, reason = "the codec's own interface, in what it derives")]

mod partners;
mod stored;

pub use partners::{CurrencyRecord, PartnerRecord};
pub use stored::{
    ActRecord, CloseRecord, FreezeRecord, HistoryRecord, RepeatRecord, StoryRecord, TallyRecord,
    UnreadableRecord,
};

use apache_avro::schema::{EnumSchema, Name, NamespaceRef};
use apache_avro::{AvroSchema, AvroSchemaComponent, Schema};
use serde::{Deserialize, Serialize};

type NamedSchemas = std::collections::HashSet<Name>;

/// A type with an Avro schema of its own and a number that names it on the wire.
pub trait Wire: Serialize {
    /// The schema id in the Confluent framing. Never reused.
    const SCHEMA_ID: u32;
    /// The schema file.
    const SCHEMA: &'static str;

    /// Whether `frame` is read as this very record (R23): [`crate::frame::reads_back`].
    fn stands_in(&self, frame: &[u8]) -> bool;
}

/// The text of a field: owned, or borrowed from the bytes it is read from or the value it is written from. The
/// records of the settlement path are read and written borrowed, without a piece of memory for each field.
pub trait Text: AsRef<str> + AvroSchemaComponent {}

impl<T: AsRef<str> + AvroSchemaComponent> Text for T {}

/// A wire type: its number, and the text of its schema file.
macro_rules! wire {
    ($name:ty, $id:literal, $schema:expr) => {
        impl $crate::wire::Wire for $name {
            const SCHEMA_ID: u32 = $id;
            const SCHEMA: &'static str = $schema;

            fn stands_in(&self, frame: &[u8]) -> bool {
                $crate::frame::reads_back(self, frame)
            }
        }
    };
}

#[cfg(test)]
pub(crate) use wire;

/// An enum of the wire: text on it, `unknown` for a symbol that a reader does not have.
macro_rules! wire_enum {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub enum $name {
            /// A word this reader does not know.
            #[default]
            #[serde(rename = "unknown")]
            Unknown,
            $($(#[doc = $vdoc])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every word but `unknown`.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as it stands on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Unknown => "unknown",
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl AvroSchemaComponent for $name {
            fn get_schema_in_ctxt(
                named: &mut NamedSchemas,
                namespace: NamespaceRef<'_>,
            ) -> Schema {
                let name = Name::new_with_enclosing_namespace(stringify!($name), namespace)
                    .unwrap_or_else(|_| unreachable!("an identifier is a valid name"));
                if !named.insert(name.clone()) {
                    return Schema::Ref { name };
                }
                Schema::Enum(
                    EnumSchema::builder()
                        .name(name)
                        .doc(Some(concat!($($doc),+).trim().to_owned()))
                        .symbols(vec!["unknown".to_owned(), $($text.to_owned()),+])
                        .default("unknown".to_owned())
                        .build(),
                )
            }
        }
    };
}

wire!(RoundRecord, 1, include_str!("../topics/rounds/v1/schema.avsc"));
wire!(BetRecord, 2, include_str!("../topics/bets/v1/schema.avsc"));
wire!(BetRecord<&str>, 2, include_str!("../topics/bets/v1/schema.avsc"));
wire!(DecisionRecord, 3, include_str!("../topics/decisions/v1/schema.avsc"));
wire!(DecisionRecord<&str>, 3, include_str!("../topics/decisions/v1/schema.avsc"));
wire!(SettlementRecord, 4, include_str!("../topics/settlements/v1/schema.avsc"));
wire!(SettlementRecord<&str>, 4, include_str!("../topics/settlements/v1/schema.avsc"));
wire!(DeliveryRecord, 5, include_str!("../topics/deliveries/v1/schema.avsc"));
wire!(CaseRecord, 6, include_str!("../topics/cases/v1/schema.avsc"));
wire!(TallyRecord, 8, include_str!("../facts/tally.avsc"));
wire!(FreezeRecord, 9, include_str!("../facts/freeze.avsc"));
wire!(UnreadableRecord, 10, include_str!("../facts/unreadable.avsc"));
wire!(HistoryRecord, 11, include_str!("../facts/history.avsc"));
wire!(CloseRecord, 12, include_str!("../facts/close.avsc"));
wire!(RepeatRecord, 13, include_str!("../facts/repeat.avsc"));
wire!(ActRecord, 14, include_str!("../facts/act.avsc"));
wire!(StoryRecord, 15, include_str!("../facts/story.avsc"));
wire!(PartnerRecord, 16, include_str!("../topics/partners/v1/schema.avsc"));

/// A selection with its decimal odds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
pub struct OfferRecord {
    /// What can be bet on.
    pub selection: String,
    /// Decimal odds in hundredths, stake included.
    pub odds: i64,
}

/// Units of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
pub struct AmountRecord {
    /// Minor units.
    pub units: i64,
    /// The currency.
    pub currency: String,
    /// Decimals between minor and major unit.
    pub exponent: i32,
}

wire_enum! {
    /// What a record of `rounds.v1` is.
    RoundKind {
        /// The round is offered.
        Opened = "opened",
        /// Odds or the deadline change.
        Amended = "amended",
        /// No more bets from now on.
        Closing = "closing",
        /// The grace is over: what is not held by now is out.
        Closed = "closed",
        /// `closed` stands in every partition of `bets`.
        Sealed = "sealed",
        /// The outcome, or another outcome in place of an earlier one.
        Result = "result",
        /// The result is taken back.
        Withdrawn = "withdrawn",
        /// The round does not count.
        Voided = "voided",
        /// The herald's word on an earlier record.
        Verdict = "verdict",
        /// Another outcome is proposed; nothing changes until somebody else approves.
        Proposed = "proposed",
        /// It is proposed to take the result back.
        ProposedWithdrawal = "proposed_withdrawal",
        /// It is proposed that the round does not count.
        ProposedVoid = "proposed_void",
        /// A proposal is off the table.
        Rejected = "rejected",
    }
}

/// One record of `rounds.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct RoundRecord {
    /// What it says.
    pub kind: RoundKind,
    /// The round.
    pub round_id: String,
    /// Names the request, so that a repeat gets the same verdict.
    pub request_id: String,
    /// Who said it: an operator, a feed, or `herald`.
    pub actor: String,
    /// When the writer said it, ms since the Unix epoch, UTC.
    pub said_at: i64,
    /// opened: the game (`die`, `two_way`, `direct`).
    pub game: Option<String>,
    /// opened: version of the rules that grade the round.
    pub rules_version: Option<i64>,
    /// opened: all selections; amended: those whose odds change; else empty.
    pub offers: Vec<OfferRecord>,
    /// opened, amended: when betting closes, ms since the Unix epoch, UTC.
    pub closes_at: Option<i64>,
    /// opened: ms between `closing` and `closed`.
    pub grace_ms: Option<i64>,
    /// result, withdrawn, voided, their proposals: the result version this replaces; 0 for none.
    pub replaces: Option<i64>,
    /// result, proposed: the outcome of the game; absent where winners are named.
    pub outcome: Option<String>,
    /// result, proposed: selections that won, where they are named directly.
    pub won: Vec<String>,
    /// result, proposed: selections that are void, where they are named directly.
    pub void: Vec<String>,
    /// Why, in words, for people.
    pub reason: Option<String>,
    /// verdict: the offset of the record judged.
    pub judged: Option<i64>,
    /// verdict: the kind of the record judged.
    pub judged_kind: Option<String>,
    /// verdict: whether it was admitted.
    pub admitted: Option<bool>,
    /// verdict: why it was refused, a stable code.
    pub code: Option<String>,
    /// verdict: the marker's number in the round; 0 if it is no marker.
    pub number: Option<i64>,
    /// verdict: the result version after the record.
    pub version: Option<i64>,
}

wire_enum! {
    /// What a record of `bets.v1` is.
    BetKind {
        /// A bet written down before the partner is asked for the stake.
        Intent = "intent",
        /// The partner holds the stake.
        Approved = "approved",
        /// The partner does not hold the stake.
        Declined = "declined",
        /// The player wants the bet back.
        Cancel = "cancel",
        /// Marker: the round is offered.
        Opened = "opened",
        /// Marker: the cut-off.
        Closed = "closed",
        /// Marker: a result version with an outcome.
        Result = "result",
        /// Marker: the result is taken back.
        Withdrawn = "withdrawn",
        /// Marker: the round does not count.
        Voided = "voided",
        /// A second has passed; belongs to no round.
        Tick = "tick",
        /// A frozen bet or round is to be computed again.
        Thaw = "thaw",
    }
}

/// One record of `bets.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct BetRecord<T: Text = String> {
    /// What it says.
    pub kind: BetKind,
    /// The round; empty for ticks.
    pub round_id: T,
    /// The bet; absent for markers and ticks.
    pub bet_id: Option<T>,
    /// The partner; absent for markers and ticks.
    pub partner_id: Option<T>,
    /// When the writer said it, ms since the Unix epoch, UTC; markers keep the time of what they copy.
    pub said_at: i64,
    /// intent: the partner's player.
    pub partner_player_id: Option<T>,
    /// intent: the client's own name for the bet.
    pub client_ref: Option<T>,
    /// intent: what is bet on.
    pub selection: Option<T>,
    /// intent: stake in minor units.
    pub stake_units: Option<i64>,
    /// intent: the currency.
    pub currency: Option<T>,
    /// intent: decimals between minor and major unit.
    pub exponent: Option<i32>,
    /// intent: decimal odds in hundredths, stake included.
    pub odds: Option<i64>,
    /// intent: when the partner must no longer hold the stake, ms since the Unix epoch, UTC.
    pub expires_at: Option<i64>,
    /// approved, declined: hash of the content the partner was asked about; intent: of its own content.
    pub content_hash: Option<T>,
    /// declined: the partner's code.
    pub code: Option<T>,
    /// cancel, thaw: names the request.
    pub request_id: Option<T>,
    /// opened, intent: version of the rules.
    pub rules_version: Option<i64>,
    /// opened: the game.
    pub game: Option<T>,
    /// opened: the selections of the round.
    pub selections: Vec<T>,
    /// markers: number in the round, from 1.
    pub number: Option<i64>,
    /// result, withdrawn, voided: the result version.
    pub version: Option<i64>,
    /// result: the outcome of the game; absent where winners are named.
    pub outcome: Option<T>,
    /// result: selections that won, where they are named directly.
    pub won: Vec<T>,
    /// result: selections that are void, where they are named directly.
    pub void: Vec<T>,
    /// thaw, withdrawn, voided: why, in words.
    pub reason: Option<T>,
}

wire_enum! {
    /// What a record of `decisions.v1` is.
    DecisionKind {
        /// The bet is in.
        Accepted = "accepted",
        /// The bet never was.
        Rejected = "rejected",
        /// The bet was taken back before the cut-off.
        Cancelled = "cancelled",
        /// A cancel that came too late or for nothing.
        CancelRefused = "cancel_refused",
    }
}

/// One record of `decisions.v1`. No field comes from a clock or a process.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct DecisionRecord<T: Text = String> {
    /// What was decided.
    pub kind: DecisionKind,
    /// The bet.
    pub bet_id: T,
    /// The round.
    pub round_id: T,
    /// The partner.
    pub partner_id: T,
    /// Why: rejected, cancelled and cancel_refused carry a stable code.
    pub reason: Option<T>,
    /// rejected after a decline: the partner's code.
    pub decline_code: Option<T>,
    /// cancelled, cancel_refused: the cancel's request id.
    pub request_id: Option<T>,
    /// Offset in `bets.v1` of the record that decided.
    pub at: i64,
    /// `said_at` of the record that decided.
    pub caused_at: i64,
    /// Offset in `bets.v1` of the intent that this decision ends; absent where it ends none.
    pub intent_at: Option<i64>,
    /// Hash of the bet's content; absent where no intent was seen.
    pub content_hash: Option<T>,
    /// The partner's player; absent, like all below, where no intent was seen.
    pub partner_player_id: Option<T>,
    /// The client's own name for the bet.
    pub client_ref: Option<T>,
    /// What is bet on.
    pub selection: Option<T>,
    /// Stake in minor units.
    pub stake_units: Option<i64>,
    /// The currency.
    pub currency: Option<T>,
    /// Decimals between minor and major unit.
    pub exponent: Option<i32>,
    /// Decimal odds in hundredths, stake included.
    pub odds: Option<i64>,
    /// Version of the rules the bet was placed under.
    pub rules_version: Option<i64>,
    /// When the bet was placed, ms since the Unix epoch, UTC.
    pub placed_at: Option<i64>,
}

wire_enum! {
    /// The state a bet is to be in at the partner.
    TargetKind {
        /// The stake is held; the result is open.
        Held = "held",
        /// The bet is over and worth `payout_units`.
        Settled = "settled",
        /// The bet does not count; the stake is back.
        Voided = "voided",
    }
}

/// One record of `settlements.v1`, its retry tiers and its parking place.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct SettlementRecord<T: Text = String> {
    /// `<bet_id>/<revision>`; the same id always carries the same content.
    pub settlement_id: T,
    /// The bet.
    pub bet_id: T,
    /// Rises with every target state of the bet: 2 is the final void, result version v is v + 2.
    pub revision: i64,
    /// The round.
    pub round_id: T,
    /// The result version; 0 for a final void.
    pub result_version: i64,
    /// The partner.
    pub partner_id: T,
    /// The partner's player.
    pub partner_player_id: T,
    /// The state the bet is to be in.
    pub target: TargetKind,
    /// Stake in minor units.
    pub stake_units: i64,
    /// Payout in minor units, stake included; 0 unless settled.
    pub payout_units: i64,
    /// The currency.
    pub currency: T,
    /// Decimals between minor and major unit.
    pub exponent: i32,
    /// Why: result, result_corrected, result_withdrawn, round_voided, bet_rejected, bet_cancelled, thawed.
    pub reason: T,
    /// The state before: held, settled or voided.
    pub previous_target: TargetKind,
    /// The payout before, in minor units.
    pub previous_payout_units: i64,
    /// `said_at` of the record that caused it.
    pub caused_at: i64,
}

wire_enum! {
    /// How a delivery ended.
    DeliveryOutcome {
        /// The partner's row is in the target state.
        Applied = "applied",
        /// The partner's row is at a higher revision.
        Superseded = "superseded",
        /// Set aside for a human, still owed.
        Parked = "parked",
    }
}

/// One record of `deliveries.v1`, and the fact of a final delivery answer.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct DeliveryRecord {
    /// `<bet_id>/<revision>/<ledger_epoch>/<outcome>`; superseded and parked with `:` and by what or why.
    pub delivery_id: String,
    /// The bet.
    pub bet_id: String,
    /// The revision delivered.
    pub revision: i64,
    /// The round.
    pub round_id: String,
    /// The partner.
    pub partner_id: String,
    /// The partner's ledger epoch; empty where no answer named one.
    pub ledger_epoch: String,
    /// How it ended.
    pub outcome: DeliveryOutcome,
    /// superseded: the partner's revision.
    pub superseded_by: Option<i64>,
    /// parked: why, a stable code.
    pub code: Option<String>,
}

/// One record of `cases.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct CaseRecord {
    /// The case; derived from what it is about, so a repeat names the same case.
    pub case_id: String,
    /// 1 opens the case; higher steps follow.
    pub step: i64,
    /// What is wrong: a stable code.
    pub code: String,
    /// The partner, if it concerns one.
    pub partner_id: Option<String>,
    /// The round, if it concerns one.
    pub round_id: Option<String>,
    /// The bet, if it concerns one.
    pub bet_id: Option<String>,
    /// The revision, if it concerns one.
    pub revision: Option<i64>,
    /// What happened, in words.
    pub text: String,
}
