//! The OpenAPI document of what a partner implements, out of the types that run and of what the reference
//! wallet was seen to answer.

mod answers;
mod calls;
mod examples;
pub mod headers;

pub use examples::Exchange;

use super::{API_VERSION, Problem};
use calls::Call;
use utoipa::openapi::schema::{ComponentsBuilder, Schema};
use utoipa::openapi::{
    InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, RefOr, ServerBuilder,
};

/// The document of the wallet API, at [`API_VERSION`].
pub fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Wallet API")
        .version(API_VERSION)
        .description(Some(include_str!("../../contract/about.md")))
        .license(Some(license))
        .build();
    let wallet = ServerBuilder::new()
        .url("https://wallet.example")
        .description(Some("What the partner says stands before `/wallet/v1`."))
        .build();
    let calls = calls::all();
    let mut schemas = Vec::new();
    calls::add::<Problem>(&mut schemas);
    calls.iter().for_each(|call| call.schemas(&mut schemas));
    schemas.iter_mut().for_each(|(_, schema)| only_words_to_say(schema));
    let paths = calls.into_iter().map(Call::item);
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([wallet]))
        .paths(paths.fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item)))
        .components(Some(ComponentsBuilder::new().schemas_from_iter(schemas).build()))
        .build()
}

/// `other` is how a reader calls a word that it does not know: nobody says it.
fn only_words_to_say(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && let Some(words) = &mut object.enum_values
    {
        words.retain(|word| word != "other");
    }
}
