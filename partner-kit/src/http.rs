//! The wallet over HTTP: the contract's paths, and those of whoever runs the reference wallet.

use crate::at_once::AtOnce;
use crate::faults::{FaultCounts, FaultSettings};
use crate::form;
use crate::misbehave::{
    Decline, Mischief, OtherVersion, PutOff, RowsLost, misbehave, misbehave_if_asked,
};
use crate::movement::DeclineCode;
use crate::problem::Problem;
use crate::register::{API_VERSION, Register};
use crate::signed::{Signing, signed};
use crate::takes::{Came, Takes, within};
use crate::wallet::Wallet;
use axum::Json;
use axum::Router;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, FromRef, Path, Query, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use schemas::contract::{
    AUTHORIZE_PATH, AuthorizeRequest, CAPABILITIES_PATH, CLOSE_PATH, CloseRequest, HEALTH_PATH,
    HealthResponse, MoneyBody, QUERY_BETS_MAX, QUERY_PATH, QueryRequest, ROUND_BETS_MAX,
    ROUND_BETS_PATH, STATE_BYTES_MAX, STATE_PATH, StateRequest, timestamp,
};
use schemas::{Money, PlayerId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Request and answer header: the date of the contract.
const API_VERSION_HEADER: &str = "api-version";

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) mischief: Arc<Mischief>,
    /// One permit per request answered at once.
    pub(crate) permits: Arc<Semaphore>,
    /// Calls of `/state`, whatever becomes of them.
    pub(crate) state_calls: Arc<AtOnce>,
    /// What these may be, and were.
    pub(crate) takes: Takes,
    pub(crate) came: Arc<Came>,
    pub(crate) signing: Signing,
}

impl App {
    /// How many rows of a round are left out of an answer.
    fn lost(&self, now: Option<Extension<RowsLost>>) -> usize {
        let always = self.mischief.settings().rows_lost;
        now.map_or(always, |Extension(RowsLost(rows))| rows.max(always))
    }
}

impl FromRef<App> for Arc<Wallet> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.wallet)
    }
}

impl FromRef<App> for (Takes, Arc<Came>) {
    fn from_ref(app: &App) -> Self {
        (app.takes, Arc::clone(&app.came))
    }
}

impl FromRef<App> for Arc<Mischief> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.mischief)
    }
}

type Answer = Result<Response, Problem>;
type Body = Result<Bytes, BytesRejection>;

/// Paths and what answers there.
type Routes<const N: usize> = [(&'static str, MethodRouter<App>); N];

/// The contract's calls that may be too many, or go wrong on purpose.
fn calls() -> Routes<5> {
    [
        (AUTHORIZE_PATH, post(authorize)),
        (STATE_PATH, post(state)),
        (CLOSE_PATH, post(close)),
        (QUERY_PATH, post(query)),
        (ROUND_BETS_PATH, get(round_bets)),
    ]
}

/// The contract's calls that always tell.
fn tellings() -> Routes<2> {
    [(CAPABILITIES_PATH, get(capabilities)), (HEALTH_PATH, get(health))]
}

fn with<const N: usize>(router: Router<App>, routes: Routes<N>) -> Router<App> {
    routes.into_iter().fold(router, |router, (path, answers)| router.route(path, answers))
}

/// Every path of the wallet.
pub(crate) fn router(app: App) -> Router {
    let calls = with(Router::new(), calls())
        .route_layer(from_fn_with_state(app.clone(), limit))
        .route_layer(from_fn_with_state(Arc::clone(&app.mischief), misbehave))
        .route_layer(from_fn_with_state((app.takes, Arc::clone(&app.came)), within))
        .route_layer(from_fn_with_state(Arc::clone(&app.state_calls), count_state));
    let tellings = with(Router::new(), tellings())
        .route_layer(from_fn_with_state(Arc::clone(&app.mischief), misbehave_if_asked));
    let contract = calls
        .merge(tellings)
        .route_layer(from_fn_with_state(app.signing.clone(), signed))
        .route_layer(from_fn(version));
    contract
        .route("/faults", get(faults).post(change_faults))
        .route("/stats", get(stats))
        .route("/players", get(player).post(change_player))
        .method_not_allowed_fallback(async || Problem::method())
        .fallback(async || Problem::not_found())
        .layer(DefaultBodyLimit::max(STATE_BYTES_MAX))
        .with_state(app)
}

/// Outside of what may misbehave, so that a call counts for as long as its caller sees it.
async fn count_state(State(calls): State<Arc<AtOnce>>, request: Request, next: Next) -> Response {
    let _call = (request.uri().path() == STATE_PATH).then(|| calls.begin());
    next.run(request).await
}

/// One request more than allowed is told so before anything is done.
async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.permits.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::overloaded().into_response(),
    }
}

/// Refuses another date of the contract, and says which one is spoken.
async fn version(request: Request, next: Next) -> Response {
    let spoken = match request.headers().get(API_VERSION_HEADER) {
        Some(asked) => asked.as_bytes() == API_VERSION.as_bytes(),
        None => true,
    };
    let mut response = match spoken {
        true => next.run(request).await,
        false => Problem::version_unsupported().into_response(),
    };
    let other = response.extensions().get::<OtherVersion>();
    let version = other.map_or(API_VERSION, |OtherVersion(version)| version);
    response.headers_mut().insert(API_VERSION_HEADER, HeaderValue::from_static(version));
    response
}

async fn authorize(
    State(wallet): State<Arc<Wallet>>,
    decline: Option<Extension<Decline>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: AuthorizeRequest = read(&headers, body)?;
    let decline = decline.map(|Extension(Decline)| DeclineCode::LimitExceeded);
    let about = |problem: Problem| problem.about(&request.message_id);
    form::authorize(&request).map_err(about)?;
    let answer = wallet.authorize(&request, decline).await.map_err(|e| about(e.into()))?;
    Ok(Json(answer.map_err(|refusal| about(refusal.into()))?).into_response())
}

async fn state(
    State(wallet): State<Arc<Wallet>>,
    put_off: Option<Extension<PutOff>>,
    State((takes, came)): State<(Takes, Arc<Came>)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: StateRequest = read(&headers, body)?;
    let about = |problem: Problem| problem.about(&request.chunk_id);
    if request.op != "state" || request.items.is_empty() {
        return Err(about(Problem::bad_request("op must be `state`, with 1 to 500 items")));
    }
    came.of_items(request.items.len());
    if takes.items_max < request.items.len() {
        return Err(about(Problem::too_large()));
    }
    form::state(&request).map_err(about)?;
    let ours = |partner_id: &str| wallet.peek(|register| register.serves(partner_id));
    if !request.items.iter().all(|item| ours(&item.partner_id)) {
        return Err(about(Problem::wrong_partner()));
    }
    if put_off.is_some() {
        return Ok(Json(wallet.put_off(&request)).into_response());
    }
    let answer = wallet.state(&request).await.map_err(|stopped| about(stopped.into()))?;
    Ok(Json(answer).into_response())
}

async fn close(
    State(app): State<App>,
    lost: Option<Extension<RowsLost>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: CloseRequest = read(&headers, body)?;
    form::close(&request)?;
    if !app.wallet.peek(|register| register.serves(&request.partner_id)) {
        return Err(Problem::wrong_partner());
    }
    let lost = app.lost(lost);
    Ok(Json(app.wallet.close(&request, lost).await?).into_response())
}

async fn query(State(wallet): State<Arc<Wallet>>, headers: HeaderMap, body: Body) -> Answer {
    let request: QueryRequest = read(&headers, body)?;
    if QUERY_BETS_MAX < request.bet_ids.len() {
        return Err(Problem::too_large());
    }
    form::query(&request)?;
    Ok(Json(wallet.query(&request).await?).into_response())
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: Option<usize>,
}

async fn round_bets(
    State(app): State<App>,
    Path(round_id): Path<String>,
    lost: Option<Extension<RowsLost>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let Query(page) = page.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let limit = page.limit.unwrap_or(ROUND_BETS_MAX);
    form::round_bets(&round_id, &page.after, limit)?;
    let lost = app.lost(lost);
    Ok(Json(app.wallet.round_bets(&round_id, &page.after, limit, lost).await?).into_response())
}

async fn capabilities(State(app): State<App>) -> Response {
    let said = app.wallet.peek(|register| register.capabilities());
    Json(app.takes.said(said)).into_response()
}

async fn health(State(wallet): State<Arc<Wallet>>) -> Response {
    let status = if wallet.is_open() { "ok" } else { "failed" };
    let time = timestamp(wallet.now());
    Json(wallet.peek(|register| HealthResponse {
        status: status.to_owned(),
        partner_id: register.options().partner.to_string(),
        time,
        ledger_epoch: register.ledger_epoch(),
    }))
    .into_response()
}

async fn faults(State(mischief): State<Arc<Mischief>>) -> Json<FaultSettings> {
    Json(mischief.settings())
}

async fn change_faults(State(mischief): State<Arc<Mischief>>, body: Body) -> Answer {
    let change = bytes_of(body)?;
    let settings = mischief
        .change(|settings| settings.changed(&change))
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Json(settings).into_response())
}

/// What the wallet has done so far.
#[derive(Debug, Serialize)]
struct Stats {
    partner: String,
    rows: usize,
    players: usize,
    /// Entries of the journal, without epochs.
    entries: u64,
    /// The most calls of `/state` that were being answered at once.
    state_calls_at_once_max: u64,
    /// The most items of a call of `/state`, and the most bytes before it was packed; how many calls were packed.
    state_items_most: usize,
    state_bytes_most: usize,
    state_calls_packed: usize,
    faults: FaultCounts,
}

async fn stats(State(app): State<App>) -> Json<Stats> {
    let (faults, state_calls_at_once_max) = (app.mischief.counts(), app.state_calls.most());
    let (state_items_most, state_bytes_most, state_calls_packed) = app.came.most();
    Json(app.wallet.peek(|register| Stats {
        partner: register.options().partner.to_string(),
        rows: register.rows().len(),
        players: register.accounts().len(),
        entries: register.seq(),
        state_calls_at_once_max,
        state_items_most,
        state_bytes_most,
        state_calls_packed,
        faults,
    }))
}

/// One player, as whoever runs the wallet sees and changes them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Player {
    player: String,
    /// Answer: the free balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    balance: Option<MoneyBody>,
    /// Answer: what was paid while the player is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspense: Option<MoneyBody>,
    /// Request: money to put in; negative takes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposit: Option<MoneyBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocked: Option<bool>,
}

#[derive(Deserialize)]
struct PlayerName {
    player: String,
}

async fn player(
    State(wallet): State<Arc<Wallet>>,
    name: Result<Query<PlayerName>, QueryRejection>,
) -> Answer {
    let Query(PlayerName { player }) =
        name.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    show(&wallet, player).await
}

async fn change_player(
    State(wallet): State<Arc<Wallet>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let change: Player = read(&headers, body)?;
    if change.player.parse::<PlayerId>().is_err() {
        return Err(Problem::bad_request("player is not 1 to 128 printable characters"));
    }
    if let Some(deposit) = &change.deposit {
        let money = Money::try_from(deposit);
        let money = money.map_err(|error| Problem::bad_request(error.to_string()))?;
        wallet.deposit(&change.player, money).await??;
    }
    if let Some(blocked) = change.blocked {
        wallet.block(&change.player, blocked).await?;
    }
    show(&wallet, change.player).await
}

async fn show(wallet: &Wallet, player: String) -> Answer {
    let accounts = |register: &Register| (register.balance(&player), register.suspense(&player));
    let (accounts, blocked) =
        wallet.read(|register| (accounts(register), register.is_blocked(&player))).await?;
    let (balance, suspense) = (accounts.0.map(Into::into), accounts.1.map(Into::into));
    let shown = Player { player, balance, suspense, deposit: None, blocked: Some(blocked) };
    Ok(Json(shown).into_response())
}

/// A JSON body, whatever its content type says.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|value| value == "identity");
    if !plain {
        return Err(Problem::encoding());
    }
    serde_json::from_slice(&bytes_of(body)?)
        .map_err(|error| Problem::bad_request(error.to_string()))
}

fn bytes_of(body: Body) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        http::StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::bad_request(rejection.body_text()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The other way round, and the methods: `recorded::the_document_has_the_wallets_methods`.
    #[test]
    fn every_path_of_the_contract_is_in_its_document() {
        let ours =
            calls().map(|(path, _)| path).into_iter().chain(tellings().map(|(path, _)| path));
        let document = schemas::contract::document();
        let theirs = document.paths.paths.keys().map(String::as_str);
        assert_eq!(ours.collect::<BTreeSet<_>>(), theirs.collect());
    }
}
