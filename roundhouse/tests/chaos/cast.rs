//! Servers and processes of the chaos: brokers, nodes of a store, two processes of each service, wallets.

use crate::acts::{Act, OF_EACH, SERVICES, Service};
use crate::house::{EXE, OPERATOR_KEY, Street, WAIT_MAX, on_servers};
use roundhouse::config::Profile;
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::{ServerProcess, free_ports};
use roundhouse::rig::setup;
use roundhouse::serve::open;
use runtime::cluster::Cluster;
use rustix::process::Signal;
use stack::NativeServer;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use toml::{Table, Value};

const PARTNERS: usize = 10;
/// What every process logs: its troubles, and the steps of its start.
const LOG: &str = "warn,runtime::cluster=info";
/// A start that takes longer is told.
const SLOW_START: Duration = Duration::from_secs(5);
/// Everything a wallet can do wrong short of lying.
const FAULTS: &[&str] = &[
    "--jitter-ms",
    "20",
    "--error-500-rate",
    "20",
    "--error-500-after-apply-rate",
    "20",
    "--timeout-after-apply-rate",
    "5",
    "--timeout-ms",
    "1500",
    "--reset-rate",
    "20",
    "--swap-rate",
    "20",
    "--repeat-rate",
    "20",
    "--forge-rate",
    "10",
    "--decline-rate",
    "20",
];
/// Processes that are frozen at the same time at most: some must be left to be disturbed.
const FROZEN_MAX: usize = 2;
/// How a process ends that cannot go on.
const GAVE_UP: i32 = 1;
/// Pause between the steps of a storm: shorter than a group takes to come to rest.
const STORM_PAUSE: Duration = Duration::from_millis(400);
/// How long the desk waits for a verdict: acts follow each other closely, and an ingest may be hit by several.
const PATIENCE: Duration = Duration::from_secs(150);
/// Between two looks at the processes.
const TEND_PAUSE: Duration = Duration::from_millis(500);

/// Everything on the stage.
pub(crate) struct Cast {
    pub(crate) street: Street,
    brokers: Vec<Server>,
    nodes: Vec<Server>,
    config: PathBuf,
    processes: BTreeMap<(Service, usize), Process>,
}

/// A server whose calls block.
type Server = Arc<Mutex<NativeServer>>;

async fn on(server: &Server, work: impl FnOnce(&mut NativeServer) + Send + 'static) {
    let server = Arc::clone(server);
    let done = tokio::task::spawn_blocking(move || work(&mut server.lock().unwrap()));
    done.await.unwrap();
}

struct Process {
    server: ServerProcess,
    arguments: Vec<String>,
    thaws_at: Option<Instant>,
}

impl Cast {
    /// `members` brokers and as many nodes.
    pub(crate) async fn open(seed: u64, members: u16) -> Self {
        let mut street = Street::open(PARTNERS, seed, FAULTS).await;
        let directory = street.directory.path().to_owned();
        let start = move || {
            let brokers = stack::native_kafka_cluster(&directory.join("kafka"), members).unwrap();
            (brokers, stack::native_cassandra_cluster(&directory.join("store"), members).unwrap())
        };
        let (brokers, nodes) = tokio::task::spawn_blocking(start).await.unwrap();
        let at = |servers: &[NativeServer]| -> Vec<String> {
            servers.iter().map(|server| server.address().to_string()).collect()
        };
        let config = &mut street.config;
        let profile = if members == 1 { Profile::Single } else { Profile::Cluster };
        on_servers(config, profile, &at(&brokers).join(","), at(&nodes)).await;
        config.cluster.instance.clear();
        let mut further: Table = "dispatcher = { call_ms_max = 1000 }".parse().unwrap();
        further.insert("engine".to_owned(), Value::try_from(&config.engine).unwrap());
        further.insert("cluster".to_owned(), Value::try_from(&config.cluster).unwrap());
        let path = street.directory.path().join("roundhouse.toml");
        setup::write(&street.config, further, &path).unwrap();
        street.config.cluster.instance = "watch".to_owned();
        let shared = |servers: Vec<NativeServer>| {
            servers.into_iter().map(|server| Arc::new(Mutex::new(server))).collect()
        };
        let (brokers, nodes, config) = (shared(brokers), shared(nodes), path);
        let mut cast = Self { street, brokers, nodes, config, processes: BTreeMap::new() };
        for service in SERVICES {
            for index in 0..OF_EACH {
                cast.start(service, index).await;
            }
        }
        for process in cast.processes.values() {
            let api = Api::new(process.server.url.clone(), OPERATOR_KEY.to_owned());
            api.ready(WAIT_MAX).await.unwrap();
        }
        cast
    }

    /// A client of each ingest.
    pub(crate) fn apis(&self) -> Vec<Api> {
        let ingests = self.processes.iter().filter(|((service, _), _)| *service == Service::Ingest);
        let url = |process: &Process| process.server.url.clone();
        let api = |base| Api::new(base, OPERATOR_KEY.to_owned()).with_patience(PATIENCE);
        ingests.map(|(_, process)| api(url(process))).collect()
    }

    /// The engine, to be read from here.
    pub(crate) async fn engine(&self) -> Cluster {
        open::cluster_reader(&self.street.config).await.unwrap()
    }

    async fn start(&mut self, service: Service, index: usize) {
        let listen = format!("127.0.0.1:{}", free_ports(1).unwrap());
        let command = match service {
            Service::Ingest => "ingest",
            Service::Settler => "settler",
            Service::Dispatcher => "dispatcher",
        };
        let instance = format!("{command}-{index}");
        let config = self.config.to_string_lossy().into_owned();
        let plain = [command, "--announce", "--config", &config, "--instance", &instance];
        let mut arguments: Vec<String> = plain.map(ToOwned::to_owned).to_vec();
        arguments.extend(["--log", LOG, "--listen", &listen].map(ToOwned::to_owned));
        self.processes.insert((service, index), Process::start(arguments).await.unwrap());
    }

    /// Plays one act; before it, frozen processes whose time has come go on, and processes that ended by
    /// themselves are started again, as a supervisor would. False if there was nobody to play it.
    pub(crate) async fn play(&mut self, act: Act) -> bool {
        self.tend(Instant::now()).await;
        match act {
            Act::Kill(service, index, away) => {
                let Some(process) = self.processes.remove(&(service, index)) else { return false };
                process.server.kill().await.unwrap();
                sleep(away).await;
                let process = Process::start(process.arguments).await.unwrap();
                self.processes.insert((service, index), process);
            }
            Act::Freeze(service, index, long) => {
                let frozen = self.processes.values().filter(|one| one.thaws_at.is_some()).count();
                let process = self.processes.get_mut(&(service, index)).unwrap();
                if FROZEN_MAX <= frozen || process.thaws_at.is_some() {
                    return false;
                }
                process.server.signal(Signal::STOP).unwrap();
                process.thaws_at = Some(Instant::now() + long);
                sleep(Duration::from_secs(1)).await;
            }
            Act::Shake(service, times) => {
                let mut shaken = 0;
                for turn in 0..times {
                    let index = usize::try_from(turn).unwrap() % OF_EACH;
                    shaken += u64::from(self.restart(service, index).await);
                    sleep(STORM_PAUSE).await;
                }
                return 0 < shaken;
            }
            Act::KillBroker(which, away) => {
                self.tend_during(kill_and_start(one_of(&self.brokers, which), away)).await;
            }
            Act::KillNode(which, away) => {
                self.tend_during(kill_and_start(one_of(&self.nodes, which), away)).await;
            }
            Act::FreezeBroker(which, long) => {
                self.tend_during(freeze(one_of(&self.brokers, which), long)).await;
            }
            Act::FreezeNode(which, long) => {
                self.tend_during(freeze(one_of(&self.nodes, which), long)).await;
            }
            Act::KillWallets => self.street.wallets.kill_and_restart().await.unwrap(),
            Act::Calm(long) => self.tend_during(sleep(long)).await,
        }
        true
    }

    /// Looks after the processes while an act goes on: a server takes half a minute to come back on a busy machine, and
    /// a supervisor does not wait for it.
    async fn tend_during(&mut self, act: impl Future<Output = ()> + Send + 'static) {
        let act = tokio::spawn(act);
        while !act.is_finished() {
            self.tend(Instant::now()).await;
            sleep(TEND_PAUSE).await;
        }
        act.await.unwrap();
    }

    /// Stops a process in order and starts it again, unless it is frozen; whether it did.
    async fn restart(&mut self, service: Service, index: usize) -> bool {
        if self.processes[&(service, index)].thaws_at.is_some() {
            return false;
        }
        let Some(process) = self.processes.remove(&(service, index)) else { return false };
        // One that gave up by itself ends with an error.
        let _ended = process.server.stop().await;
        let process = Process::start(process.arguments).await.unwrap();
        self.processes.insert((service, index), process);
        true
    }

    /// Lets frozen processes whose time has come go on, and starts those again that ended. One that cannot start, since
    /// its servers are away, is tried again the next time.
    async fn tend(&mut self, now: Instant) {
        for (name, process) in &mut self.processes {
            if process.thaws_at.is_some_and(|time| time <= now) {
                process.server.signal(Signal::CONT).unwrap();
                process.thaws_at = None;
            }
            if let Some(status) = process.server.has_ended().unwrap() {
                eprintln!("chaos: {name:?} ended by itself with {status} and is started again");
                assert_eq!(status.code(), Some(GAVE_UP), "{name:?}");
                match Process::start(process.arguments.clone()).await {
                    Ok(started) => *process = started,
                    Err(error) => eprintln!("chaos: {name:?} does not start: {error:#}"),
                }
            }
        }
    }

    /// Lets every process run.
    pub(crate) async fn make_whole(&mut self) {
        self.tend(Instant::now() + Duration::from_secs(3_600)).await;
        for (name, process) in &mut self.processes {
            let ended = process.server.has_ended().unwrap();
            assert!(
                ended.is_none(),
                "{name:?} does not start though everything is whole: {ended:?}"
            );
        }
    }

    /// Stops the processes in order; the servers stay.
    ///
    /// One that has given up by itself meanwhile ends with an error: a broker that stood still may take what a
    /// member asked before for a second member of its name, and throw out the one that asks now.
    pub(crate) async fn stop(&mut self) {
        for (name, process) in std::mem::take(&mut self.processes) {
            process.server.signal(Signal::TERM).unwrap();
            let status = process.server.ended().await.unwrap();
            if !status.success() {
                eprintln!("chaos: {name:?} ended with {status}");
                assert_eq!(status.code(), Some(GAVE_UP), "{name:?}");
            }
        }
    }
}

impl Process {
    async fn start(arguments: Vec<String>) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let server = ServerProcess::run(Path::new(EXE), &arguments).await?;
        if SLOW_START < begun.elapsed() {
            let took = begun.elapsed().as_secs_f32();
            eprintln!("chaos: {} took {took:.1} s to start", arguments.join(" "));
        }
        Ok(Self { server, arguments, thaws_at: None })
    }
}

fn one_of(servers: &[Server], which: usize) -> Server {
    Arc::clone(&servers[which % servers.len()])
}

async fn freeze(server: Server, long: Duration) {
    on(&server, |server| server.stop_signal().unwrap()).await;
    sleep(long).await;
    on(&server, |server| server.cont_signal().unwrap()).await;
}

async fn kill_and_start(server: Server, away: Duration) {
    on(&server, NativeServer::kill).await;
    sleep(away).await;
    on(&server, |server| server.start().unwrap()).await;
}
