//! TLS towards a vendor: who is believed, and what a connection that failed says of the vendor.
//!
//! Certificates are verified in full, whatever the account; there is no setting that turns that off. The authorities are
//! the machine's (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others). What failed here is told in words of ours.

use std::error::Error;
use std::io;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore};

use crate::trust::{Fault, find};

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
    let Some(fault) = Fault::of(error) else { return "no connection to the vendor" };
    match fault {
        Fault::Expired => "the vendor's certificate has expired; or this machine's clock is wrong",
        Fault::NotYetValid => "the vendor's certificate is not valid yet; or this machine's clock is wrong",
        Fault::Name => "the vendor's certificate is for another host; check the account's URL",
        Fault::Issuer => "the vendor's certificate is from an authority this machine does not trust",
        Fault::Revoked => "the vendor's certificate was revoked",
        Fault::Certificate => "the vendor's certificate is not valid",
        Fault::Refused | Fault::Handshake => "the TLS handshake with the vendor failed",
    }
}

/// Did the vendor say that it has not looked at the request? HTTP/2 can: a stream refused, or one that came after the
/// last it will still work on.
pub(super) fn was_not_processed(error: &(dyn Error + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}
