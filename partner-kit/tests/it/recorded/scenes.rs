//! What happens, case by case.

use super::refusals;
use super::{AT_S, Book, Message, wallet};
use crate::client::Served;
use partner_kit::faults::FaultSettings;
use partner_kit::register::ClawBack;
use schemas::contract::{
    AUTHORIZE_PATH, AuthorizeRequest, CAPABILITIES_PATH, CLOSE_PATH, CloseRequest, CloseResponse,
    HEALTH_PATH, MoneyBody, QUERY_PATH, QueryRequest, ROUND_BETS_PATH, STATE_PATH, StateItem,
    StateRequest, TargetBody, Traffic, get_id, timestamp,
};
use signing::{SecretKey, WINDOW_S};

pub(super) const PARTNER: &str = "acme";
const PLAYER: &str = "P_9";

fn euro(units: i64) -> MoneyBody {
    MoneyBody { units: units.to_string(), currency: "EUR".to_owned(), exponent: 2 }
}

fn round_of(bet: &str) -> String {
    bet.split(':').next().unwrap().to_owned()
}

pub(super) fn stake(bet: &str, units: i64) -> AuthorizeRequest {
    AuthorizeRequest {
        op: "authorize".to_owned(),
        message_id: format!("{bet}:1"),
        bet_id: bet.to_owned(),
        revision: 1,
        round_id: round_of(bet),
        partner_id: PARTNER.to_owned(),
        partner_player_id: PLAYER.to_owned(),
        session_token: "opaque".to_owned(),
        stake: euro(units),
        selection: Some("red".to_owned()),
        placed_at: timestamp(AT_S * 1_000),
        expires_at: timestamp((AT_S + 4) * 1_000),
    }
}

pub(super) fn authorize(request: &AuthorizeRequest) -> Message {
    Message::post(AUTHORIZE_PATH, &request.message_id, request)
}

fn item(bet: &str, revision: u32, target: TargetBody, units: i64, reason: &str) -> StateItem {
    StateItem {
        bet_id: bet.to_owned(),
        revision,
        target,
        round_id: round_of(bet),
        result_version: revision.checked_sub(2).filter(|version| 0 < *version),
        partner_id: PARTNER.to_owned(),
        partner_player_id: PLAYER.to_owned(),
        stake: euro(units),
        payout: None,
        reason: reason.to_owned(),
        recover: false,
    }
}

pub(super) fn settled(bet: &str, revision: u32, units: i64, payout: i64) -> StateItem {
    let reason = if revision == 3 { "result" } else { "result_corrected" };
    let payout = Some(euro(payout));
    StateItem { payout, ..item(bet, revision, TargetBody::Settled, units, reason) }
}

pub(super) fn chunk(name: &str, items: Vec<StateItem>) -> StateRequest {
    StateRequest {
        op: "state".to_owned(),
        chunk_id: format!("c_{name}"),
        traffic: Traffic::of(items[0].revision),
        items,
    }
}

/// Sends one item as a chunk of that name, and writes down `state.<name>`.
pub(super) async fn state(
    book: &mut Book,
    wallet: &Served,
    name: &str,
    text: &'static str,
    item: StateItem,
) {
    let chunk = chunk(name, vec![item]);
    let message = Message::post(STATE_PATH, &chunk.chunk_id, &chunk);
    book.record(wallet, &format!("state.{name}"), text, &message).await;
}

/// Asks for a stake, and writes down `authorize.<name>`.
async fn hold(book: &mut Book, wallet: &Served, name: &str, text: &'static str, message: &Message) {
    book.record(wallet, &format!("authorize.{name}"), text, message).await;
}

/// A hold that no example is about.
pub(super) async fn held(wallet: &Served, bet: &str, units: i64) {
    let mut unwritten = Book::default();
    hold(&mut unwritten, wallet, "", "", &authorize(&stake(bet, units))).await;
    assert!(unwritten.0.values().all(|text| text.contains(r#""decision":"approved""#)));
}

pub(super) const WON: &str = "r_77:8f3a1c";
const LOST: &str = "r_77:b20e77";
pub(super) const CANCELLED: &str = "r_77:5d10aa";
const NEVER_SEEN: &str = "r_77:1a7e00";
const DECLINED: &str = "r_77:c0ffee";
const EXPIRED: &str = "r_77:7a7e01";
pub(super) const OPEN: &str = "r_78:77c0de";
const WITHDRAWN: &str = "r_78:44b1d2";
pub(super) const NO_BET: &str = "r_78:000000";
const ROUND_VOIDED: &str = "r_79:2e61f0";

pub(super) async fn play(book: &mut Book) {
    let bank = wallet(|_| {}).await;
    stakes(book, &bank).await;
    refused(book, &bank).await;
    states(book, &bank).await;
    reads(book, &bank).await;
    refusals::refused(book, &bank).await;
    refusals::items(book, &bank).await;
    pending(book).await;
    shortfall(book).await;
    trouble(book).await;
    refusals::trouble(book).await;
}

async fn stakes(book: &mut Book, bank: &Served) {
    let first = authorize(&stake(WON, 1_250));
    hold(book, bank, "approved", "The stake is held", &first).await;
    hold(book, bank, "replayed", "The same bytes again: nothing moves twice", &first).await;
    let dear = authorize(&stake(DECLINED, 1_000_000));
    hold(book, bank, "declined", "Declined, for this bet for ever", &dear).await;
    let mut late = stake(EXPIRED, 500);
    (late.placed_at, late.expires_at) =
        (timestamp((AT_S - 9) * 1_000), timestamp((AT_S - 5) * 1_000));
    hold(book, bank, "expired", "The stake is asked for too late", &authorize(&late)).await;
    let void = item(NEVER_SEEN, 2, TargetBody::Voided, 500, "bet_rejected");
    state(book, bank, "void_first", "The void overtakes the stake: it is kept", void).await;
    let late = authorize(&stake(NEVER_SEEN, 500));
    hold(book, bank, "voided_before", "The void came first: nothing is held", &late).await;
}

async fn refused(book: &mut Book, bank: &Served) {
    let right = stake("r_77:9b9b9b", 500);
    let other = authorize(&stake(WON, 1_300));
    hold(book, bank, "conflict", "The bet stands with another stake", &other).await;
    let mut dollars = right.clone();
    dollars.stake.currency = "USD".to_owned();
    let text = "A currency that is not taken";
    hold(book, bank, "currency_unknown", text, &authorize(&dollars)).await;
    let forged = Message { key: SecretKey::of_seed(&[3; 32]), ..authorize(&right) };
    hold(book, bank, "bad_signature", "Signed with a key that is not the platform's", &forged)
        .await;
    let old = Message { at_s: AT_S - WINDOW_S - 1, ..authorize(&right) };
    hold(book, bank, "clock_skew", "Signed too long ago", &old).await;
    let unread = Message { body: r#"{"op":"authorize"}"#.to_owned(), ..authorize(&right) };
    hold(book, bank, "bad_request", "Fields are missing", &unread).await;
    let rival = AuthorizeRequest { partner_id: "rival".to_owned(), ..right.clone() };
    hold(book, bank, "wrong_partner", "For another partner", &authorize(&rival)).await;
    let dated = Message { version: "2020-01-01", ..authorize(&right) };
    hold(book, bank, "version_unsupported", "A date that is not spoken", &dated).await;
    let many = vec![settled(WON, 3, 1_250, 0); schemas::contract::STATE_ITEMS_MAX + 1];
    let many = chunk("many", many);
    let message = Message::post(STATE_PATH, &many.chunk_id, &many);
    let message = Message { hidden: "The body had 501 items.", ..message };
    book.record(bank, "state.too_large", "More items than a call may carry", &message).await;
}

async fn states(book: &mut Book, bank: &Served) {
    for bet in [LOST, CANCELLED, OPEN, WITHDRAWN, ROUND_VOIDED] {
        held(bank, bet, 1_000).await;
    }
    let won = settled(WON, 3, 1_250, 2_500);
    state(book, bank, "won", "A won bet", won.clone()).await;
    state(book, bank, "replayed", "The same again: nothing moves twice", won.clone()).await;
    let again = authorize(&stake(WON, 1_250));
    let text = "The bet is settled already: it is answered as it stands";
    hold(book, bank, "settled_before", text, &again).await;
    state(book, bank, "lost", "A lost bet", settled(LOST, 3, 1_000, 0)).await;
    let void = item(CANCELLED, 2, TargetBody::Voided, 1_000, "bet_cancelled");
    state(book, bank, "voided", "The final void of a bet that was cancelled", void).await;
    let corrected = settled(WON, 4, 1_250, 0);
    state(book, bank, "correction", "A correction: it was not won", corrected).await;
    state(book, bank, "superseded", "The first result, late", won).await;
    let other = settled(WON, 4, 1_250, 900);
    state(book, bank, "conflict", "The same revision with another payout", other).await;
    let text = "A bet that was never seen";
    state(book, bank, "unknown_bet", text, settled(NO_BET, 3, 1_000, 0)).await;
    let mut unwritten = Book::default();
    let lost = settled(WITHDRAWN, 3, 1_000, 3_000);
    state(&mut unwritten, bank, "unwritten", "", lost).await;
    let withdrawn = item(WITHDRAWN, 4, TargetBody::Held, 1_000, "result_withdrawn");
    state(book, bank, "withdrawn", "The result is taken back: held again", withdrawn).await;
    let void = item(ROUND_VOIDED, 3, TargetBody::Voided, 1_000, "round_voided");
    state(book, bank, "round_voided", "The round does not count: the stake goes back", void).await;
}

async fn reads(book: &mut Book, bank: &Served) {
    let asked =
        QueryRequest { bet_ids: [OPEN, DECLINED, CANCELLED, NO_BET].map(Into::into).into() };
    let message = Message::post(QUERY_PATH, "q_1", &asked);
    book.record(bank, "query.rows", "Held, declined, voided, never seen", &message).await;
    // Final voids follow declines all the same.
    for (bet, units) in [(DECLINED, 1_000_000), (EXPIRED, 500)] {
        let void = item(bet, 2, TargetBody::Voided, units, "bet_rejected");
        state(&mut Book::default(), bank, "unwritten", "", void).await;
    }
    // What the platform says of the round when the two agree.
    let mut ours = CloseRequest {
        partner_id: PARTNER.to_owned(),
        round_id: "r_77".to_owned(),
        result_version: 2,
        totals: Vec::new(),
        open_holds: 0,
        digest: String::new(),
        listed: Vec::new(),
    };
    let mut unwritten = Book::default();
    let theirs = unwritten.record(bank, "", "", &Message::post(CLOSE_PATH, "close_0", &ours)).await;
    let theirs: CloseResponse = serde_json::from_slice(&theirs).unwrap();
    assert_eq!(theirs.open_holds, ours.open_holds);
    (ours.totals, ours.digest) = (theirs.totals, theirs.digest);
    let message = Message::post(CLOSE_PATH, "close_5b1e07", &ours);
    book.record(bank, "close.closed", "A round on which both sides agree", &message).await;
    let rows = ROUND_BETS_PATH.replace("{id}", "r_77");
    for (name, text, path) in [
        ("round_bets.rows", "All rows of a round", format!("{rows}?after=&limit=1000")),
        (
            "round_bets.page",
            "A page, with more behind it",
            format!("{rows}?after={NEVER_SEEN}&limit=1"),
        ),
        ("capabilities.shown", "What the reference wallet can do", CAPABILITIES_PATH.to_owned()),
        ("health.ok", "It is there", HEALTH_PATH.to_owned()),
    ] {
        book.record(bank, name, text, &Message::get(&path, get_id(PARTNER, &path))).await;
    }
}

async fn pending(book: &mut Book) {
    let faults = FaultSettings { pending_rate: 1_000, ..FaultSettings::NONE };
    let slow = wallet(|options| options.faults = faults).await;
    held(&slow, OPEN, 1_000).await;
    let text = "Not yet: the item comes again";
    state(book, &slow, "pending", text, settled(OPEN, 3, 1_000, 2_000)).await;
}

async fn shortfall(book: &mut Book) {
    let poor = wallet(|options| {
        options.ledger.claw_back = ClawBack::CollectAvailable;
        options.ledger.opening_units = 1_000;
    })
    .await;
    let mut unwritten = Book::default();
    held(&poor, WON, 1_000).await;
    state(&mut unwritten, &poor, "unwritten", "", settled(WON, 3, 1_000, 2_500)).await;
    held(&poor, OPEN, 2_400).await;
    let text = "A correction takes back more than is there (`collect_available`)";
    state(book, &poor, "shortfall", text, settled(WON, 4, 1_000, 0)).await;
}

async fn trouble(book: &mut Book) {
    let busy = wallet(|options| options.requests_max = 0).await;
    let right = authorize(&stake(WON, 1_250));
    hold(book, &busy, "overloaded", "Too much at once: nothing was done", &right).await;
    let item = settled(WON, 3, 1_250, 2_500);
    state(book, &busy, "overloaded", "Too much at once: nothing was done", item).await;
    let faults = FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE };
    let broken = wallet(|options| options.faults = faults).await;
    hold(book, &broken, "internal", "Nobody knows whether it is held", &right).await;
}
