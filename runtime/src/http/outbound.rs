//! How others are called: which addresses, and with which certificates.

use super::guard::{Forbidden, Guard};
use http::Uri;
use http::uri::Scheme;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How others are called. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// Which addresses.
    pub guard: Guard,
    /// The certificates of https; `None` for a process that calls nobody.
    pub tls: Option<Tls>,
}

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("`{0}` is not of the form https://host[:port][/path], without a query")]
    Form(String),
    /// A user or a password, which would not be sent.
    #[error("has a user before its host, which is not sent; leave it away")]
    User,
    /// Not to be called.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// Nobody's certificate could be verified.
    #[error(
        "https is not possible: no authority is trusted here; install the system's certificates \
         (package ca-certificates), or name a file of them"
    )]
    NoRoots,
}

impl Outbound {
    /// A base address without the slashes at its end. What its name resolves to is looked at when it is called.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn checked<'a>(&self, base: &'a str) -> Result<&'a str, AddressError> {
        if base.split(['?', '#']).next().is_some_and(|base| base.contains('@')) {
            return Err(AddressError::User);
        }
        let form = || AddressError::Form(base.to_owned());
        let url: Uri = base.parse().map_err(|_| form())?;
        if base.contains(['?', '#']) {
            return Err(form());
        }
        self.guard.url(&url).map_err(|error| match error {
            Forbidden::Form => form(),
            other @ (Forbidden::Address { .. }
            | Forbidden::Plain
            | Forbidden::PlainTo(_)
            | Forbidden::Port(_)
            | Forbidden::Host(_)) => AddressError::Forbidden(other),
        })?;
        let trusts = self.tls.as_ref().is_none_or(|tls| tls.trusts);
        if url.scheme() == Some(&Scheme::HTTPS) && !trusts {
            return Err(AddressError::NoRoots);
        }
        Ok(base.trim_end_matches('/'))
    }
}

/// What others must show, and what we show them: TLS 1.2 and 1.3, names verified. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// Whether there is an authority whose certificates verify.
    trusts: bool,
}

/// Why there can be no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file.
    #[error("{} cannot be used", path.display())]
    File {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// Why. Says nothing of what is in it.
        #[source]
        why: Unusable,
    },
    /// This build.
    #[error("this build speaks no TLS")]
    Build(#[from] rustls::Error),
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// The authorities that are trusted.
    Authorities,
    /// Our certificate, with what it was issued by.
    Certificate,
    /// Its private key.
    Key,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Nothing of the kind is in it.
    #[error("it holds no {0} in PEM")]
    Empty(&'static str),
    /// What is in it does not serve, or does not fit the other file.
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

impl Tls {
    /// Trusts the authorities in the file `authorities`, or those of the system. `client` are the files of a
    /// certificate and its key, which everybody gets to see who asks for one. All in PEM; read once.
    ///
    /// # Errors
    /// [`TlsError`]. A system without authorities is none: there [`Outbound::checked`] refuses https.
    pub fn load(
        authorities: Option<&Path>,
        client: Option<(&Path, &Path)>,
    ) -> Result<Self, TlsError> {
        let roots = match authorities {
            Some(path) => roots(path).map_err(|why| unusable(TlsFile::Authorities, path, why))?,
            None => roots_of_system(),
        };
        Self::with(roots, client)
    }

    fn with(roots: RootCertStore, client: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let trusts = !roots.is_empty();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)
                    .map_err(|why| unusable(TlsFile::Certificate, certificate, why))?;
                let secret = private_key(key).map_err(|why| unusable(TlsFile::Key, key, why))?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| {
                    let of_key = !matches!(error, rustls::Error::InvalidCertificate(_));
                    let (file, path) = if of_key {
                        (TlsFile::Key, key)
                    } else {
                        (TlsFile::Certificate, certificate)
                    };
                    unusable(file, path, error.into())
                })?
            }
        };
        Ok(Self { config: Arc::new(config), trusts })
    }

    /// Shakes hands with `host`, which is what the certificate must be for.
    pub(super) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await
    }
}

/// A key is in it.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("trusts", &self.trusts).finish_non_exhaustive()
    }
}

fn unusable(file: TlsFile, path: &Path, why: Unusable) -> TlsError {
    TlsError::File { file, path: path.to_owned(), why }
}

fn roots(path: &Path) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Those where the system keeps them, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say.
fn roots_of_system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    const WHAT: Unusable = Unusable::Empty("certificate");
    let text = std::fs::read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or(WHAT)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let text = std::fs::read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| Unusable::Empty("private key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in a container without them: told where the wallet is said, not by a handshake that fails.
    #[test]
    fn without_authorities_there_is_no_https() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, Vec::new());
        let tls = Tls::with(RootCertStore::empty(), None).unwrap();
        let outbound = Outbound { guard, tls: Some(tls) };
        assert_eq!(outbound.checked("https://wallet"), Err(AddressError::NoRoots));
        assert_eq!(outbound.checked("http://127.0.0.1:1/"), Ok("http://127.0.0.1:1"));
        let calls_nobody = Outbound { tls: None, ..outbound };
        assert_eq!(calls_nobody.checked("https://wallet"), Ok("https://wallet"));
    }
}
