//! What happens, case by case.

use super::settler::Settler;
use super::*;
use schemas::decisions::RejectReason;
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

const AT: i64 = AT_S * 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const APPLIED: DeliveryOutcome = DeliveryOutcome::Applied;
const EVENTS: &str = "/partner/v1/events";
const STATEMENT: &str = "/partner/v1/rounds/r_77/statement";
const TODAY: &str = "/partner/v1/statements/2026-11-29";

fn ask(path: &str) -> Ask {
    dated(Ask::signed("acme", path, &partner_key("acme"), AT_S))
}

fn post(body: &[u8]) -> Ask {
    dated(Ask::posted("acme", body, AT_S))
}

fn dated(mut ask: Ask) -> Ask {
    ask.headers.insert("api-version", HeaderValue::from_static(API_VERSION));
    ask
}

pub(super) async fn play(book: &mut Book) {
    let mut house = House::by(Stopped);
    house.keep_histories();
    let bets = played(&house).await;
    told_of_bets(book, &house, &bets).await;
    events(book, &house).await;
    statements(book, &house, &bets).await;
    let all = [&bets.corrected, &bets.parked, &bets.declined, &bets.open, &bets.foreign];
    let settler = Arc::new(Settler {
        api: house.state.clone(),
        bets: all.into_iter().cloned().collect(),
        is_away: false.into(),
    });
    replays(book, &mut house, &settler, &bets).await;
    refused_replays(book, &mut house, &settler, &bets).await;
    refused_everywhere(book, &mut house, &bets).await;
}

/// The bets of the scenes.
struct Bets {
    corrected: Bet,
    parked: Bet,
    declined: Bet,
    open: Bet,
    foreign: Bet,
}

/// A week ago a round was played, and today one of its bets is corrected; another round goes on.
async fn played(house: &House) -> Bets {
    let before = AT - 7 * DAY_MS;
    let bets = Bets {
        corrected: bet("acme", "r_77", "corrected", before),
        parked: bet("acme", "r_77", "parked", before),
        declined: bet("acme", "r_77", "declined", before),
        open: bet("acme", "r_78", "open", AT - 60_000),
        foreign: bet("other", "r_80", "foreign", AT),
    };
    let Bets { corrected, parked, declined, open, foreign } = &bets;
    decide(house, &[corrected, parked, open, foreign], &Verdict::Accepted).await;
    let no = Verdict::Rejected(RejectReason::Declined("insufficient_funds".to_owned()));
    decide(house, &[declined], &no).await;
    version(house, "acme", "r_77", 1).await;
    version(house, "acme", "r_77", 2).await;
    let won = settle(corrected, 3, Target::Held, Target::Settled(2_500), before + 60_000);
    let lost = settle(corrected, 4, won.target, Target::Settled(0), AT - 3_600_000);
    let aside = settle(parked, 3, Target::Held, Target::Settled(2_500), before + 60_000);
    let reason = Reason::BetRejected;
    let void = Settlement::of(declined, 2, Target::Held, Target::Voided, reason, before + 4_000);
    for (said_of, outcome) in
        [(&void, APPLIED), (&won, APPLIED), (&aside, DeliveryOutcome::Parked), (&lost, APPLIED)]
    {
        house.write(vec![said(said_of), delivered(said_of, outcome)]).await;
    }
    let ended = |told: &Value, revisions: usize| {
        let revisions = told["revisions"].as_array().filter(|all| all.len() == revisions);
        revisions.is_some_and(|all| all.last().unwrap().get("deliveries").is_some())
    };
    read(house, &path_of(corrected), |told| ended(told, 3)).await;
    read(house, &path_of(parked), |told| ended(told, 2)).await;
    read(house, &path_of(declined), |told| told["status"] == "rejected" && ended(told, 2)).await;
    read(house, &path_of(open), |told| told["status"] == "accepted").await;
    bets
}

fn path_of(bet: &Bet) -> String {
    format!("/partner/v1/bets/{}", bet.id)
}

/// Asks until histories have read so far.
async fn read(house: &House, path: &str, wanted: impl Fn(&Value) -> bool) {
    for _ in 0..1_000 {
        let came = ask(path).send(house).await;
        if came.status == 200 && wanted(&came.json()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{path} never came to what was wanted");
}

async fn told_of_bets(book: &mut Book, house: &House, bets: &Bets) {
    let text = "Won, and lost after a correction a week later";
    book.record(house, "bet.corrected", text, ask(&path_of(&bets.corrected))).await;
    let text = "The wallet refused it: parked until people have looked";
    book.record(house, "bet.parked", text, ask(&path_of(&bets.parked))).await;
    let text = "Declined, and voided all the same";
    book.record(house, "bet.declined", text, ask(&path_of(&bets.declined))).await;
    book.record(house, "bet.open", "Held: its round has no result", ask(&path_of(&bets.open)))
        .await;
    let words = Words {
        note: "The bet is another partner's. One that never was is answered the same.",
        ..Words::from("No such bet of yours")
    };
    book.record(house, "bet.unknown", words, ask(&path_of(&bets.foreign))).await;
}

async fn events(book: &mut Book, house: &House) {
    let page = "A page, with more behind it";
    let came = book.record(house, "events.page", page, ask(&format!("{EVENTS}?limit=2"))).await;
    let next = came.json()["next"].as_str().unwrap().to_owned();
    let rest = ask(&format!("{EVENTS}?after={next}"));
    let came = book.record(house, "events.rest", "The page behind it, the last one", rest).await;
    let next = came.json()["next"].as_str().unwrap().to_owned();
    let end = ask(&format!("{EVENTS}?after={next}"));
    book.record(house, "events.end", "Nothing new: ask with `next` again, later", end).await;
    let theirs = Ask::signed("other", EVENTS, &partner_key("other"), AT_S).send(house).await;
    let theirs = theirs.json()["next"].as_str().unwrap().to_owned();
    let foreign = ask(&format!("{EVENTS}?after={theirs}"));
    let text = "A cursor that was given to another partner";
    book.record(house, "events.foreign_cursor", text, foreign).await;
    let many = ask(&format!("{EVENTS}?limit=501"));
    book.record(house, "events.invalid_query", "More than a page may have", many).await;
}

async fn statements(book: &mut Book, house: &House, bets: &Bets) {
    let text = "The first page, with what the round came to";
    book.record(house, "round_statement.whole", text, ask(STATEMENT)).await;
    let mut ids = [&bets.corrected, &bets.parked, &bets.declined].map(|bet| bet.id.to_string());
    ids.sort();
    let page = ask(&format!("{STATEMENT}?after={}&limit=1", ids[0]));
    book.record(house, "round_statement.page", "A further page, with more behind it", page).await;
    let words = Words {
        note: "The round is played by another partner's players. One that never was is answered the same.",
        ..Words::from("No such round with bets of yours")
    };
    let foreign = ask("/partner/v1/rounds/r_80/statement");
    book.record(house, "round_statement.unknown", words, foreign).await;
    let none = ask(&format!("{STATEMENT}?limit=0"));
    book.record(house, "round_statement.invalid_query", "No rows on a page", none).await;
    let text = "A day on which a correction was booked";
    book.record(house, "day_statement.booked", text, ask(TODAY)).await;
    let corrected = ask("/partner/v1/statements/2026-11-22");
    let text = "The day that was corrected";
    book.record(house, "day_statement.corrected", text, corrected).await;
    let empty = ask("/partner/v1/statements/2026-11-01");
    book.record(house, "day_statement.empty", "A day without movements", empty).await;
    let wrong = ask("/partner/v1/statements/2026-02-30");
    book.record(house, "day_statement.invalid_query", "There is no such day", wrong).await;
}

/// Asks for a replay as one who asked for nothing lately.
async fn replay(
    book: &mut Book,
    (house, settler): (&mut House, &Arc<Settler>),
    name: &str,
    words: impl Into<Words>,
    ask: Ask,
) {
    let settler = Arc::clone(settler);
    house.answer_as(|api| api.replays = settler);
    book.record(house, &format!("replay.{name}"), words, ask).await;
}

async fn replays(book: &mut Book, house: &mut House, settler: &Arc<Settler>, bets: &Bets) {
    let two = json!({"bet_ids": [bets.corrected.id, bets.open.id]}).to_string();
    let text = "Two bets, of which one has no result yet";
    replay(book, (house, settler), "bets", text, post(two.as_bytes())).await;
    let text = "The same request again: it does the same again";
    replay(book, (house, settler), "repeated", text, post(two.as_bytes())).await;
    let text = "Too soon after another one";
    book.record(house, "replay.overloaded", text, post(two.as_bytes())).await;
    let round = json!({"round_id": "r_77"}).to_string();
    let text = "All bets of a round, of which one is parked";
    replay(book, (house, settler), "round", text, post(round.as_bytes())).await;
    let span = json!({"from": "2026-11-29T10:00:00Z", "to": "2026-11-29T12:00:00Z"}).to_string();
    let text = "What was said within two hours";
    replay(book, (house, settler), "span", text, post(span.as_bytes())).await;
}

async fn refused_replays(book: &mut Book, house: &mut House, settler: &Arc<Settler>, bets: &Bets) {
    let hidden = |summary, note| Words { summary, note, with_body: false };
    let note = "The bet is another partner's. One that never was is answered the same.";
    let words = Words { note, ..Words::from("No such bet of yours") };
    let bet = json!({"bet_ids": [bets.open.id, bets.foreign.id]}).to_string();
    replay(book, (house, settler), "bet_unknown", words, post(bet.as_bytes())).await;
    let note = "The round is played by another partner's players. One that never was is answered the same.";
    let words = Words { note, ..Words::from("No such round with bets of yours") };
    let round = json!({"round_id": "r_80"}).to_string();
    replay(book, (house, settler), "round_unknown", words, post(round.as_bytes())).await;
    let two = json!({"round_id": "r_77", "from": "2026-11-29T00:00:00Z"}).to_string();
    let text = "Two things at once";
    replay(book, (house, settler), "invalid_field", text, post(two.as_bytes())).await;
    let span = json!({
        "from": "2026-11-29T00:00:00Z", "to": "2026-11-29T12:00:00Z", "after": "never given out",
    });
    let text = "An `after` that was not given out";
    let asked = post(span.to_string().as_bytes());
    replay(book, (house, settler), "invalid_query", text, asked).await;
    let words = hidden("No JSON", "The body was `{\"round_id\":`.");
    replay(book, (house, settler), "malformed_json", words, post(b"{\"round_id\":")).await;
    let large = vec![b' '; crate::http::BODY_BYTES_MAX + 1];
    let words = hidden("Too many bytes", "The body had 65,537 bytes.");
    replay(book, (house, settler), "body_too_large", words, post(&large)).await;
    let mut typed = post(br#"{"round_id":"r_77"}"#);
    typed.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let words = hidden("Not said to be JSON", "The body was JSON, and its `Content-Type` was not.");
    replay(book, (house, settler), "unsupported_media_type", words, typed).await;
    let round = json!({"round_id": "r_77"}).to_string();
    settler.is_away.store(true, Ordering::Relaxed);
    let text = "Whoever settles does not answer";
    replay(book, (house, settler), "storage_unavailable", text, post(round.as_bytes())).await;
}

/// What every call may be refused with.
async fn refused_everywhere(book: &mut Book, house: &mut House, bets: &Bets) {
    let bet = path_of(&bets.open);
    let round: &[u8] = br#"{"round_id":"r_77"}"#;
    let mut calls = Vec::new();
    for (operation, path) in [
        ("bet", bet.as_str()),
        ("events", EVENTS),
        ("round_statement", STATEMENT),
        ("day_statement", TODAY),
        ("replay", REPLAY),
    ] {
        let is_post = operation == "replay";
        let right = if is_post { post(round) } else { ask(path) };
        let by = |key: SecretKey, at_s: i64| {
            if is_post {
                Ask::posted_by("acme", round, &key, at_s)
            } else {
                Ask::signed("acme", path, &key, at_s)
            }
        };
        let forged = dated(by(partner_key("other"), AT_S));
        let name = format!("{operation}.signature_invalid");
        book.record(house, &name, "Signed with a key that is not the partner's", forged).await;
        let old = dated(by(partner_key("acme"), AT_S - signing::WINDOW_S - 1));
        let name = format!("{operation}.clock_skew");
        book.record(house, &name, "Signed too long ago", old).await;
        let mut other = right.clone();
        other.headers.insert("api-version", HeaderValue::from_static("2020-01-01"));
        let name = format!("{operation}.version_unsupported");
        book.record(house, &name, "A date that is not spoken", other).await;
        if !is_post {
            let name = format!("{operation}.overloaded");
            beside_many(book, house, &name, right.clone()).await;
        }
        calls.push((operation, right));
    }
    house.answer_as(|api| api.histories = false);
    for (operation, right) in calls {
        let name = format!("{operation}.not_served_here");
        let text = "Asked of a process that does not keep histories";
        book.record(house, &name, text, right).await;
    }
    house.answer_as(|api| api.histories = true);
}

/// Asks while as many requests of the partner are being answered as may be at once.
async fn beside_many(book: &mut Book, house: &House, name: &str, right: Ask) {
    let (open, held) = std::sync::mpsc::channel::<()>();
    let reading = tokio::task::spawn_blocking(move || held.recv());
    let slow = path_of(&bet("acme", "r_77", "slow", AT));
    let mut first = pin!(ask(&slow).send(house));
    let mut second = pin!(ask(&slow).send(house));
    let mut third = pin!(ask(&slow).send(house));
    let mut fourth = pin!(ask(&slow).send(house));
    let mut context = Context::from_waker(Waker::noop());
    let all = [first.as_mut(), second.as_mut(), third.as_mut(), fourth.as_mut()];
    for waiting in all {
        assert!(waiting.poll(&mut context).is_pending(), "it was answered at once");
    }
    let text = "Four requests of the partner are being answered";
    book.record(house, name, text, right).await;
    drop(open);
    assert!(reading.await.unwrap().is_err(), "nothing is sent");
}
