use super::*;

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, retry_after_ms: Some(1_000), body: Bytes::from(body.to_owned()) }
}

/// Only the API's own word ends a call: a gateway's page must not cost a result.
#[test]
fn a_refusal_is_final_only_if_the_api_says_so() {
    let refused = r#"{"code":"version_conflict","retryable":false,"detail":"it is 2"}"#;
    let early = r#"{"code":"not_sealed","retryable":true,"detail":"wait"}"#;
    let again = |why: &str| Said::Again { why: why.to_owned(), after_ms: Some(1_000) };
    for (status, body, expected) in [
        (200, "{}", Said::Admitted),
        (201, "{}", Said::Admitted),
        (
            409,
            refused,
            Said::Refused { code: "version_conflict".to_owned(), detail: "it is 2".to_owned() },
        ),
        (409, early, again("not_sealed")),
        (403, "<html>forbidden</html>", again("403 without a problem's code")),
        (302, "", again("302 without a problem's code")),
        (500, r#"{"code":5}"#, again("500 without a problem's code")),
    ] {
        assert_eq!(judge(&answer(status, body)), expected, "{status} {body}");
    }
}

#[test]
fn a_round_is_read_with_the_time_of_its_seal() {
    let body = br#"{"status":"resulted","version":1,"result":{"kind":"result","outcome":"4"},"history":[
        {"at":"2026-11-21T18:00:00.250Z","said":"sealed","actor":"desk","request_id":"x","refused":"early","version":0},
        {"at":"2026-11-21T18:00:01.5Z","said":"sealed","actor":"herald","request_id":"y","version":0}]}"#;
    let seen = seen(body).unwrap();
    let wanted = RoundSeen {
        status: "resulted".to_owned(),
        version: 1,
        outcome: Some("4".to_owned()),
        sealed_at: Some(1_795_284_001_500),
    };
    assert_eq!(seen, wanted);
    assert!(super::seen(b"{}").is_err());
}

#[test]
fn what_is_no_base_or_key_is_refused() {
    for base in ["8080", "localhost:8080", "/v1", "https://localhost", "http://", ""] {
        assert!(matches!(RoundsApi::new(base, "k"), Err(ApiError::Base(_))), "{base}");
    }
    assert!(matches!(RoundsApi::new("http://localhost:1", "a\nb"), Err(ApiError::Key)));
    assert!(RoundsApi::new("http://localhost:1/", "key").is_ok());
}
