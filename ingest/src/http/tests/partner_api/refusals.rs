//! What is not signed right, what is another partner's, and what nobody would ask in good faith.

use super::*;
use schemas::contract::API_VERSION;
use signing::{ID, SIGNATURE, TIMESTAMP};

const EVENTS: &str = "/partner/v1/events?limit=5&after=YWNtZUAw";

/// What becomes of a request that is good but for `change`.
async fn with(house: &House, change: impl FnOnce(&mut Ask)) -> Came {
    let mut ask = Ask::of("acme", EVENTS);
    change(&mut ask);
    ask.send(house).await
}

fn set(ask: &mut Ask, name: &HeaderName, value: &[u8]) {
    ask.headers.insert(name, HeaderValue::from_bytes(value).unwrap());
}

/// One answer for all of it, which we do not sign: nobody learns which partners there are, or has our signature
/// under an id of choice.
#[tokio::test]
async fn whoever_did_not_sign_is_told_the_same_whatever_is_wrong() {
    let house = House::new();
    assert_eq!(Ask::of("acme", EVENTS).send(&house).await.status, 200);
    let by = |partner, path, key: SecretKey| Ask::signed(partner, path, &key, now_s());
    let unknown = by("nobody", EVENTS, partner_key("acme")).send(&house).await;
    let mut all = vec![
        // What an unknown partner is tried with fits nobody.
        by("nobody", EVENTS, SecretKey::of_seed(&[0; 32])).send(&house).await,
        by("acme", EVENTS, partner_key("other")).send(&house).await,
        by("acme", EVENTS, our_key()).send(&house).await,
        with(&house, |ask| ask.path = "/partner/v1/events?limit=6&after=YWNtZUAw".to_owned()).await,
        with(&house, |ask| ask.path = "/partner/v1/events?after=YWNtZUAw&limit=5".to_owned()).await,
        with(&house, |ask| ask.path = "/partner/v1/events".to_owned()).await,
        with(&house, |ask| ask.path = "/partner/v1/bets/r1:a".to_owned()).await,
        with(&house, |ask| set(ask, &PARTNER, b"other")).await,
        with(&house, |ask| set(ask, &PARTNER, b"ACME")).await,
        with(&house, |ask| set(ask, &PARTNER, b"acme, acme")).await,
        with(&house, |ask| set(ask, &PARTNER, b"ac\tme\xff")).await,
        with(&house, |ask| set(ask, &PARTNER, &[b'a'; 10_000])).await,
        with(&house, |ask| set(ask, &ID, &[b'a'; 10_000])).await,
        with(&house, |ask| set(ask, &ID, get_id("other", EVENTS).as_bytes())).await,
        with(&house, |ask| {
            let at_s: i64 = ask.headers[&TIMESTAMP].to_str().unwrap().parse().unwrap();
            set(ask, &TIMESTAMP, (at_s - 1).to_string().as_bytes());
        })
        .await,
        with(&house, |ask| set(ask, &TIMESTAMP, b"now")).await,
        with(&house, |ask| set(ask, &SIGNATURE, b"v1a,")).await,
        with(&house, |ask| ask.body = b"{}".to_vec()).await,
    ];
    for name in [PARTNER, ID, TIMESTAMP, SIGNATURE] {
        all.push(with(&house, |ask| drop(ask.headers.remove(&name))).await);
        let twice = |ask: &mut Ask| {
            let value = ask.headers[&name].clone();
            ask.headers.append(&name, value);
        };
        all.push(with(&house, twice).await);
    }
    // Every byte of the signature and of the id.
    for name in [ID, SIGNATURE] {
        let length = Ask::of("acme", EVENTS).headers[&name].len();
        for at in 0..length {
            let change = |ask: &mut Ask| {
                let mut value = ask.headers[&name].as_bytes().to_vec();
                value[at] = if value[at] == b'x' { b'y' } else { b'x' };
                set(ask, &name, &value);
            };
            all.push(with(&house, change).await);
        }
    }
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "signature_invalid"));
    assert_eq!(unknown.headers["www-authenticate"], "Standard-Webhooks");
    assert_eq!(unknown.headers["cache-control"], "no-store");
    for came in all {
        assert_eq!((came.status, &came.body), (401, &unknown.body), "{}", came.json());
        assert_eq!(came.headers, unknown.headers);
        assert!(!came.headers.contains_key(SIGNATURE));
    }
}

/// The date is repeated on whatever is answered; another one is refused, but to whoever showed a key alone.
#[tokio::test]
async fn another_date_of_the_contract_is_refused() {
    let house = House::new();
    let date = HeaderName::from_static("api-version");
    let came = with(&house, |ask| set(ask, &date, API_VERSION.as_bytes())).await;
    assert_eq!((came.status, &came.headers[&date]), (200, &API_VERSION.parse().unwrap()));
    assert_eq!(with(&house, |_| {}).await.headers[&date], API_VERSION, "it may be left out");
    let twice = format!("{API_VERSION}, {API_VERSION}");
    for other in ["2020-01-01", "", "latest", &twice] {
        let came = with(&house, |ask| set(ask, &date, other.as_bytes())).await;
        assert_eq!((came.status, came.code().as_str()), (406, "version_unsupported"), "{other}");
        let (ours, id) = ([our_key().verifying()], get_id("acme", EVENTS));
        verify_reply(&ours, &came.headers, now_s(), &id, &came.body).unwrap();
        assert_eq!(came.headers[&date], API_VERSION);
    }
    let both = |ask: &mut Ask| {
        ask.headers.append(&date, HeaderValue::from_static(API_VERSION));
        ask.headers.append(&date, HeaderValue::from_static("2020-01-01"));
    };
    assert_eq!(with(&house, both).await.status, 406);
    let unsigned = |ask: &mut Ask| {
        set(ask, &date, b"2020-01-01");
        ask.headers.remove(&SIGNATURE);
    };
    let came = with(&house, unsigned).await;
    assert_eq!((came.status, &came.headers[&date]), (401, &API_VERSION.parse().unwrap()));
}

/// A body that was signed along is refused too: a reply stands under the same id as its request.
#[tokio::test]
async fn a_reply_sent_back_is_no_request() {
    let house = House::new();
    let reply = came(&house, "acme", EVENTS).await;
    let id = get_id("acme", EVENTS);
    let signed = sign(&[partner_key("acme")], &id, now_s(), &reply.body).unwrap();
    let change = |ask: &mut Ask| {
        signed.into_iter().for_each(|(name, value)| drop(ask.headers.insert(name, value)));
        ask.body = reply.body;
    };
    assert_eq!(with(&house, change).await.code(), "signature_invalid");
}

/// Two partners with one key: what one signed is not what the other asks.
#[tokio::test]
async fn a_request_is_bound_to_its_partner_not_to_its_key_alone() {
    let house = House::new();
    let profile = house.state.partners.get(&"acme".parse().unwrap()).unwrap().profile;
    house.state.partners.configure("twin".parse().unwrap(), profile).unwrap();
    let twin = Ask::signed("twin", EVENTS, &partner_key("acme"), now_s());
    // The cursor is another's, but who asks is known.
    assert_eq!(twin.send(&house).await.code(), "invalid_query");
    let told = with(&house, |ask| set(ask, &PARTNER, b"twin")).await;
    assert_eq!((told.status, told.code().as_str()), (401, "signature_invalid"));
}

#[tokio::test]
async fn what_was_signed_at_another_time_is_refused() {
    let house = House::new();
    for (partner, off_s) in
        [("acme", -310), ("acme", 310), ("acme", -1_000_000), ("nobody", -310), ("nobody", 310)]
    {
        let at_s = now_s() + off_s;
        let came = Ask::signed(partner, EVENTS, &partner_key(partner), at_s).send(&house).await;
        assert_eq!((came.status, came.code().as_str()), (401, "clock_skew"), "{partner} {off_s}");
        assert!(!came.headers.contains_key(SIGNATURE));
    }
    for off_s in [-290, 290] {
        let ask = Ask::signed("acme", EVENTS, &partner_key("acme"), now_s() + off_s);
        assert_eq!(ask.send(&house).await.status, 200, "{off_s}");
    }
}

/// Whatever acme asks about what is another's is answered, byte for byte, as if it had never been.
#[tokio::test]
async fn what_is_anothers_is_as_if_it_never_was() {
    let house = House::new();
    house.keep_histories();
    let now = SystemClock.now();
    let theirs = bet("other", "r1", "a", now);
    decide(&house, &[&theirs], &Verdict::Accepted).await;
    version(&house, "other", "r1", 1).await;
    let won = settle(&theirs, 3, Target::Held, Target::Settled(2_500), now);
    house.write(vec![said(&won), delivered(&won, DeliveryOutcome::Applied)]).await;
    let day = schemas::contract::timestamp(now)[..10].to_owned();
    let settled = |body: &Value| body["totals"][0]["settled"]["bets"] == 1;
    let paths = [
        format!("/partner/v1/bets/{}", theirs.id),
        "/partner/v1/rounds/r1/statement".to_owned(),
        format!("/partner/v1/rounds/r1/statement?after={}", theirs.id),
    ];
    until(&house, "other", &format!("/partner/v1/statements/{day}"), settled).await;
    until(&house, "other", &paths[0], |body| body["status"] == "won").await;
    assert_eq!(get(&house, "other", &paths[1]).await["rows"][0]["status"], "settled");
    let never = bet("other", "r9", "never", now).id.to_string();
    for path in paths {
        let found = came(&house, "acme", &path).await;
        let not = path.replace(theirs.id.as_str(), &never).replace("/r1/", "/r9/");
        let none = came(&house, "acme", &not).await;
        assert_eq!((found.status, none.status), (404, 404), "{path}");
        let text = |came: &Came| String::from_utf8(came.body.clone()).unwrap();
        let echoed = text(&none).replace(&never, theirs.id.as_str()).replace("r9", "r1");
        assert_eq!(text(&found), echoed);
        let names = |came: &Came| came.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&none));
    }
    let nothing = get(&house, "acme", &format!("/partner/v1/statements/{day}")).await;
    assert_eq!(nothing["totals"], serde_json::json!([]));
    assert_eq!(get(&house, "acme", "/partner/v1/events").await["events"], serde_json::json!([]));
    let cursor =
        get(&house, "other", "/partner/v1/events").await["next"].as_str().unwrap().to_owned();
    let told = came(&house, "acme", &format!("/partner/v1/events?after={cursor}")).await;
    assert_eq!((told.status, told.code().as_str()), (400, "invalid_query"));
}

#[tokio::test]
async fn what_nobody_would_ask_in_good_faith_is_refused() {
    let house = House::new();
    let long = "x".repeat(10_000);
    let mut paths: Vec<(String, u16)> = Vec::new();
    let ids = [
        "%0d%0aset-cookie:%20a=b",
        "%00",
        "%1b%5b31m",
        "..%2f..%2fetc",
        "%ff%fe",
        "%E2%80%AE",
        "a:b:c",
        &long,
    ];
    for id in ids {
        paths.push((format!("/partner/v1/bets/{id}"), 404));
        paths.push((format!("/partner/v1/rounds/{id}/statement"), 404));
        paths.push((format!("/partner/v1/statements/{id}"), 400));
        paths.push((format!("/partner/v1/events?after={id}"), 400));
    }
    for day in
        ["2026-02-30", "2026-1-1", "2026-11-22T00:00:00Z", "1969-12-31", "99999-01-01", "today"]
    {
        paths.push((format!("/partner/v1/statements/{day}"), 400));
    }
    for query in
        ["limit=0", "limit=501", "limit=-1", "limit=many", "limit=1&limit=2", "partner=other"]
    {
        paths.push((format!("/partner/v1/events?{query}"), 400));
        paths.push((format!("/partner/v1/rounds/r1/statement?{query}"), 400));
    }
    paths.push(("/partner/v1/rounds/r1/statement?after=no%20bet".to_owned(), 400));
    paths.push(("/partner/v1/statements/2026-11-22?after=x".to_owned(), 400));
    paths.push(("/partner/v1/statements/2026-11-22?after=".to_owned(), 400));
    for (path, status) in paths {
        let told = came(&house, "acme", &path).await;
        let shown: String = path.chars().take(80).collect();
        assert_eq!(told.status, status, "{shown}: {}", told.json());
        assert_eq!(told.headers["content-type"], "application/problem+json", "{shown}");
        assert!(told.headers.get("set-cookie").is_none());
        assert!(!told.body.iter().any(|byte| *byte < b' '), "{shown}: {:?}", told.json());
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::HEAD] {
        let told = with(&house, |ask| ask.method = method.clone()).await;
        assert_eq!(told.status, 405, "{method}");
        assert!(!told.headers.contains_key(SIGNATURE));
    }
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let house = House::new();
    let paths =
        ["bets/r1:a", "events", "rounds/r1/statement", "statements/2026-11-22", "openapi.json"];
    for path in paths {
        let told = Ask::of("acme", &format!("/partner/v1/{path}")).send(&house).await;
        let text = format!("{:?} {}", told.headers, String::from_utf8_lossy(&told.body));
        for key in [our_key(), partner_key("acme")] {
            assert!(!text.contains(&key.reveal()), "{path}");
        }
        assert!(!text.contains("whsk_") && !text.contains("whsec_"), "{path}");
    }
}
