//! Which addresses may be called, where somebody else says what is called.
//!
//! Whoever may say where a wallet is would otherwise make this process call whatever it reaches: databases,
//! the admin port, the metadata of a cloud. So only the public internet is called, and only with TLS; anything
//! else has to be in a network that those who run the process list. Pure: names are resolved by the caller,
//! who asks again for each address that came out ([`Guard::address`]).

#[cfg(test)]
mod tests;

use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Why something is not called.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Forbidden {
    /// Not on the public internet.
    #[error("{address} is {what}, and in no network that is allowed")]
    Address {
        /// The address.
        address: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// Without TLS.
    #[error("plain http is not allowed; use https")]
    Plain,
    /// Without TLS to an address that is in no network of the list.
    #[error("{0} is in no network that is allowed, and plain http is for those alone; use https")]
    PlainTo(IpAddr),
    /// Another port.
    #[error("port {0} is not among those that are allowed")]
    Port(u16),
    /// What some resolvers take for an address and others for a name, or what is neither.
    #[error("the host `{0}` is neither a name nor an address in its usual form")]
    Host(String),
    /// Another scheme, no host, or a port that is none.
    #[error("it is not http or https with a host, and a port from 1 to 65535 if there is one")]
    Form,
}

/// Addresses whose first bits are the same, as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Not of the form.
    #[error("`{0}` is not of the form address/bits, such as 10.0.0.0/8 or fd00::/8")]
    Form(String),
    /// Something behind the bits that count.
    #[error("`{given}` has bits behind those that count; it is {meant}, or a longer prefix")]
    Bits {
        /// What was given.
        given: String,
        /// The network that it is in.
        meant: Network,
    },
}

/// What may be called. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Guard(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    allowed: Vec<Network>,
    plain_http: bool,
    ports: Vec<u16>,
}

impl Guard {
    /// The public internet with TLS, and the `allowed` networks; those without TLS too if `plain_http`. Any port
    /// if `ports` is empty.
    pub fn new(allowed: Vec<Network>, plain_http: bool, ports: Vec<u16>) -> Self {
        Self(Arc::new(Rules { allowed, plain_http, ports }))
    }

    /// What can be said of a URL before its host is resolved.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn url(&self, url: &Uri) -> Result<(), Forbidden> {
        let plain = is_plain(url).ok_or(Forbidden::Form)?;
        let (host, port) = host_and_port(url).ok_or(Forbidden::Form)?;
        if plain && !self.0.plain_http {
            return Err(Forbidden::Plain);
        }
        let port = port.unwrap_or(if plain { 80 } else { 443 });
        if !self.0.ports.is_empty() && !self.0.ports.contains(&port) {
            return Err(Forbidden::Port(port));
        }
        match literal(host).ok_or_else(|| Forbidden::Host(host.to_owned()))? {
            Some(address) => self.address(address, plain),
            None => Ok(()),
        }
    }

    /// Whether `address` may be called, `plain` for without TLS.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn address(&self, address: IpAddr, plain: bool) -> Result<(), Forbidden> {
        if self.0.allowed.iter().any(|network| network.contains(address)) {
            // A gateway of NAT64 would pass it on to where nobody allowed it to go.
            return inner(address).map_or(Ok(()), |inner| self.address(inner.into(), plain));
        }
        if let Some((_, what)) = NOT_PUBLIC.iter().find(|(network, _)| network.contains(address)) {
            return Err(Forbidden::Address { address, what });
        }
        if address.is_ipv6() && !GLOBAL.contains(address) {
            return Err(Forbidden::Address { address, what: "not global" });
        }
        if plain { Err(Forbidden::PlainTo(address)) } else { Ok(()) }
    }
}

/// True for http, false for https; `None` for anything else.
pub(super) fn is_plain(url: &Uri) -> Option<bool> {
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(true),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(false),
        Some(_) | None => None,
    }
}

/// The host with its brackets, and the port if one is given. A port that does not fit is nobody's default.
fn host_and_port(url: &Uri) -> Option<(&str, Option<u16>)> {
    let authority = url.authority()?;
    let host = authority.host();
    if host.is_empty() {
        return None;
    }
    match authority.as_str().strip_prefix(host)? {
        "" => Some((host, None)),
        port => match port.strip_prefix(':')?.parse().ok()? {
            0 => None,
            port => Some((host, Some(port))),
        },
    }
}

/// The address that a host is, if it is one; `None` outside if it is neither that nor a name.
///
/// Resolvers of operating systems take `2130706433`, `0x7f.1` and `0177.0.0.1` for 127.0.0.1, so nothing whose last
/// label is a number is a name, as in the URL standard of browsers.
fn literal(host: &str) -> Option<Option<IpAddr>> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(Some(address.into()));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(Some(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    let last = name.rsplit('.').next()?;
    let is_number = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    if 253 < name.len() || is_number || !name.split('.').all(is_label) {
        return None;
    }
    // Of this name everybody knows what it is.
    Some((last == "localhost").then_some(Ipv4Addr::LOCALHOST.into()))
}

/// The address of version 4 that stands in one of version 6.
fn inner(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let [a, b, c, .., y, z] = address.segments();
    if MAPPED.contains(address.into()) || NAT64.contains(address.into()) {
        return Some(two(y, z));
    }
    (a == 0x2002).then(|| two(b, c))
}

fn two(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(a: u16, b: u16, c: u16, bits: u32) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), bits }
    }

    /// Whether `address` is in it. One of version 4 is in no network of version 6.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && first(address, self.bits) == first(self.address, self.bits)
    }
}

/// Bits of an address.
const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// The first `bits` bits, with zeros behind them.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    let rest = width(address).saturating_sub(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let bits: u8 = bits.parse().map_err(|_| form())?;
        let bits = u32::from(bits);
        if width(address) < bits {
            return Err(form());
        }
        let meant = Self { address: first(address, bits), bits };
        if meant.address == address {
            Ok(meant)
        } else {
            Err(NetworkError::Bits { given: text.to_owned(), meant })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Addresses of version 6 that anybody has.
const GLOBAL: Network = Network::v6(0x2000, 0, 0, 3);
const MAPPED: Network =
    Network { address: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), bits: 96 };
const NAT64: Network = Network::v6(0x64, 0xff9b, 0, 96);

/// What IANA's registries of special addresses keep off the public internet, and what clouds put there.
const NOT_PUBLIC: &[(Network, &str)] = &[
    (Network::v4(0, 0, 0, 0, 8), "this host"),
    (Network::v4(10, 0, 0, 0, 8), "private"),
    (Network::v4(100, 64, 0, 0, 10), "shared by a carrier's customers"),
    (Network::v4(127, 0, 0, 0, 8), "this host"),
    // Also where most clouds have a machine's credentials.
    (Network::v4(169, 254, 0, 0, 16), "link-local"),
    (Network::v4(172, 16, 0, 0, 12), "private"),
    (Network::v4(192, 0, 0, 0, 24), "for protocols"),
    (Network::v4(192, 0, 2, 0, 24), "for documents"),
    (Network::v4(192, 88, 99, 0, 24), "a relay of 6to4"),
    (Network::v4(192, 168, 0, 0, 16), "private"),
    (Network::v4(198, 18, 0, 0, 15), "for benchmarks"),
    (Network::v4(198, 51, 100, 0, 24), "for documents"),
    (Network::v4(203, 0, 113, 0, 24), "for documents"),
    (Network::v4(224, 0, 0, 0, 4), "multicast"),
    (Network::v4(240, 0, 0, 0, 4), "reserved"),
    // Of Azure, for its machines alone; it looks public.
    (Network::v4(168, 63, 129, 16, 32), "a cloud's own"),
    (Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 }, "this host"),
    (Network { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), bits: 128 }, "this host"),
    (MAPPED, "one of version 4 in disguise"),
    (NAT64, "one of version 4 in disguise"),
    (Network::v6(0xfc00, 0, 0, 7), "private"),
    (Network::v6(0xfe80, 0, 0, 10), "link-local"),
    (Network::v6(0xff00, 0, 0, 8), "multicast"),
    // Teredo among them.
    (Network::v6(0x2001, 0, 0, 23), "for protocols"),
    (Network::v6(0x2001, 0xdb8, 0, 32), "for documents"),
    (Network::v6(0x2002, 0, 0, 16), "one of version 4 in disguise"),
    (Network::v6(0x3fff, 0, 0, 20), "for documents"),
];
