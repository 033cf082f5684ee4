//! A private Redis: with a password, keeping nothing on disk unless asked.

use crate::keeper::Keeper;
use crate::server::Server;
use crate::tools;
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Duration;

pub struct Redis {
    server: Server,
    port: u16,
    password: String,
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Redis {
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// With settings by the names of redis.conf, such as `("appendonly", "yes")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let program = tools::program("redis-server", "redis-server", "")?;
        let port = tools::free_port()?;
        let password = tools::password();
        let keeper = Keeper::new("redis", None)?;
        let folder = keeper.folder().display().to_string();
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\ndir {folder}\n"
        );
        for (key, value) in settings {
            writeln!(text, "{key} {value}")?;
        }
        keeper.write("redis.conf", &text)?;
        keeper.write("run", &format!("exec '{}' ./redis.conf\n", program.display()))?;
        let login = password.clone();
        let ready = move || command(port, &login, &["PING"]).is_ok_and(|answer| answer == "PONG");
        let server = Server::start("redis", keeper, "TERM", Box::new(ready))?;
        Ok(Self { server, port, password })
    }

    /// One for all tests of this process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Redis, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.password, self.port)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// One command on a connection of its own; its answer as text, the members of a list a line each.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        command(self.port, &self.password, words)
    }

    pub fn flush(&self) -> Result<()> {
        self.command(&["FLUSHALL"]).map(drop)
    }

    /// Such as `("maxmemory", "1mb")`, or `("maxmemory-policy", "noeviction")`.
    pub fn config_set(&self, key: &str, value: &str) -> Result<()> {
        self.command(&["CONFIG", "SET", key, value]).map(drop)
    }

    /// Kills it and starts it empty.
    pub fn wipe(&self) -> Result<()> {
        self.server.wipe(&["dump.rdb", "appendonlydir"])
    }
}

fn command(port: u16, password: &str, words: &[&str]) -> Result<String> {
    let bound = Duration::from_secs(5);
    let mut socket = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), bound)?;
    socket.set_read_timeout(Some(bound))?;
    socket.write_all(&[request(&["AUTH", password]), request(words)].concat())?;
    let mut answers = BufReader::new(socket);
    answer(&mut answers)?;
    answer(&mut answers)
}

fn request(words: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    request
}

fn answer(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let mut rest = line.chars();
    let kind = rest.next().context("Redis closed the connection")?;
    let rest = rest.as_str();
    match kind {
        '+' | ':' => Ok(rest.to_owned()),
        '$' if rest == "-1" => Ok(String::new()),
        '$' => {
            let mut bytes = vec![0; rest.parse::<usize>()? + 2];
            from.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        '*' => {
            let members: Result<Vec<String>> = (0..rest.parse::<usize>()?).map(|_| answer(from)).collect();
            Ok(members?.join("\n"))
        }
        _ => bail!("Redis: {line}"),
    }
}
