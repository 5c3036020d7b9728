//! Where others are.

use http::Uri;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("`{0}` is not of the form http://host[:port][/path], without a query")]
    Form(String),
    /// A user or a password, which would not be sent.
    #[error("has a user before its host, which is not sent; leave it away")]
    User,
}

/// Base addresses by name. They may change while calls are made. Cheap to clone; clones know the same.
#[derive(Clone, Debug)]
pub struct Addresses<K>(Arc<RwLock<BTreeMap<K, String>>>);

impl<K> Default for Addresses<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord> Addresses<K> {
    /// Adds an address, or replaces it: what stands before the path of each call.
    ///
    /// # Errors
    /// [`AddressError`]; then what was known before stands.
    pub fn set(&self, name: K, base: &str) -> Result<(), AddressError> {
        let base = checked(base)?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, base.to_owned());
        Ok(())
    }

    /// The address of `path`, which begins with a slash; `None` if nobody of the name is known.
    pub fn url(&self, name: &K, path: &str) -> Option<Uri> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        format!("{}{path}", known.get(name)?).parse().ok()
    }
}

/// A base address without the slash at its end.
///
/// # Errors
/// [`AddressError`].
pub fn checked(base: &str) -> Result<&str, AddressError> {
    if base.split(['?', '#']).next().is_some_and(|base| base.contains('@')) {
        return Err(AddressError::User);
    }
    let usable = base.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none()
    });
    if usable { Ok(base.trim_end_matches('/')) } else { Err(AddressError::Form(base.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_for_all_who_know_it() {
        let known = Addresses::default();
        let other = known.clone();
        assert_eq!(other.url(&"acme", "/a"), None);
        known.set("acme", "http://one:1/w/").unwrap();
        assert_eq!(other.url(&"acme", "/a").unwrap(), "http://one:1/w/a");
        known.set("acme", "http://two").unwrap();
        assert_eq!(other.url(&"acme", "/a?b=1").unwrap(), "http://two/a?b=1");
        assert!(known.set("acme", "two").is_err());
        assert_eq!(other.url(&"acme", "/a").unwrap(), "http://two/a", "what stood stands");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for bad in ["", "wallet", "/wallet", "https://wallet", "http://", "http://w?a=1", "ftp://w"]
        {
            assert_eq!(checked(bad), Err(AddressError::Form(bad.to_owned())), "{bad}");
        }
        assert_eq!(checked("http://me:secret@wallet"), Err(AddressError::User));
    }
}
