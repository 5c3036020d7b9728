//! What texts of the contract look like, in the words of its document.

use super::CloseDigest;
use crate::{BetId, Currency, PartnerId, PlayerId, RoundId};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// An amount.
pub(super) struct Units;
/// A sum of amounts.
pub(super) struct Sum;
/// A moment.
pub(super) struct Time;
/// What tells a ledger from what it was before it was restored.
pub(super) struct LedgerEpoch;

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn shown(shape: ObjectBuilder, example: &str, description: &str) -> Object {
    shape.description(Some(description)).examples([example]).build()
}

macro_rules! shaped {
    ($($name:ty: $shape:expr, $example:literal, $description:literal;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                shown($shape, $example, $description).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

shaped! {
    BetId: text("^[A-Za-z0-9_-]{1,36}:[A-Za-z0-9_-]{1,27}$"), "r_77:8f3a1c",
        "A bet: `<round_id>:<hash>`. Never used again.";
    RoundId: text("^[A-Za-z0-9_-]{1,36}$"), "r_77", "A round.";
    PartnerId: text("^[a-z0-9_-]{1,32}$"), "acme",
        "The partner. To be checked against the keys of the signature, and for nothing else.";
    PlayerId: text(r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,128}$"), "P_9",
        "The partner's player, byte for byte: 1 to 128 printable characters.";
    Currency: text("^[A-Z0-9]{3,8}$"), "EUR", "The code of a currency.";
    Units: text("^-?[0-9]{1,19}$"), "1250",
        "Minor units: an integer of the int64 range, as text.";
    Sum: text("^[0-9]{1,39}$"), "1250", "A sum of minor units, as text. It may be above the int64 range.";
    CloseDigest: text("^[0-9a-f]{64}$"),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "SHA-256 over a line `bet_id|revision|status|stake|payout` for each row at revision 3 and above, \
         each ended by a newline, in the order of bet ids. Amounts in minor units; payout 0 unless settled.";
    Time: ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        "2026-11-29T12:00:00.000Z", "RFC 3339, UTC, with milliseconds.";
    LedgerEpoch: text("^[A-Za-z0-9_.:-]{0,64}$"), "1",
        "Rises when the ledger was restored from a backup: the platform then pauses, and after sign-off \
         on both sides sends again what was lost.";
}
