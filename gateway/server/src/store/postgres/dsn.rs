//! What a DSN says beside what the driver reads of one: whom a database's certificate has to be signed by, and modes of
//! TLS that the driver has no word for.
//!
//! The words are libpq's: `sslrootcert` is a file of certificates, or `system`. What is left is the driver's. Neither a
//! DSN nor a piece of one that could hold the password is in any error here.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Whom the database's certificate has to be signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Whoever the machine trusts.
    System,
    /// An authority of this file, and nobody else.
    File(PathBuf),
}

/// A DSN that was read.
#[derive(Debug)]
pub(super) struct Dsn {
    pub(super) config: Config,
    pub(super) roots: Roots,
}

/// `None` when it is none, or names no host.
pub(super) fn read(text: &str) -> Option<Dsn> {
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let (rest, root) = if is_url { of_url(text)? } else { of_words(text)? };
    let mut config: Config = rest.parse().ok()?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return None;
    }
    let roots = match root {
        Some(file) if file != "system" => Roots::File(file.into()),
        Some(_) | None => Roots::System,
    };
    // Who says whom to trust does not mean to go without where the server would let it.
    if matches!(roots, Roots::File(_)) && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Require);
    }
    Some(Dsn { config, roots })
}

/// Every TLS connection is verified against the host's name here, so the stricter modes are the same as `require`.
fn mode(value: &str) -> &str {
    if ["verify-ca", "verify-full"].contains(&value) { "require" } else { value }
}

/// `postgresql://…?key=value&key=value`: what is left of it, and the file.
fn of_url(text: &str) -> Option<(String, Option<String>)> {
    // As the driver reads it: a password ends at the first `@`, and may have a `?` in it.
    let (login, place) = text.split_once('@').map_or(("", text), |(login, place)| (login, place));
    let at = if login.is_empty() { "" } else { "@" };
    let Some((before, query)) = place.split_once('?') else { return Some((text.to_owned(), None)) };
    let (mut kept, mut root) = (Vec::new(), None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sslrootcert", file) => root = Some(decoded(file)),
            ("sslmode", value) => kept.push(format!("sslmode={}", mode(value))),
            _ => kept.push(pair.to_owned()),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    Some((format!("{login}{at}{before}{mark}{}", kept.join("&")), root))
}

/// Percent-encoding alone: a `+` is one.
fn decoded(value: &str) -> String {
    let plain = value.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(plain.as_bytes()).next().map_or_else(String::new, |(text, _)| text.into_owned())
}

/// `key=value key='a value'`: what is left of it, and the file.
fn of_words(text: &str) -> Option<(String, Option<String>)> {
    let (mut kept, mut root) = (Vec::new(), None);
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, written, next) = word(after.trim_start());
        match key.trim_end() {
            "sslrootcert" => root = Some(value),
            "sslmode" => kept.push(format!("sslmode={}", mode(&value))),
            key => kept.push(format!("{key}={written}")),
        }
        rest = next.trim_start();
    }
    Some((kept.join(" "), root))
}

/// A value, the same as it was written, and what follows it.
fn word(text: &str) -> (String, &str, &str) {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    let mut end = text.len();
    while let Some((at, next)) = chars.next() {
        match next {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => {
                end = at + 1;
                break;
            }
            space if !quoted && space.is_whitespace() => {
                end = at;
                break;
            }
            other => value.push(other),
        }
    }
    let (written, next) = text.split_at_checked(end).unwrap_or((text, ""));
    (value, written, next)
}

#[cfg(test)]
mod tests {
    use super::{Roots, read};
    use tokio_postgres::config::SslMode::{Disable, Prefer, Require};

    fn check(text: &str, mode: tokio_postgres::config::SslMode, roots: Option<&str>) {
        let dsn = read(text).unwrap();
        assert_eq!(dsn.config.get_ssl_mode(), mode, "{text}");
        assert_eq!(dsn.roots, roots.map_or(Roots::System, |file| Roots::File(file.into())), "{text}");
        assert_eq!(dsn.config.get_password(), Some(&b"ca nary?"[..]), "{text}");
        assert_eq!(dsn.config.get_dbname(), Some("x"), "{text}");
    }

    #[test]
    fn whom_to_trust_and_how_strictly_is_read_from_both_kinds_of_dsn() {
        let url = |query: &str| format!("postgresql://gateway:ca nary?@db.example.org:5432/x{query}");
        let words = |more: &str| format!("host=db.example.org user=gateway password='ca nary?' dbname=x {more}");
        for (query, more, mode, roots) in [
            ("", "", Prefer, None),
            ("?sslmode=disable", "sslmode=disable", Disable, None),
            ("?sslmode=verify-full", "sslmode = verify-full", Require, None),
            ("?sslmode=verify-ca&application_name=a", "sslmode=verify-ca application_name=a", Require, None),
            ("?sslrootcert=system&sslmode=require", "sslrootcert=system sslmode=require", Require, None),
            ("?sslrootcert=/etc/a%20b+c%3D.pem", "sslrootcert='/etc/a b+c=.pem'", Require, Some("/etc/a b+c=.pem")),
            ("?sslmode=verify-full&sslrootcert=/ca", "sslmode=verify-full sslrootcert=/ca", Require, Some("/ca")),
            ("?sslmode=disable&sslrootcert=/ca", "sslmode=disable sslrootcert=/ca", Disable, Some("/ca")),
        ] {
            check(&url(query), mode, roots);
            check(&words(more), mode, roots);
        }
    }

    #[test]
    fn what_is_no_dsn_is_none() {
        for text in
            ["", "nonsense", "postgresql://h/x?sslmode", "host=h sslmode=strict", "host=h sslcert=/a", "dbname=x"]
        {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
