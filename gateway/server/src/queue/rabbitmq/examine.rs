//! What `causeway doctor` asks of the broker. It changes nothing there.

use super::line::Line;
use super::topology::{QUEUE, Topology};
use super::trouble::Trouble;
use super::{Address, Options};

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain words")]
pub enum Standing {
    Well,
    Warning,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its name.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found; unless it is well, what to do.
    pub text: String,
}

fn notice(what: impl Into<String>, standing: Standing, text: impl Into<String>) -> Notice {
    Notice { what: what.into(), standing, text: text.into() }
}

/// What only the broker's own commands tell. No warning: it would be there for ever, and hide the next one.
const UNSEEN: &str = "not looked at; to be asked where the broker runs, as its user: `rabbitmqctl list_policies` and \
    `list_operator_policies` must show none that matches these queues (max-length, overflow, message-ttl, expires and \
    delivery-limit would override them). `list_feature_flags` must show quorum_queue and stream_queue enabled. \
    `rabbitmq-diagnostics check_local_alarms` must find none: while memory or disk is short, rings wait. In a cluster, \
    `rabbitmq-queues check_if_node_is_quorum_critical` must find no queue that loses its majority with one node. Messages \
    that a gateway has taken and not acknowledged are in no count above: `list_queues name messages_unacknowledged`";

/// Looks at the way to the broker and at everything that has to stand there.
pub async fn examine(address: &Address, connectors: &[String], options: &Options) -> Vec<Notice> {
    let line = match Line::open(address, "doctor", options).await {
        Ok(line) => line,
        Err(trouble) => return vec![notice("queue.url", Standing::Bad, trouble.to_string())],
    };
    let mut notices = vec![notice("queue.url", Standing::Well, format!("{address}, as {}", address.user()))];
    let topology = Topology::new(options, connectors);
    let aside = [topology.dead(), topology.parked()];
    for thing in topology.things() {
        let what = format!("{} {}", thing.kind, thing.name);
        notices.push(match thing.look(&line).await {
            Ok(depth) if thing.kind == QUEUE && aside.contains(&thing.name) && depth.messages > 0 => {
                let text = format!("{} messages: {}", depth.messages, meaning(thing.name == topology.dead()));
                notice(what, Standing::Warning, text)
            }
            Ok(depth) if thing.kind == QUEUE => {
                let text = format!("{} messages, {} listeners", depth.messages, depth.listeners);
                notice(what, Standing::Well, text)
            }
            Ok(_) => notice(what, Standing::Well, "there"),
            Err(trouble @ Trouble::Missing { .. }) => notice(what, Standing::Bad, trouble.to_string()),
            Err(trouble) => notice(what, Standing::Bad, trouble.to_string()),
        });
    }
    notices.push(notice("what only RabbitMQ's own commands show", Standing::Well, UNSEEN));
    line.close().await;
    notices
}

fn meaning(dead: bool) -> &'static str {
    if dead {
        "rings that were handed out too often without being taken, or could not be parked. No delivery is lost by it: the \
         store rings again. Look for a gateway that keeps dying, then `rabbitmqctl purge_queue`"
    } else {
        "they came by our queues and are no rings of this version. See who else publishes there, or whether a newer gateway \
         runs; then read them with `rabbitmqadmin get`, and `rabbitmqctl purge_queue`"
    }
}
