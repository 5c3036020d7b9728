//! What callers may write, in the documents' words. A schema takes all that is read, and refuses what it can
//! say of the rest; decimals are beyond it where a number is not written as a text.

use super::{Amount, Coefficient, Deadline, EventId, SECONDS_MAX, State};
use schemas::Odds;
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, schema::Object};
use utoipa::{PartialSchema, ToSchema};

/// Digits with at most two decimals.
const TWO_DECIMALS: &str = r"^[0-9]+(\.[0-9]{1,2})?$";

fn text(pattern: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

fn any_of(description: &str, forms: impl IntoIterator<Item = Object>) -> RefOr<Schema> {
    let any = AnyOfBuilder::new().description(Some(description));
    RefOr::T(Schema::AnyOf(forms.into_iter().fold(any, |any, form| any.item(form)).build()))
}

macro_rules! shaped {
    ($($name:ident: $description:literal, $forms:expr;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                any_of($description, $forms)
            }
        }

        impl ToSchema for $name {}
    )+};
}

shaped! {
    EventId: "The id of an event. A number means its decimal text.", [
        text("^[A-Za-z0-9_-]{1,36}$"),
        ObjectBuilder::new().schema_type(Type::Integer).build(),
    ];
    Coefficient: "Odds, stake included, above zero, at most two decimals, text or number.", [
        text(TWO_DECIMALS),
        above_zero().maximum(Some(Odds::HUNDREDTHS_MAX / 100)).build(),
    ];
    Amount: "Money of the player's currency, above zero, at most two decimals, text or number.", [
        text(TWO_DECIMALS),
        above_zero().build(),
    ];
    Deadline: "An RFC 3339 time with offset, or Unix seconds as text or number.", [
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .build(),
        text(r"^[0-9]{1,11}(\.[0-9]+)?$"),
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .exclusive_maximum(Some(SECONDS_MAX + 1))
            .build(),
    ];
    State: "1 unfinished, 2 the first team won, 3 the second team won.", [
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([1, 2, 3])).build(),
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["1", "2", "3"])).build(),
    ];
}

fn above_zero() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0))
}
