//! What a partner was told, and is to be told: the settlements of `settlements.v1` as they stand there.
//!
//! A cursor is an offset in the partition of the partner's lane. The log only grows at its end, and what stands
//! is seen in one order by everybody, so nothing can come to stand behind a cursor that was given out. The
//! projection of histories would not do: its places are ordered by the time of what caused them, and a
//! settlement may be made long after that.

use super::signed::PartnerCaller;
use crate::http::ApiState;
use crate::http::body::Params;
use crate::http::histories::{limit, unavailable, wrong};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runtime::{Engine, Reader, Record, Source, Topic};
use schemas::PartnerId;
use schemas::catalogue::SETTLEMENTS;
use schemas::contract::{StateItem, timestamp};
use schemas::facts::HEADER_PARTNER;
use schemas::settlements::Settlement;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Events on a page where the caller names no number, and at most.
const EVENTS: usize = 100;
const EVENTS_MAX: usize = 500;
/// Records read for one page, those of other partners in the lane too.
const RECORDS_MAX: usize = 10_000;
/// Records read at once.
const RECORDS_AT_ONCE: usize = 1_000;
/// Longest wait for a record that the range of the partition says is there.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(5);

/// `?after=&limit=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParams {
    /// `next` of the page before; without it from the oldest that is kept.
    after: Option<String>,
    /// Events on a page, 100 if it is left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventsBody {
    /// Oldest first.
    events: Vec<EventBody>,
    /// The cursor behind this page, which is always there: ask with it again.
    next: String,
    /// Whether there was more when this was read. A page may be short, even empty, with more behind it.
    more: bool,
}

/// Something that the partner was told, or is to be told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody {
    /// When it was written down, UTC.
    #[schema(format = DateTime)]
    at: String,
    /// The item of a state call.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<StateItem>,
    /// In place of `item`: bet and revision of what our side cannot read, and what people look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "r_77:8f3a1c/3")]
    unreadable: Option<String>,
}

/// List events
///
/// Every settlement, void and correction, as in `POST /wallet/v1/bets/state`: oldest first, for as long as the
/// log keeps them (35 days). One may come twice, since what is not confirmed is said again. That none is missing
/// is proved by the close of a round.
#[utoipa::path(
    get, path = "/events", operation_id = "events", tag = "partner", params(EventParams),
    responses((status = 200, description = "A page.", body = EventsBody)),
)]
pub(super) async fn list<E: Engine>(
    State(api): State<ApiState<E>>,
    PartnerCaller(partner): PartnerCaller,
    Params(params): Params<EventParams>,
) -> Result<axum::Json<EventsBody>, Problem> {
    let limit = limit(params.limit, EVENTS, EVENTS_MAX)?;
    let partition = api.partitions.of_partner(&partner);
    let source = Source { topic: Topic(SETTLEMENTS), partition };
    let (low, end) = api.engine.range(source).await.map_err(unavailable)?;
    let mut next = begin(&partner, params.after.as_deref(), (low, end))?;
    let (mut events, mut left) = (Vec::new(), RECORDS_MAX);
    if next == end {
        return Ok(axum::Json(EventsBody { events, next: cursor(&partner, next), more: false }));
    }
    let mut reader = api.engine.reader(source, next);
    while next < end && events.len() < limit && 0 < left {
        let count = left.min(RECORDS_AT_ONCE);
        let read = tokio::time::timeout(RECORD_WAIT_MAX, reader.next(count)).await;
        let late = |_| Problem::new(Kind::STORAGE_UNAVAILABLE, "the log does not give its records");
        let (records, _) = read.map_err(late)?.map_err(unavailable)?;
        for record in records {
            if events.len() == limit {
                break;
            }
            next = record.offset.saturating_add(1);
            left = left.saturating_sub(1);
            events.extend(EventBody::of(&partner, &record));
        }
    }
    let more = next < end;
    Ok(axum::Json(EventsBody { events, next: cursor(&partner, next), more }))
}

impl EventBody {
    /// The event of a record, if it is this partner's.
    fn of(partner: &PartnerId, record: &Record) -> Option<Self> {
        if record.header(HEADER_PARTNER) != Some(partner.as_str()) {
            return None;
        }
        let at = timestamp(record.appended_at);
        match Settlement::decode(&record.value) {
            Ok(said) => (said.partner == *partner).then(|| Self {
                at,
                item: Some(StateItem::from(&said)),
                unreadable: None,
            }),
            Err(_) => {
                let unreadable = Some(String::from_utf8_lossy(&record.key).into_owned());
                Some(Self { at, item: None, unreadable })
            }
        }
    }
}

fn cursor(partner: &PartnerId, next: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{partner}@{next}"))
}

/// Where a page begins, in a partition that holds `low` up to `end`.
fn begin(partner: &PartnerId, after: Option<&str>, (low, end): (u64, u64)) -> Result<u64, Problem> {
    let Some(text) = after else { return Ok(low) };
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (whose, next) = text.split_once('@')?;
        let next: u64 = next.parse().ok()?;
        // One of another partner says nothing in this lane.
        (whose == partner.as_str() && next <= end).then_some(next)
    };
    let next = read().ok_or_else(|| wrong("`after` is no cursor that was given out to you"))?;
    if next < low {
        let detail = "what stood behind the cursor is kept no longer: begin without one, and compare \
                      rounds by their statements";
        return Err(Problem::new(Kind::CURSOR_EXPIRED, detail));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_one_partners_and_never_skips_what_is_gone() {
        let (acme, other): (PartnerId, PartnerId) =
            ("acme".parse().unwrap(), "other".parse().unwrap());
        let from = |after: &str| begin(&acme, Some(after), (5, 9)).map_err(|error| error.kind());
        assert_eq!(begin(&acme, None, (5, 9)).unwrap(), 5);
        assert_eq!(from(&cursor(&acme, 5)), Ok(5));
        assert_eq!(from(&cursor(&acme, 9)), Ok(9));
        assert_eq!(from(&cursor(&acme, 4)), Err(Kind::CURSOR_EXPIRED));
        let foreign = [cursor(&acme, 10), cursor(&other, 7), URL_SAFE_NO_PAD.encode("acme@-7")];
        for bad in foreign.iter().map(String::as_str).chain(["", "x", "%%%", "YWNtZQ"]) {
            assert_eq!(from(bad), Err(Kind::INVALID_QUERY), "{bad}");
        }
    }
}
