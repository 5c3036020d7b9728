//! The servers that all tests share, and their commands.

use crate::jars::{self, Product};
use crate::launch::{self, Cluster, Launch};
use crate::search::{Found, Way, ways};
use crate::{CqlServer, StackError, docker, environment, home, probe, process, say, server};
use std::fmt;
use std::fs::{self, File};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Instant;

const KAFKA: &str = "ROUNDHOUSE_TEST_KAFKA";
const STORE: &str = "ROUNDHOUSE_TEST_STORE";

/// A Kafka cluster and a CQL store that answer.
#[derive(Clone, Debug)]
pub struct Servers {
    /// How they were found.
    pub way: Way,
    /// For `bootstrap.servers`: host:port, with commas between.
    pub kafka: String,
    /// One node of the store, host:port.
    pub store: String,
    /// Empty where it is not known: Kafka does not tell.
    pub kafka_version: String,
    /// What the store says of itself.
    pub store_says: CqlServer,
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, kafka, store, kafka_version, store_says } = self;
        let CqlServer { product, version } = store_says;
        let space = if kafka_version.is_empty() { "" } else { " " };
        write!(
            f,
            "engine: Kafka{space}{kafka_version} ({way}, {kafka}), \
            store: {product} {version} ({way}, {store})"
        )
    }
}

/// Looks for servers; starts them if there are none.
pub(crate) fn find() -> Result<Servers, StackError> {
    let docker = if cfg!(feature = "containers") {
        docker::docker_answers()
    } else {
        Err("this build has no containers: add `--features stack/containers`".to_owned())
    };
    let forced = environment("ROUNDHOUSE_TEST_SERVERS");
    let (kafka, store) = (environment(KAFKA), environment(STORE));
    let named = kafka.clone().zip(store.clone());
    let mut last = StackError::OneAddress;
    for way in ways(&Found { forced, kafka, store, docker })? {
        let found = match (way, &named) {
            (Way::Env, Some((kafka, store))) => from_environment(kafka, store),
            (Way::Env, None) => Err(StackError::OneAddress),
            (Way::Docker, _) => from_docker(),
            (Way::Native, _) => up(None),
        };
        match found {
            Ok(servers) => return Ok(servers),
            Err(error) => {
                say(&format!("servers for tests, way {way}: {error}"));
                last = error;
            }
        }
    }
    Err(last)
}

fn from_environment(kafka: &str, store: &str) -> Result<Servers, StackError> {
    let silent = |variable, address: &str| {
        let address = address.to_owned();
        move |error: std::io::Error| StackError::Silent {
            variable,
            address,
            reason: error.to_string(),
        }
    };
    for broker in kafka.split(',') {
        let address = address(KAFKA, broker)?;
        probe::kafka_brokers(address).map_err(silent(KAFKA, broker))?;
    }
    let store_says = probe::cql(address(STORE, store)?).map_err(silent(STORE, store))?;
    let (kafka, store) = (kafka.to_owned(), store.to_owned());
    Ok(Servers { way: Way::Env, kafka, store, kafka_version: String::new(), store_says })
}

fn address(variable: &'static str, text: &str) -> Result<SocketAddr, StackError> {
    let found = text.trim().to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| StackError::Address { variable, text: text.to_owned() })
}

#[cfg(feature = "containers")]
fn from_docker() -> Result<Servers, StackError> {
    let home = home();
    let _one_at_a_time = lock(&home)?;
    crate::containers::up(&home)
}

#[cfg(not(feature = "containers"))]
fn from_docker() -> Result<Servers, StackError> {
    Err(StackError::NoDocker("this build has no containers".to_owned()))
}

/// Makes sure that the shared native servers run; they go on when this process ends.
///
/// Without a number of `brokers` an existing cluster keeps its size, and a new one has one.
///
/// # Errors
/// If there is a cluster of another size; if they cannot be had or do not answer; the sentence says what to do.
pub fn up(brokers: Option<u16>) -> Result<Servers, StackError> {
    let home = home();
    let _one_at_a_time = lock(&home)?;
    let mut launches = Vec::new();
    for (product, members) in [(Product::Kafka, brokers), (Product::Cassandra, None)] {
        let dir = home.join(product.word());
        let lib = jars::lib(&home, product)?;
        let cluster = Cluster::load_or_choose(&dir, product, members)?;
        launches.extend(cluster.launches(&dir, &lib)?);
    }
    start(&launches)?;

    let of = |product| launches.iter().filter(move |launch| launch.product == product);
    let kafka: Vec<String> = of(Product::Kafka).map(|one| one.address.to_string()).collect();
    let kafka = kafka.join(",");
    let store = launches.last().map(|one| one.address).ok_or(StackError::NoPort)?;
    let store_says = probe::cql(store).map_err(|error| StackError::Silent {
        variable: STORE,
        address: store.to_string(),
        reason: error.to_string(),
    })?;
    let kafka_version = Product::Kafka.version().to_owned();
    Ok(Servers { way: Way::Native, kafka, store: store.to_string(), kafka_version, store_says })
}

/// Starts those that do not answer, all at once, and waits for them.
fn start(launches: &[Launch]) -> Result<(), StackError> {
    let started = Instant::now();
    let mut children = Vec::new();
    for launch in launches.iter().filter(|launch| server::answers(launch).is_err()) {
        // One that runs and does not answer was stopped, or lost its data under `cargo clean`.
        process::end(&launch::mark(&launch.dir), false)?;
        let (name, version) = (launch.product.name(), launch.product.version());
        say(&format!("starting {name} {version} at {} ...", launch.address));
        children.push((launch, server::spawn(launch)?));
    }
    for (launch, child) in &mut children {
        server::wait_ready(launch, child)?;
    }
    if !children.is_empty() {
        say(&format!("servers for tests answer after {} ms", started.elapsed().as_millis()));
    }
    Ok(())
}

/// Stops the shared servers, in containers too. `purge` also removes their data and ports, not the jars.
///
/// # Errors
/// If a process or container cannot be ended, or a file not removed.
pub fn down(purge: bool) -> Result<(), StackError> {
    let home = home();
    let _one_at_a_time = lock(&home)?;
    for product in [Product::Kafka, Product::Cassandra] {
        let dir = home.join(product.word());
        for member in Cluster::load(&dir).iter().flat_map(|cluster| &cluster.members) {
            let home = launch::member_dir(&dir, member);
            if process::end(&launch::mark(&home), !purge)? {
                say(&format!("stopped {} at port {}", product.name(), member.client_port));
            }
        }
        if purge && dir.exists() {
            fs::remove_dir_all(&dir).map_err(StackError::io("remove", &dir))?;
        }
    }
    let removed = docker::remove_named(&home.join("containers"))?;
    if removed != 0 {
        say(&format!("removed {removed} containers"));
    }
    Ok(())
}

/// A shared native server, as it is now.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// Which one.
    pub product: Product,
    /// Of the product.
    pub version: String,
    /// Where clients connect while it runs.
    pub port: u16,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// `Err` says why it does not answer.
    pub answers: Result<(), String>,
}

/// The shared native servers that were ever started and not purged.
pub fn status() -> Vec<ServerStatus> {
    let mut all = Vec::new();
    for product in [Product::Kafka, Product::Cassandra] {
        let dir = home().join(product.word());
        let Some(cluster) = Cluster::load(&dir) else { continue };
        for member in &cluster.members {
            let address = member.address(product);
            let answers = match product {
                Product::Kafka => probe::kafka_brokers(address).map(drop),
                Product::Cassandra => probe::cql(address).map(drop),
            };
            all.push(ServerStatus {
                product,
                version: cluster.version.clone(),
                port: member.client_port,
                pid: process::running(&launch::mark(&launch::member_dir(&dir, member))),
                answers: answers.map_err(|error| error.to_string()),
            });
        }
    }
    all
}

/// Whether shared servers, native or in containers, are left from an earlier run.
pub fn is_up() -> bool {
    let containers = fs::read_dir(home().join("containers"));
    status().iter().any(|server| server.pid.is_some())
        || containers.is_ok_and(|mut files| files.next().is_some())
}

/// Two test binaries must not both start servers. Freed when it is dropped.
pub(crate) fn lock(home: &Path) -> Result<File, StackError> {
    fs::create_dir_all(home).map_err(StackError::io("make", home))?;
    let path = home.join("lock");
    let file = File::create(&path).map_err(StackError::io("open", &path))?;
    file.lock().map_err(StackError::io("lock", &path))?;
    Ok(file)
}
