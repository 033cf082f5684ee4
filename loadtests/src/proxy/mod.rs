//! A TCP proxy that misbehaves on command, one for each link between two processes of a run.
//!
//! Its rules are data (`rules`), concern either direction, and change while connections are open. It knows nothing of
//! what it carries and never alters a byte. Everything it started ends when it is dropped.

mod pump;
mod rules;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::pump::{Dice, Direction, Finish, Pump};
pub(crate) use self::rules::{Arrivals, Ending, Rule, Rules};

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A listener in front of a server.
pub(crate) struct Proxy {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    rules: watch::Sender<Rules>,
    upstream: watch::Sender<SocketAddr>,
    cut: watch::Sender<()>,
    served: Arc<AtomicU64>,
    touched: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port of loopback. `seed` is for jitter and loss.
    pub(crate) async fn start(upstream: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (rules, upstream, cut) =
            (watch::Sender::new(Rules::default()), watch::Sender::new(upstream), watch::Sender::new(()));
        let (served, touched) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let door = Door {
            rules: rules.subscribe(),
            upstream: upstream.subscribe(),
            cut: cut.subscribe(),
            served: Arc::clone(&served),
            touched: Arc::clone(&touched),
            seed,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(door.run(listener));
        Ok(Self { address, rules, upstream, cut, served, touched, _tasks: tasks })
    }

    /// Puts rules in force, for open connections too.
    pub(crate) fn set(&self, rules: Rules) {
        self.rules.send_replace(rules);
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.set(Rules::default());
    }

    /// New connections go there; open ones stay.
    pub(crate) fn lead_to(&self, upstream: SocketAddr) {
        self.upstream.send_replace(upstream);
    }

    /// Resets every open connection.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Connections that were carried so far.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// How often so far a rule did something to a connection or a piece of one: held it, cut it, swallowed it, turned it away.
    pub(crate) fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }
}

/// The accepting side.
struct Door {
    rules: watch::Receiver<Rules>,
    upstream: watch::Receiver<SocketAddr>,
    cut: watch::Receiver<()>,
    served: Arc<AtomicU64>,
    touched: Arc<AtomicU64>,
    seed: u64,
}

impl Door {
    async fn run(self, listener: TcpListener) {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = open.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => self.admit(client, &mut open),
                    // No descriptor is free: some connection's end gives one back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
            }
        }
    }

    fn admit(&self, client: TcpStream, open: &mut JoinSet<()>) {
        let arrivals = self.rules.borrow().arrivals;
        let (mut rules, mut cut) = (self.rules.clone(), self.cut.clone());
        cut.mark_unchanged();
        self.touched.fetch_add(u64::from(arrivals != Arrivals::Serve), Ordering::Relaxed);
        match arrivals {
            Arrivals::Refuse => reset(&client),
            Arrivals::Hold => {
                open.spawn(async move {
                    let lifted = rules.wait_for(|rules| rules.arrivals != Arrivals::Hold);
                    tokio::select! { _ = lifted => {}, _ = cut.changed() => {} }
                    reset(&client);
                });
            }
            Arrivals::Serve => {
                let number = self.served.fetch_add(1, Ordering::Relaxed);
                let (upstream, seed) = (*self.upstream.borrow(), self.seed ^ number);
                let touched = Arc::clone(&self.touched);
                open.spawn(async move {
                    let connecting = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(upstream));
                    match connecting.await {
                        Ok(Ok(server)) => carry(client, server, &rules, cut, (seed, &touched)).await,
                        Ok(Err(_)) | Err(_) => reset(&client),
                    }
                });
            }
        }
    }
}

/// Carries both directions until both have ended or the connection is to end.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    rules: &watch::Receiver<Rules>,
    mut cut: watch::Receiver<()>,
    (seed, touched): (u64, &Arc<AtomicU64>),
) {
    for stream in [&client, &server] {
        // Small pieces are to leave as small pieces. A connection that is gone already fails at its first read.
        drop(stream.set_nodelay(true));
    }
    let finished = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pump = |direction, seed| Pump::new(direction, rules.clone(), Dice::new(seed), Arc::clone(touched));
        let up = pump(Direction::Up, seed).run(from_client, to_server);
        let down = pump(Direction::Down, !seed).run(from_server, to_client);
        tokio::select! {
            finished = async { tokio::try_join!(up, down).map(drop) } => finished,
            _ = cut.changed() => Err(Finish::Reset),
        }
    };
    if finished == Err(Finish::Reset) {
        reset(&client);
        reset(&server);
    }
}

/// Its end will be an RST. One that is gone already needs none.
fn reset(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}

#[cfg(test)]
mod tests;
