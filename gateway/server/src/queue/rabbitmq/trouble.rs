//! What can go wrong with the broker, in words that say what to do. Nothing here holds a password or a message's body.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use super::address::Address;
use crate::trust::{Fault, Named, NoCertificates};

/// What [`Fault::told`] calls the broker.
const NAMED: Named = Named {
    server: "the broker",
    authorities: "queue.ca_file",
    address: "queue.url",
    clients: "its ssl_options.fail_if_no_peer_cert has to be false",
};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Trouble {
    #[error("queue.url does not read: write amqp://user:password@host:5672/vhost, the default virtual host as /%2f")]
    Url,
    #[error("queue.ca_file: {0}")]
    CaFile(NoCertificates),
    #[error(
        "queue.ca_file names an authority, but queue.url is not encrypted: write amqps:// there, or leave the file out"
    )]
    Plain,
    #[error("no TLS with RabbitMQ at {at}: {}", fault.told(&NAMED))]
    Tls { at: String, fault: Fault },
    #[error(
        "RabbitMQ cannot be reached at {at}: {why}; is it running, and does queue.url name it, with amqps:// if that is a port for TLS?"
    )]
    Unreachable { at: String, why: String },
    #[error(
        "RabbitMQ at {at} refuses the user {user}: check user and password in queue.url (`rabbitmqctl authenticate_user`)"
    )]
    Login { at: String, user: String },
    #[error(
        "the user {user} may not enter the virtual host {vhost} of RabbitMQ at {at}, or it is not there: \
         `rabbitmqctl add_vhost`, then `rabbitmqctl set_permissions -p {vhost} {user} '^causeway' '.*' '.*'`"
    )]
    Vhost { at: String, user: String, vhost: String },
    #[error(
        "the {kind} {name} is at RabbitMQ with other settings than this version's ({said}): stop its gateways, delete it \
         (`rabbitmqctl delete_queue {name}`) and run `causeway migrate`. Rings in it may be lost: the store rings again. \
         `causeway doctor` shows the others"
    )]
    Other { kind: &'static str, name: String, said: String },
    #[error("the {kind} {name} is not at RabbitMQ: run `causeway migrate`")]
    Missing { kind: &'static str, name: String },
    #[error(
        "the user of queue.url may not make or use the {kind} {name} ({said}): give it permissions \
         (`rabbitmqctl set_permissions`), or run `causeway migrate` as one who has them"
    )]
    Forbidden { kind: &'static str, name: String, said: String },
    #[error("RabbitMQ did not answer within {} s while {what}", within.as_secs())]
    Silent { what: &'static str, within: Duration },
    #[error("the connection to RabbitMQ was lost while {what}: {why}")]
    Lost { what: &'static str, why: String },
}

impl Trouble {
    /// Only a person ends it.
    pub fn is_definite(&self) -> bool {
        match self {
            Self::Url
            | Self::CaFile(_)
            | Self::Plain
            | Self::Login { .. }
            | Self::Vhost { .. }
            | Self::Other { .. }
            | Self::Forbidden { .. } => true,
            Self::Tls { fault, .. } => fault.is_of_our_settings(),
            Self::Unreachable { .. } | Self::Missing { .. } | Self::Silent { .. } | Self::Lost { .. } => false,
        }
    }

    /// While connecting.
    pub(super) fn connecting(address: &Address, error: &lapin::Error) -> Self {
        let (at, user) = (address.place(), address.user().to_owned());
        match error.kind() {
            ErrorKind::IOError(why) if let Some(fault) = Fault::of(&**why) => Self::Tls { at, fault },
            ErrorKind::ProtocolError(said) => match said.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Self::Login { at, user },
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                    Self::Vhost { at, user, vhost: address.vhost().to_owned() }
                }
                AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => {
                    Self::Unreachable { at, why: said.get_message().to_string() }
                }
            },
            ErrorKind::IOError(why) => Self::Unreachable { at, why: why.to_string() },
            _ => Self::Unreachable { at, why: error.to_string() },
        }
    }

    /// While declaring or looking at one thing.
    pub(super) fn declaring(kind: &'static str, name: &str, error: &lapin::Error) -> Self {
        let name = name.to_owned();
        if let ErrorKind::ProtocolError(said) = error.kind()
            && let AMQPErrorKind::Soft(soft) = said.kind()
        {
            let text = said.get_message().to_string();
            match soft {
                AMQPSoftError::PRECONDITIONFAILED => return Self::Other { kind, name, said: shortened(&text) },
                AMQPSoftError::NOTFOUND => return Self::Missing { kind, name },
                AMQPSoftError::ACCESSREFUSED => return Self::Forbidden { kind, name, said: shortened(&text) },
                AMQPSoftError::CONTENTTOOLARGE
                | AMQPSoftError::NOROUTE
                | AMQPSoftError::NOCONSUMERS
                | AMQPSoftError::RESOURCELOCKED => {}
            }
        }
        Self::lost("declaring", error)
    }

    /// While working.
    pub(super) fn lost(what: &'static str, error: &lapin::Error) -> Self {
        let why = match error.kind() {
            ErrorKind::ProtocolError(said) => said.get_message().to_string(),
            _ => error.to_string(),
        };
        Self::Lost { what, why }
    }
}

/// What the broker says begins with its code in capitals; the rest names the argument.
fn shortened(said: &str) -> String {
    said.split_once(" - ").map_or(said, |(_, rest)| rest).to_owned()
}
