//! Each misbehaviour as it is at the wire: bytes, statuses, what is signed, and what has been done by then.

mod later;
mod raw;
mod table;

use crate::client::{AUTHORIZE, Line, STATE, Served, ask, options, signed};
use hyper::Request;
use partner_kit::faults::FaultSettings;
use partner_kit::misbehaviours::{self, MisbehaveSettings, Misbehaviour};
use partner_kit::{Keep, Orders, WalletOptions};
use raw::{Exchange, exchange};
use serde_json::{Value, json};
use std::path::Path;

/// Every call.
const ALWAYS: u32 = 1000;
/// Free before anything was held.
const FREE: i64 = 1_000_000;

/// A wallet that holds the stake of bet `b` and is honest so far. It stays silent for 100 ms.
async fn wallet(orders: Orders) -> Served {
    let faults = FaultSettings { timeout_ms: 100, ..FaultSettings::NONE };
    let options = WalletOptions { faults, orders, ..options(Keep::InMemory) };
    let wallet = Served::start(options).await;
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.body["decision"], "approved");
    wallet
}

/// Switches one on for every call, with the rest as `misbehave` says.
async fn switch(wallet: &Served, which: Misbehaviour, mut misbehave: MisbehaveSettings) {
    *misbehave.only.of(which) = ALWAYS;
    set(wallet, misbehave).await;
}

async fn behave(wallet: &Served) {
    set(wallet, MisbehaveSettings::NONE).await;
}

async fn set(wallet: &Served, misbehave: MisbehaveSettings) {
    let answer = wallet.post("/faults", &json!({"misbehave": misbehave})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// How often it was misbehaved so.
async fn counted(wallet: &Served, which: Misbehaviour) -> u64 {
    let stats = wallet.get("/stats").await;
    stats["faults"]["misbehaved"][which.entry().name].as_u64().unwrap_or(0)
}

/// What the player won or lost so far.
async fn net(wallet: &Served) -> i64 {
    wallet.free().await - FREE
}

/// The page that people read is made of the catalogue; `BLESS=1` writes it.
#[test]
fn the_page_says_what_the_catalogue_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/partner/misbehaviours.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let begin = page.find("| | name |").unwrap();
    let end = begin + page[begin..].find("\n\n").unwrap() + 1;
    let table = misbehaviours::table();
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        std::fs::write(&path, [&page[..begin], &table, &page[end..]].concat()).unwrap();
    } else {
        assert_eq!(&page[begin..end], table, "BLESS=1 cargo test -p partner-kit writes it");
    }
}

/// A header is an order where orders are taken, and nothing elsewhere.
#[tokio::test]
async fn a_header_is_for_one_call() {
    let chunk = crate::client::chunk([crate::client::settled("b", 3, 1550)]);
    let obedient = wallet(Orders { header: true, ..Orders::default() }).await;
    let said = async |wallet: &Served, name| {
        let headers = [("x-misbehave", name)];
        Exchange::said(&exchange(wallet.address, STATE, &chunk, &headers).await)
    };
    assert_eq!(
        said(&obedient, "redirect").await,
        "307 to http://wallet.invalid/wallet/v1/elsewhere"
    );
    assert_eq!(said(&obedient, "nothing").await, "400 bad_request");
    assert_eq!(obedient.row("b").await, (1, "held".into()));
    assert_eq!(obedient.post(STATE, &chunk).await.body["results"][0]["outcome"], "applied");
    assert_eq!(counted(&obedient, Misbehaviour::Redirect).await, 1);
    let reference = wallet(Orders::default()).await;
    assert_eq!(said(&reference, "redirect").await, "200 signed applied \"550\"");
    // What always tells does so too, unless the call wants it otherwise.
    for (wallet, status) in [(&obedient, 429), (&reference, 200)] {
        let asked = Request::get("/wallet/v1/health").header("x-misbehave", "too-many-requests");
        let asked = signed(asked, Default::default());
        assert_eq!(Line::to(wallet.address).await.ask(asked).await.unwrap().status, status);
    }
    set(&obedient, MisbehaveSettings { mix: ALWAYS, ..MisbehaveSettings::NONE }).await;
    assert_eq!(obedient.get("/wallet/v1/health").await["status"], "ok");
}

/// The script counts calls of the contract from 1; the stake of `wallet` was the first.
#[tokio::test]
async fn a_script_is_followed_call_by_call() {
    let script = "1 error-after-apply\n2-3 too-many-requests\n4 empty-200".parse().unwrap();
    let options =
        WalletOptions { orders: Orders { script, ..Orders::default() }, ..options(Keep::InMemory) };
    let wallet = Served::start(options).await;
    let mut said = Vec::new();
    for _ in 0..5 {
        let answer = exchange(wallet.address, AUTHORIZE, &ask("b"), &[]).await;
        said.push(answer.status().unwrap());
    }
    assert_eq!(said, [500, 429, 429, 200, 200]);
    let misbehaved = &wallet.get("/stats").await["faults"]["misbehaved"];
    let wanted = json!({"error-after-apply": 1, "too-many-requests": 2, "empty-200": 1});
    assert_eq!(*misbehaved, wanted);
}

#[tokio::test]
async fn any_of_all_comes_with_the_mix() {
    let wallet = wallet(Orders::default()).await;
    set(&wallet, MisbehaveSettings { mix: ALWAYS, late_ms: 10, ..MisbehaveSettings::NONE }).await;
    let stats = async || {
        let stats = wallet.get("/stats").await;
        stats["faults"]["misbehaved"].as_object().map_or(0, serde_json::Map::len)
    };
    for number in 0..200 {
        if 10 <= stats().await {
            return;
        }
        exchange(wallet.address, AUTHORIZE, &ask(&format!("m{number}")), &[]).await;
    }
    panic!("{} of them", stats().await);
}

#[tokio::test]
async fn switches_change_one_by_one_and_are_checked() {
    let wallet = wallet(Orders::default()).await;
    let change = |misbehave: Value| json!({"misbehave": misbehave});
    for (named, shown) in [
        (json!({"only": {"redirect": 5}}), (json!({"redirect": 5}), 43_200_000)),
        (json!({"late_ms": 7}), (json!({"redirect": 5}), 7)),
        (json!({"only": {"html-200": 6}}), (json!({"html-200": 6}), 7)),
    ] {
        let body = wallet.post("/faults", &change(named)).await.body;
        assert_eq!(
            (&body["misbehave"]["only"], body["misbehave"]["late_ms"].as_u64().unwrap()),
            (&shown.0, shown.1)
        );
        assert_eq!(body["timeout_ms"], 100);
    }
    for bad in [
        json!({"only": {"redirects": 5}}),
        json!({"only": {"redirect": 1001}}),
        json!({"mix": 1001}),
    ] {
        assert_eq!(wallet.post("/faults", &change(bad)).await.body["code"], "bad_request");
    }
}
