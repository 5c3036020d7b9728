//! What the platform did not sign, or not now, or not so, changes nothing; and what is answered is signed.

use crate::client::{
    AUTHORIZE, Line, Served, ask, now_s, options, platform_key, posted, signed, wallet_key,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request};
use partner_kit::faults::FaultSettings;
use partner_kit::{Keep, WalletKeys, WalletOptions};
use schemas::contract::get_id;
use serde_json::json;
use signing::{ID, SIGNATURE, SecretKey, TIMESTAMP, WINDOW_S, sign};

/// The rows of a round.
const ROWS: &str = "/wallet/v1/rounds/r_1/bets";

/// An authorize that is signed with `keys` at `now_s`.
fn by(keys: &[SecretKey], at_s: i64) -> Request<Full<Bytes>> {
    let body = Bytes::from(ask("a").to_string());
    let mut request =
        Request::post(AUTHORIZE).header("host", "wallet").body(Full::new(body.clone())).unwrap();
    request.headers_mut().extend(HeaderMap::from_iter(sign(keys, "m_1", at_s, &body).unwrap()));
    request
}

#[tokio::test]
async fn what_the_platform_did_not_sign_changes_nothing() {
    let served = Served::start(options(Keep::InMemory)).await;
    let without = |name| {
        let mut request = posted(AUTHORIZE, ask("a").to_string());
        request.headers_mut().remove(&name);
        request
    };
    let changed = {
        let text = ask("a").to_string();
        let (head, _) = posted(AUTHORIZE, text.clone()).into_parts();
        Request::from_parts(head, Full::new(Bytes::from(text.replacen("1000", "1001", 1))))
    };
    let other = SecretKey::of_seed(&[77; 32]);
    let ours = [platform_key()];
    let requests = [
        (without(ID), "bad_signature"),
        (without(TIMESTAMP), "bad_signature"),
        (without(SIGNATURE), "bad_signature"),
        (changed, "bad_signature"),
        (by(&[other], now_s()), "bad_signature"),
        // Its own key is no one else's word.
        (by(&[wallet_key()], now_s()), "bad_signature"),
        (by(&ours, now_s() - WINDOW_S - 5), "clock_skew"),
        (by(&ours, now_s() + WINDOW_S + 5), "clock_skew"),
    ];
    for (request, code) in requests {
        let answer = Line::to(served.address).await.ask(request).await.unwrap();
        let told = (answer.status.as_u16(), answer.body["code"].as_str().unwrap());
        assert_eq!(told, (401, code), "{}", answer.body);
        assert_eq!(answer.body["class"], "fix_then_retry");
    }
    for path in ["/wallet/v1/health", ROWS] {
        let bare = Request::get(path).header("host", "wallet").body(Full::default()).unwrap();
        let answer = Line::to(served.address).await.ask(bare).await.unwrap();
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }
    // Signed for another page, or for another partner's wallet.
    for (partner, path) in [("acme", "/wallet/v1/health"), ("bolt", ROWS)] {
        let id = get_id(partner, path);
        let mut request =
            Request::get(ROWS).header("host", "wallet").body(Full::default()).unwrap();
        request.headers_mut().extend(HeaderMap::from_iter(sign(&ours, &id, now_s(), b"").unwrap()));
        let answer = Line::to(served.address).await.ask(request).await.unwrap();
        assert_eq!(answer.status, 401, "{}", answer.body);
    }
    let mut close = json!({"partner_id": "bolt", "round_id": "r_1", "result_version": 1,
        "totals": [], "open_holds": 0, "digest": ""});
    let answer = served.post(schemas::contract::CLOSE_PATH, &close).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (403, &json!("wrong_partner")));
    close["partner_id"] = json!("acme");
    assert_eq!(served.post(schemas::contract::CLOSE_PATH, &close).await.status, 200);
    assert_eq!(served.row("a").await.1, "absent");
    assert_eq!(served.get("/stats").await["entries"], 0);

    // The same message again is the same message.
    for _ in 0..2 {
        let line = &mut Line::to(served.address).await;
        assert_eq!(line.ask(by(&ours, now_s())).await.unwrap().status, 200);
    }
    assert_eq!(served.get("/stats").await["entries"], 1);
    served.stop().await;
}

/// Either side changes its key without a message that does not count.
#[tokio::test]
async fn keys_take_over_from_each_other() {
    let next = SecretKey::of_seed(&[8; 32]);
    let keys = WalletKeys {
        platform: vec![platform_key().verifying(), next.verifying()],
        own: vec![next.clone(), wallet_key()],
    };
    let served = Served::start(WalletOptions { keys, ..options(Keep::InMemory) }).await;
    for keys in [vec![platform_key()], vec![next.clone()], vec![platform_key(), next]] {
        let answer = Line::to(served.address).await.ask(by(&keys, now_s())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.headers[SIGNATURE].to_str().unwrap().matches("v1a,").count(), 2);
    }
    served.stop().await;
}

#[tokio::test]
#[should_panic(expected = "NoKeyFits")]
async fn a_forged_answer_is_found_out() {
    let served = Served::faulty(FaultSettings { forge_rate: 1000, ..FaultSettings::NONE }).await;
    let query = json!({"bet_ids": ["r_1:a"]}).to_string();
    let request = signed(Request::post(schemas::contract::QUERY_PATH), query.into());
    drop(Line::to(served.address).await.ask(request).await);
}
