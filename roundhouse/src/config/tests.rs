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

#[test]
fn the_engine_is_chosen_by_flag_file_or_environment() {
    assert_eq!(load("", &[]).unwrap().engine.kind, EngineKind::Embedded);
    let file =
        "[engine]\nkind = \"cluster\"\n[cluster]\nbrokers = \"a:1,b:2\"\nprofile = \"single\"";
    let nodes = ("ROUNDHOUSE__CLUSTER__STORE_NODES", r#"["n1:9042", "n2:9042"]"#);
    let tls = ("ROUNDHOUSE__CLUSTER__PROPERTIES", r#"{ "security.protocol" = "ssl" }"#);
    let config = load(file, &[nodes, tls]).unwrap();
    assert_eq!(config.engine.kind, EngineKind::Cluster);
    assert_eq!(
        (config.cluster.brokers.as_str(), config.cluster.profile),
        ("a:1,b:2", Profile::Single)
    );
    assert_eq!(config.cluster.store_nodes, ["n1:9042", "n2:9042"]);
    assert_eq!(config.cluster.properties["security.protocol"], "ssl");
    assert!(!config.cluster.instance().unwrap().is_empty(), "the host has a name");
    let nodes = ("ROUNDHOUSE__CLUSTER__STORE_NODES", "n1:9042, n2:9042");
    assert_eq!(load(file, &[nodes]).unwrap().cluster.store_nodes, ["n1:9042", "n2:9042"]);

    let engine = EngineFlags {
        engine: Some(EngineKind::Cluster),
        brokers: Some("k:9".to_owned()),
        store_nodes: vec!["s:9".to_owned()],
        profile: Some(Profile::Single),
        instance: Some("settler-1".to_owned()),
    };
    let flags = Overrides { engine, ..Overrides::default() };
    let config = Config::load(None, Vec::new(), flags).unwrap();
    assert_eq!(config.engine.kind, EngineKind::Cluster);
    assert_eq!((config.cluster.brokers.as_str(), config.cluster.profile), ("k:9", Profile::Single));
    assert_eq!(config.cluster.store_nodes, ["s:9"]);
    assert_eq!(config.cluster.instance().unwrap(), "settler-1");
}

#[test]
fn flags_about_servers_need_the_engine_that_has_some() {
    for engine in [
        EngineFlags { brokers: Some("k:9".to_owned()), ..EngineFlags::default() },
        EngineFlags { store_nodes: vec!["s:9".to_owned()], ..EngineFlags::default() },
        EngineFlags { profile: Some(Profile::Single), ..EngineFlags::default() },
        EngineFlags { instance: Some("a".to_owned()), ..EngineFlags::default() },
    ] {
        let flags = Overrides { engine, ..Overrides::default() };
        let error = Config::load(None, Vec::new(), flags).unwrap_err().to_string();
        assert!(error.contains("--engine cluster"), "{error}");
    }
}

#[test]
fn servers_that_cannot_be_are_refused() {
    for (key, value) in [
        ("brokers", r#""""#),
        ("brokers", r#""kafka""#),
        ("brokers", r#""a:1,b""#),
        ("brokers", r#""a:0""#),
        ("store_nodes", "[]"),
        ("store_nodes", r#"["n:x"]"#),
        ("instance", r#""a b""#),
        ("namespace", r#""a/b""#),
        ("keyspace", r#""Roundhouse""#),
        ("keyspace", r#""1house""#),
        ("profile", r#""three""#),
    ] {
        let file = format!("[engine]\nkind = \"cluster\"\n[cluster]\n{key} = {value}");
        refused(&file, &[], &[key]);
    }
    // The embedded engine has no servers.
    assert!(load("[cluster]\nbrokers = \"\"", &[]).is_ok());
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
