use super::*;
use crate::faults::SplitMix;
use std::collections::BTreeSet;

#[test]
fn every_name_is_its_own_and_parses() {
    for (number, one) in (1..).zip(Misbehaviour::ALL) {
        let entry = one.entry();
        assert_eq!((entry.number, entry.name.parse()), (number, Ok(one)));
        assert_eq!(Misbehaviour::ALL[one.index()], one);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(entry.name.bytes().all(plain) && !entry.outcomes.is_empty(), "{one}");
        assert_eq!(entry.money == Money::Right, entry.parks.is_none(), "{one}");
    }
    let names: BTreeSet<_> = Misbehaviour::ALL.map(|one| one.entry().name).into();
    assert_eq!(names.len(), 32);
    assert!("reply_dropped".parse::<Misbehaviour>().is_err());
}

#[test]
fn each_is_drawn_as_often_as_asked() {
    let mut settings = MisbehaveSettings::NONE;
    assert!(settings.is_quiet());
    *settings.only.of(Misbehaviour::Redirect) = 250;
    assert!(!settings.is_quiet());
    let mut random = SplitMix::new(1);
    let drawn: Vec<_> = (0..10_000).filter_map(|_| settings.draw(&mut random)).collect();
    assert!(drawn.iter().all(|one| *one == Misbehaviour::Redirect));
    assert!((2_300..2_700).contains(&drawn.len()), "{} of 10000", drawn.len());

    let settings = MisbehaveSettings { mix: 500, ..MisbehaveSettings::NONE };
    assert!(!settings.is_quiet());
    let drawn: Vec<_> = (0..10_000).filter_map(|_| settings.draw(&mut random)).collect();
    assert!((4_700..5_300).contains(&drawn.len()), "{} of 10000", drawn.len());
    assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), Misbehaviour::ALL.into());
}

#[test]
fn a_call_takes_as_many_numbers_whatever_the_switches() {
    let mut random = [SplitMix::new(7), SplitMix::new(7)];
    let mixed = MisbehaveSettings { only: ByName::all(300), mix: 900, ..MisbehaveSettings::NONE };
    mixed.draw(&mut random[0]);
    MisbehaveSettings::NONE.draw(&mut random[1]);
    assert_eq!(random[0].next_number(), random[1].next_number());
}

#[test]
fn only_is_a_name_and_a_rate() {
    let redirect = |rate| Ok(Only { which: Misbehaviour::Redirect, rate });
    assert_eq!("redirect".parse(), redirect(1000));
    assert_eq!("redirect=5".parse(), redirect(5));
    for bad in ["redirect=1001", "redirect=", "redirect=-1", "redirects", ""] {
        assert!(bad.parse::<Only>().is_err(), "{bad}");
    }
}

#[test]
fn a_script_names_calls() {
    let text =
        "# the second, then some\n2 redirect\n\n3-5 empty-200 # three\n4 html-200\n9- tls-alert";
    let script: Script = text.parse().unwrap();
    let said: Vec<_> = (1..11).map(|call| script.at(call).map(|one| one.entry().name)).collect();
    let (two, three, tls) = (Some("redirect"), Some("empty-200"), Some("tls-alert"));
    assert_eq!(said, [None, two, three, three, three, None, None, None, tls, tls]);
    for (bad, line) in [("1", 1), ("\n0 redirect", 2), ("5-4 redirect", 1), ("1 redirect x", 1)] {
        assert_eq!(bad.parse::<Script>(), Err(ScriptError::Form { line }), "{bad}");
    }
    assert!(matches!("1 a".parse::<Script>(), Err(ScriptError::Name { line: 1, .. })));
}

#[test]
fn switches_are_json_by_name() {
    let settings: MisbehaveSettings =
        serde_json::from_str(r#"{"only":{"redirect":5},"late_ms":7}"#).unwrap();
    let mut wanted = MisbehaveSettings { late_ms: 7, ..MisbehaveSettings::NONE };
    *wanted.only.of(Misbehaviour::Redirect) = 5;
    assert_eq!(settings, wanted);
    assert_eq!(serde_json::to_value(settings).unwrap()["only"].to_string(), r#"{"redirect":5}"#);
    for bad in [r#"{"only":{"redirects":5}}"#, r#"{"onyl":{}}"#, r#"{"only":{"redirect":-1}}"#] {
        assert!(serde_json::from_str::<MisbehaveSettings>(bad).is_err(), "{bad}");
    }
}
