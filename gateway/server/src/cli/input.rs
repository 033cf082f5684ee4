//! Reads what must not stand on a command line: addresses and secrets. And times as people write them.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use anyhow::{Context, bail};
use causeway_core::pii::{Pii, Secret};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::setup::Hidden;
use crate::units::Span;

/// The address: as given, or a line of standard input for `-`.
pub(super) fn email(given: &str) -> anyhow::Result<Pii<String>> {
    let typed = if given == "-" { line(&mut io::stdin().lock())? } else { given.to_owned() };
    Ok(Pii::new(typed.trim().to_owned()))
}

fn line(input: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    if input.read_line(&mut line).context("standard input could not be read")? == 0 {
        bail!("standard input ended before a line came");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// `NAME=VALUE`, several.
pub(super) fn pairs(given: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for pair in given {
        // The value may be a secret typed by mistake: only the shape is named.
        let (name, value) = pair.split_once('=').context("write NAME=VALUE")?;
        if pairs.insert(name.to_owned(), value.to_owned()).is_some() {
            bail!("{name} is given twice");
        }
    }
    Ok(pairs)
}

/// The secrets of `--secret NAME=-` (lines of standard input, in order) and `--secret-file NAME=PATH`.
pub(super) fn secrets(from_stdin: &[String], from_files: &[String]) -> anyhow::Result<BTreeMap<String, Hidden>> {
    read_secrets(&mut io::stdin().lock(), from_stdin, from_files)
}

fn read_secrets(
    input: &mut impl BufRead,
    from_stdin: &[String],
    from_files: &[String],
) -> anyhow::Result<BTreeMap<String, Hidden>> {
    let mut secrets = BTreeMap::new();
    for pair in from_stdin {
        let (name, source) = pair.split_once('=').context("write --secret NAME=-")?;
        if source != "-" {
            bail!(
                "a secret on the command line is seen by others: write --secret {name}=- and pipe it in, or use --secret-file"
            );
        }
        let secret = line(input).with_context(|| format!("no secret for {name}"))?;
        secrets.insert(name.to_owned(), Hidden(Secret::new(secret.trim())));
    }
    for pair in from_files {
        let (name, path) = pair.split_once('=').context("write --secret-file NAME=PATH")?;
        let secret = std::fs::read_to_string(path).with_context(|| format!("the file for {name} could not be read"))?;
        if secrets.insert(name.to_owned(), Hidden(Secret::new(secret.trim()))).is_some() {
            bail!("{name} is given twice");
        }
    }
    Ok(secrets)
}

/// A moment, a day (its first moment, UTC) or a time ago.
pub(super) fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(day.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC)?.timestamp());
    }
    let ago: Span = text
        .parse()
        .ok()
        .context("write a moment (2026-11-20T09:00:00Z), a day (2026-11-20) or a time ago (3d, 12h)")?;
    Ok(now.checked_sub(ago.0)?)
}

/// When something ends: a moment, or a day, whose last moment (UTC) it is.
pub(super) fn end(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(day) = text.parse::<Date>() {
        let next = day.tomorrow()?.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC)?;
        return Ok(next.timestamp().checked_sub(jiff::SignedDuration::from_micros(1))?);
    }
    text.parse().ok().context("write a day (2027-01-31) or a moment (2027-01-31T09:00:00Z)")
}

/// A document: of this file, or of standard input for `-`.
pub(super) fn document(source: &str) -> anyhow::Result<String> {
    if source == "-" {
        return io::read_to_string(io::stdin().lock()).context("standard input could not be read");
    }
    std::fs::read_to_string(source).with_context(|| format!("{source} could not be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
            ("2026-11-20T09:00:00+01:00", "2026-11-20T08:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("3d", "2026-11-19T12:00:00Z"),
            ("90m", "2026-11-22T10:30:00Z"),
        ] {
            assert_eq!(moment(text, now).unwrap(), at.parse().unwrap(), "{text}");
        }
        assert!(moment("Tuesday", now).is_err());
    }

    #[test]
    fn secrets_come_from_standard_input_or_files_and_never_from_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "from-file\n").unwrap();
        let given = |text: &str| vec![text.to_owned()];
        let read = read_secrets(
            &mut &b"first\r\nsecond\n"[..],
            &["a=-".to_owned(), "b=-".to_owned()],
            &[format!("c={}", path.display())],
        )
        .unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, hidden)| (name.as_str(), hidden.0.reveal())).collect();
        assert_eq!(read, [("a", "first"), ("b", "second"), ("c", "from-file")]);
        let error = read_secrets(&mut &b""[..], &given("a=hunter2"), &[]).unwrap_err().to_string();
        assert!(error.contains("--secret a=-") && !error.contains("hunter2"), "{error}");
        assert!(read_secrets(&mut &b""[..], &given("a=-"), &[]).is_err());
    }

    #[test]
    fn a_pair_given_twice_is_refused() {
        assert!(pairs(&["a=1".to_owned(), "a=2".to_owned()]).is_err());
        assert_eq!(pairs(&["a=b=c".to_owned()]).unwrap().get("a").map(String::as_str), Some("b=c"));
    }
}
