//! Which wallets may be called, and with which certificates.

use super::finding::{Finding, Findings};
use runtime::http::{Guard, Network, Outbound, Tls, TlsError, TlsFile};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which wallets may be called, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallets {
    /// Networks beside the public internet.
    pub allow: Vec<String>,
    /// Whether those in `allow` may be called without TLS.
    pub plain_http: bool,
    /// Their ports; any if empty.
    pub ports: Vec<u16>,
    /// A file of the authorities of their certificates; empty for those of the system.
    pub ca_file: String,
    /// A file with the certificate that we show; empty for none.
    pub client_certificate_file: String,
    /// A file with its private key.
    pub client_key_file: String,
}

impl Wallets {
    /// Everything that is wrong, without a look into files.
    pub(super) fn check(&self) -> Vec<Finding> {
        let mut findings = self.guard().err().map_or_else(Vec::new, |Findings(wrong)| wrong);
        if let Some(index) = self.ports.iter().position(|port| *port == 0) {
            findings
                .push(Finding::new(format!("wallets.ports[{index}]"), "is 0, which is no port"));
        }
        if self.plain_http && self.allow.is_empty() {
            let text = "is for the networks of wallets.allow, and there are none";
            findings.push(Finding::new("wallets.plain_http", text));
        }
        let (certificate, key) = (&self.client_certificate_file, &self.client_key_file);
        for (path, file, other) in [
            ("wallets.client_certificate_file", certificate, key),
            ("wallets.client_key_file", key, certificate),
        ] {
            if file.is_empty() && !other.is_empty() {
                findings.push(Finding::new(path, format!("is empty; it belongs to {other}")));
            }
        }
        findings
    }

    /// Which addresses may be called.
    ///
    /// # Errors
    /// What in `allow` is no network.
    pub fn guard(&self) -> Result<Guard, Findings> {
        let (mut allowed, mut wrong) = (Vec::new(), Vec::new());
        for (index, text) in self.allow.iter().enumerate() {
            match text.parse::<Network>() {
                Ok(network) => allowed.push(network),
                Err(error) => {
                    let path = format!("wallets.allow[{index}]");
                    wrong.push(Finding::new(path, error.to_string()));
                }
            }
        }
        if wrong.is_empty() {
            Ok(Guard::new(allowed, self.plain_http, self.ports.clone()))
        } else {
            Err(Findings(wrong))
        }
    }

    /// How they are called; reads the files.
    ///
    /// # Errors
    /// What is wrong with the networks, or with a file.
    pub fn outbound(&self) -> Result<Outbound, Findings> {
        let guard = self.guard()?;
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let authorities = path(&self.ca_file);
        let client = path(&self.client_certificate_file).zip(path(&self.client_key_file));
        let client = client.as_ref().map(|(certificate, key)| (&**certificate, &**key));
        let tls = Tls::load(authorities.as_deref(), client).map_err(|error| {
            let key = match &error {
                TlsError::File { file: TlsFile::Authorities, .. } => "wallets.ca_file",
                TlsError::File { file: TlsFile::Certificate, .. } => {
                    "wallets.client_certificate_file"
                }
                TlsError::File { file: TlsFile::Key, .. } => "wallets.client_key_file",
                TlsError::Build(_) => "wallets",
            };
            Findings(vec![Finding::new(key, format!("{:#}", anyhow::Error::from(error)))])
        })?;
        Ok(Outbound { guard, tls: Some(tls) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Overrides};
    use super::*;

    fn wallets(text: &str) -> Result<Wallets, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roundhouse.toml");
        std::fs::write(&path, format!("[wallets]\n{text}")).unwrap();
        match Config::load(Some(&path), Vec::new(), Overrides::default()) {
            Ok(config) => Ok(config.wallets),
            Err(error) => {
                let Findings(findings) = error.downcast().unwrap();
                Err(findings.into_iter().map(|finding| finding.to_string()).collect())
            }
        }
    }

    #[test]
    fn what_cannot_be_is_named_with_its_key() {
        for (text, wanted) in [
            ("allow = ['10.0.0.0/8', '10.0.0.1/8']", "wallets.allow[1]: `10.0.0.1/8` has bits"),
            ("allow = ['localhost']", "wallets.allow[0]: `localhost` is not of the form"),
            ("ports = [443, 0]", "wallets.ports[1]: is 0"),
            ("plain_http = true", "wallets.plain_http: is for the networks of wallets.allow"),
            ("client_key_file = 'k'", "wallets.client_certificate_file: is empty"),
            ("client_certificate_file = 'c'", "wallets.client_key_file: is empty"),
        ] {
            let found = wallets(text).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}: {found:?}");
        }
    }

    #[test]
    fn files_are_named_with_their_key() {
        let pair = "client_certificate_file = '/no/c'\nclient_key_file = '/no/k'";
        for (text, wanted) in [
            ("ca_file = '/no/ca'", "wallets.ca_file: /no/ca cannot be used: No such file"),
            (pair, "wallets.client_certificate_file: /no/c cannot be used: No such file"),
        ] {
            let Findings(found) = wallets(text).unwrap().outbound().unwrap_err();
            assert!(found[0].to_string().starts_with(wanted), "{text}: {found:?}");
        }
    }

    /// Nothing but https on the public internet.
    #[test]
    fn what_is_shipped_calls_nobody_of_ours() {
        let outbound = wallets("").unwrap().outbound().unwrap();
        for (url, good) in [
            ("https://wallet.example", true),
            ("http://wallet.example", false),
            ("https://127.0.0.1", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(outbound.guard.url(&url.parse().unwrap()).is_ok(), good, "{url}");
        }
        let text = "allow = ['127.0.0.0/8']\nplain_http = true\nports = [9001]";
        let outbound = wallets(text).unwrap().outbound().unwrap();
        assert!(outbound.checked("http://127.0.0.1:9001").is_ok());
        assert!(outbound.checked("http://127.0.0.1:9002").is_err());
    }
}
