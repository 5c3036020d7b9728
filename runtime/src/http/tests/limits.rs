//! Answers that are meant to be too much.

use super::*;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;

async fn answered(act: Act) -> Result<HttpAnswer, CallError> {
    let (url, _requests) = serve(vec![vec![act]]).await;
    post(&client(), &url).await
}

fn with_headers(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nhi").into_bytes()
}

#[tokio::test]
async fn a_head_is_bounded() {
    let lines = |count| with_headers(&"x: y\r\n".repeat(count));
    assert_eq!(answered(Act::Say(lines(99))).await.unwrap().body, "hi");
    assert_eq!(answered(Act::Say(lines(100))).await, Err(CallError::Broken));
    let long = |bytes| with_headers(&format!("x: {}\r\n", "y".repeat(bytes)));
    assert_eq!(answered(Act::Say(long(HEAD_BYTES_MAX / 2))).await.unwrap().body, "hi");
    assert_eq!(answered(Act::SayAndHang(long(2 * HEAD_BYTES_MAX))).await, Err(CallError::Broken));
    let endless = Act::Flood(b"HTTP/1.1 200 OK\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".to_vec());
    assert_eq!(answered(endless).await, Err(CallError::Broken));
}

/// Nothing is unpacked, so nothing can grow; what is packed is no answer.
#[tokio::test]
async fn a_coded_answer_is_none() {
    // 1 MiB of zeros begins like this.
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0";
    let bomb = |coding: &str| {
        let coding = format!("content-encoding: {coding}\r\n");
        let head = format!("HTTP/1.1 200 OK\r\n{coding}content-length: {}\r\n\r\n", packed.len());
        Act::Say([head.as_bytes(), packed].concat())
    };
    for coding in ["gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip", ""] {
        assert_eq!(answered(bomb(coding)).await, Err(CallError::Broken), "{coding}");
    }
    let twice = with_headers("content-encoding: identity\r\ncontent-encoding: gzip\r\n");
    assert_eq!(answered(Act::Say(twice)).await, Err(CallError::Broken));
    let plain = with_headers("content-encoding: Identity\r\n");
    assert_eq!(answered(Act::Say(plain)).await.unwrap().body, "hi");
    // Said to be plain, it is what it is.
    assert_eq!(answered(bomb("identity")).await, Err(CallError::TooLarge));
}

#[tokio::test]
async fn trailers_are_bounded_and_say_nothing() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n";
    let with = |trailers: &str| format!("{chunked}{trailers}\r\n").into_bytes();
    let answer = answered(Act::Say(with("retry-after: 3\r\n"))).await.unwrap();
    assert_eq!((answer.body, answer.retry_after_ms), (Bytes::from("hi"), None));
    for bomb in ["x: y\r\n".repeat(10_000), format!("x: {}\r\n", "y".repeat(100_000))] {
        assert_eq!(answered(Act::SayAndHang(with(&bomb))).await, Err(CallError::Broken));
    }
    // A signature there is none.
    let mut trailers = String::new();
    for (name, value) in sign(&[theirs()], "c_1", 1_000, b"hi").unwrap() {
        trailers += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let unsigned = Err(CallError::Signature(Refused::Unsigned));
    assert_eq!(ask(with(&trailers)).await.0, unsigned);
}

/// A piece of a body keeps all of the memory that it was read into.
#[tokio::test]
async fn what_comes_byte_by_byte_takes_no_more_room_than_what_comes_at_once() {
    let memory = Bytes::from(vec![7; 1_000]);
    let pieces = |count| {
        let piece = |at| Ok::<_, io::Error>(Frame::data(memory.slice(at..=at)));
        StreamBody::new(stream::iter((0..count).map(piece)))
    };
    let gathered = gather(pieces(600), 600).await.unwrap();
    assert_eq!(gathered, memory.slice(..600));
    assert!(memory.is_unique(), "nothing of what it came in is kept");
    assert_eq!(gather(pieces(601), 600).await, Err(BodyError::TooLarge));
    let broken = stream::iter([Err::<Frame<Bytes>, _>(io::Error::other("gone"))]);
    assert_eq!(gather(StreamBody::new(broken), 600).await, Err(BodyError::Broken));
}

#[tokio::test]
async fn interim_answers_end_with_the_deadline() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec();
    let some = Act::Say([hints.repeat(20), ok("at last")].concat());
    assert_eq!(answered(some).await.unwrap().body, "at last");
    for interim in [hints, b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()] {
        let (url, _requests) = serve(vec![vec![Act::Flood(interim)]]).await;
        let body = Bytes::from_static(b"hello!");
        let answer = client().post_json(&url, &[], body, Duration::from_millis(200), 16).await;
        assert_eq!(answer, Err(CallError::Timeout));
    }
}
