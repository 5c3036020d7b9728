use super::page::Page;
use super::run::escaped;
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn page(events: &[(&str, &str)], next: &str) -> Page {
    let events: Vec<_> = events
        .iter()
        .map(|(id, round)| json!({"id": id, "round_id": round, "say": "close"}))
        .collect();
    let text = json!({"events": events, "next": next}).to_string();
    Page::read(text.as_bytes(), "").unwrap()
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

#[test]
fn rounds_do_not_wait_for_each_other_and_a_round_keeps_its_order() {
    let mut relay = Relay::new(String::new());
    assert!(relay.take(page(&[("1", "a"), ("2", "a"), ("3", "b")], "3")));
    assert_eq!(ids(&relay.ready()), ["1", "3"]);
    assert_eq!(ids(&relay.ready()), [""; 0], "they are being said");
    assert!(relay.take(page(&[("4", "b")], "4")));
    relay.answered(&"b".parse().unwrap());
    assert_eq!(ids(&relay.ready()), ["4"]);
    relay.answered(&"b".parse().unwrap());
    assert_eq!(relay.done_to(), "", "1 and 2 have no answer");
    relay.answered(&"a".parse().unwrap());
    assert_eq!(ids(&relay.ready()), ["2"]);
    relay.answered(&"a".parse().unwrap());
    assert_eq!(relay.done_to(), "4");
    assert_eq!(relay.wants(), Some("4"));
    assert!(!relay.take(page(&[], "4")), "nothing new");
    assert!(relay.take(page(&[], "9")), "a source may move on without events");
    assert_eq!(relay.done_to(), "9");
}

#[test]
fn a_source_far_ahead_is_not_read_further() {
    let mut relay = Relay::new(String::new());
    let names: Vec<String> = (0..EVENTS_MAX).map(|number| number.to_string()).collect();
    let events: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    relay.take(page(&events, "x"));
    assert_eq!(relay.wants(), None);
    relay.ready();
    relay.answered(&"a".parse().unwrap());
    assert_eq!(relay.wants(), Some("x"));
}

#[test]
fn an_event_becomes_the_call_of_the_api() {
    let event = |say: &str| -> Event {
        serde_json::from_value(json!({
            "id": "17", "round_id": "m-1", "say": say, "body": {"replaces": 0, "outcome": "first"},
        }))
        .unwrap()
    };
    for (say, method, path) in [
        ("open", "POST", "/v1/rounds"),
        ("amend", "PATCH", "/v1/rounds/m-1"),
        ("close", "POST", "/v1/rounds/m-1/close"),
        ("result", "POST", "/v1/rounds/m-1/result"),
        ("correct", "POST", "/v1/rounds/m-1/correct"),
        ("withdraw", "POST", "/v1/rounds/m-1/withdraw"),
        ("void", "POST", "/v1/rounds/m-1/void"),
    ] {
        let (called, at, body) = event(say).call("sports");
        assert_eq!((called.as_str(), at.as_str()), (method, path));
        assert_eq!(body["request_id"], "sports-17");
        assert_eq!(body["outcome"], "first");
        assert_eq!(body.get("round_id").is_some(), say == "open");
    }
}

#[test]
fn what_is_no_page_is_refused() {
    let stuck = json!({"events": [{"id": "1", "round_id": "a", "say": "close"}], "next": "7"});
    let unknown = json!({"events": [{"id": "1", "round_id": "a", "say": "shout"}], "next": "8"});
    let bad_round =
        json!({"events": [{"id": "1", "round_id": "a b", "say": "close"}], "next": "8"});
    for text in
        ["", "[]", "<html>", &stuck.to_string(), &unknown.to_string(), &bad_round.to_string()]
    {
        assert!(Page::read(text.as_bytes(), "7").is_err(), "{text}");
    }
    assert!(Page::read(br#"{"events":[],"next":"7"}"#, "7").is_ok());
}

#[test]
fn cursors_are_escaped() {
    assert_eq!(escaped("a-1_~.é&/ "), "a-1_~.%C3%A9%26%2F%20");
}

proptest! {
    /// In whatever order answers come: an event is said once, its round's order is kept, and the cursor
    /// stored never passes one that has no answer.
    #[test]
    fn nothing_is_passed_over(
        pages in prop::collection::vec(prop::collection::vec(0_u8..4, 0..5), 1..6),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut relay = Relay::new(String::new());
        let mut count = 0_usize;
        let mut page_ends = Vec::new();
        for (number, rounds) in pages.iter().enumerate() {
            let names: Vec<(String, String)> = rounds
                .iter()
                .map(|round| {
                    count += 1;
                    (count.to_string(), format!("r{round}"))
                })
                .collect();
            let events: Vec<(&str, &str)> =
                names.iter().map(|(id, round)| (id.as_str(), round.as_str())).collect();
            relay.take(page(&events, &format!("c{number}")));
            page_ends.push(count);
        }
        let mut said: Vec<Event> = Vec::new();
        let mut done: Vec<usize> = Vec::new();
        for choice in choices {
            said.extend(relay.ready());
            if said.is_empty() {
                break;
            }
            let event = said.remove(choice.index(said.len()));
            done.push(event.id.as_str().parse().unwrap());
            relay.answered(&event.round_id);
            let through = (1..=count).take_while(|id| done.contains(id)).count();
            let whole = page_ends.iter().rposition(|end| *end <= through);
            let wanted = whole.map(|page| format!("c{page}")).unwrap_or_default();
            prop_assert_eq!(relay.done_to(), wanted);
        }
        let mut sorted = done.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (1..=count).collect::<Vec<_>>());
    }
}
