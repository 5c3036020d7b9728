use crate::client::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Request;
use partner_kit::faults::FaultSettings;
use partner_kit::{Keep, Takes, WalletOptions};
use schemas::contract::STATE_BYTES_MAX;
use serde_json::{Value, json};
use std::io::Write;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_bet_from_hold_to_close() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    let held = wallet.post(AUTHORIZE, &ask("b")).await;
    assert_eq!(held.status, 200);
    assert_eq!(held.headers["api-version"], schemas::contract::API_VERSION);
    assert_eq!(
        (held.body["decision"].as_str(), held.body["status"].as_str()),
        (Some("approved"), Some("held"))
    );
    assert_eq!(held.body["balance"]["units"], "999000");

    let answer = wallet.post(STATE, &chunk([settled("b", 3, 2500), settled("unseen", 3, 1)])).await;
    assert_eq!(
        (&answer.body["chunk_id"], &answer.body["ledger_epoch"]),
        (&json!("c_1"), &json!("1"))
    );
    let wanted = json!({
        "bet_id": "r_1:b", "revision": 3, "outcome": "applied", "status": "settled",
        "moved": "2500", "collected_net": "1500", "replayed": false, "partner_ref": "tx-2",
    });
    assert_eq!(answer.body["results"][0], wanted);
    assert_eq!(answer.body["results"][1]["code"], "unknown_bet");

    let page = wallet.get("/wallet/v1/rounds/r_1/bets?after=&limit=10").await;
    assert_eq!(page["rows"][0]["payout"]["units"], "2500");
    assert_eq!(page["next"], Value::Null);
    let close = json!({"partner_id": "acme", "round_id": "r_1", "result_version": 1, "totals": [], "open_holds": 0, "digest": ""});
    let closed = wallet.post("/wallet/v1/rounds/close", &close).await.body;
    let total = json!([{"currency": "EUR", "exponent": 2, "bets": 1, "stake": "1000",
        "payout": "2500", "voided": 0, "parked": 0}]);
    assert_eq!((&closed["totals"], &closed["open_holds"]), (&total, &json!(0)));
    wallet.stop().await;
}

#[tokio::test]
async fn capabilities_and_health() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    let capabilities = wallet.get("/wallet/v1/capabilities").await;
    assert_eq!(capabilities["currencies"], json!([{"currency": "EUR", "exponent": 2}]));
    assert_eq!((&capabilities["items_max"], &capabilities["signed"]), (&json!(500), &json!(true)));
    let health = wallet.get("/wallet/v1/health").await;
    assert_eq!((&health["status"], &health["partner_id"]), (&json!("ok"), &json!("acme")));
}

/// Twenty at once: one hold, and every answer the same.
#[tokio::test]
async fn c03_parallel_authorizes_hold_once() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let address = wallet.address;
        asking.spawn(async move { Line::to(address).await.post(AUTHORIZE, &ask("b")).await });
    }
    let answers = asking.join_all().await;
    let first = answers.iter().filter(|answer| {
        let body = &answer.as_ref().unwrap().body;
        assert_eq!((&body["decision"], &body["partner_ref"]), (&json!("approved"), &json!("tx-1")));
        body["replayed"] == json!(false)
    });
    assert_eq!(first.count(), 1);
    assert_eq!(wallet.free().await, 999_000);
}

#[tokio::test]
async fn c10_authorize_and_void_race() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    let address = wallet.address;
    let hold = tokio::spawn(async move {
        let mut line = Line::to(address).await;
        for number in 0..1000 {
            line.post(AUTHORIZE, &ask(&format!("b{number}"))).await.unwrap();
        }
    });
    let mut line = Line::to(address).await;
    for number in 0..1000 {
        let bet = format!("b{number}");
        let answer = line.post(STATE, &chunk([voided(&bet, 2)])).await.unwrap();
        assert_eq!(answer.body["results"][0]["outcome"], "applied");
    }
    hold.await.unwrap();
    assert_eq!(wallet.free().await, 1_000_000);
    let stats = wallet.get("/stats").await;
    assert_eq!(stats["rows"], 1000);
    let page = wallet.get("/wallet/v1/rounds/r_1/bets").await;
    let rows = page["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "voided" && row["collected_net"] == "0"));
}

#[tokio::test]
async fn problems_say_what_to_do() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    wallet.post(AUTHORIZE, &ask("b")).await;
    let mut foreign = ask("b");
    foreign["partner_id"] = "rival".into();
    let mut dearer = ask("b");
    dearer["stake"]["units"] = "1001".into();
    let mut wrong = ask("new");
    wrong["stake"]["exponent"] = 3.into();
    let mut foreign_item = settled("b", 3, 1);
    foreign_item["partner_id"] = "rival".into();
    let many: Vec<Value> = (0..501).map(|number| voided(&format!("b{number}"), 2)).collect();
    let large = " ".repeat(STATE_BYTES_MAX + 1);
    let with = |name, value| signed(Request::post(STATE).header(name, value), Default::default());
    let (packed, dated) = (with("content-encoding", "gzip"), with("api-version", "2020-01-01"));
    let rows = [
        (posted(AUTHORIZE, foreign.to_string()), 403, "wrong_partner", "fix_then_retry"),
        (
            posted(STATE, chunk([settled("b", 3, 1), foreign_item]).to_string()),
            403,
            "wrong_partner",
            "fix_then_retry",
        ),
        (posted(AUTHORIZE, dearer.to_string()), 422, "revision_conflict", "conflict"),
        (posted(AUTHORIZE, wrong.to_string()), 422, "currency_unknown", "fix_then_retry"),
        (posted(AUTHORIZE, "{"), 400, "bad_request", "fix_then_retry"),
        (posted(STATE, chunk([]).to_string()), 400, "bad_request", "fix_then_retry"),
        (posted(STATE, chunk(many).to_string()), 413, "too_large", "fix_then_retry"),
        (posted(STATE, large), 413, "too_large", "fix_then_retry"),
        (packed, 415, "bad_request", "fix_then_retry"),
        (dated, 406, "version_unsupported", "fix_then_retry"),
        (posted("/wallet/v1/nothing", ""), 404, "not_found", "fix_then_retry"),
        (posted("/wallet/v1/health", ""), 405, "method", "fix_then_retry"),
    ];
    for (request, status, code, class) in rows {
        let answer = Line::to(wallet.address).await.ask(request).await.unwrap();
        assert_eq!(answer.status, status, "{code}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        let body = &answer.body;
        assert_eq!((&body["code"], &body["class"]), (&json!(code), &json!(class)), "{body}");
        assert_eq!(body["status"], status);
    }
    assert_eq!(wallet.row("b").await, (1, "held".into()), "one foreign item stops the chunk");
    assert_eq!(wallet.get("/stats").await["entries"], 1);
    let answer = wallet.post(AUTHORIZE, &foreign).await;
    assert_eq!(answer.body["message_id"], "r_1:b:1");
}

/// A field that is not of the form which the document gives it, one at a time.
#[tokio::test]
async fn what_is_not_of_its_form_is_refused_and_moves_nothing() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    wallet.post(AUTHORIZE, &ask("b")).await;
    let close = json!({"partner_id": "acme", "round_id": "r_1", "result_version": 1, "totals": [], "open_holds": 0, "digest": ""});
    let query = json!({"bet_ids": ["r_1:b"]});
    let (close_path, query_path) = ("/wallet/v1/rounds/close", "/wallet/v1/bets/query");
    for (path, good, field, bad) in [
        (AUTHORIZE, ask("new"), "/message_id", json!("m_1")),
        (AUTHORIZE, ask("new"), "/bet_id", json!(format!("r_1:{}", "b".repeat(28)))),
        (AUTHORIZE, ask("new"), "/placed_at", json!("just now")),
        (AUTHORIZE, ask("new"), "/expires_at", json!("")),
        (STATE, chunk([settled("b", 3, 1)]), "/chunk_id", json!("c 1")),
        (STATE, chunk([settled("b", 3, 1), voided("c", 2)]), "/items/1/bet_id", json!("r_1:c*")),
        (STATE, chunk([settled("b", 3, 1), voided("c", 2)]), "/items/1/revision", json!(0)),
        (close_path, close.clone(), "/round_id", json!("")),
        (close_path, close, "/result_version", json!(0)),
        (query_path, query.clone(), "/bet_ids", json!([])),
        (query_path, query, "/bet_ids/0", json!("r_1")),
    ] {
        let mut body = good;
        *body.pointer_mut(field).unwrap() = bad;
        let answer = wallet.post(path, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (400, &json!("bad_request")),
            "{body}"
        );
    }
    for page in ["r_1%2A/bets", "r_1/bets?after=r_1", "r_1/bets?limit=0", "r_1/bets?limit=1001"] {
        let asked = signed(Request::get(format!("/wallet/v1/rounds/{page}")), Default::default());
        let answer = Line::to(wallet.address).await.ask(asked).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (400, &json!("bad_request")),
            "{page}"
        );
    }
    let mut item = settled("b", 3, 1);
    item["result_version"] = 0.into();
    let answer = wallet.post(STATE, &chunk([item])).await.body;
    assert_eq!(answer["results"][0]["code"], "bad_request", "{answer}");
    assert_eq!(wallet.row("b").await, (1, "held".into()));
    assert_eq!(wallet.get("/stats").await["entries"], 1);
}

/// What it puts off moves nothing, and is taken when it comes again.
#[tokio::test]
async fn what_is_pending_comes_again() {
    let faults = FaultSettings { pending_rate: 1000, ..FaultSettings::NONE };
    let wallet = Served::faulty(faults).await;
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.body["decision"], "approved");
    let items = chunk([settled("b", 3, 2500), voided("c", 2)]);
    let answer = wallet.post(STATE, &items).await.body;
    let wanted = [("r_1:b", 3), ("r_1:c", 2)].map(|(bet, revision)| {
        json!({"bet_id": bet, "revision": revision, "outcome": "pending", "replayed": false})
    });
    assert_eq!(answer["results"], json!(wanted));
    assert_eq!(wallet.row("b").await, (1, "held".into()));
    assert_eq!(wallet.count("pending").await, 1);
    wallet.post("/faults", &json!({"pending_rate": 0})).await;
    let answer = wallet.post(STATE, &items).await.body;
    assert_eq!(answer["results"][0]["moved"], "2500");
}

fn gzip(body: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// And counts what came, also what it refused.
#[tokio::test]
async fn a_narrow_wallet_takes_what_it_says() {
    let takes = Takes { items_max: 2, bytes_max: 4_096, gzip: true };
    let wallet = Served::start(WalletOptions { takes, ..options(Keep::InMemory) }).await;
    let said = wallet.get("/wallet/v1/capabilities").await;
    let said = (&said["items_max"], &said["bytes_max"], &said["gzip"]);
    assert_eq!(said, (&json!(2), &json!(4_096), &json!(true)));
    let call = |items: usize, blanks: usize| {
        let items = (0..items).map(|number| voided(&format!("b{number}"), 2)).collect::<Vec<_>>();
        chunk(items).to_string() + &" ".repeat(blanks)
    };
    let packed = |body: &[u8]| {
        let request = Request::post(STATE).header("content-encoding", "gzip");
        signed(request, body.to_vec().into())
    };
    let cut = &gzip(&call(1, 0))[..40];
    for (request, status) in [
        (posted(STATE, call(2, 0)), 200),
        (packed(&gzip(&call(2, 0))), 200),
        (posted(STATE, call(3, 0)), 413),
        (packed(&gzip(&call(3, 0))), 413),
        (posted(STATE, call(1, 4_096)), 413),
        // 300 KB in 400 bytes: it is not unpacked to its end.
        (packed(&gzip(&call(1, 300_000))), 413),
        (packed(cut), 400),
        (packed(call(1, 0).as_bytes()), 400),
    ] {
        assert_eq!(Line::to(wallet.address).await.ask(request).await.unwrap().status, status);
    }
    let stats = wallet.get("/stats").await;
    assert_eq!((&stats["rows"], &stats["state_items_most"]), (&json!(2), &json!(3)));
    assert_eq!(stats["state_calls_packed"], 5);
    assert!(4_096 < stats["state_bytes_most"].as_u64().unwrap());
}

#[tokio::test]
async fn players_are_changed_from_outside() {
    let wallet = Served::start(options(Keep::InMemory)).await;
    let deposit = json!({"units": "5000", "currency": "EUR", "exponent": 2});
    let change = json!({"player": "p_9", "deposit": deposit, "blocked": true});
    let shown = wallet.post("/players", &change).await.body;
    assert_eq!((&shown["balance"]["units"], &shown["blocked"]), (&json!("1005000"), &json!(true)));
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.body["code"], "player_blocked");
    wallet.post("/players", &json!({"player": "p_9", "blocked": false})).await;
    assert_eq!(wallet.post(AUTHORIZE, &ask("c")).await.body["decision"], "approved");
    let unknown = wallet.post("/players", &json!({"player": "p_9", "gift": 1})).await;
    assert_eq!(unknown.status, 400);
}
