//! The configuration's promises as tables: what each mistake is told, which layer wins.

use super::*;

fn read(text: &str) -> Result<Config, Mistakes> {
    Config::from_parts(Some(("causeway.toml", text)), std::iter::empty())
}

fn with_environment(pairs: &[(&str, &str)]) -> Result<Config, Mistakes> {
    Config::from_parts(None, pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())))
}

/// Each mistake in `text` must be told with these words.
fn check(text: &str, told: &str) {
    let message = read(text).unwrap_err().to_string();
    assert!(message.contains(told), "{text:?}\n told: {message}\n want: {told}");
}

#[test]
fn the_embedded_file_is_the_defaults() {
    assert_eq!(read(DEFAULT_FILE).unwrap(), Config::default());
    assert_eq!(read("").unwrap(), Config::default());
    let whole: Duration = Config::default().reloadable.retry.schedule.iter().map(|span| span.0).sum();
    assert!(whole > Duration::from_secs(82 * 3600), "the schedule outlasts a weekend: {whole:?}");
}

#[test]
fn every_key_of_the_embedded_file_is_described_just_above_it() {
    let mut before = "";
    for line in DEFAULT_FILE.lines() {
        let is_key = line.starts_with(|c: char| c.is_ascii_lowercase());
        // A key may share its neighbour's description.
        let described = before.starts_with('#') || before.starts_with(|c: char| c.is_ascii_lowercase());
        assert!(!is_key || described, "{line}");
        before = line;
    }
}

#[test]
fn what_is_set_wins_and_the_rest_stays() {
    let config = read("[listen]\npublic = \"127.0.0.1:9000\"\n[sync]\njobs = \"5s\"\n").unwrap();
    assert_eq!(config.fixed.listen.public.port(), 9000);
    assert_eq!(config.reloadable.sync.jobs.0, Duration::from_secs(5));
    assert_eq!(config.fixed.limits, Config::default().fixed.limits);
}

#[test]
fn each_mistake_names_the_key_the_line_and_the_remedy() {
    for (text, told) in [
        ("[store]\nwriters = 0", "line 2: store.writers: must be at least 1"),
        ("[store]\nreaders = 0", "line 2: store.readers: must be at least 1"),
        ("[redis]\ngateways = 0", "line 2: redis.gateways: must be at least 1"),
        ("[run]\nroles = []", "line 2: run.roles: must name at least one"),
        (
            "[listen]\n\npublik = \"x\"",
            "causeway.toml, line 3: listen.publik: is not a key; did you mean listen.public?",
        ),
        ("\n[lisen]\npublic = \"x\"", "causeway.toml, line 2: lisen: is not a key; did you mean listen?"),
        (
            "[log]\ncolour_of_the_lines = 1",
            "line 2: log.colour_of_the_lines: is not a key; remove it, or use one of log.",
        ),
        ("listen = 4", "line 1: listen: is a section: write [listen] on a line of its own"),
        ("[listen]\npublic = 8080", "line 2: listen.public: must be a text, such as \"127.0.0.1:8080\""),
        ("[limits]\nconcurrency = \"many\"", "line 2: limits.concurrency: must be a whole number, such as 512"),
        ("[limits]\nconcurrency = -1", "line 2: limits.concurrency: "),
        ("[limits]\nconcurrency = 0", "line 2: limits.concurrency: must be at least 1"),
        ("[limits]\n# note\ndeadline = \"30\"", "line 3: limits.deadline: write a duration"),
        ("[limits]\nattachment_memory = \"64MB\"", "line 2: limits.attachment_memory: write a size"),
        ("[listen]\npublic = \"localhost\"", "line 2: listen.public: "),
        ("[log]\nformat = \"xml\"", "line 2: log.format: unknown variant `xml`, expected `json` or `pretty`"),
        ("[retry]\nschedule = [\"5s\", \"soon\"]", "line 2: retry.schedule[1]: write a duration"),
        ("[retry]\nschedule = []", "line 2: retry.schedule: must name at least one wait"),
        ("[retry]\njitter_percent = 80", "line 2: retry.jitter_percent: must be between 0 and 50"),
        ("[retention]\nidempotency = \"1d\"", "line 2: retention.idempotency: must be at least \"30d\""),
        ("[retention]\nwebhooks = \"3d\"", "line 2: retention.webhooks: must be at least \"4d\""),
        ("[retention]\napplications = \"29d\"", "line 2: retention.applications: must be at least \"30d\""),
        ("[dispatch]\nlease = \"10s\"", "line 2: dispatch.lease: must be at least four times dispatch.attempt_timeout"),
        ("[limits]\ndeadline = \"50s\"", "limits.body_deadline: must be shorter than limits.deadline"),
        ("[listen]\nmanagement = \"127.0.0.1:8080\"", "line 2: listen.management: must differ from listen.public"),
        ("[data]\ndir = \"a\"\ndir = \"b\"", "line 3: not readable as TOML: duplicate key"),
        ("[data\n", "line 1: not readable as TOML: "),
    ] {
        check(text, told);
    }
}

#[test]
fn all_unknown_keys_are_told_at_once() {
    let mistakes = read("[a]\n[listen]\nb = 1\nc = 2").unwrap_err();
    assert_eq!(mistakes.0.len(), 3, "{mistakes}");
}

#[test]
fn the_environment_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dir");
    std::fs::write(&path, "elsewhere\n").unwrap();
    let config = with_environment(&[
        ("CAUSEWAY_LIMITS_CONCURRENCY", "7"),
        ("CAUSEWAY_DISPATCH_ENABLED", "false"),
        ("CAUSEWAY_RETRY_SCHEDULE", "1s, 2s"),
        ("CAUSEWAY_DATA_ROOT_KEY_FILE", "/keys/root"),
        ("CAUSEWAY_DATA_DIR_FILE", path.to_str().unwrap()),
        ("CAUSEWAY_CONFIG", "read elsewhere"),
        ("PATH", "not ours"),
    ])
    .unwrap();
    assert_eq!(config.fixed.limits.concurrency, 7);
    assert!(!config.fixed.dispatch.enabled);
    assert_eq!(config.reloadable.retry.schedule.len(), 2);
    assert_eq!(config.fixed.data.root_key(), PathBuf::from("/keys/root"));
    assert_eq!(config.fixed.data.dir, PathBuf::from("elsewhere"));
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    for (name, value, told) in [
        ("CAUSEWAY_LIMITS_CONCURENCY", "7", "environment variable CAUSEWAY_LIMITS_CONCURENCY: sets no key"),
        (
            "CAUSEWAY_LIMITS_CONCURRENCY",
            "many",
            "CAUSEWAY_LIMITS_CONCURRENCY: limits.concurrency: must be a whole number",
        ),
        ("CAUSEWAY_LIMITS_DEADLINE", "soon", "CAUSEWAY_LIMITS_DEADLINE: limits.deadline: write a duration"),
        (
            "CAUSEWAY_DATA_DIR_FILE",
            "/does/not/exist",
            "CAUSEWAY_DATA_DIR_FILE: data.dir: the named file cannot be read",
        ),
    ] {
        let message = with_environment(&[(name, value)]).unwrap_err().to_string();
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let message = Config::load(Some(Path::new("/does/not/exist.toml"))).unwrap_err().to_string();
    assert!(message.contains("/does/not/exist.toml: cannot be read"), "{message}");
}

#[test]
fn every_mistake_is_told_at_once_whatever_its_kind() {
    let text = "[listen]\npublik = \"x\"\npublic = 8080\nmanagement = \"nowhere\"\n\
        [limits]\nconcurrency = 0\nquota_burst = 0\ndeadline = \"soon\"\nbody_deadline = \"70s\"\n\
        [retry]\nschedule = [\"5s\", \"later\"]\njitter_percent = 300\n[log]\nfilter = \"=!=\"\nformat = \"xml\"\n\
        [sync]\njobs = \n[dispatch]\nlease = \"1s\"\n";
    let environment = [("CAUSEWAY_SYNC_FORMS".into(), "never".into()), ("CAUSEWAY_LIMITS_NONE".into(), "1".into())];
    let mistakes = Config::from_parts(Some(("causeway.toml", text)), environment.into_iter()).unwrap_err();
    let told = mistakes.to_string();
    for told_of in [
        "line 2: listen.publik: is not a key",
        "line 3: listen.public: must be a text",
        "line 4: listen.management: invalid socket address syntax; write it like \"127.0.0.1:8081\"",
        "line 6: limits.concurrency: must be at least 1",
        "line 7: limits.quota_burst: must be at least 1",
        "line 8: limits.deadline: write a duration",
        "line 11: retry.schedule[1]: write a duration",
        "line 12: retry.jitter_percent: ",
        "line 14: log.filter: ",
        "line 15: log.format: ",
        "line 17: not readable as TOML",
        "line 19: dispatch.lease: must be at least four times",
        "variable CAUSEWAY_SYNC_FORMS: sync.forms: write a duration",
        "variable CAUSEWAY_LIMITS_NONE: sets no key",
    ] {
        assert!(told.contains(told_of), "{told_of:?} is missing in {told}");
    }
    // 70s is well by itself: what it depends on is told of already.
    assert!(!told.contains("limits.body_deadline"), "{told}");
    assert_eq!(mistakes.0.len(), 14, "{told}");
}

#[test]
fn what_differs_is_named_and_the_two_kinds_are_told_apart() {
    let changed = read("[sync]\njobs = \"5m\"\n[retry]\nschedule = [\"1s\"]\n[limits]\nconcurrency = 7\n").unwrap();
    let (reloadable, fixed) = Config::default().differences(&changed);
    let keys: Vec<&str> = reloadable.iter().map(|change| change.key.as_str()).collect();
    assert_eq!((keys, fixed), (vec!["retry.schedule", "sync.jobs"], vec!["limits.concurrency".to_owned()]));
    assert_eq!((reloadable[1].from.as_str(), reloadable[1].to.as_str()), ("\"1m\"", "\"5m\""));
    assert_eq!(changed.differences(&changed), (vec![], vec![]));
}

#[test]
fn what_may_hold_a_password_is_never_printed() {
    let config =
        read("[store]\ndsn = \"postgres://me:hunter2@db/x\"\n[queue]\nurl = \"amqp://me:hunter2@mq\"\n").unwrap();
    assert_eq!(config.fixed.store.dsn.reveal(), "postgres://me:hunter2@db/x");
    let shown = format!("{config:?} {}", serde_json::to_string(&config.fixed).unwrap());
    assert!(!shown.contains("hunter2") && shown.contains("[secret]"), "{shown}");
}
