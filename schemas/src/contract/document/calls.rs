//! The calls.

use super::answers::{done, problems};
use super::examples;
use super::headers::{at_least, parameter, signed, text, version};
use crate::RoundId;
use crate::contract::{
    AUTHORIZE_PATH, AuthorizeRequest, AuthorizeResponse, CAPABILITIES_PATH, CLOSE_PATH,
    CapabilitiesResponse, CloseRequest, CloseResponse, HEALTH_PATH, HealthResponse, QUERY_PATH,
    QueryRequest, QueryResponse, ROUND_BETS_MAX, ROUND_BETS_PATH, RoundBetsResponse, STATE_PATH,
    StateRequest, StateResponse,
};
use std::borrow::Cow;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponsesBuilder, Schema};

/// A schema by its name.
pub(super) type Named = (String, RefOr<Schema>);

/// A body.
struct Shape {
    name: Cow<'static, str>,
    /// Adds its schema, and those that this one names.
    add: fn(&mut Vec<Named>),
}

impl Shape {
    fn of<T: ToSchema>() -> Self {
        Self { name: T::name(), add: add::<T> }
    }

    fn content(&self) -> ContentBuilder {
        ContentBuilder::new().schema(Some(Ref::from_schema_name(&*self.name)))
    }
}

/// Adds the schema of `T`, and those that it names.
pub(super) fn add<T: ToSchema>(schemas: &mut Vec<Named>) {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
}

/// One call of the platform.
pub(super) struct Call {
    operation: &'static str,
    pub(super) path: &'static str,
    summary: &'static str,
    description: &'static str,
    /// What `webhook-id` is.
    id_is: &'static str,
    parameters: Vec<Parameter>,
    /// `None` for a `GET`.
    asks: Option<Shape>,
    answers: Shape,
    problems: &'static [u16],
    /// What `Retry-After` of a busy wallet does.
    retry_after: &'static str,
}

impl Call {
    /// Its path, and what is there.
    pub(super) fn item(self) -> (&'static str, PathItem) {
        let seen = examples::of(self.operation);
        let method = if self.asks.is_some() { HttpMethod::Post } else { HttpMethod::Get };
        let done = done(&self.answers.name, "Done, or decided.", &seen);
        let responses = ResponsesBuilder::new()
            .response("200", done)
            .responses_from_iter(problems(self.problems, self.retry_after, &seen))
            .build();
        let body = self.asks.map(|shape| {
            let examples = seen.iter().filter_map(|(case, seen)| Some((*case, seen.request()?)));
            let content = shape.content().examples_from_iter(examples).build();
            RequestBodyBuilder::new()
                .content("application/json", content)
                .required(Some(Required::True))
                .build()
        });
        let asked = signed(self.id_is).into_iter().chain([version(true, VERSION_IS)]);
        let operation = OperationBuilder::new()
            .operation_id(Some(self.operation))
            .summary(Some(self.summary))
            .description(Some(self.description))
            .parameters(Some(self.parameters.into_iter().chain(asked)))
            .request_body(body)
            .responses(responses);
        (self.path, PathItem::new(method, operation))
    }

    /// Adds the schemas of its bodies.
    pub(super) fn schemas(&self, schemas: &mut Vec<Named>) {
        for shape in self.asks.iter().chain([&self.answers]) {
            (shape.add)(schemas);
        }
    }
}

/// What the platform says of the contract that it speaks.
const VERSION_IS: &str = "The date of the contract.";

/// The header that counts attempts.
fn attempt() -> Parameter {
    let text = "1 for the first attempt. It stands here alone: bytes do not change on a retry.";
    parameter(ParameterIn::Header, "Attempt", false, at_least(1), text)
}

/// The id of a `GET`.
const GET_ID: &str = "`get_` and the first 32 hexadecimal digits of SHA-256 over the partner's id, a newline, and \
    the path from `/wallet/v1` on with its query. Another id is `bad_signature`.";

/// Where nobody looks at `Retry-After`.
const NO_WAIT: &str = "Not looked at.";
/// Where whoever closes rounds does (`settler/src/reconciler/desk.rs`).
const CLOSE_WAIT: &str = "Seconds or a date, honoured up to 600 s: no round is closed with this wallet meanwhile. Here \
    `retry_after_ms` does not count.";

/// Every call there is.
pub(super) fn all() -> [Call; 7] {
    [authorize(), state(), close(), query(), round_bets(), capabilities(), health()]
}

fn authorize() -> Call {
    Call {
        operation: "authorize",
        path: AUTHORIZE_PATH,
        summary: "Hold a stake",
        description: "The row is looked at first, whatever the time: `held` is `approved` again, `declined` is \
            `declined` again, `voided` stays so and nothing is held, a row at revision 3 or above is answered as it \
            stands, without `decision`. Without a row the answer is `declined` with `bet_expired` from `expires_at` \
            on. A decline is final for its bet. An answer within 1.5 s counts; asked again with the same bytes while \
            there is time, then a void follows at revision 2.",
        id_is: "The `message_id`.",
        parameters: vec![attempt()],
        asks: Some(Shape::of::<AuthorizeRequest>()),
        answers: Shape::of::<AuthorizeResponse>(),
        problems: &[400, 401, 403, 406, 409, 413, 415, 422, 429, 500, 503],
        retry_after: "Seconds or a date, honoured up to 10 s: no stake is asked for meanwhile. The longer of this and \
            `retry_after_ms` counts. Without either what is not decided is asked for again after 100 ms, while there is \
            time.",
    }
}

fn state() -> Call {
    Call {
        operation: "state",
        path: STATE_PATH,
        summary: "Settle, void or correct bets",
        description: "1 to 500 items in at most 256 KiB, each on its own: an item that is refused does not hold up \
            the others. An item without an answer, or `pending`, comes again. The void of a bet that was never seen is \
            kept, so that a hold that comes late is not taken. Credits and voids are never refused for the state of \
            a player.",
        id_is: "The `chunk_id`.",
        parameters: vec![attempt()],
        asks: Some(Shape::of::<StateRequest>()),
        answers: Shape::of::<StateResponse>(),
        problems: &[400, 401, 403, 406, 409, 413, 415, 429, 500, 503],
        retry_after: "Seconds or a date, honoured up to 600 s: no state is sent to this wallet meanwhile. The longer of \
            this and `retry_after_ms` counts.",
    }
}

fn close() -> Call {
    Call {
        operation: "close",
        path: CLOSE_PATH,
        summary: "Compare a round",
        description: "Sent once everything about a round is final, and again after a correction. The answer is what \
            stands in the wallet's own rows, whatever the request says. A difference moves no money: people look.",
        id_is: "`close_` and a name for what is said: the same words, the same id.",
        parameters: Vec::new(),
        asks: Some(Shape::of::<CloseRequest>()),
        answers: Shape::of::<CloseResponse>(),
        problems: &[400, 401, 403, 406, 413, 415, 429, 500, 503],
        retry_after: CLOSE_WAIT,
    }
}

fn query() -> Call {
    Call {
        operation: "query",
        path: QUERY_PATH,
        summary: "Look up bets",
        description: "Asked about stakes that have been held for two minutes while their round has no result, every ten \
            minutes. One row for each bet, in the order asked; another answer is none. `absent` does not prove that a hold cannot land any \
            more; only a void that was applied does.",
        id_is: "Any id.",
        parameters: Vec::new(),
        asks: Some(Shape::of::<QueryRequest>()),
        answers: Shape::of::<QueryResponse>(),
        problems: &[400, 401, 406, 413, 415, 429, 500, 503],
        retry_after: NO_WAIT,
    }
}

fn round_bets() -> Call {
    let after = text("^([A-Za-z0-9_-]{1,36}:[A-Za-z0-9_-]{1,27})?$");
    let limit = at_least(1).maximum(Some(ROUND_BETS_MAX));
    let round = Ref::from_schema_name(RoundId::name());
    let parameters = vec![
        parameter(ParameterIn::Path, "id", true, round, "The round."),
        parameter(
            ParameterIn::Query,
            "after",
            false,
            after,
            "Rows behind this bet; from the first if empty.",
        ),
        parameter(
            ParameterIn::Query,
            "limit",
            false,
            limit,
            "Rows of a page; 1000 if it is not said.",
        ),
    ];
    Call {
        operation: "round_bets",
        path: ROUND_BETS_PATH,
        summary: "List the rows of a round",
        description: "Asked for when the close of a round differs. Ordered by bet id, a page at a time.",
        id_is: GET_ID,
        parameters,
        asks: None,
        answers: Shape::of::<RoundBetsResponse>(),
        problems: &[400, 401, 406, 429, 500, 503],
        retry_after: CLOSE_WAIT,
    }
}

fn capabilities() -> Call {
    Call {
        operation: "capabilities",
        path: CAPABILITIES_PATH,
        summary: "Say what the wallet can do",
        description: "Asked when people check the wallet against what is known of the partner. Dates of the contract, sizes, times, currencies, and what happens when a correction takes back more \
            than the player has: the balance goes below zero (`negative`), or what is there is taken and the rest is \
            the `shortfall` of that bet (`collect_available`).",
        id_is: GET_ID,
        parameters: Vec::new(),
        asks: None,
        answers: Shape::of::<CapabilitiesResponse>(),
        problems: &[401, 406, 429, 500, 503],
        retry_after: NO_WAIT,
    }
}

fn health() -> Call {
    Call {
        operation: "health",
        path: HEALTH_PATH,
        summary: "Say whether the wallet is there",
        description: "Its clock may be 2 s away from the platform's.",
        id_is: GET_ID,
        parameters: Vec::new(),
        asks: None,
        answers: Shape::of::<HealthResponse>(),
        problems: &[401, 406, 429, 500, 503],
        retry_after: NO_WAIT,
    }
}
