//! Layers and refusals.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roundhouse.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::load(Some(&path), environment, Overrides::default())
}

#[track_caller]
fn refused(file: &str, environment: &[(&str, &str)], words: &[&str]) {
    let error = format!("{:#}", load(file, environment).unwrap_err());
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn the_defaults_are_a_configuration() {
    let config = Config::load(None, Vec::new(), Overrides::default()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.storage.retention_days, 35);
}

#[test]
fn each_layer_overrides_the_one_before() {
    let file = "[server]\nlisten = \"0.0.0.0:1\"\nconnections_max = 5\n[storage]\nreserve_mb = 7";
    let environment = [("ROUNDHOUSE__SERVER__LISTEN", "0.0.0.0:2"), ("HOME", "/root")];
    let config = load(file, &environment).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!((config.server.connections_max, config.storage.reserve_mb), (5, 7));
    assert_eq!(config.server.header_wait_ms_max, 10_000);
    let flags = Overrides { listen: Some("0.0.0.0:3".parse().unwrap()), ..Overrides::default() };
    let environment = [("ROUNDHOUSE__SERVER__LISTEN".to_owned(), "0.0.0.0:2".to_owned())];
    let config = Config::load(None, environment, flags).unwrap();
    assert_eq!(config.server.listen.port(), 3);
}

#[test]
fn lists_come_from_the_environment_too() {
    let key = r#"[{ name = "desk", key = "abcdefghijklmnopqrstuvwxyz" }]"#;
    let config = load("", &[("ROUNDHOUSE__OPERATORS", key)]).unwrap();
    assert_eq!(config.operators[0].name, "desk");
    assert!(!format!("{config:?}").contains("abcdef"), "keys are not shown");
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    refused("[server]\nlisten_on = \"x\"", &[], &["listen_on", "server", "--print-config"]);
    refused("[server]\nconnections_max = \"many\"", &[], &["server.connections_max"]);
    refused("[[partners]]\nid = \"a\"\nurl = \"x\"", &[], &["url", "partners"]);
    refused("", &[("ROUNDHOUSE__SERVER__PORT", "1")], &["ROUNDHOUSE__SERVER__PORT", "`port`"]);
    refused("[storage]\nretention_days = 30", &[], &["storage.retention_days", "at least 35"]);
    refused("[dispatcher]\nchunk_items_max = 501", &[], &["chunk_items_max", "500"]);
    refused("listen = ", &[], &["is not TOML"]);
}

/// The defaults document every key: nothing that can be set is missing there.
#[test]
fn every_default_has_a_comment() {
    let mut commented = false;
    for line in DEFAULTS.lines() {
        let setting = line.contains(" = ") && !line.starts_with('#');
        assert!(!setting || commented, "`{line}` has no comment above it");
        commented = line.starts_with('#') || (setting && commented);
    }
}
