//! Real servers: the shared ones, and ones that are killed.

use stack::{cql, kafka_brokers, native_cassandra, native_kafka, servers};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn shared_servers_answer() {
    let found = servers();
    for broker in found.kafka.split(',') {
        let address = broker.to_socket_addrs().unwrap().next().unwrap();
        assert!(!kafka_brokers(address).unwrap().is_empty());
    }
    let store = found.store.to_socket_addrs().unwrap().next().unwrap();
    let said = cql(store).unwrap();
    assert_eq!(said, found.store_says);
    assert!(said.version.starts_with(|first: char| first.is_ascii_digit()), "{said:?}");
}

#[test]
fn a_killed_broker_comes_back_with_its_data_on_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let mut kafka = native_kafka(dir.path()).unwrap();
    let (address, pid) = (kafka.address(), kafka.pid().unwrap());
    let written = std::fs::read(kafka.dir().join("data/meta.properties")).unwrap();
    kafka.kill();
    assert_eq!(kafka.pid(), None);
    assert!(kafka_brokers(address).is_err(), "it is gone");

    kafka.start().unwrap();
    assert_eq!(kafka.address(), address);
    assert_ne!(kafka.pid().unwrap(), pid);
    assert_eq!(kafka_brokers(address).unwrap(), [i32::from(address.port())]);
    let found = std::fs::read(kafka.dir().join("data/meta.properties")).unwrap();
    assert_eq!(found, written, "formatted once only");
}

#[test]
fn a_killed_store_keeps_its_data_and_a_stopped_one_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = native_cassandra(dir.path()).unwrap();
    let address = store.address();
    let data = store.dir().join("data/data/system");
    let tables = || std::fs::read_dir(&data).unwrap().count();
    let before = tables();
    assert_ne!(before, 0);

    store.stop_signal().unwrap();
    assert!(cql(address).is_err(), "stopped");
    store.cont_signal().unwrap();
    assert_eq!(cql(address).unwrap().product, "Cassandra");

    store.kill();
    assert!(cql(address).is_err(), "it is gone");
    assert_eq!(tables(), before);
    store.start().unwrap();
    assert_eq!(cql(address).unwrap().version, "5.0.5");
}

/// A test binary that is killed leaves no server behind: this test runs itself as such a binary.
#[test]
fn a_server_ends_with_the_process_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let itself = std::env::current_exe().unwrap();
    let mut owner = Command::new(itself)
        .args(["--exact", "owner_of_a_broker", "--ignored", "--nocapture"])
        .env("STACK_TEST_OWNER_DIR", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let up = dir.path().join("up");
    while !up.exists() {
        assert!(owner.try_wait().unwrap().is_none(), "the owner ended early");
        assert!(started.elapsed() < Duration::from_secs(120), "the broker never answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = std::fs::read_to_string(&up).unwrap();
    let process = Path::new("/proc").join(pid).join("cmdline");
    assert!(!std::fs::read(&process).unwrap().is_empty());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let killed = Instant::now();
    while std::fs::read(&process).is_ok_and(|line| !line.is_empty()) {
        assert!(killed.elapsed() < Duration::from_secs(10), "the broker outlived its owner");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "the process that a_server_ends_with_the_process_that_started_it kills"]
#[expect(clippy::disallowed_methods, reason = "the parent names the directory")]
fn owner_of_a_broker() {
    let dir = std::env::var("STACK_TEST_OWNER_DIR").unwrap();
    let kafka = native_kafka(Path::new(&dir)).unwrap();
    let unfinished = Path::new(&dir).join("up.new");
    std::fs::write(&unfinished, kafka.pid().unwrap().to_string()).unwrap();
    std::fs::rename(&unfinished, Path::new(&dir).join("up")).unwrap();
    std::thread::sleep(Duration::from_secs(300));
}
