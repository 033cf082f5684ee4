//! One private server from the shell, for as long as its input is open: `causeway-servers postgres` prints where it is.

use anyhow::{Result, bail};
use causeway_servers::{PgBouncer, Postgres, RabbitMq, Redis, Server};
use std::io::{Read, Write};

fn main() -> Result<()> {
    let engine = std::env::args().nth(1).unwrap_or_default();
    match engine.as_str() {
        "postgres" => {
            let postgres = Postgres::start()?;
            hold(&[&postgres], &postgres.dsn())
        }
        "pgbouncer" => {
            let postgres = Postgres::start()?;
            let bouncer = PgBouncer::before(&postgres.dsn())?;
            hold(&[&postgres, &bouncer], bouncer.dsn())
        }
        "rabbitmq" => {
            let broker = RabbitMq::start()?;
            hold(&[&broker], &broker.url())
        }
        "redis" => {
            let redis = Redis::start()?;
            hold(&[&redis], &redis.url())
        }
        _ => bail!("usage: causeway-servers postgres | pgbouncer | rabbitmq | redis"),
    }
}

/// The address, then a line of folder and processes for each server; then waits until the input ends.
fn hold(servers: &[&Server], address: &str) -> Result<()> {
    let mut told = format!("{address}\n");
    for server in servers {
        let processes: Vec<String> = server.processes()?.iter().map(u32::to_string).collect();
        told.push_str(&format!("{} {}\n", server.folder().display(), processes.join(" ")));
    }
    let mut out = std::io::stdout();
    out.write_all(told.as_bytes())?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
