//! TLS towards a vendor: who is believed, and what a connection that failed says of the vendor.
//!
//! Certificates are verified in full, whatever the account; there is no setting that turns that off. The authorities are
//! the machine's (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others). What failed here is told in words of ours: a
//! certificate's own text is the other side's.

use std::error::Error;
use std::io;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// The authorities to believe; the machine's when none are given.
pub(super) fn config(roots: Option<Arc<RootCertStore>>) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    Ok(match roots {
        Some(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        None => builder.with_native_roots()?.with_no_client_auth(),
    })
}

/// Why there is no connection. Nothing was sent.
pub(super) fn no_connection(error: &(dyn Error + 'static)) -> &'static str {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the vendor's certificate has expired; or this machine's clock is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the vendor's certificate is not valid yet; or this machine's clock is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the vendor's certificate is for another host; check the account's URL"
            }
            CertificateError::UnknownIssuer => {
                "the vendor's certificate is from an authority this machine does not trust"
            }
            CertificateError::Revoked => "the vendor's certificate was revoked",
            _a_fault_of_the_library_s => "the vendor's certificate is not valid",
        },
        Some(_) => "the TLS handshake with the vendor failed",
        None => "no connection to the vendor",
    }
}

/// Did the vendor say that it has not looked at the request? HTTP/2 can: a stream refused, or one that came after the
/// last it will still work on.
pub(super) fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// The first cause of this type. An I/O error hides what it carries from `source`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}
