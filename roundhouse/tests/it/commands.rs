//! The commands that prepare servers find them as the services do.

use crate::house::{EXE, Street};
use runtime::cluster::Cluster;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str], config: &Path, environment: &[(&str, &str)], flags: &[&str]) -> Output {
    let mut command = Command::new(EXE);
    command.args(arguments).arg("--config").arg(config).args(flags);
    command.envs(environment.iter().copied()).output().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}{errors}");
    assert!(said.contains(words), "`{words}` is not in: {said}");
}

/// What `config check` says is what a server would say, and `config show` says where each value is from.
#[test]
fn a_configuration_is_checked_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roundhouse.toml");
    std::fs::write(&path, "[server]\nconnections_max = 7\n").unwrap();
    let elsewhere = [("ROUNDHOUSE__STORAGE__RESERVE_MB", "9")];
    let checked = run(&["config", "check"], &path, &elsewhere, &[]);
    ended(&checked, 0, "a server would take it: 0 operators, 0 partners");
    let shown = run(&["config", "show"], &path, &elsewhere, &[]);
    ended(&shown, 0, "ROUNDHOUSE__STORAGE__RESERVE_MB");
    let text = String::from_utf8_lossy(&shown.stdout);
    let line = text.lines().find(|line| line.starts_with("connections_max")).unwrap();
    assert!(line.contains("= 7") && line.ends_with("# file"), "{line}");

    std::fs::write(&path, "[server]\nlistne = 7\n[storage]\nretention_days = 1\n").unwrap();
    let data_dir = directory.path().join("data");
    let data_dir = ["--data-dir", data_dir.to_str().unwrap()];
    for (command, flags) in [(&["config", "check"][..], &[][..]), (&["serve"], &data_dir)] {
        let refused = run(command, &path, &[], flags);
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        for words in ["2 errors", "server.listne", "`listen`?", "storage.retention_days"] {
            assert!(errors.contains(words), "`{words}` is not in: {errors}");
        }
    }
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(EXE).args(["completions", shell]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        for word in ["dispatcher", "admin-listen", "settlements"] {
            assert!(said.contains(word), "{shell} does not know {word}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(EXE).arg("man").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(directory.path().join("roundhouse-topics-tail.1")).unwrap();
    assert!(page.contains("TOPIC"), "{page}");
}

/// One file serves `serve`, `topics` and `store`; the environment overrides it, and flags override both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_and_store_read_the_services_configuration() {
    let street = Street::on::<Cluster>(1, 91, &[]).await;
    let config = street.file("");
    let cluster = &street.config.cluster;
    let checked = run(&["topics", "check"], &config, &[], &[]);
    ended(&checked, 0, "services may start");
    let planned = run(&["topics", "plan"], &config, &[], &[]);
    ended(&planned, 0, "would create 0 topics and alter 0;");
    let elsewhere = [("ROUNDHOUSE__CLUSTER__NAMESPACE", "nobody.")];
    let checked = run(&["topics", "check"], &config, &elsewhere, &[]);
    ended(&checked, 1, "nobody.bets.v1");
    let checked = run(&["topics", "check"], &config, &[], &["--profile", "cluster"]);
    ended(&checked, 1, "services would refuse to start");
    for service in ["ingest", "settler", "dispatcher"] {
        let refused = [("ROUNDHOUSE__CLUSTER__PROFILE", "cluster")];
        let started = run(&[service], &config, &refused, &["--listen", "127.0.0.1:0"]);
        let errors = String::from_utf8_lossy(&started.stderr);
        assert_eq!(started.status.code(), Some(2), "{errors}");
        for words in ["settlements.v1", "replica"] {
            assert!(errors.contains(words), "`{words}` is not in: {errors}");
        }
    }

    let status = run(&["store", "status"], &config, &[], &[]);
    ended(&status, 0, &format!("services start on keyspace {}", cluster.keyspace));
    let elsewhere = [("ROUNDHOUSE__CLUSTER__KEYSPACE", "nobody")];
    let status = run(&["store", "status"], &config, &elsewhere, &[]);
    ended(&status, 1, "keyspace nobody does not exist");
    let back = run(&["store", "status"], &config, &elsewhere, &["--keyspace", &cluster.keyspace]);
    ended(&back, 0, &format!("services start on keyspace {}", cluster.keyspace));
    let migrated = run(&["store", "migrate"], &config, &[], &[]);
    ended(&migrated, 0, &format!("keyspace {} is up to date", cluster.keyspace));
}
