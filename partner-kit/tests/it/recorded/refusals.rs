//! What every call may be refused with, and what the wallet says of an item that it does not apply.

use super::scenes::{
    CANCELLED, NO_BET, OPEN, PARTNER, WON, authorize, chunk, held, settled, stake, state,
};
use super::{AT_S, Book, Message, wallet};
use crate::client::Served;
use partner_kit::faults::FaultSettings;
use partner_kit::misbehaviours::{MisbehaveSettings, Misbehaviour};
use schemas::contract::{
    CAPABILITIES_PATH, CLOSE_PATH, CloseRequest, HEALTH_PATH, QUERY_BETS_MAX, QUERY_PATH,
    QueryRequest, ROUND_BETS_PATH, STATE_BYTES_MAX, STATE_PATH, get_id,
};
use serde::Serialize;
use signing::{SecretKey, WINDOW_S};

/// A call that is right, by its name in the document.
struct Call {
    name: &'static str,
    message: Message,
}

fn post(name: &'static str, path: &str, id: &str, body: &impl Serialize) -> Call {
    Call { name, message: Message::post(path, id, body) }
}

fn get(name: &'static str, path: &str) -> Call {
    Call { name, message: Message::get(path, get_id(PARTNER, path)) }
}

fn close_of(partner: &str) -> CloseRequest {
    CloseRequest {
        partner_id: partner.to_owned(),
        round_id: "r_78".to_owned(),
        result_version: 1,
        totals: Vec::new(),
        open_holds: 0,
        digest: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        listed: Vec::new(),
    }
}

fn query_of(bets: usize) -> QueryRequest {
    QueryRequest { bet_ids: vec![OPEN.to_owned(); bets] }
}

fn calls() -> Vec<Call> {
    let first = chunk("refused", vec![settled(OPEN, 3, 1_000, 2_000)]);
    vec![
        Call { name: "authorize", message: authorize(&stake("r_78:9b9b9b", 500)) },
        post("state", STATE_PATH, &first.chunk_id, &first),
        post("close", CLOSE_PATH, "close_5b1e07", &close_of(PARTNER)),
        post("query", QUERY_PATH, "q_1", &query_of(1)),
        get("round_bets", &ROUND_BETS_PATH.replace("{id}", "r_78")),
        get("capabilities", CAPABILITIES_PATH),
        get("health", HEALTH_PATH),
    ]
}

/// What the wallet of the other scenes refuses.
pub(super) async fn refused(book: &mut Book, bank: &Served) {
    for Call { name, message } in calls().into_iter().filter(|call| call.name != "authorize") {
        let forged = Message { key: SecretKey::of_seed(&[3; 32]), ..message.clone() };
        let text = "Signed with a key that is not the platform's";
        book.record(bank, &format!("{name}.bad_signature"), text, &forged).await;
        let old = Message { at_s: AT_S - WINDOW_S - 1, ..message.clone() };
        book.record(bank, &format!("{name}.clock_skew"), "Signed too long ago", &old).await;
        let dated = Message { version: "2020-01-01", ..message.clone() };
        let text = "A date that is not spoken";
        book.record(bank, &format!("{name}.version_unsupported"), text, &dated).await;
    }
    for Call { name, message } in calls().into_iter().filter(|call| !call.message.body.is_empty()) {
        let hidden = "It said `Content-Encoding: gzip`, and the capabilities do not.";
        let packed = Message { is_packed: true, hidden, ..message.clone() };
        book.record(bank, &format!("{name}.packed"), "Packed", &packed).await;
        if name != "authorize" {
            let unread = Message { body: "{}".to_owned(), ..message.clone() };
            book.record(bank, &format!("{name}.bad_request"), "Fields are missing", &unread).await;
        }
        if ["authorize", "close"].contains(&name) {
            let body = format!("{}{}", message.body, " ".repeat(STATE_BYTES_MAX));
            let large = Message { body, hidden: "The body had more than 256 KiB.", ..message };
            book.record(bank, &format!("{name}.too_large"), "Too many bytes", &large).await;
        }
    }
    let many = query_of(QUERY_BETS_MAX + 1);
    let many =
        Message { hidden: "501 bets were asked about.", ..Message::post(QUERY_PATH, "q_1", &many) };
    book.record(bank, "query.too_large", "More bets than a call may name", &many).await;
    let page = format!("{}?limit=many", ROUND_BETS_PATH.replace("{id}", "r_78"));
    let page = Message::get(&page, get_id(PARTNER, &page));
    book.record(bank, "round_bets.bad_request", "A limit that is no number", &page).await;
    let mut rivals = chunk("rival", vec![settled(OPEN, 3, 1_000, 2_000)]);
    rivals.items[0].partner_id = "rival".to_owned();
    let rivals = Message::post(STATE_PATH, &rivals.chunk_id, &rivals);
    book.record(bank, "state.wrong_partner", "For another partner", &rivals).await;
    let rivals = Message::post(CLOSE_PATH, "close_5b1e07", &close_of("rival"));
    book.record(bank, "close.wrong_partner", "For another partner", &rivals).await;
}

/// Items that are not applied, or not as others are.
pub(super) async fn items(book: &mut Book, bank: &Served) {
    let text = "The bet was voided for good: it can be settled no more";
    state(book, bank, "invalid_transition", text, settled(CANCELLED, 3, 1_000, 2_000)).await;
    let mut mixed_up = settled(OPEN, 3, 1_000, 2_000);
    mixed_up.payout.as_mut().unwrap().currency = "USD".to_owned();
    let text = "The payout is in another currency than the stake: the item is none";
    state(book, bank, "item_refused", text, mixed_up).await;
    let mut lost = settled("r_78:1057ed", 3, 1_000, 2_000);
    lost.recover = true;
    let text = "Lost with the ledger, and taken as if the hold stood (`recover`)";
    state(book, bank, "recovered", text, lost).await;
    let mixed = chunk("mixed", vec![settled(OPEN, 3, 1_000, 2_000), settled(NO_BET, 3, 1_000, 0)]);
    let mixed = Message::post(STATE_PATH, &mixed.chunk_id, &mixed);
    let text = "One item is refused; the other is applied all the same";
    book.record(bank, "state.mixed", text, &mixed).await;
    let differs = Message::post(CLOSE_PATH, "close_5b1e07", &close_of(PARTNER));
    let text = "The wallet's rows are others: it says what stands with it";
    book.record(bank, "close.differs", text, &differs).await;
}

/// A wallet in trouble of one kind.
async fn troubled(misbehaviour: Misbehaviour) -> Served {
    let mut misbehave = MisbehaveSettings::NONE;
    *misbehave.only.of(misbehaviour) = 1_000;
    wallet(|options| options.faults = FaultSettings { misbehave, ..FaultSettings::NONE }).await
}

/// Calls that the reference wallet always answers, unless the call itself wants it otherwise.
const TELLINGS: [&str; 2] = ["capabilities", "health"];

async fn untold(book: &mut Book, name: &str, message: Message) {
    for (case, misbehave, text) in [
        ("too_many_requests", Misbehaviour::TooManyRequests, "Too many requests"),
        ("internal", Misbehaviour::ErrorAfterApply, "The wallet failed"),
        ("overloaded", Misbehaviour::Maintenance, "Not now, and when to come again"),
    ] {
        let obedient = wallet(|options| {
            options.orders.header = true;
            options.faults.misbehave.maintenance_ms = 600_000;
        })
        .await;
        let message = Message { misbehave: misbehave.entry().name, ..message.clone() };
        book.record(&obedient, &format!("{name}.{case}"), text, &message).await;
    }
}

/// What passes by itself.
pub(super) async fn trouble(book: &mut Book) {
    let working = troubled(Misbehaviour::ConflictFirst).await;
    let limited = troubled(Misbehaviour::TooManyRequests).await;
    let busy = wallet(|options| options.requests_max = 0).await;
    let faults = FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE };
    let broken = wallet(|options| options.faults = faults).await;
    for Call { name, message } in calls() {
        if TELLINGS.contains(&name) {
            untold(book, name, message).await;
            continue;
        }
        if ["authorize", "state"].contains(&name) {
            let text = "The same message is being worked on";
            book.record(&working, &format!("{name}.in_progress"), text, &message).await;
        } else {
            let text = "Too much at once: nothing was done";
            book.record(&busy, &format!("{name}.overloaded"), text, &message).await;
        }
        let text = "Too many requests: nothing was done";
        book.record(&limited, &format!("{name}.too_many_requests"), text, &message).await;
        if name != "authorize" {
            let text = "Nobody knows what became of it";
            book.record(&broken, &format!("{name}.internal"), text, &message).await;
        }
    }
    let short = troubled(Misbehaviour::DebitRefused).await;
    held(&short, WON, 1_250).await;
    state(&mut Book::default(), &short, "unwritten", "", settled(WON, 3, 1_250, 2_500)).await;
    let text = "A correction behind the window that the wallet named";
    state(book, &short, "correction_refused", text, settled(WON, 4, 1_250, 0)).await;
}
