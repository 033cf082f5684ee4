//! Where the broker is and whom to believe there, read from `queue.url` and `queue.ca_file` and nowhere else. It never
//! prints the password.

use std::fmt;
use std::path::Path;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::trouble::Trouble;
use crate::trust::Authorities;

/// Where a broker is, and as whom to go there.
#[derive(Clone)]
pub struct Address {
    pub(super) uri: AMQPUri,
    /// Whom to believe instead of the machine's authorities.
    pub(super) authorities: Option<Authorities>,
}

impl Address {
    /// Reads `amqp://user:password@host:5672/vhost` or `amqps://…`.
    ///
    /// # Errors
    /// When it does not read; the text of the error holds nothing of the address.
    pub fn parse(text: &str) -> Result<Self, Trouble> {
        let mut uri: AMQPUri = text.parse().map_err(|_| Trouble::Url)?;
        let url = url::Url::parse(text).map_err(|_| Trouble::Url)?;
        // The library takes an IPv6 address for none at all, and would go to this machine.
        match url.host() {
            Some(url::Host::Ipv6(host)) => uri.authority.host = host.to_string(),
            Some(url::Host::Ipv4(host)) => uri.authority.host = host.to_string(),
            Some(url::Host::Domain(host)) if !host.is_empty() => {}
            Some(url::Host::Domain(_)) | None => return Err(Trouble::Url),
        }
        // A lone slash means the default, as everywhere else; the empty name can be written as nothing else.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        Ok(Self { uri, authorities: None })
    }

    /// Believes the authorities of this file and no others; an empty path names none.
    ///
    /// # Errors
    /// When the file names none, or the address is not encrypted: who names an authority does not go without one.
    pub fn trusting(mut self, file: &Path) -> Result<Self, Trouble> {
        if file.as_os_str().is_empty() {
            return Ok(self);
        }
        match self.uri.scheme {
            AMQPScheme::AMQP => return Err(Trouble::Plain),
            AMQPScheme::AMQPS => {}
        }
        self.authorities = Some(Authorities::read(file).map_err(Trouble::CaFile)?);
        Ok(self)
    }

    pub(super) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    pub(super) fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// Host and port.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        write!(f, "{scheme}://{}, virtual host {}", self.place(), self.vhost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_and_never_shows_its_password() {
        for (text, shown) in [
            ("amqp://gate:hunter2@mq.example.org/%2f", Some("amqp://mq.example.org:5672, virtual host /")),
            ("amqp://gate:hunter2@mq.example.org", Some("amqp://mq.example.org:5672, virtual host /")),
            ("amqp://gate:hunter2@mq.example.org/", Some("amqp://mq.example.org:5672, virtual host /")),
            ("amqps://gate:hunter2@mq.example.org/jobs", Some("amqps://mq.example.org:5671, virtual host jobs")),
            ("amqp://gate:hunter2@[2001:db8::5]:5673/a", Some("amqp://2001:db8::5:5673, virtual host a")),
            ("amqp://gate:hunter2@127.0.0.1:5673/a", Some("amqp://127.0.0.1:5673, virtual host a")),
            ("http://gate:hunter2@mq.example.org", None),
            ("amqp:gate", None),
            ("gate:hunter2@mq.example.org", None),
            ("amqp:///vhost", None),
            ("amqp://gate:hunter2@mq.example.org:port/", None),
        ] {
            let read = Address::parse(text);
            assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), shown, "{text}");
            let printed = format!("{read:?}");
            assert!(!printed.contains("hunter2"), "{printed}");
            assert!(read.err().is_none_or(|trouble| !trouble.to_string().contains("hunter2")));
        }
    }
}
