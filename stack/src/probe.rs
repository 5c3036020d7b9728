//! Asks a server something real, without a client library: "the port is open" is not "it works".

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_WAIT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u32 = 1 << 20;

/// The ports of the brokers that the cluster says it has: Kafka's Metadata request, version 1, about
/// no topic.
///
/// # Errors
/// If nothing listens, or what answers is not Kafka or has no controller yet.
pub fn kafka_brokers(address: SocketAddr) -> Result<Vec<i32>> {
    const METADATA: [u8; 18] = *b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x2a\xff\xff\0\0\0\0";
    let mut stream = connect(address)?;
    stream.write_all(&METADATA)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let body = read_body(&mut stream, u32::from_be_bytes(size))?;
    let mut answer = Bytes(&body);
    if answer.int()? != 42 {
        return Err(malformed("the answer has another correlation id"));
    }
    let mut ports = Vec::new();
    for _ in 0..answer.int()? {
        let (_id, _host, port, _rack) =
            (answer.int()?, answer.string()?, answer.int()?, answer.string()?);
        ports.push(port);
    }
    if answer.int()? < 0 {
        return Err(malformed("the cluster has no controller yet"));
    }
    Ok(ports)
}

/// What a CQL server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CqlServer {
    /// ScyllaDB, or Cassandra where nothing in its options says ScyllaDB.
    pub product: &'static str,
    /// `release_version` of `system.local`. ScyllaDB names the Cassandra it is compatible with.
    pub version: String,
}

/// OPTIONS, STARTUP and a query of `system.local`, in version 4 of the native protocol.
///
/// # Errors
/// If nothing listens, or what answers is not a CQL server that is ready for queries.
pub fn cql(address: SocketAddr) -> Result<CqlServer> {
    const OPTIONS: u8 = 0x05;
    const SUPPORTED: u8 = 0x06;
    const STARTUP: u8 = 0x01;
    const READY: u8 = 0x02;
    const QUERY: u8 = 0x07;
    const RESULT: u8 = 0x08;
    let mut stream = connect(address)?;
    let supported = cql_call(&mut stream, OPTIONS, &[], SUPPORTED)?;
    let scylla = supported.windows(7).any(|bytes| bytes == b"SCYLLA_");
    let product = if scylla { "ScyllaDB" } else { "Cassandra" };

    cql_call(&mut stream, STARTUP, b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0", READY)?;

    // A long string, consistency ONE, and the flag "no metadata", so that rows follow at once.
    let query = b"\0\0\0\x30SELECT release_version FROM system.local        \0\x01\x02";
    let result = cql_call(&mut stream, QUERY, query, RESULT)?;
    let mut result = Bytes(&result);
    let (kind, _flags, _columns, rows) =
        (result.int()?, result.int()?, result.int()?, result.int()?);
    if (kind, rows) != (2, 1) {
        return Err(malformed("system.local has no row"));
    }
    let length = result.int()?;
    let version = String::from_utf8_lossy(result.take(length)?).into_owned();
    Ok(CqlServer { product, version })
}

fn cql_call(stream: &mut TcpStream, opcode: u8, body: &[u8], wanted: u8) -> Result<Vec<u8>> {
    let length = u32::try_from(body.len()).map_err(|_| malformed("a request too long"))?;
    let mut frame = vec![4, 0, 0, 0, opcode];
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    stream.write_all(&frame)?;
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    let [_version, _flags, _, _, answered, size @ ..] = header;
    let body = read_body(stream, u32::from_be_bytes(size))?;
    if answered != wanted {
        let text = String::from_utf8_lossy(&body).into_owned();
        return Err(malformed(&format!("opcode {answered} in place of {wanted}: {text}")));
    }
    Ok(body)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_WAIT)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    Ok(stream)
}

fn read_body(stream: &mut TcpStream, size: u32) -> Result<Vec<u8>> {
    if ANSWER_BYTES_MAX < size {
        return Err(malformed("not the protocol that was expected"));
    }
    let mut body = Vec::new();
    stream.take(u64::from(size)).read_to_end(&mut body)?;
    Ok(body)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn int(&mut self) -> Result<i32> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*head))
    }

    /// Kafka's string; its length -1 is null, read as empty.
    fn string(&mut self) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        self.take(i32::from(i16::from_be_bytes(*head)).max(0))
    }

    fn take(&mut self, length: i32) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| short())?;
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(head)
    }
}

fn short() -> Error {
    malformed("the answer ends too early")
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
