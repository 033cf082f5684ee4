//! A private RabbitMQ node: its own folder, ports, cookie, user, virtual host and port mapper (epmd).
//!
//! Debian's scripts in /usr/sbin change to the package's user and its folders; those of the library folder, used here, do
//! what they are told. Kept out: clusters, the management plugin, and any topology.

use crate::keeper::Keeper;
use crate::server::Server;
use crate::tools;
use anyhow::{Context, Result, anyhow};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

const PACKAGE: &str = "rabbitmq-server";
const FOLDER: &str = "/usr/lib/rabbitmq/bin";
/// User and virtual host.
const NAME: &str = "causeway";

pub struct RabbitMq {
    server: Server,
    port: u16,
    password: String,
}

impl Deref for RabbitMq {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl RabbitMq {
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// With settings by the names of rabbitmq.conf, such as `("consumer_timeout", "10000")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let server = tools::program("rabbitmq-server", PACKAGE, FOLDER)?;
        let ctl = tools::program("rabbitmqctl", PACKAGE, FOLDER)?;
        let epmd = tools::program("epmd", "erlang-base", "")?;
        let (port, distribution, mapper) = (tools::free_port()?, tools::free_port()?, tools::free_port()?);
        let password = tools::password();
        let keeper = Keeper::new("rabbitmq", None)?;
        let folder = keeper.folder().display().to_string();
        let mut text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = {NAME}\ndefault_pass = {password}\ndefault_vhost = {NAME}\n\
             default_permissions.configure = .*\ndefault_permissions.read = .*\ndefault_permissions.write = .*\n\
             log.console = true\nlog.file = false\n"
        );
        for (key, value) in settings {
            writeln!(text, "{key} = {value}")?;
        }
        keeper.write("rabbitmq.conf", &text)?;
        keeper.write("enabled_plugins", "[].\n")?;
        keeper.write("none", "")?;
        let cookie = keeper.write(".erlang.cookie", &tools::password())?;
        std::fs::set_permissions(&cookie, std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
        keeper.write("env", &environment(&folder, port, distribution, mapper))?;
        // Not `exec`: the port mapper has to end with the broker, also when that ends by itself.
        let run = format!(
            ". ./env\n'{}' -address 127.0.0.1 -port {mapper} &\nmapper=$!\n'{}' &\nbroker=$!\ntrap 'kill -TERM $broker' \
             TERM\nwait $broker\nwait $broker\nkill $mapper\n",
            epmd.display(),
            server.display()
        );
        keeper.write("run", &run)?;
        keeper.write("ctl", &format!("cd '{folder}'\n. ./env\nexec '{}' --quiet \"$@\"\n", ctl.display()))?;
        let login = password.clone();
        let ready = move || handshake(port, &login).is_ok();
        let server = Server::start("rabbitmq", keeper, "TERM", Box::new(ready))?;
        Ok(Self { server, port, password })
    }

    /// One for all tests of this process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<RabbitMq, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://{NAME}:{}@127.0.0.1:{}/{NAME}", self.password, self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What rabbitmqctl says of this node. The virtual host is `causeway`: add `-p`, `causeway` where one is asked for.
    pub fn ctl(&self, words: &[&str]) -> Result<String> {
        let script = self.folder().join("ctl");
        let mut ctl = Command::new("sh");
        ctl.arg(script).args(words).stdin(Stdio::null());
        tools::output(&mut ctl).with_context(|| format!("rabbitmqctl {}", words.join(" ")))
    }

    /// A virtual host of its own, for a test that shares the node; its URL.
    pub fn vhost(&self, name: &str) -> Result<String> {
        self.ctl(&["add_vhost", name])?;
        self.ctl(&["set_permissions", "-p", name, NAME, ".*", ".*", ".*"])?;
        Ok(format!("amqp://{NAME}:{}@127.0.0.1:{}/{name}", self.password, self.port))
    }

    /// Kills it and starts it empty: queues, messages and whatever was declared are gone.
    pub fn wipe(&self) -> Result<()> {
        self.server.wipe(&["mnesia"])
    }
}

/// All that RabbitMQ would otherwise read from the machine's folders.
fn environment(folder: &str, port: u16, distribution: u16, mapper: u16) -> String {
    let mut text = String::from("set -a\nLANG=C.UTF-8\nLC_ALL=C.UTF-8\n");
    let paths = [
        ("HOME", ""),
        ("RABBITMQ_CONF_ENV_FILE", "/none"),
        ("RABBITMQ_CONFIG_FILE", "/rabbitmq.conf"),
        ("RABBITMQ_CONFIG_FILES", "/conf.d"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "/advanced.config"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "/config"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "/enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "/mnesia"),
        ("RABBITMQ_LOG_BASE", "/logs"),
        ("RABBITMQ_PID_FILE", "/pid"),
    ];
    for (key, path) in paths {
        text.push_str(&format!("{key}='{folder}{path}'\n"));
    }
    text.push_str(&format!(
        "RABBITMQ_NODENAME=causeway{port}@localhost\nRABBITMQ_DIST_PORT={distribution}\nERL_EPMD_PORT={mapper}\n\
         ERL_EPMD_ADDRESS=127.0.0.1\nRABBITMQ_CTL_DIST_PORT_MIN=10240\nRABBITMQ_CTL_DIST_PORT_MAX=32239\n\
         RABBITMQ_LOGS=-\nERL_CRASH_DUMP_SECONDS=0\n\
         RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {{127,0,0,1}} -rabbit channel_tick_interval 1000'\n\
         unset NOTIFY_SOCKET ERL_LIBS ERL_FLAGS\nset +a\n"
    ));
    text
}

/// Logs in and opens the virtual host, so that what answers is the broker and not only its port.
fn handshake(port: u16, password: &str) -> Result<()> {
    let bound = Duration::from_secs(5);
    let mut socket = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), bound)?;
    socket.set_read_timeout(Some(bound))?;
    socket.write_all(b"AMQP\x00\x00\x09\x01")?;
    method(&mut socket, 10)?;
    let login = format!("\0{NAME}\0{password}");
    let mut start_ok = vec![0, 10, 0, 11, 0, 0, 0, 0];
    start_ok.extend(short("PLAIN"));
    start_ok.extend(u32::try_from(login.len())?.to_be_bytes());
    start_ok.extend(login.as_bytes());
    start_ok.extend(short("en_US"));
    send(&mut socket, &start_ok)?;
    let tune = method(&mut socket, 30)?;
    let mut tune_ok = vec![0, 10, 0, 31];
    tune_ok.extend(tune);
    send(&mut socket, &tune_ok)?;
    let mut open = vec![0, 10, 0, 40];
    open.extend(short(NAME));
    open.extend([0, 0]);
    send(&mut socket, &open)?;
    method(&mut socket, 41).map(drop)
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or(0)];
    bytes.extend(text.as_bytes());
    bytes
}

fn send(socket: &mut TcpStream, payload: &[u8]) -> Result<()> {
    let mut frame = vec![1, 0, 0];
    frame.extend(u32::try_from(payload.len())?.to_be_bytes());
    frame.extend(payload);
    frame.push(0xCE);
    Ok(socket.write_all(&frame)?)
}

/// The arguments of the connection's method that has to come next.
fn method(socket: &mut TcpStream, wanted: u8) -> Result<Vec<u8>> {
    let mut head = [0; 7];
    socket.read_exact(&mut head)?;
    let [_, _, _, length @ ..] = head;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(length))? + 1];
    socket.read_exact(&mut payload)?;
    payload.pop();
    anyhow::ensure!(payload.get(..4) == Some(&[0, 10, 0, wanted][..]), "the broker answered something else");
    Ok(payload.split_off(4))
}
