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
