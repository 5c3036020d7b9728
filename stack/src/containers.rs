//! Kafka and a CQL store in containers of the Docker engine on this machine.
//!
//! They stay up for the next test binary; `target/stack/containers` names them for `stack down`.

use crate::launch::free_port;
use crate::search::Way;
use crate::{CqlServer, Servers, StackError, docker, probe, say};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use testcontainers::core::{ContainerPort, IntoContainerPort};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

const READY_LIMIT: Duration = Duration::from_secs(120);
/// With the pull of an image that is not there yet.
const START_LIMIT: Duration = Duration::from_secs(600);

const KAFKA: (&str, &str) = ("apache/kafka", "4.1.0");
const STORE: (&str, &str) = ("scylladb/scylla", "6.2");

/// Makes sure that the shared containers run. The caller holds the lock of `home`.
pub(crate) fn up(home: &Path) -> Result<Servers, StackError> {
    let dir = home.join("containers");
    fs::create_dir_all(&dir).map_err(StackError::io("make", &dir))?;
    let (kafka, store) = match (left(&dir, KAFKA.0), left(&dir, STORE.0)) {
        (Some(kafka), Some(store))
            if probe::kafka_brokers(local(kafka)).is_ok() && probe::cql(local(store)).is_ok() =>
        {
            (kafka, store)
        }
        _ => {
            docker::remove_named(&dir)?;
            start_both(&dir)?
        }
    };
    wait("apache/kafka", || probe::kafka_brokers(local(kafka)))?;
    let store_says: CqlServer = wait("scylladb/scylla", || probe::cql(local(store)))?;
    Ok(Servers {
        way: Way::Docker,
        kafka: local(kafka).to_string(),
        store: local(store).to_string(),
        kafka_version: KAFKA.1.to_owned(),
        store_says,
    })
}

/// The port of a container that an earlier run left: a file named by its id holds image and port.
fn left(dir: &Path, image: &str) -> Option<u16> {
    let files = fs::read_dir(dir).ok()?.flatten();
    let mut texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.find_map(|text| text.strip_prefix(image)?.trim().parse().ok())
}

fn start_both(dir: &Path) -> Result<(u16, u16), StackError> {
    let (kafka, peer, store) = (free_port()?, free_port()?, free_port()?);
    start(dir, KAFKA, kafka, |image| kafka_request(image, kafka, peer))?;
    start(dir, STORE, store, |image| store_request(image, store))?;
    Ok((kafka, store))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Inside it listens at the port that is mapped, so that what it advertises is true outside too.
fn kafka_request(image: GenericImage, port: u16, peer: u16) -> ContainerRequest<GenericImage> {
    let settings = [
        ("NODE_ID", "1".to_owned()),
        ("PROCESS_ROLES", "broker,controller".to_owned()),
        ("CONTROLLER_QUORUM_VOTERS", format!("1@localhost:{peer}")),
        ("CONTROLLER_LISTENER_NAMES", "CONTROLLER".to_owned()),
        ("LISTENERS", format!("PLAINTEXT://0.0.0.0:{port},CONTROLLER://0.0.0.0:{peer}")),
        ("ADVERTISED_LISTENERS", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("AUTO_CREATE_TOPICS_ENABLE", "false".to_owned()),
        ("GROUP_INITIAL_REBALANCE_DELAY_MS", "0".to_owned()),
        ("OFFSETS_RETENTION_MINUTES", "60000".to_owned()),
        ("OFFSETS_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
        ("TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1".to_owned()),
        ("TRANSACTION_STATE_LOG_MIN_ISR", "1".to_owned()),
        ("HEAP_OPTS", "-Xmx512m".to_owned()),
        ("JVM_PERFORMANCE_OPTS", "-XX:TieredStopAtLevel=1".to_owned()),
    ];
    let request = image.with_mapped_port(port, port.tcp());
    settings.into_iter().fold(request, |request, (name, value)| {
        request.with_env_var(format!("KAFKA_{name}"), value)
    })
}

/// A driver asks the node for its address and then connects to it at the port it already knows.
fn store_request(image: GenericImage, port: u16) -> ContainerRequest<GenericImage> {
    const CQL: ContainerPort = ContainerPort::Tcp(9042);
    const FLAGS: [&str; 8] = [
        "--smp=1",
        "--memory=768M",
        "--overprovisioned=1",
        "--developer-mode=1",
        // Answers after the fsync; services refuse to start on its default.
        "--commitlog-sync=batch",
        "--seeds=127.0.0.1",
        "--broadcast-rpc-address",
        "127.0.0.1",
    ];
    image.with_mapped_port(port, CQL).with_cmd(FLAGS).with_env_var("MAX_HEAP_SIZE", "768M")
}

fn start(
    dir: &Path,
    (name, tag): (&str, &str),
    port: u16,
    request: impl FnOnce(GenericImage) -> ContainerRequest<GenericImage>,
) -> Result<(), StackError> {
    let failed = |reason: String| StackError::Container { image: format!("{name}:{tag}"), reason };
    say(&format!("starting a container of {name}:{tag} ..."));
    let request = request(GenericImage::new(name, tag)).with_startup_timeout(START_LIMIT);
    // A thread of its own: the caller may be in an async runtime, which may not be blocked on another.
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(async {
                let container = request.start().await.map_err(|error| error.to_string())?;
                let id = container.id().to_owned();
                // Dropping it would remove the container, which the next test binary wants.
                std::mem::forget(container);
                Ok(id)
            })
        });
        starting.join().unwrap_or_else(|_| Err("the client of the engine panicked".to_owned()))
    });
    let file = dir.join(started.map_err(failed)?);
    fs::write(&file, format!("{name} {port}")).map_err(StackError::io("write", &file))
}

fn wait<T>(image: &str, ask: impl Fn() -> std::io::Result<T>) -> Result<T, StackError> {
    let started = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if READY_LIMIT < started.elapsed() => {
                let reason = format!("no answer within {READY_LIMIT:?}: {error}");
                return Err(StackError::Container { image: image.to_owned(), reason });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
