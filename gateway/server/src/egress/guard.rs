//! The last word before the wire: where a request may go, and how much of an answer is read.
//!
//! A request goes only to the hosts of the account's own URL settings (or, without credentials and where the Descriptor
//! allows it, to the host that an answer of the vendor named), over https (plain http only to a loopback host of an
//! account marked `allow_private`), without user info, and only to addresses that are judged when the connection is made:
//! every address a name resolves to is checked, so a name cannot be public when judged and private when used. Redirects
//! are never followed. An answer is read up to a cap; one that is larger is an unknown outcome, because the vendor may
//! have done what was asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::connector::{Descriptor, NamedByVendor, SendError};
use http::{Request, Uri, header};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

use super::around::{Answer, Around, Next, Wire};
use super::setting;

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Anybody may be talked to there.
    Public,
    /// Our own machine or network: only for accounts marked `allow_private`.
    Private,
    /// Never: metadata services, multicast, documentation, translation and tunnel ranges.
    Denied,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits))
}

const fn v6(head: [u16; 3], bits: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), bits))
}

/// Loopback, private networks, carrier-grade address translation, unique local.
const PRIVATE: [IpNet; 7] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    v6([0xfc00, 0, 0], 7),
];

const DENIED: [IpNet; 22] = [
    v4(0, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // IPv4-compatible, the unspecified address among them.
    v6([0, 0, 0], 96),
    v6([0xfe80, 0, 0], 10),
    v6([0xfec0, 0, 0], 10),
    v6([0xff00, 0, 0], 8),
    // Teredo.
    v6([0x2001, 0, 0], 32),
    v6([0x2001, 0xdb8, 0], 32),
    // 6to4.
    v6([0x2002, 0, 0], 16),
    v6([0x3fff, 0, 0], 20),
    // Discard-only.
    v6([0x100, 0, 0], 64),
    // NAT64, well-known and local.
    v6([0x64, 0xff9b, 0], 96),
    v6([0x64, 0xff9b, 1], 48),
    // Segment routing.
    v6([0x5f00, 0, 0], 16),
];

/// What this address is.
pub(super) fn judge(address: IpAddr) -> Address {
    let address = address.to_canonical();
    if PRIVATE.iter().any(|range| range.contains(&address)) {
        Address::Private
    } else if DENIED.iter().any(|range| range.contains(&address)) {
        Address::Denied
    } else {
        Address::Public
    }
}

/// May it be talked to?
pub(super) fn allowed(address: IpAddr, allow_private: bool) -> bool {
    match judge(address) {
        Address::Public => true,
        Address::Private => allow_private,
        Address::Denied => false,
    }
}

/// The layer.
pub(super) struct Guard {
    /// Host and port of each URL setting.
    hosts: Vec<(Host, u16)>,
    allow_private: bool,
    /// May an answer of the vendor name another host?
    names_hosts: bool,
}

impl Guard {
    pub(super) fn new(descriptor: &Descriptor, account: &Account) -> Self {
        let urls = descriptor.settings.iter().chain(descriptor.credentials).filter(|field| field.is_url);
        let hosts = urls
            .filter_map(|field| Url::parse(&setting(descriptor, account, field.name)?).ok())
            .filter_map(|url| Some((url.host()?.to_owned(), url.port_or_known_default()?)))
            .collect();
        Self { hosts, allow_private: account.allow_private, names_hosts: descriptor.names_hosts }
    }

    /// Why the request may not go there.
    fn judge(&self, request: &Request<Bytes>) -> Result<(), SendError> {
        let uri = request.uri();
        if request.extensions().get::<NamedByVendor>().is_none() {
            return self.check(uri);
        }
        if !self.names_hosts || request.headers().contains_key(header::AUTHORIZATION) {
            return Err(SendError::Misconfigured("the request follows an answer to another host"));
        }
        let (_, port) = place(uri, self.allow_private)?;
        if port != 443 && !self.allow_private {
            return Err(SendError::Misconfigured("an answer named an unusual port"));
        }
        Ok(())
    }

    /// Why a request of the account's own may not go there.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), SendError> {
        let (host, port) = place(uri, self.allow_private)?;
        if !self.hosts.iter().any(|(known, at)| *known == host && *at == port) {
            return Err(SendError::Misconfigured("the request goes to a host that is not the account's"));
        }
        Ok(())
    }
}

/// Where it goes, if any request may go to such a place.
pub(super) fn place(uri: &Uri, allow_private: bool) -> Result<(Host, u16), SendError> {
    let text = uri.to_string();
    let url = Url::parse(&text).map_err(|_| SendError::Misconfigured("the request's URL cannot be read"))?;
    let authority = uri.authority().ok_or(SendError::Misconfigured("the request names no host"))?;
    if authority.as_str().contains('@') {
        return Err(SendError::Misconfigured("the request's URL holds user info"));
    }
    let (Some(host), Some(port)) = (url.host().map(|host| host.to_owned()), url.port_or_known_default()) else {
        return Err(SendError::Misconfigured("the request names no host"));
    };
    // Other spellings of an address (decimal, octal, hexadecimal) are read differently by different readers.
    if !authority.host().eq_ignore_ascii_case(&host.to_string()) {
        return Err(SendError::Misconfigured("the request spells its host in an unusual way"));
    }
    let loopback = match &host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && allow_private && loopback) {
        return Err(SendError::Misconfigured("only https is allowed"));
    }
    let literal = match &host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    };
    if literal.is_some_and(|address| !allowed(address, allow_private)) {
        return Err(SendError::NotSent("the host's address is not allowed"));
    }
    Ok((host, port))
}

impl Around for Guard {
    async fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        self.judge(&request)?;
        next.call(request).await
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
