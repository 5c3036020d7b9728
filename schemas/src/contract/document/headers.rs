//! The headers of messages between a partner and the platform, the same in both directions.

use crate::contract::API_VERSION;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const VERSION: &str = "Api-Version";

/// A text of this pattern.
pub fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// An integer from `minimum` on.
pub fn at_least(minimum: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(minimum))
}

fn id() -> ObjectBuilder {
    text("^[A-Za-z0-9_:-]{1,64}$")
}

fn signatures() -> ObjectBuilder {
    text("^v1a?,[A-Za-z0-9+/]+={0,2}( v1a?,[A-Za-z0-9+/]+={0,2})*$")
}

fn date() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([API_VERSION]))
}

/// A parameter of a request.
pub fn parameter(
    place: ParameterIn,
    name: &str,
    required: bool,
    shape: impl Into<RefOr<Schema>>,
    description: &str,
) -> Parameter {
    let required = if required { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(shape))
        .description(Some(description))
        .build()
}

/// The headers that sign a request; `id_is` says what its id is.
pub fn signed(id_is: &str) -> [Parameter; 3] {
    let header = |name, shape, text| parameter(ParameterIn::Header, name, true, shape, text);
    [
        header(ID, id(), id_is),
        header(TIMESTAMP, at_least(0), "When this attempt was signed, s since the Unix epoch."),
        header(
            SIGNATURE,
            signatures(),
            "Signatures, separated by blanks. One that fits is enough.",
        ),
    ]
}

/// The header that says which date of the contract a request speaks.
pub fn version(required: bool, description: &str) -> Parameter {
    parameter(ParameterIn::Header, VERSION, required, date(), description)
}

/// A header of an answer.
pub fn header(shape: impl Into<RefOr<Schema>>, description: &str) -> Header {
    HeaderBuilder::new().schema(shape).description(Some(description)).build()
}

/// The header of an answer that repeats the date of the contract.
pub fn spoken() -> (&'static str, Header) {
    (VERSION, header(date(), "The date of the contract, as asked."))
}

/// The headers of an answer that is signed.
pub fn answered() -> [(&'static str, Header); 4] {
    [
        (ID, header(id(), "The id of the request.")),
        (TIMESTAMP, header(at_least(0), "When the answer was signed, s since the Unix epoch.")),
        (SIGNATURE, header(signatures(), "A 200 that is not signed right counts for nothing.")),
        spoken(),
    ]
}
