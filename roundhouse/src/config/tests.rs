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
    let rack = ("ROUNDHOUSE__CLUSTER__PROPERTIES", r#"{ "client.rack" = "a" }"#);
    let config = load(file, &[nodes, rack]).unwrap();
    assert_eq!(config.engine.kind, EngineKind::Cluster);
    assert_eq!(
        (config.cluster.brokers.as_str(), config.cluster.profile),
        ("a:1,b:2", Profile::Single)
    );
    assert_eq!(config.cluster.store_nodes, ["n1:9042", "n2:9042"]);
    assert_eq!(config.cluster.properties["client.rack"], "a");
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

fn findings(file: &str, environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let error = load(file, environment).unwrap_err();
    let Findings(findings) = error.downcast::<Findings>().unwrap();
    findings.into_iter().map(|finding| (finding.path, finding.text)).collect()
}

const MUCH_IS_WRONG: &str = r#"
    listen = "x"
    [server]
    listne = "127.0.0.1:1"
    connections_max = 0
    header_wait_ms_max = "long"
    [engine]
    kind = "kafka"
    [storage]
    retention_days = 3
    [dispatcher]
    chunk_items_max = 501
    [signing]
    keys = ["whpk_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_AAAA"]
    [telemetry]
    log = "info,=="
    [[operators]]
    name = "desk"
    key = "short"
    roles = ["rounds", "aprove"]
    [[operators]]
    name = "desk"
    [[partners]]
    id = "acme"
    wallet_url = "ftp://w"
    token_key = "x"
    reply_keys = ["x", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    shared_secrets = ["whsk_AAAA"]
    currencies = []
    [[partners]]
    id = "b e t"
    wallet = "http://w:1"
    wallet_url = "http://w:1"
    token_key = "AAAA"
    [[partners.currencies]]
    currency = "EUR"
    exponent = -2
    stake_min_units = 10
    stake_max_units = 5
    payout_max_units = 0
    liability_max_units = "much"
    [[partners.currencies]]
    currency = "euro"
"#;

/// Whatever is wrong is told at once, also where one thing hides another.
#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let found = findings(MUCH_IS_WRONG, &[("ROUNDHOUSE__SERVER__PORT", "1")]);
    for (path, words) in [
        ("ROUNDHOUSE__SERVER__PORT", "there is no `port`"),
        ("listen", "there is no `listen`"),
        ("server.listne", "did you mean `listen`?"),
        ("server.connections_max", "at least 1"),
        ("server.header_wait_ms_max", "whole number"),
        ("engine.kind", "`embedded` or `cluster`"),
        ("storage.retention_days", "at least 35"),
        ("dispatcher.chunk_items_max", "at most 500"),
        ("signing.keys", "at most 2"),
        ("signing.keys[0]", "must begin with whsk_"),
        ("signing.keys[1]", "belongs to one of the partners"),
        ("signing.keys[2]", "has 3 bytes"),
        ("telemetry.log", "does not parse"),
        ("operators[0].key", "shorter than 20"),
        ("operators[0].roles[1]", "did you mean `approve`?"),
        ("operators[1].name", "two operators desk"),
        ("operators[1].key", "is missing"),
        ("partners[0].wallet_url", ""),
        ("partners[0].token_key", "base64url"),
        ("partners[0].reply_keys", "one or two"),
        ("partners[0].reply_keys[0]", "must begin with whpk_"),
        ("partners[0].reply_keys[1]", "belongs into shared_secrets"),
        ("partners[0].shared_secrets[0]", "has 3 bytes"),
        ("partners[0].currencies", "in none"),
        ("partners[1].id", ""),
        ("partners[1].wallet", "did you mean `wallet_url`?"),
        ("partners[1].currencies[0].exponent", "whole number"),
        ("partners[1].currencies[0].stake_min_units", "at most stake_max_units"),
        ("partners[1].currencies[0].payout_max_units", "above 0"),
        ("partners[1].currencies[0].liability_max_units", "whole number"),
        ("partners[1].currencies[1].currency", ""),
        ("partners[1].currencies[1].exponent", "is missing"),
        ("partners[1].currencies[1].liability_max_units", "is missing"),
    ] {
        let of = found.iter().filter(|(at, _)| at == path).collect::<Vec<_>>();
        let told = of.iter().any(|(_, text)| text.contains(words));
        assert!(told && of.len() == 1, "{path}: {words}: {of:?} of {found:#?}");
    }
}

#[test]
fn ports_are_two() {
    for (listen, admin, wrong) in [
        ("127.0.0.1:1", "127.0.0.1:1", true),
        ("0.0.0.0:1", "127.0.0.1:1", true),
        ("127.0.0.1:1", "127.0.0.2:1", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
    ] {
        let file = format!("[server]\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"");
        assert_eq!(load(&file, &[]).is_err(), wrong, "{listen} {admin}");
    }
}

/// Text that looks like a number is text where text is wanted.
#[test]
fn a_secret_of_digits_is_a_text() {
    let environment = [("ROUNDHOUSE__SIMPLE__PARTNER_SECRET", "12345678")];
    assert_eq!(load("", &environment).unwrap().simple.partner_secret, "12345678");
}

const CANARY: &str = "canary-0123456789abcdefghij";
/// Of a secret key.
const SEED: &str = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";

/// A secret is in none of what is said of a configuration, be it right or wrong.
#[test]
fn secrets_are_never_shown() {
    let good = format!(
        "[[operators]]\nname = \"desk\"\nkey = \"{CANARY}\"\n\
         [cluster]\nproperties = {{ \"sasl.password\" = \"{CANARY}\", \"linger.ms\" = \"1\" }}\n\
         [signing]\nkeys = [\"whsk_{SEED}\"]\n"
    );
    let shown = |file: &str, environment: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roundhouse.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::shown(Some(&path), environment)
    };
    let text = shown(&good, &[("ROUNDHOUSE__SERVER__LISTEN", "127.0.0.1:7")]).unwrap();
    assert!(!text.contains("canary") && !text.contains(SEED), "{text}");
    for words in [
        "key = \"***\"",
        "\"sasl.password\" = \"***\"",
        "properties.\"linger.ms\" = \"1\"",
        "listen = \"127.0.0.1:7\"",
        "# ROUNDHOUSE__SERVER__LISTEN",
        "# file",
        "# default",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let again: Table = text.parse().unwrap();
    assert_eq!(again["server"]["listen"].as_str(), Some("127.0.0.1:7"));
    let debug = format!("{:?}", load(&good, &[]).unwrap());
    assert!(!debug.contains("canary") && !debug.contains(SEED), "{debug}");
    for wrong in [
        format!("[[operators]]\nname = \"desk\"\nkey = [\"{CANARY}\"]"),
        format!("[[operators]]\nname = \"desk\"\nkey = \"{CANARY}"),
        format!("[[operators]]\nname = \"desk\"\nkey = \"{CANARY}\"\nrole = 1"),
        format!("[simple]\npartner = \"acme\"\npartner_secret = \"{CANARY}\""),
        format!("[cluster]\nproperties = {{ \"sasl.password\" = [\"{CANARY}\"] }}"),
        format!("[signing]\nkeys = [\"whsk_{CANARY}\"]"),
        format!("[signing]\nkeys = \"whsk_{CANARY}\""),
        format!("signing = \"whsk_{CANARY}\""),
        format!("[[partners]]\nid = \"a\"\nshared_secrets = \"whsec_{CANARY}\""),
        format!("[[partners]]\nid = \"a\"\nshared_secrets = [\"whsec_{CANARY}\"]"),
        format!("[[partners]]\nid = \"a\"\nwallet_url = \"http://u:{CANARY}@w:1\""),
    ] {
        let error = load(&wrong, &[]).unwrap_err();
        for said in [format!("{error:#}"), format!("{error:?}")] {
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
