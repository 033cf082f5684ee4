//! Each server starts, answers, is killed, comes back with its data, hangs when frozen, and is gone when its owner was
//! killed. One test an engine: each is many processes.

use anyhow::{Context, Result, ensure};
use causeway_servers::{Haproxy, PgBouncer, Postgres, RabbitMq, Redis, Server, free_port};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// `put` writes something, `get` tells whether it is there.
fn check(server: &Server, put: impl Fn() -> Result<()>, get: impl Fn() -> Result<bool>) -> Result<()> {
    ensure!(server.answers(), "it does not answer");
    put()?;
    let before = server.processes()?;
    server.kill()?;
    ensure!(!server.answers(), "it answers after it was killed");
    ensure!(server.processes()?.is_empty(), "it has processes after it was killed");
    ensure!(before.iter().all(|pid| !runs(*pid)), "one of {before:?} still runs");
    server.restart()?;
    ensure!(get()?, "what was written before the kill is not there");
    server.freeze()?;
    ensure!(!server.answers(), "it answers while it is frozen");
    server.thaw()?;
    server.wait()?;
    ensure!(get()?, "what was written is not there after the thaw");
    let before = server.processes()?;
    server.restart()?;
    ensure!(before.iter().all(|pid| !runs(*pid)), "one of {before:?} still runs");
    ensure!(get()?, "what was written is not there after a restart in good order");
    Ok(())
}

/// Not counting one that is dead and was not collected.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn postgres_comes_back_with_its_data() -> Result<()> {
    let postgres = Postgres::start()?;
    let dsn = postgres.database()?;
    let name = dsn.rsplit_once('/').and_then(|(_, rest)| rest.split_once('?')).context("a DSN")?.0.to_owned();
    let has = |table: &str| Ok(postgres.psql(&name, &format!("SELECT to_regclass('{table}') IS NOT NULL"))? == "t");
    check(&postgres, || postgres.psql(&name, "CREATE TABLE kept (id int)").map(drop), || has("kept"))?;
    ensure!(postgres.psql("postgres", "SHOW fsync")? == "on", "its syncs are off");
    postgres.psql(&name, "CREATE TABLE logged (id int)")?;
    postgres.stop_immediate()?;
    postgres.restart()?;
    ensure!(has("logged")?, "what was written before the immediate stop is not there");
    postgres.set("work_mem", "7MB")?;
    ensure!(postgres.psql("postgres", "SHOW work_mem")? == "7MB", "the setting was not taken");
    postgres.wipe()?;
    ensure!(has("kept").is_err(), "the database is there after the wipe");
    Ok(())
}

#[test]
fn a_standby_follows_and_takes_over() -> Result<()> {
    let primary = Postgres::start()?;
    let standby = Postgres::standby_of(&primary, "second", &[])?;
    primary.set("synchronous_standby_names", "second")?;
    primary.psql("postgres", "CREATE TABLE kept (id int)")?;
    primary.kill()?;
    standby.promote()?;
    standby.psql("postgres", "INSERT INTO kept VALUES (1)")?;
    Ok(())
}

#[test]
fn pgbouncer_serves_any_role_with_its_own_password() -> Result<()> {
    let postgres = Postgres::start_with(&[("max_connections", "20")])?;
    let bouncer = PgBouncer::before(&postgres.dsn())?;
    postgres.psql("postgres", "CREATE ROLE app LOGIN PASSWORD 'of-the-app'")?;
    let ask = |password: &str| {
        let dsn = format!("postgres://app:{password}@127.0.0.1:{}/postgres", bouncer.port());
        let asked =
            Command::new("psql").args(["-XAtc", "SELECT current_user", "-d", &dsn]).stdin(Stdio::null()).output()?;
        Ok::<_, anyhow::Error>(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
    };
    ensure!(ask("of-the-app")? == "app", "the role is not let in");
    ensure!(ask("wrong")?.is_empty(), "a wrong password is let in");
    check(&bouncer, || Ok(()), || Ok(ask("of-the-app")? == "app"))
}

#[test]
fn rabbitmq_comes_back_with_its_data() -> Result<()> {
    let broker = RabbitMq::start_with(&[("consumer_timeout", "60000")])?;
    let has = |name: &str| Ok(broker.ctl(&["list_vhosts"])?.lines().any(|line| line == name));
    check(&broker, || broker.vhost("kept").map(drop), || has("kept"))?;
    ensure!(broker.ctl(&["environment"])?.contains("{consumer_timeout,60000}"), "the setting was not taken");
    broker.wipe()?;
    ensure!(!has("kept")? && has("causeway")?, "the wipe left something, or left too little");
    Ok(())
}

#[test]
fn redis_comes_back_with_what_it_was_told_to_keep() -> Result<()> {
    let redis = Redis::start_with(&[("appendonly", "yes"), ("appendfsync", "always")])?;
    let has = || Ok(redis.command(&["GET", "kept"])? == "yes");
    check(&redis, || redis.command(&["SET", "kept", "yes"]).map(drop), has)?;
    redis.config_set("maxmemory", "1mb")?;
    ensure!(redis.command(&["CONFIG", "GET", "maxmemory"])? == "maxmemory\n1048576", "the setting was not taken");
    redis.flush()?;
    ensure!(!has()?, "the key is there after the flush");
    redis.config_set("maxmemory", "0")?;
    redis.command(&["SET", "kept", "yes"])?;
    redis.wipe()?;
    ensure!(!has()?, "the key is there after the wipe");
    Ok(())
}

#[test]
fn haproxy_passes_on_what_it_gets() -> Result<()> {
    let behind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = free_port()?;
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nlisten all\n bind \
         127.0.0.1:{port}\n server one {}\n",
        behind.local_addr()?
    );
    let proxy = Haproxy::start(&config, port)?;
    let answering = std::thread::spawn(move || {
        // Looks whether the port is open are connections, too: answer until somebody asks.
        for socket in behind.incoming() {
            let (mut socket, mut asked) = (socket?, [0; 3]);
            if socket.read_exact(&mut asked).is_ok() {
                return socket.write_all(&asked);
            }
        }
        Ok(())
    });
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.write_all(b"abc")?;
    let mut answer = [0; 3];
    socket.read_exact(&mut answer)?;
    ensure!(&answer == b"abc", "it passed on something else");
    ensure!(answering.join().is_ok_and(|done| done.is_ok()), "the server behind it failed");
    proxy.kill()?;
    ensure!(!proxy.answers(), "it answers after it was killed");
    proxy.restart()?;
    let refused = Haproxy::start("listen all\n nonsense\n", port).err().context("nonsense was taken")?;
    ensure!(format!("{refused:#}").contains("nonsense"), "the error does not name the line: {refused:#}");
    Ok(())
}

#[test]
fn all_is_gone_when_the_owner_was_killed() -> Result<()> {
    for engine in ["postgres", "pgbouncer", "rabbitmq", "redis"] {
        let mut owner = Command::new(env!("CARGO_BIN_EXE_causeway-servers"));
        let mut owner = owner.arg(engine).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut told = BufReader::new(owner.stdout.take().context("its output")?).lines();
        told.next().context("the address")??;
        let mut servers: Vec<(PathBuf, Vec<u32>)> = Vec::new();
        let wanted = if engine == "pgbouncer" { 2 } else { 1 };
        while servers.len() < wanted {
            let line = told.next().context("the processes")??;
            let mut words = line.split(' ');
            let folder = PathBuf::from(words.next().context("the folder")?);
            servers.push((folder, words.map(str::parse).collect::<Result<_, _>>()?));
        }
        for (folder, processes) in &servers {
            ensure!(
                folder.is_dir() && processes.iter().any(|pid| runs(*pid)),
                "{engine}: {processes:?} is not running"
            );
        }
        owner.kill()?; // SIGKILL: it cannot clean up
        owner.wait()?;
        let mut looks = 0;
        while servers.iter().any(|(folder, processes)| folder.exists() || processes.iter().any(|pid| runs(*pid))) {
            looks += 1;
            ensure!(looks < 6_000, "{engine}: still there a minute after its owner was killed: {servers:?}");
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }
    Ok(())
}

#[test]
fn a_server_that_cannot_start_says_why() -> Result<()> {
    let refused = Redis::start_with(&[("maxmemory", "a lot")]).err().context("it started")?;
    ensure!(format!("{refused:#}").contains("maxmemory"), "the log is not told: {refused:#}");
    Ok(())
}
