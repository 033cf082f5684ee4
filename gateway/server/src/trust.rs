//! Whom to believe: files of certificate authorities, and why there is no TLS with a server that was reached.
//!
//! It connects to nobody: the database, the broker, Redis and vendors each have their own way. No setting turns the check
//! of a certificate off. What is told is in words of ours: a certificate's own text is the other side's.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// The authorities of a file, instead of the machine's.
#[derive(Clone)]
pub(crate) struct Authorities {
    roots: RootCertStore,
    /// The same as it stands in the file, for a library that reads it itself.
    pub(crate) pem: Vec<u8>,
}

/// A file that was to name authorities does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum NoCertificates {
    #[error("{file} cannot be read ({kind})")]
    Unreadable { file: String, kind: io::ErrorKind },
    #[error("{0} is no file of certificates")]
    Other(String),
}

impl Authorities {
    /// One or more certificates, PEM.
    ///
    /// # Errors
    /// When the file cannot be read, holds none, or one that is none.
    pub(crate) fn read(file: &Path) -> Result<Self, NoCertificates> {
        let name = || file.display().to_string();
        let pem =
            std::fs::read(file).map_err(|error| NoCertificates::Unreadable { file: name(), kind: error.kind() })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| NoCertificates::Other(name()))?;
            roots.add(certificate).map_err(|_| NoCertificates::Other(name()))?;
        }
        if roots.is_empty() {
            return Err(NoCertificates::Other(name()));
        }
        Ok(Self { roots, pem })
    }
}

/// TLS with a server whose certificate one of these has signed, for its name. None: the machine's authorities
/// (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
///
/// # Errors
/// When the library cannot.
pub(crate) fn client(authorities: Option<&Authorities>) -> io::Result<ClientConfig> {
    let roots = match authorities {
        Some(authorities) => authorities.roots.clone(),
        None => {
            let mut machine = RootCertStore::empty();
            // One that does not read makes none of the others wrong.
            machine.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            machine
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth())
}

/// Why there is no TLS with a server that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its certificate is signed by nobody who is trusted.
    Issuer,
    /// Its certificate is for another host.
    Name,
    /// Its certificate has run out.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Its certificate was revoked.
    Revoked,
    /// Something else about its certificate.
    Certificate,
    /// It says no; mostly it wants a certificate of ours.
    Refused,
    /// It may not speak TLS at all.
    Handshake,
}

impl Fault {
    /// What an error holds of it, however deep. None: it was something else.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let fault = match find(error)? {
            rustls::Error::InvalidCertificate(fault) => fault,
            rustls::Error::AlertReceived(_) => return Some(Self::Refused),
            _ => return Some(Self::Handshake),
        };
        Some(match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            _a_fault_of_the_library_s => Self::Certificate,
        })
    }

    /// A setting of ours is wrong, and nothing but another one ends it.
    pub(crate) const fn is_of_our_settings(self) -> bool {
        matches!(self, Self::Issuer | Self::Name)
    }

    /// For the person who runs the gateway and that server: what is wrong and what to do.
    pub(crate) fn told(self, of: &Named) -> String {
        let Named { server, authorities, address, clients } = of;
        match self {
            Self::Issuer => format!(
                "{server}'s certificate is signed by nobody who is trusted: name its authority's file as {authorities}, or \
                 install it on this machine"
            ),
            Self::Name => {
                format!("{server}'s certificate is for another name: use the name it is for as the host in {address}")
            }
            Self::Expired => format!("{server}'s certificate has run out: renew it, or set this machine's clock"),
            Self::NotYetValid => {
                format!("{server}'s certificate is not valid yet: set this machine's clock, or renew it")
            }
            Self::Revoked | Self::Certificate => format!(
                "{server}'s certificate is not one for a server, though it may be an authority's own: have one signed for \
                 its host"
            ),
            Self::Refused => format!(
                "{server} refuses TLS; it may want a client's certificate, and the gateway has none to send: {clients}"
            ),
            Self::Handshake => {
                format!("{server} does not speak TLS as it should: is the port of {address} one for TLS?")
            }
        }
    }
}

/// What a server of ours and its settings are called in [`Fault::told`].
pub(crate) struct Named {
    /// `the broker`
    pub(crate) server: &'static str,
    /// The setting that names a file of authorities.
    pub(crate) authorities: &'static str,
    /// The setting that names the host.
    pub(crate) address: &'static str,
    /// How the server is told not to want certificates of clients.
    pub(crate) clients: &'static str,
}

/// The first cause of this type. An I/O error hides what it carries from `source`, and so does an `Arc`.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = if let Some(carried) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried)
        } else if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            Some(&**shared)
        } else {
            error.source()
        };
    }
    None
}

#[cfg(test)]
pub(crate) mod issuer;
