use super::*;
use crate::movement::{Block, Epoch};
use std::path::Path;
use std::sync::mpsc;
use tempfile::TempDir;

fn block(seq: u64) -> Entry {
    Entry::Block(Block { seq, player: format!("player {seq}"), blocked: true })
}

fn opened(path: &Path) -> Result<(JournalFile, Vec<Entry>), JournalError> {
    let mut entries = Vec::new();
    let file = JournalFile::open(path, Durability::Fsync, |entry| {
        entries.push(entry);
        Ok(())
    })?;
    Ok((file, entries))
}

/// A disk whose syncs are let through one by one, and which can fail.
struct Gate {
    syncs: mpsc::Receiver<io::Result<()>>,
    group: String,
    /// The groups whose sync has begun.
    begun: Arc<Mutex<Vec<String>>>,
}

impl Storage for Gate {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.group.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.begun.lock().unwrap().push(std::mem::take(&mut self.group));
        self.syncs.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

type Gated = (Journal, mpsc::Sender<io::Result<()>>, Arc<Mutex<Vec<String>>>);

fn gated() -> Gated {
    let (open, syncs) = mpsc::channel();
    let begun = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate { syncs, group: String::new(), begun: Arc::clone(&begun) };
    (Journal::start(gate).unwrap(), open, begun)
}

/// Returns once `groups` syncs have begun.
fn until_begun(begun: &Mutex<Vec<String>>, groups: usize) {
    while begun.lock().unwrap().len() < groups {
        std::thread::yield_now();
    }
}

/// Whether `wait` is still waiting after everything that is ready has run.
async fn waits(wait: impl Future<Output = Result<(), JournalStopped>>) -> bool {
    tokio::select! {
        biased;
        _ = wait => false,
        () = tokio::task::yield_now() => true,
    }
}

#[tokio::test]
async fn nothing_is_durable_before_its_sync() {
    let (journal, open, begun) = gated();
    let ticket = journal.append([block(1)]);
    let reader = journal.append([]);
    until_begun(&begun, 1);
    assert_eq!(reader, ticket, "who reads waits for what was written before");
    assert!(waits(journal.durable(ticket)).await);
    assert!(waits(journal.durable(reader)).await);
    open.send(Ok(())).unwrap();
    journal.durable(ticket).await.unwrap();
    journal.durable(reader).await.unwrap();
}

#[tokio::test]
async fn what_comes_during_a_sync_is_one_group() {
    let (journal, open, begun) = gated();
    let first = journal.append([block(1)]);
    until_begun(&begun, 1);
    for seq in 2..100 {
        journal.append([block(seq)]);
    }
    let last = journal.append([block(100)]);
    open.send(Ok(())).unwrap();
    journal.durable(first).await.unwrap();
    until_begun(&begun, 2);
    assert!(waits(journal.durable(last)).await);
    open.send(Ok(())).unwrap();
    journal.durable(last).await.unwrap();
    let groups = begun.lock().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[1].lines().count(), 99);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_any_more() {
    let (journal, open, _) = gated();
    let first = journal.append([block(1)]);
    open.send(Ok(())).unwrap();
    journal.durable(first).await.unwrap();
    let second = journal.append([block(2)]);
    open.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    assert_eq!(journal.durable(second).await, Err(JournalStopped));
    assert_eq!(journal.durable(journal.append([block(3)])).await, Err(JournalStopped));
    journal.durable(first).await.unwrap();
    assert!(!journal.is_open());
}

#[tokio::test]
async fn what_was_durable_is_read_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let (file, entries) = opened(&path).unwrap();
    assert_eq!(entries, []);
    let journal = Journal::start(file).unwrap();
    let epoch = Entry::Epoch(Epoch { partner: "acme".into(), ledger_epoch: 1 });
    let ticket = journal.append([epoch.clone(), block(1)]);
    journal.durable(ticket).await.unwrap();
    drop(journal);
    let (file, entries) = opened(&path).unwrap();
    assert_eq!(entries, [epoch.clone(), block(1)]);
    let journal = Journal::start(file).unwrap();
    journal.append([block(2)]);
    journal.close();
    assert_eq!(read(&path).unwrap(), [epoch, block(1), block(2)]);
}

#[test]
fn a_torn_last_line_is_cut() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let mut whole = Vec::new();
    encode(&block(1), &mut whole).unwrap();
    encode(&block(2), &mut whole).unwrap();
    let second = whole.len() / 2;
    for cut in second..whole.len() {
        let torn = whole.get(..cut).unwrap();
        std::fs::write(&path, torn).unwrap();
        assert_eq!(read(&path).unwrap(), [block(1)]);
        assert_eq!(opened(&path).unwrap().1, [block(1)]);
        assert_eq!(std::fs::read(&path).unwrap(), whole[..second], "cut at {cut}");
    }
}

#[test]
fn a_damaged_line_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let damaged =
        "{\"kind\":\"block\"\n{\"kind\":\"block\",\"seq\":2,\"player\":\"p\",\"blocked\":true}\n";
    std::fs::write(&path, damaged).unwrap();
    assert!(matches!(opened(&path), Err(JournalError::Line { line: 1, .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn a_second_wallet_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let first = opened(&path).unwrap();
    let refusal = opened(&path).unwrap_err();
    assert!(matches!(refusal, JournalError::Locked { .. }));
    assert!(refusal.to_string().contains("belongs to a running wallet"));
    drop(first);
    opened(&path).unwrap();
}
