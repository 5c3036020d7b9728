//! The configuration of a native server: one directory holds its ports, settings, log and data.

use crate::StackError;
use crate::jars::{self, Product};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// The state file of a cluster: chosen at its first start and kept, so that a server that comes back
/// has its old address. Whether a member runs is asked of the system (`process::running`), since
/// a process id in a file may be somebody else's by now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub product: Product,
    pub version: String,
    pub members: Vec<Member>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub id: u16,
    pub client_port: u16,
    /// Between servers: Kafka's controllers, Cassandra's gossip.
    pub peer_port: u16,
}

impl Member {
    /// Where clients connect.
    pub(crate) fn address(&self, product: Product) -> SocketAddr {
        SocketAddr::from((self.host(product), self.client_port))
    }

    /// Clients of a store take it that all its nodes listen at one port: each has a host of its own.
    fn host(&self, product: Product) -> Ipv4Addr {
        match product {
            Product::Kafka => Ipv4Addr::LOCALHOST,
            Product::Cassandra => {
                Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) - 1 + u32::from(self.id))
            }
        }
    }
}

/// All that is needed to start one server, as often as it is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub product: Product,
    pub dir: PathBuf,
    pub address: SocketAddr,
    pub java: PathBuf,
    pub arguments: Vec<String>,
}

impl Cluster {
    /// The cluster of `dir`, if it was ever started.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(dir.join("cluster.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The cluster of `dir`; a new one with free ports if there is none, of one member where the size is
    /// of no concern.
    pub(crate) fn load_or_choose(
        dir: &Path,
        product: Product,
        members: Option<u16>,
    ) -> Result<Self, StackError> {
        if let Some(found) = Self::load(dir)
            && found.version == product.version()
        {
            let size = found.members.len();
            if size == 0 || members.is_some_and(|members| usize::from(members) != size) {
                return Err(StackError::OtherSize { path: dir.to_owned(), found: size });
            }
            return Ok(found);
        }
        if dir.exists() {
            // Without its state file, or of another version: nothing here can be started again.
            fs::remove_dir_all(dir).map_err(StackError::io("remove", dir))?;
        }
        let mut ports = (free_port()?, free_port()?);
        let member = |id| {
            if product == Product::Kafka && 1 < id {
                ports = (free_port()?, free_port()?);
            }
            Ok(Member { id, client_port: ports.0, peer_port: ports.1 })
        };
        let members = (1..=members.unwrap_or(1)).map(member).collect::<Result<_, StackError>>()?;
        let chosen = Self { product, version: product.version().to_owned(), members };
        fs::create_dir_all(dir).map_err(StackError::io("make", dir))?;
        let text = serde_json::to_string_pretty(&chosen).map_err(std::io::Error::from);
        text.and_then(|text| fs::write(dir.join("cluster.json"), text))
            .map_err(StackError::io("write the state file of", dir))?;
        Ok(chosen)
    }

    /// Writes every member's settings and says how each is started.
    pub(crate) fn launches(&self, dir: &Path, lib: &Path) -> Result<Vec<Launch>, StackError> {
        let java = jars::java()?;
        self.members.iter().map(|member| self.launch(dir, lib, &java, member)).collect()
    }

    fn launch(
        &self,
        dir: &Path,
        lib: &Path,
        java: &Path,
        member: &Member,
    ) -> Result<Launch, StackError> {
        let home = member_dir(dir, member);
        fs::create_dir_all(&home).map_err(StackError::io("make", &home))?;
        let write = |name: &str, text: String| {
            let path = home.join(name);
            fs::write(&path, text).map_err(StackError::io("write", &path)).map(|()| path)
        };
        let mark = mark(&home);
        let at = home.display();
        let arguments = match self.product {
            Product::Kafka => {
                write("server.properties", self.kafka_properties(&home, member))?;
                write("log4j2.xml", LOG4J2.to_owned())?;
                let settings = format!("{at}/server.properties");
                format_log(java, lib, &home)?;
                let mut arguments = words(&[&mark, "-Xmx1g", "-XX:TieredStopAtLevel=1"]);
                arguments.push(format!("-Dlog4j2.configurationFile={at}/log4j2.xml"));
                arguments.extend(words(&["-cp", &all_of(lib), "kafka.Kafka", &settings]));
                arguments
            }
            Product::Cassandra => {
                write("cassandra.yaml", cassandra_yaml(member.host(self.product), member))?;
                write("logback.xml", LOGBACK.to_owned())?;
                let mut arguments = words(&[&mark, "-Xmx768m", "-XX:TieredStopAtLevel=1"]);
                arguments.push(format!("-javaagent:{}/jamm-0.4.0.jar", lib.display()));
                for (flag, packages) in [("exports", EXPORTS), ("opens", OPENS)] {
                    let one = |package: &str| format!("--add-{flag}={package}=ALL-UNNAMED");
                    arguments.extend(packages.split_whitespace().map(one));
                }
                arguments.extend([
                    format!("-Dlogback.configurationFile={at}/logback.xml"),
                    format!("-Dcassandra.config=file://{at}/cassandra.yaml"),
                    format!("-Dcassandra.storagedir={at}/data"),
                ]);
                arguments.extend(words(&CASSANDRA_ALONE));
                let class = "org.apache.cassandra.service.CassandraDaemon";
                arguments.extend(words(&["-cp", &all_of(lib), class]));
                arguments
            }
        };
        Ok(Launch {
            product: self.product,
            dir: home,
            address: member.address(self.product),
            java: java.to_owned(),
            arguments,
        })
    }

    fn kafka_properties(&self, home: &Path, member: &Member) -> String {
        let (id, client, peer) = (member.id, member.client_port, member.peer_port);
        let voter = |one: &Member| format!("{}@127.0.0.1:{}", one.id, one.peer_port);
        let voters = self.members.iter().map(voter).collect::<Vec<_>>().join(",");
        let replicas = self.members.len().min(3);
        let in_sync = replicas.min(2);
        let home = home.display();
        format!(
            "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{peer}
advertised.listeners=PLAINTEXT://127.0.0.1:{client}
controller.listener.names=CONTROLLER
log.dirs={home}/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.retention.minutes=60000
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
"
        )
    }
}

pub(crate) fn member_dir(dir: &Path, member: &Member) -> PathBuf {
    dir.join(member.id.to_string())
}

/// Stands on a server's command line and tells whose process it is.
pub(crate) fn mark(home: &Path) -> String {
    format!("-Droundhouse.stack={}", home.display())
}

/// Writes the id of the cluster into an empty data directory.
fn format_log(java: &Path, lib: &Path, home: &Path) -> Result<(), StackError> {
    if home.join("data/meta.properties").exists() {
        return Ok(());
    }
    let mut command = Command::new(java);
    command.args(["-XX:TieredStopAtLevel=1", "-cp", &all_of(lib), "kafka.tools.StorageTool"]);
    command.args(["format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"]);
    jars::run(command.arg(home.join("server.properties")), "formatting Kafka's log directory")
}

/// The first node is the seed of all.
fn cassandra_yaml(host: Ipv4Addr, member: &Member) -> String {
    let (client, peer) = (member.client_port, member.peer_port);
    format!(
        "cluster_name: roundhouse-tests
num_tokens: 1
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{ seeds: '127.0.0.1:{peer}' }}]
listen_address: {host}
storage_port: {peer}
rpc_address: {host}
native_transport_port: {client}
# Answers after the fsync, which is what durable means; the default answers before it.
commitlog_sync: group
commitlog_sync_group_window: 2ms
commitlog_segment_size: 16MiB
dynamic_snitch: false
"
    )
}

/// Outside the range that the system gives to outgoing connections (32768 and above): there, a client
/// could sit on the port of a server that is down, or connect to itself.
pub(crate) fn free_port() -> Result<u16, StackError> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    for _ in 0..10_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
        let port = 20_000 + (u32::from(own) * 37 + u32::from(step)) % 10_000;
        let port = u16::try_from(port).map_err(|_| StackError::NoPort)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(StackError::NoPort)
}

fn all_of(lib: &Path) -> String {
    format!("{}/*", lib.display())
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Sixteen bytes in base64: "roundhouse-tests".
const CLUSTER_ID: &str = "cm91bmRob3VzZS10ZXN0cw";

/// A node that waits for no other.
const CASSANDRA_ALONE: [&str; 4] = [
    "-Dcassandra-foreground=yes",
    "-Dcassandra.ring_delay_ms=100",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Djdk.attach.allowAttachSelf=true",
];

/// From Cassandra's own `conf/jvm17-server.options`.
const EXPORTS: &str = "java.base/jdk.internal.misc java.base/java.lang.ref \
    java.base/jdk.internal.ref java.base/sun.nio.ch java.rmi/sun.rmi.registry \
    java.rmi/sun.rmi.server java.rmi/sun.rmi.transport.tcp java.sql/java.sql \
    java.management.rmi/com.sun.jmx.remote.internal.rmi jdk.unsupported/sun.misc \
    jdk.compiler/com.sun.tools.javac.file jdk.attach/sun.tools.attach";
const OPENS: &str = "java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect \
    java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic \
    java.base/java.io java.base/java.math java.base/java.net java.base/java.nio \
    java.base/sun.nio.ch java.base/jdk.internal.loader java.base/jdk.internal.math \
    java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect \
    java.base/jdk.internal.util.jar java.base/jdk.internal.vm \
    jdk.management/com.sun.management.internal jdk.compiler/com.sun.tools.javac";

const LOG4J2: &str = r#"<Configuration status="warn">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"#;
const LOGBACK: &str = r#"<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
"#;
