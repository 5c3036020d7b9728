//! One native server that can be killed, stopped and started again.

use crate::launch::{self, Launch};
use crate::{StackError, probe, process};
use rustix::process::Signal;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a server may take until it answers. A cold one takes 3 to 8 s on two cores.
const READY_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// A server of a test's own, with its own ports and its own data directory.
///
/// Ends when it is dropped, and also when the test's process ends in any other way. Its calls block:
/// in async code use them in `spawn_blocking`.
#[derive(Debug)]
pub struct NativeServer {
    launch: Launch,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    /// Kills the server when this process is gone. (The system's own "signal me when my parent dies"
    /// comes already when the *thread* that started the child ends.)
    guard: Child,
}

impl NativeServer {
    pub(crate) fn new(launch: Launch) -> Self {
        Self { launch, running: None }
    }

    /// Where clients connect. Stays the same over restarts.
    pub fn address(&self) -> SocketAddr {
        self.launch.address
    }

    /// The directory of its settings, `log` and `data`.
    pub fn dir(&self) -> &Path {
        &self.launch.dir
    }

    /// Its process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// Starts it on its data and ports, and returns once it answers. Does nothing if it runs.
    ///
    /// # Errors
    /// If it ends or does not answer within 120 s, with the end of its log.
    pub fn start(&mut self) -> Result<(), StackError> {
        self.spawn()?;
        self.wait_ready()
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn spawn(&mut self) -> Result<(), StackError> {
        if self.running.is_some() {
            return Ok(());
        }
        process::end(&launch::mark(&self.launch.dir), false)?;
        let server = spawn(&self.launch)?;
        let guard = Command::new("sh")
            .args(["-c", "read -r ignored; kill -9 \"$0\"", &server.id().to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(StackError::io("start", "sh"))?;
        self.running = Some(Running { server, guard });
        Ok(())
    }

    /// Waits until it answers a real request.
    ///
    /// # Errors
    /// As [`NativeServer::start`].
    pub fn wait_ready(&mut self) -> Result<(), StackError> {
        let Some(running) = &mut self.running else {
            return Err(not_ready(&self.launch, READY_LIMIT, "it was not started".to_owned()));
        };
        let ready = wait_ready(&self.launch, &mut running.server);
        if ready.is_err() {
            self.kill();
        }
        ready
    }

    /// `kill -9`. Returns once it is gone; its data stay.
    pub fn kill(&mut self) {
        let Some(Running { mut server, mut guard }) = self.running.take() else { return };
        // The guard first: it must not outlive the number of the process it would kill.
        for child in [&mut guard, &mut server] {
            // Fails only for a child that was waited for already.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// SIGSTOP: it keeps its connections and says nothing.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop_signal(&self) -> Result<(), StackError> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on where it was.
    ///
    /// # Errors
    /// If it does not run.
    pub fn cont_signal(&self) -> Result<(), StackError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), StackError> {
        let pid = self.pid().ok_or(std::io::ErrorKind::NotFound.into());
        pid.and_then(|pid| process::signal(pid, signal))
            .map_err(StackError::io("signal the server of", &self.launch.dir))
    }
}

impl Drop for NativeServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server that outlives this process.
pub(crate) fn spawn(launch: &Launch) -> Result<Child, StackError> {
    let path = launch.dir.join("log");
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(StackError::io("open", &path))?;
    let errors = log.try_clone().map_err(StackError::io("open", &path))?;
    Command::new(&launch.java)
        .args(&launch.arguments)
        .current_dir(&launch.dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // An interrupt from the terminal is for the tests; they end what is theirs.
        .process_group(0)
        .spawn()
        .map_err(StackError::io("start", &launch.java))
}

/// Polls until the server answers.
pub(crate) fn wait_ready(launch: &Launch, server: &mut Child) -> Result<(), StackError> {
    let started = Instant::now();
    loop {
        let reason = match answers(launch) {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        };
        if let Ok(Some(status)) = server.try_wait() {
            return Err(not_ready(launch, started.elapsed(), format!("it ended: {status}")));
        }
        if READY_LIMIT < started.elapsed() {
            return Err(not_ready(launch, READY_LIMIT, reason));
        }
        std::thread::sleep(POLL);
    }
}

/// Asks once.
pub(crate) fn answers(launch: &Launch) -> std::io::Result<()> {
    use crate::Product::{Cassandra, Kafka};
    match launch.product {
        // The others may be down on purpose: it is enough that the cluster knows this one.
        Kafka => {
            let known = probe::kafka_brokers(launch.address)?;
            let itself = known.contains(&i32::from(launch.address.port()));
            let unknown = || std::io::Error::other("the cluster does not know this broker yet");
            itself.then_some(()).ok_or_else(unknown)
        }
        Cassandra => probe::cql(launch.address).map(drop),
    }
}

fn not_ready(launch: &Launch, limit: Duration, reason: String) -> StackError {
    let log = launch.dir.join("log");
    let tail = tail(&fs::read_to_string(&log).unwrap_or_default());
    let log = format!("{}:\n{tail}", log.display());
    let name = launch.product.name();
    StackError::NotReady { name, address: launch.address, limit, reason, log }
}

/// The last lines of a log.
pub(crate) fn tail(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES);
    lines.get(skipped..).unwrap_or_default().join("\n")
}
