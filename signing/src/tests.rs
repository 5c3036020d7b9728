use super::*;

/// The vectors of the specification's reference implementations.
const ID_OF_VECTOR: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SIGNED_S: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const PAIR: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const BY_PAIR: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BY_SHARED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn secret(text: &str) -> SecretKey {
    text.parse().unwrap()
}

fn known(text: &str) -> VerifyingKey {
    text.parse().unwrap()
}

fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).unwrap();
    [(ID, value(id)), (TIMESTAMP, value(timestamp)), (SIGNATURE, value(signature))]
        .into_iter()
        .collect()
}

fn signed(keys: &[SecretKey]) -> HeaderMap {
    sign(keys, ID_OF_VECTOR, SIGNED_S, BODY).unwrap().into_iter().collect()
}

#[test]
fn known_answers() {
    assert_eq!(signed(&[secret(PAIR)]), headers(ID_OF_VECTOR, "1614265330", BY_PAIR));
    assert_eq!(signed(&[secret(SHARED)]), headers(ID_OF_VECTOR, "1614265330", BY_SHARED));
    assert_eq!(secret(PAIR).verifying().public().unwrap(), PUBLIC);
    for (key, signature) in [(PUBLIC, BY_PAIR), (SHARED, BY_SHARED)] {
        let headers = headers(ID_OF_VECTOR, "1614265330", signature);
        assert_eq!(verify(&[known(key)], &headers, SIGNED_S, BODY), Ok(ID_OF_VECTOR));
    }
    assert_eq!(secret(&secret(PAIR).reveal()).verifying().public().unwrap(), PUBLIC);
    assert_eq!(secret(SHARED).reveal(), SHARED);
}

#[test]
fn either_key_of_a_rotation_fits() {
    let (old, new) = (secret(PAIR), SecretKey::of_seed(&[7; 32]));
    let both = signed(&[old.clone(), new.clone()]);
    for key in [&old, &new] {
        assert!(verify(&[key.verifying()], &both, SIGNED_S, BODY).is_ok());
        let alone = signed(std::slice::from_ref(key));
        assert!(verify(&[old.verifying(), new.verifying()], &alone, SIGNED_S, BODY).is_ok());
    }
    let other = SecretKey::of_seed(&[8; 32]).verifying();
    assert_eq!(verify(&[other], &both, SIGNED_S, BODY), Err(Refused::NoKeyFits));
    assert_eq!(verify(&[], &both, SIGNED_S, BODY), Err(Refused::NoKeyFits));
}

/// Not one byte of id, time, body or signature can be another.
#[test]
fn every_byte_counts() {
    for (key, secret) in [(known(PUBLIC), secret(PAIR)), (known(SHARED), secret(SHARED))] {
        let keys = [key];
        let good = signed(&[secret]);
        for index in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[index] ^= 1;
            assert_eq!(verify(&keys, &good, SIGNED_S, &body), Err(Refused::NoKeyFits), "{index}");
        }
        for name in [ID, TIMESTAMP, SIGNATURE] {
            for index in 0..good[&name].len() {
                let mut bytes = good[&name].as_bytes().to_vec();
                bytes[index] ^= 1;
                let mut headers = good.clone();
                let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
                headers.insert(&name, value);
                assert!(verify(&keys, &headers, SIGNED_S, BODY).is_err(), "{name} {index}");
            }
        }
        assert_eq!(verify(&keys, &good, SIGNED_S, b""), Err(Refused::NoKeyFits));
    }
}

#[test]
fn what_is_old_or_not_yet_does_not_count() {
    let (keys, headers) = ([known(PUBLIC)], signed(&[secret(PAIR)]));
    for (now_s, wanted) in [
        (SIGNED_S - WINDOW_S - 1, Err(Refused::Stale)),
        (SIGNED_S - WINDOW_S, Ok(ID_OF_VECTOR)),
        (SIGNED_S + WINDOW_S, Ok(ID_OF_VECTOR)),
        (SIGNED_S + WINDOW_S + 1, Err(Refused::Stale)),
        (i64::MAX, Err(Refused::Stale)),
        (i64::MIN, Err(Refused::Stale)),
    ] {
        assert_eq!(verify(&keys, &headers, now_s, BODY), wanted, "{now_s}");
    }
}

#[test]
fn what_is_not_of_the_form_is_refused() {
    let check = |headers: &HeaderMap, wanted| {
        assert_eq!(verify(&[known(PUBLIC)], headers, SIGNED_S, BODY), Err(wanted), "{headers:?}");
    };
    for name in [ID, TIMESTAMP, SIGNATURE] {
        let mut headers = signed(&[secret(PAIR)]);
        headers.append(&name, headers[&name].clone());
        check(&headers, Refused::Malformed);
        headers.remove(&name);
        check(&headers, Refused::Unsigned);
        headers.insert(&name, HeaderValue::from_bytes(b"\xff").unwrap());
        check(&headers, Refused::Malformed);
    }
    for timestamp in ["", "-1614265330", "+1614265330", "1614265330.0", "99999999999999999999"] {
        check(&headers(ID_OF_VECTOR, timestamp, BY_PAIR), Refused::Malformed);
    }
    for id in ["", "msg.1614265330"] {
        check(&headers(id, "1614265330", BY_PAIR), Refused::Malformed);
    }
    let bare = BY_PAIR.strip_prefix("v1a,").unwrap();
    for signature in
        ["", ",", "v1a,", "v1a,AAAA", bare, &format!("v1,{bare}"), &format!("v2,{bare}")]
    {
        check(&headers(ID_OF_VECTOR, "1614265330", signature), Refused::NoKeyFits);
    }
    // What stands before the right one hides it only if there is more of it than anybody signs.
    let after = |count| ["v1a,garbage "].repeat(count).concat() + BY_PAIR;
    let few = headers(ID_OF_VECTOR, "1614265330", &after(SIGNATURES_MAX - 1));
    assert!(verify(&[known(PUBLIC)], &few, SIGNED_S, BODY).is_ok());
    check(&headers(ID_OF_VECTOR, "1614265330", &after(SIGNATURES_MAX)), Refused::NoKeyFits);
}

#[test]
fn a_reply_repeats_the_id() {
    let (keys, headers) = ([known(PUBLIC)], signed(&[secret(PAIR)]));
    assert_eq!(verify_reply(&keys, &headers, SIGNED_S, ID_OF_VECTOR, BODY), Ok(()));
    let other = verify_reply(&keys, &headers, SIGNED_S, "msg_other", BODY);
    assert_eq!(other, Err(Refused::OtherId));
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    for (text, wanted) in [
        ("", KeyError::Prefix("whsk_ or whsec_")),
        (PUBLIC, KeyError::Prefix("whsk_ or whsec_")),
        ("whsk_!", KeyError::Base64),
        ("whsk_AAAA", KeyError::Length(3)),
        ("whsec_AAAA", KeyError::Length(3)),
    ] {
        assert_eq!(text.parse::<SecretKey>().unwrap_err(), wanted, "{text}");
    }
    let (half, _) = PAIR.split_at(PAIR.len() - 8);
    assert_eq!(format!("{half}AAAAAA==").parse::<SecretKey>().unwrap_err(), KeyError::Ed25519);
    let short = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOig==".parse::<VerifyingKey>();
    assert_eq!(short.unwrap_err(), KeyError::Length(31));
    let weak = format!("whpk_{}A=", "A".repeat(42));
    assert_eq!(weak.parse::<VerifyingKey>().unwrap_err(), KeyError::Ed25519);
    assert_eq!(PAIR.parse::<VerifyingKey>().unwrap_err(), KeyError::Prefix("whpk_ or whsec_"));
    let shown = format!("{:?} {:?} {:?}", secret(PAIR), secret(SHARED), known(SHARED));
    assert_eq!(shown, "SecretKey(..) SecretKey(..) Shared(..)");
}
