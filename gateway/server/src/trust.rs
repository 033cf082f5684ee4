//! Whom to believe: files of certificate authorities, and why a certificate was not believed.
//!
//! It connects to nobody: the database, the broker, Redis and vendors each have their own way to TLS. No setting turns
//! the check of a certificate off. What is told is in words of ours: a certificate's own text is the other side's.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, RootCertStore};

/// The authorities of a file, instead of the machine's (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
#[derive(Clone)]
pub(crate) struct Authorities {
    pub(crate) roots: RootCertStore,
    /// The same as it stands in the file, for libraries that read it themselves.
    pub(crate) pem: String,
}

/// A file that was to name authorities does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no file of certificates")]
pub struct NoCertificates(String);

impl Authorities {
    /// One or more certificates, PEM.
    ///
    /// # Errors
    /// When the file cannot be read, holds none, or one that is none.
    pub(crate) fn read(file: &Path) -> Result<Self, NoCertificates> {
        let unusable = || NoCertificates(file.display().to_string());
        let pem = std::fs::read_to_string(file).map_err(|_| unusable())?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        }
        if roots.is_empty() {
            return Err(unusable());
        }
        Ok(Self { roots, pem })
    }
}

/// Why there is no TLS with a server that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Signed by nobody who is trusted.
    Issuer,
    /// For another host.
    Name,
    Expired,
    NotYetValid,
    Revoked,
    /// Something else about the certificate.
    Certificate,
    /// Not the certificate: the other side may not speak TLS at all.
    Handshake,
}

impl Fault {
    /// What an error holds of it, however deep. None: it was something else.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let rustls::Error::InvalidCertificate(fault) = find(error)? else { return Some(Self::Handshake) };
        Some(match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            _a_fault_of_the_library_s => Self::Certificate,
        })
    }

    /// For the person who runs the gateway and that server: what is wrong and what to do.
    pub(crate) fn told(self, of: &Named) -> String {
        let Named { certificate, authorities, address, plain } = of;
        match self {
            Self::Issuer => format!(
                "{certificate} is signed by nobody who is trusted: name its authority's file as {authorities}, or install \
                 it on this machine"
            ),
            Self::Name => format!("{certificate} is for another name: use the name it is for as the host in {address}"),
            Self::Expired => format!("{certificate} has run out: renew it, or set this machine's clock"),
            Self::NotYetValid => format!("{certificate} is not valid yet: set this machine's clock, or make a new one"),
            Self::Revoked | Self::Certificate => format!("{certificate} is not valid: make a new one"),
            Self::Handshake => format!("TLS with it fails: {plain}"),
        }
    }
}

/// What a server of ours and its settings are called in [`Fault::told`].
pub(crate) struct Named {
    /// `the broker's certificate`
    pub(crate) certificate: &'static str,
    /// The setting that names a file of authorities.
    pub(crate) authorities: &'static str,
    /// The setting that names the host.
    pub(crate) address: &'static str,
    /// What to look at when the other side may not speak TLS at all.
    pub(crate) plain: &'static str,
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
