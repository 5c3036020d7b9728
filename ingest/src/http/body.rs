//! From bytes to values: bodies, path segments and queries, each with its refusal.

use crate::problem::{Kind, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use runtime::http::{BodyError, gather};
use schemas::{BetId, PartnerId, RoundId};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

/// Bytes a body may have.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for a whole body.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// A JSON body, bounded in bytes and in time.
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
pub(super) struct OptionalJson<T>(pub(super) T);

/// A JSON object. Derived readers would take an array for it too, field by field.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The one id in the path. One that is malformed names nothing.
pub(crate) struct Id<T>(pub(crate) T);

/// The query.
pub(crate) struct Params<T>(pub(crate) T);

/// What an id names, to say that there is none.
pub(crate) trait Named: FromStr<Err = schemas::IdError> {
    /// The refusal.
    const UNKNOWN: Kind;
}

impl Named for RoundId {
    const UNKNOWN: Kind = Kind::ROUND_UNKNOWN;
}

impl Named for BetId {
    const UNKNOWN: Kind = Kind::BET_UNKNOWN;
}

impl Named for PartnerId {
    const UNKNOWN: Kind = Kind::NOT_FOUND;
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let body = read(request).await?;
        body.map(Self).ok_or_else(|| Problem::new(Kind::MALFORMED_JSON, "the body is empty"))
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        Ok(Self(read(request).await?.unwrap_or_default()))
    }
}

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unknown = |detail: String| Problem::new(T::UNKNOWN, detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| unknown(rejection.to_string()))?;
        text.parse().map(Self).map_err(|error: schemas::IdError| unknown(error.to_string()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::new(Kind::INVALID_QUERY, rejection.body_text())),
        }
    }
}

/// Refuses a field by its path in the body.
pub(crate) fn invalid(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::INVALID_FIELD, format!("`{field}`: {why}"))
}

/// The body's value; `None` if there is no body.
async fn read<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(&parts, body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let media = parts.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media.and_then(|media| media.split(';').next()).unwrap_or_default();
    if !media.trim().eq_ignore_ascii_case("application/json") {
        let detail = "the body's Content-Type is not application/json";
        return Err(Problem::new(Kind::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    parse(&bytes).map(Some)
}

/// The whole body, bounded in bytes and in time.
pub(super) async fn bytes(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("a body may have {BODY_BYTES_MAX} bytes");
        Problem::new(Kind::BODY_TOO_LARGE, detail)
    };
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length| BODY_BYTES_MAX < length) {
        return Err(too_large());
    }
    tokio::time::timeout(BODY_WAIT_MAX, gather(body, BODY_BYTES_MAX))
        .await
        .map_err(|_| Problem::new(Kind::BODY_TIMEOUT, "the body was not complete within 10 s"))?
        .map_err(|error| match error {
            BodyError::TooLarge => too_large(),
            BodyError::Broken => Problem::new(Kind::MALFORMED_JSON, "the body broke off"),
        })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().classify() {
            Category::Data if path == "." => {
                Problem::new(Kind::INVALID_FIELD, error.inner().to_string())
            }
            Category::Data => invalid(&path, error.inner()),
            Category::Io | Category::Syntax | Category::Eof => {
                Problem::new(Kind::MALFORMED_JSON, error.inner().to_string())
            }
        }
    })?;
    json.end().map_err(|error| Problem::new(Kind::MALFORMED_JSON, error.to_string()))?;
    Ok(value)
}
