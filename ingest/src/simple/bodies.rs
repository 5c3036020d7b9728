//! Events and problems in JSON, as both APIs show them.

use super::event::{Ending, is_drawn, odds_of};
use crate::rounds_view::RoundInfo;
use schemas::contract::timestamp;
use schemas::{Odds, RoundId};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponsesBuilder};
use utoipa::{IntoResponses, ToSchema};

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody {
    #[serde(flatten)]
    short: ShortEventBody,
    /// `betting`, `closing`, `closed`, `sealed` (a result may come), `resulted` or `voided`.
    #[schema(example = "betting")]
    status: &'static str,
    /// Whether the result is drawn once betting has ended.
    auto_result: bool,
    /// Counts results, corrections and withdrawals.
    #[schema(example = 0)]
    version: u32,
}

/// An event in the older form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShortEvent)]
pub(super) struct ShortEventBody {
    /// The event.
    #[schema(value_type = String, example = "match-1")]
    event_id: RoundId,
    /// Odds of the first team, with exactly two decimals.
    #[schema(value_type = String, pattern = r"^[0-9]+\.[0-9]{2}$", example = "1.50")]
    coefficient: Odds,
    /// When betting ends, UTC.
    #[schema(format = DateTime, example = "2026-11-21T18:00:00.000Z")]
    deadline: String,
    /// 1 unfinished, 2 the first team won, 3 the second team won.
    #[schema(minimum = 1, maximum = 3, example = 1)]
    state: u8,
}

impl ShortEventBody {
    /// The event that `info` is; `None` if it is none.
    pub(super) fn of(info: &RoundInfo) -> Option<Self> {
        Some(Self {
            event_id: info.round.clone(),
            coefficient: odds_of(info)?,
            deadline: timestamp(info.closes_at),
            state: Ending::of(info).state().number(),
        })
    }
}

impl EventBody {
    /// The event that `info` is; `None` if it is none.
    pub(super) fn of(info: &RoundInfo) -> Option<Self> {
        Some(Self {
            short: ShortEventBody::of(info)?,
            status: info.status.name(),
            auto_result: is_drawn(&info.opened_by),
            version: info.version,
        })
    }
}

/// A refusal (RFC 9457). Programs go by `code`, of which each has a page in `docs/errors`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its shape is that of `crate::problem`, which writes it")]
pub(super) struct Problem {
    /// `/errors/<code>`.
    #[schema(rename = "type", example = "/errors/invalid_field")]
    kind: String,
    /// One line for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here and, where it helps, what to do.
    detail: String,
    /// The stable code.
    #[schema(example = "invalid_field")]
    code: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// The request, if it was named.
    request_id: Option<String>,
    /// Whether this is the last word about a bet.
    #[schema(rename = "final")]
    last: Option<bool>,
    /// The bet it is about.
    #[schema(value_type = Option<Object>)]
    bet: Option<()>,
}

/// What a call may be refused with, besides what its own description names.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusal = |description: &str| {
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
            ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", problem.build())
        };
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
        let seconds = HeaderBuilder::new().schema(seconds).description(Some("Wait, in s"));
        let later = refusal(
            "Not now: the service is starting, too much is in flight, or the log does not answer. \
             Send the same call again after `Retry-After`",
        );
        ResponsesBuilder::new()
            .response("4XX", refusal("Refused: `code` says why"))
            .response("503", later.header("Retry-After", seconds.build()))
            .build()
            .into()
    }
}
