//! What `causeway doctor` finds out about the Redis of the configuration. Writes one key, which ends by itself.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use super::{Link, PATIENCE, Trouble, Unusable};
use crate::config::RedisAt;
use crate::store::finding::{Finding, Health};

const NAME: &str = "redis.url";
/// Older ones have no `TIME` in scripts that write.
const OLDEST: u32 = 6;
/// Slower than this, a good part of the questions would come too late.
const SLOW: Duration = Duration::from_millis(20);

/// Looks at it. Nothing when none is configured.
pub async fn examine(at: &RedisAt) -> Vec<Finding> {
    let finding = |state, text: String| vec![Finding::new(NAME, state, text)];
    let link = match Link::open(at) {
        Ok(None) => return Vec::new(),
        Ok(Some(link)) => link,
        Err(unusable @ (Unusable::Url | Unusable::Insecure)) => return finding(Health::Bad, unusable.to_string()),
        Err(unusable @ (Unusable::CaFile(_) | Unusable::Plain)) => {
            return vec![Finding::new("redis.ca_file", Health::Bad, unusable.to_string())];
        }
    };
    let conn = match link.connect().await {
        Ok(conn) => conn,
        Err(trouble) => return finding(Health::Bad, trouble.to_string()),
    };
    match look(conn).await {
        Ok(mut findings) => {
            if at.gateways == 1 {
                let text =
                    "1: set it to how many gateways share this Redis, so that each takes its part of the reserve";
                findings.push(Finding::new("redis.gateways", Health::Warning, text));
            }
            findings
        }
        Err(trouble) => finding(Health::Bad, trouble.to_string()),
    }
}

async fn look(mut conn: MultiplexedConnection) -> Result<Vec<Finding>, Trouble> {
    let ask = async |conn: &mut MultiplexedConnection, section: &str| -> Result<String, Trouble> {
        let mut info = redis::cmd("INFO");
        info.arg(section);
        info.query_async(conn).await.map_err(|error| Trouble::from(&error))
    };
    let server = ask(&mut conn, "server").await?;
    let memory = ask(&mut conn, "memory").await?;
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        redis::cmd("PING").exec_async(&mut conn).await.map_err(|error| Trouble::from(&error))?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or(PATIENCE);
    Ok(vec![version(&server, median), policy(&memory)])
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
}

fn version(server: &str, median: Duration) -> Finding {
    let (kind, version) = match field(server, "valkey_version") {
        Some(version) => ("Valkey", version),
        None => ("Redis", field(server, "redis_version").unwrap_or("of unknown version")),
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let round = format!("{:.1} ms there and back", median.as_secs_f64() * 1e3);
    if major.is_some_and(|major| major < OLDEST) {
        return Finding::new(NAME, Health::Bad, format!("{kind} {version} is too old: bring {OLDEST} or later"));
    }
    if median > SLOW {
        let text = format!("{kind} {version} can be written, but is far: {round}; put one nearer to the gateways");
        return Finding::new(NAME, Health::Warning, text);
    }
    Finding::new(NAME, Health::Well, format!("{kind} {version} can be written; {round}"))
}

fn policy(memory: &str) -> Finding {
    const WHAT: &str = "redis maxmemory";
    let most = field(memory, "maxmemory").and_then(|most| most.parse::<u64>().ok()).unwrap_or(0);
    let policy = field(memory, "maxmemory_policy").unwrap_or("not told");
    if most > 0 && policy.starts_with("allkeys") {
        let text = format!(
            "{policy}: limits may be forgotten when it is full, and then begin empty, which only slows; \
             better `noeviction` and a Redis of the gateways' own"
        );
        return Finding::new(WHAT, Health::Warning, text);
    }
    let most = if most == 0 { "without bound".to_owned() } else { format!("{} MiB", most / 1024 / 1024) };
    Finding::new(WHAT, Health::Well, format!("{most}, {policy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_distance_and_eviction_are_judged() {
        let near = Duration::from_millis(1);
        for (server, median, state) in [
            ("redis_version:7.0.15\r\n", near, Health::Well),
            ("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", near, Health::Well),
            ("redis_version:6.0.16\r\n", near, Health::Well),
            ("redis_version:5.0.7\r\n", near, Health::Bad),
            ("redis_version:7.0.15\r\n", Duration::from_millis(60), Health::Warning),
        ] {
            assert_eq!(version(server, median).state, state, "{server}");
        }
        assert!(version("redis_version:7.2.4\r\nvalkey_version:8.0.1", near).text.starts_with("Valkey 8.0.1"));
        for (memory, state) in [
            ("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n", Health::Well),
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", Health::Well),
            ("maxmemory:1048576\r\nmaxmemory_policy:allkeys-lru\r\n", Health::Warning),
            ("maxmemory:1048576\r\nmaxmemory_policy:volatile-ttl\r\n", Health::Well),
        ] {
            assert_eq!(policy(memory).state, state, "{memory}");
        }
    }
}
