//! `causeway webhooks`: its grammar, and the requests it makes of it.

use causeway_core::clock::Clock;
use causeway_core::ids::{EndpointId, MessageId};
use clap::{Args, Subcommand, ValueEnum};

use super::args::OfTenant;
use super::verbs::Desk;
use super::{End, input};
use crate::admin::{EndpointWish, Range, Request, WebhookRequest};
use crate::clock::SystemClock;
use crate::store::webhooks::MessageStatus;
use crate::units::Span;

/// `webhooks`
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Add an endpoint; the secret that signs what it gets is shown once.
    Add {
        #[command(flatten)]
        of: OfTenant,
        /// Where to send; https.
        url: String,
        /// What to tell it, such as application.delivered,application.refused; everything if left out.
        #[arg(long, value_delimiter = ',')]
        events: Vec<String>,
        /// Tell it of what came with test keys, and of nothing else.
        #[arg(long)]
        test: bool,
        /// Let its host be a loopback or private address, and plain http on this machine. For trying things out.
        #[arg(long)]
        allow_private: bool,
    },
    /// List the endpoints.
    List(OfTenant),
    /// Remove an endpoint; what waited for it is not sent.
    Remove(OneEndpoint),
    /// Make a new secret; it is shown once. The old one signs besides it for a while.
    RotateSecret {
        #[command(flatten)]
        one: OneEndpoint,
        /// For how long both sign.
        #[arg(long, default_value = "24h")]
        both_for: Span,
    },
    /// Let an endpoint that was disabled get messages again, those that waited included.
    Enable(OneEndpoint),
    /// Send a test to an endpoint now, and tell what came back.
    Test(OneEndpoint),
    /// List what was sent and what is to be, newest first.
    Deliveries {
        #[command(flatten)]
        of: OfTenant,
        /// To this endpoint only.
        #[arg(long)]
        endpoint: Option<EndpointId>,
        /// That stand there only.
        #[arg(long)]
        status: Option<StatusArg>,
        /// Older than this message.
        #[arg(long)]
        before: Option<MessageId>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Send a past message again, or an endpoint's messages of a time, under the ids they had.
    Replay(ReplayArgs),
}

/// An endpoint.
#[derive(Debug, Args)]
pub struct OneEndpoint {
    #[command(flatten)]
    pub of: OfTenant,
    /// The endpoint's id.
    pub endpoint: EndpointId,
}

/// `webhooks replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub of: OfTenant,
    /// The message's id, as `deliveries` shows it.
    #[arg(required_unless_present = "endpoint", conflicts_with_all = ["endpoint", "since", "until"])]
    pub message: Option<MessageId>,
    /// All of this endpoint.
    #[arg(long, requires = "since")]
    pub endpoint: Option<EndpointId>,
    /// Of what happened since: a moment, a day or a time ago (3d).
    #[arg(long, requires = "endpoint")]
    pub since: Option<String>,
    /// Until; as --since.
    #[arg(long, requires = "endpoint")]
    pub until: Option<String>,
}

/// As [`MessageStatus`].
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as the original")]
pub enum StatusArg {
    Waiting,
    Delivered,
    GivenUp,
}

impl From<StatusArg> for MessageStatus {
    fn from(arg: StatusArg) -> Self {
        match arg {
            StatusArg::Waiting => Self::Waiting,
            StatusArg::Delivered => Self::Delivered,
            StatusArg::GivenUp => Self::GivenUp,
        }
    }
}

impl Desk {
    pub(super) async fn webhooks(&self, webhooks: Webhooks) -> anyhow::Result<End> {
        let (what, request) = match webhooks {
            Webhooks::Add { of, url, events, test, allow_private } => {
                let wish = EndpointWish { url, events, test, allow_private };
                ("adding the endpoint", WebhookRequest::Add { tenant: of.tenant, wish })
            }
            Webhooks::List(of) => ("reading endpoints", WebhookRequest::List { tenant: of.tenant }),
            Webhooks::Remove(one) => {
                ("removing the endpoint", WebhookRequest::Remove { tenant: one.of.tenant, endpoint: one.endpoint })
            }
            Webhooks::RotateSecret { one, both_for } => {
                let (tenant, endpoint) = (one.of.tenant, one.endpoint);
                ("making a secret", WebhookRequest::RotateSecret { tenant, endpoint, both_for: both_for.0 })
            }
            Webhooks::Enable(one) => {
                ("enabling the endpoint", WebhookRequest::Enable { tenant: one.of.tenant, endpoint: one.endpoint })
            }
            Webhooks::Test(one) => {
                ("asking the endpoint", WebhookRequest::Test { tenant: one.of.tenant, endpoint: one.endpoint })
            }
            Webhooks::Deliveries { of, endpoint, status, before, limit } => {
                let status = status.map(Into::into);
                let request = WebhookRequest::Deliveries { tenant: of.tenant, endpoint, status, before, limit };
                ("reading messages", request)
            }
            Webhooks::Replay(args) => ("sending again", replay(args)?),
        };
        self.show(what, Request::Webhooks(request)).await
    }
}

fn replay(args: ReplayArgs) -> anyhow::Result<WebhookRequest> {
    let (tenant, now) = (args.of.tenant, SystemClock.now());
    match (args.message, args.endpoint, args.since) {
        (Some(message), _, _) => Ok(WebhookRequest::ReplayOne { tenant, message }),
        (None, Some(endpoint), Some(since)) => {
            let until = args.until.map(|text| input::moment(&text, now)).transpose()?;
            let range = Range { endpoint, since: input::moment(&since, now)?, until };
            Ok(WebhookRequest::ReplayRange { tenant, range })
        }
        (None, _, _) => anyhow::bail!("name a message, or an --endpoint and --since"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::args::Cli;

    #[test]
    fn the_documented_lines_parse() {
        for line in [
            "causeway webhooks add https://jobs.example.org/hooks",
            "causeway webhooks add http://127.0.0.1:9000/ --events application.delivered,application.refused --test --allow-private",
            "causeway webhooks list --json",
            "causeway webhooks test whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
            "causeway webhooks rotate-secret whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6 --both-for 2h",
            "causeway webhooks enable whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
            "causeway webhooks remove whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
            "causeway webhooks deliveries --status given_up --limit 5",
            "causeway webhooks replay msg_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
            "causeway webhooks replay --endpoint whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6 --since 3d --until 1d",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }
}
