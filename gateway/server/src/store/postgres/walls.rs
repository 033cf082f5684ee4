//! The second wall, tried: every statement there is, with its own question for the tenant taken out.
//!
//! A database holds one row of a foreign tenant in every table. Each statement is asked for that row, as the gateway's role
//! in a transaction of another tenant: it sees and changes nothing. The same statements without the wall do, which shows
//! that there was something to see. Every statement is prepared on the way, so that one that PostgreSQL does not take, or
//! whose answer the store cannot read, fails here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use causeway_servers::Postgres as Server;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};
use tokio_util::task::TaskTracker;

use super::tests::Postgres;
use super::text::{Use, translate};

/// Everything of the foreign tenant is this: ids, so that its rows belong together, and its own.
const FOREIGN: [u8; 16] = [0x42; 16];

/// Statements of SQLite's own backups.
const NOT_OURS: [&str; 1] = ["custody/schema"];

/// Statements that read no table: each says one row of its own.
const OF_NOTHING: [&str; 4] = ["accept/lock", "person_lock", "sync_lock", "time"];

/// Tables of no tenant: what they hold is the installation's, or says who there is.
const OF_NOBODY: [&str; 4] = ["tenants", "meta", "job_leases", "receipt_keys"];

/// Values that make the foreign row one that most statements look for.
const AS_LOOKED_FOR: [(&str, &str, &str); 9] = [
    ("submissions", "kind", "'accepted'"),
    ("submissions", "erased_at", "NULL"),
    ("deliveries", "state", "'queued'"),
    ("webhook_endpoints", "events", "'[]'"),
    ("webhook_endpoints", "removed_at", "NULL"),
    ("webhook_endpoints", "disabled_at", "NULL"),
    ("accounts", "paused_since", "NULL"),
    ("cases", "closed_at", "NULL"),
    ("api_keys", "revoked_at", "NULL"),
];

/// Every statement as PostgreSQL runs it when it writes.
fn statements() -> BTreeMap<String, String> {
    fn read(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path != root.join("postgres") {
                    read(root, &path, found);
                }
            } else if let Some(name) = path.strip_prefix(root).unwrap().to_str().unwrap().strip_suffix(".sql") {
                found.insert(name.to_owned(), translate(&std::fs::read_to_string(&path).unwrap(), Use::Write));
            }
        }
    }
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text"));
    let mut found = BTreeMap::new();
    read(&root, &root, &mut found);
    let own = root.join("postgres");
    read(&own, &own, &mut found);
    found.retain(|name, _| !NOT_OURS.contains(&name.as_str()));
    found
}

async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    // It ends with the client.
    drop(TaskTracker::new().spawn(connection));
    client
}

/// As its owner's superuser, who is held by no wall, and as the gateway.
async fn both(database: &Postgres) -> (Client, Client) {
    let (_, name) = database.dsn.rsplit_once('/').unwrap();
    let name = name.split('?').next().unwrap();
    let owner = connect(&Server::shared().unwrap().dsn_of(name)).await;
    let gateway = connect(&database.dsn).await;
    gateway.batch_execute("SET ROLE causeway_gateway").await.unwrap();
    (owner, gateway)
}

async fn tables(owner: &Client) -> Vec<String> {
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                  AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'migrations' ORDER BY 1";
    owner.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn insert_foreign_rows(owner: &Client) {
    for table in tables(owner).await {
        let columns = format!(
            "SELECT attname::text, atttypid::regtype::text FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        );
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for row in owner.query(&columns, &[]).await.unwrap() {
            let (name, kind): (String, String) = (row.get(0), row.get(1));
            let given = AS_LOOKED_FOR.iter().find(|(of, column, _)| *of == table && *column == name);
            values.push(match (given, kind.as_str()) {
                (Some((_, _, value)), _) => (*value).to_owned(),
                (None, "bytea") => format!("'\\x{}'", data_encoding::HEXLOWER.encode(&FOREIGN)),
                (None, "bigint") => "1".to_owned(),
                (None, "text") => "'x'".to_owned(),
                (None, other) => panic!("{table}.{name} is {other}"),
            });
            names.push(format!("\"{name}\""));
        }
        let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        owner.batch_execute(&format!("SET session_replication_role = replica; {insert}")).await.unwrap();
    }
}

/// Without its question for the tenant: `tenant = $1` becomes a thing that is always true.
fn unasked(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("tenant = $") {
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        let (number, after) = after.split_at(digits);
        // An alias before it goes, too.
        let (kept, word) = before.rsplit_once([' ', '\n', '(']).map_or(("", before), |(kept, word)| (kept, word));
        let kept = before.split_at(kept.len() + usize::from(before.len() > word.len())).0;
        made.push_str(if word.ends_with('.') { kept } else { before });
        made.push_str(&format!("CAST(${number} AS bytea) IS NOT NULL"));
        rest = after;
    }
    made.push_str(rest);
    made
}

/// The foreign row's value, and on which side of a comparison it is included.
fn parameters(text: &str, statement: &Statement) -> Vec<Box<dyn ToSql + Sync + Send>> {
    let value = |(at, kind): (usize, &Type)| -> Box<dyn ToSql + Sync + Send> {
        let compared = |with: &str| {
            [format!("{with} ${}", at + 1), format!("{with} CAST(${}", at + 1)].iter().any(|one| {
                text.split_once(one.as_str()).is_some_and(|(_, next)| !next.starts_with(|c: char| c.is_ascii_digit()))
            })
        };
        match *kind {
            Type::BYTEA => Box::new(FOREIGN.to_vec()),
            Type::TEXT => Box::new("x".to_owned()),
            Type::INT8 if compared("<=") || compared("<") || compared("LIMIT") => Box::new(1_i64 << 40),
            Type::INT8 if compared(">=") || compared(">") => Box::new(-(1_i64 << 40)),
            Type::INT8 => Box::new(1_i64),
            Type::BYTEA_ARRAY => Box::new(vec![FOREIGN.to_vec()]),
            Type::TEXT_ARRAY => Box::new(vec!["x".to_owned()]),
            Type::INT8_ARRAY => Box::new(vec![1_i64]),
            ref other => panic!("a parameter of type {other}: {text}"),
        }
    };
    statement.params().iter().enumerate().map(value).collect()
}

/// Something of somebody: not a count of none, not which of the questions (`n`) it answers, nor on which side a count is.
fn says_something(row: &Row) -> bool {
    (0..row.len()).filter(|at| !["n", "side"].contains(&row.columns()[*at].name())).any(|at| {
        match *row.columns()[at].type_() {
            Type::BOOL => row.get::<_, Option<bool>>(at).unwrap_or(false),
            Type::INT4 => row.get::<_, Option<i32>>(at).unwrap_or(0) != 0,
            Type::INT8 => row.get::<_, Option<i64>>(at).unwrap_or(0) != 0,
            Type::TEXT => row.get::<_, Option<String>>(at).is_some(),
            Type::BYTEA => row.get::<_, Option<Vec<u8>>>(at).is_some(),
            ref other => panic!("a column of type {other}"),
        }
    })
}

/// How many rows it sees or changes in a transaction of another tenant; `None` when it is refused. Nothing stays.
async fn reach(client: &Client, text: &str) -> Option<u64> {
    let statement = client.prepare(text).await.unwrap_or_else(|error| panic!("{error:?}: {text}"));
    for column in statement.columns() {
        let read = [Type::BOOL, Type::INT4, Type::INT8, Type::TEXT, Type::BYTEA];
        assert!(read.contains(column.type_()), "{} is {}: {text}", column.name(), column.type_());
    }
    let other = "BEGIN; SET LOCAL causeway.tenants = '{\"\\\\x41414141414141414141414141414141\"}'";
    client.batch_execute(other).await.unwrap();
    let parameters = parameters(text, &statement);
    let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
    let reached = if statement.columns().is_empty() {
        client.execute(&statement, &parameters).await.ok()
    } else {
        let rows = client.query(&statement, &parameters).await;
        rows.ok().map(|rows| rows.iter().filter(|row| says_something(row)).count() as u64)
    };
    client.batch_execute("ROLLBACK").await.unwrap();
    reached
}

#[tokio::test]
async fn without_its_own_question_no_statement_reaches_another_tenants_rows() {
    let (owner, gateway) = both(&Postgres::default()).await;
    insert_foreign_rows(&owner).await;
    let mut seen_without_the_wall = 0;
    for (name, text) in statements() {
        let text = unasked(&text);
        let is_of_nobody = OF_NOBODY.iter().any(|table| {
            ["FROM", "INTO", "UPDATE"].iter().any(|verb| {
                text.split_once(&format!("{verb} {table}"))
                    .is_some_and(|(_, next)| !next.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        });
        let reached = reach(&gateway, &text).await;
        if !is_of_nobody && !OF_NOTHING.contains(&name.as_str()) {
            assert_eq!(reached.unwrap_or(0), 0, "{name} reaches another tenant's rows");
            seen_without_the_wall += usize::from(reach(&owner, &text).await.is_some_and(|reached| reached > 0));
        }
    }
    assert!(seen_without_the_wall >= 150, "only {seen_without_the_wall} statements had anything to see");
}

#[tokio::test]
async fn every_table_that_names_a_tenant_is_behind_the_wall_and_refuses_others_rows() {
    let (owner, gateway) = both(&Postgres::default()).await;
    insert_foreign_rows(&owner).await;
    for table in tables(&owner).await {
        if OF_NOBODY.contains(&table.as_str()) {
            continue;
        }
        gateway.batch_execute("RESET causeway.tenants").await.unwrap();
        let nobody = gateway.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(nobody.get::<_, i64>(0), 0, "{table}, where nobody was named");
        // The very row that is there, as another's: it is the wall that refuses it, whatever else would.
        let copy = format!("INSERT INTO {table} SELECT * FROM {table}");
        let theirs = "BEGIN; SET LOCAL causeway.tenants = '*'";
        gateway.batch_execute(theirs).await.unwrap();
        let seen = gateway.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(seen.get::<_, i64>(0), 1, "{table}, where everybody was named");
        assert!(gateway.batch_execute(&copy).await.is_err(), "{table}: there already");
        gateway.batch_execute("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn who_asks_for_due_work_reads_what_a_lease_is_made_of_and_writes_nothing() {
    let (owner, gateway) = both(&Postgres::default()).await;
    insert_foreign_rows(&owner).await;
    // The gateway may become it, and has none of its rights until then.
    let inherits = "SELECT pg_has_role('causeway_gateway', 'causeway_leases', 'USAGE')";
    assert!(!owner.query_one(inherits, &[]).await.unwrap().get::<_, bool>(0));
    gateway.batch_execute("SET ROLE causeway_leases").await.unwrap();
    let statements = statements();
    for name in ["due_accounts", "due_next", "expired_tenants", "webhooks/due", "account_tenant"] {
        gateway.prepare(&statements[name]).await.unwrap();
    }
    assert_eq!(gateway.query("SELECT seq FROM deliveries", &[]).await.unwrap().len(), 1, "of every tenant");
    for refused in [
        "SELECT fields_sealed FROM deliveries",
        "SELECT vendor_id FROM deliveries",
        "SELECT credentials_sealed FROM accounts",
        "SELECT 1 FROM submissions",
        "SELECT 1 FROM wrapped_keys",
        "SELECT seq FROM deliveries FOR UPDATE",
        "UPDATE deliveries SET state = 'cancelled'",
        "DELETE FROM deliveries",
    ] {
        assert!(gateway.batch_execute(refused).await.is_err(), "{refused}");
    }
}

#[tokio::test]
async fn the_audit_is_only_written_and_read_and_loses_its_oldest_rows_to_a_signed_floor_alone() {
    let (owner, gateway) = both(&Postgres::default()).await;
    let rows = "INSERT INTO tenants VALUES ('\\x01', 'a', 0); \
                INSERT INTO audit SELECT '\\x01', n, n, 'a', 'b', 'c', '\\x00' FROM generate_series(1, 9) AS n; \
                INSERT INTO audit_heads VALUES ('\\x01', 9, '\\x00', '\\x00')";
    owner.batch_execute(rows).await.unwrap();
    gateway.batch_execute("SET causeway.tenants = '*'").await.unwrap();
    for refused in ["DELETE FROM audit", "UPDATE audit SET actor = 'x'", "DELETE FROM audit_rest", "TRUNCATE audit"] {
        assert!(gateway.batch_execute(refused).await.is_err(), "{refused}");
    }
    let remove =
        async |up_to: i64| gateway.query("SELECT causeway_remove_audit('\\x01', $1)", &[&up_to]).await.unwrap().len();
    assert_eq!(remove(5).await, 0, "no floor");
    gateway.batch_execute("INSERT INTO audit_floors VALUES ('\\x01', 4, '\\x00', '\\x00')").await.unwrap();
    assert_eq!(remove(9).await, 4, "up to the floor");
    gateway.batch_execute("UPDATE audit_floors SET position = 9").await.unwrap();
    assert_eq!(remove(9).await, 4, "never the newest");
    gateway.batch_execute("SET causeway.tenants = ''").await.unwrap();
    assert_eq!(remove(9).await, 0, "of nobody");
}

#[tokio::test]
async fn partitions_are_made_ahead_take_over_what_came_before_them_and_go_when_they_are_empty() {
    let (owner, gateway) = both(&Postgres::default()).await;
    let at = async |text: &str| -> i64 {
        owner
            .query_one(&format!("SELECT (extract(epoch FROM timestamp '{text}') * 1000000)::bigint"), &[])
            .await
            .unwrap()
            .get(0)
    };
    let keep = async |now: i64| -> i64 {
        gateway.query_one("SELECT causeway_keep_partitions($1)", &[&now]).await.unwrap().get(0)
    };
    let partition = async |id: i64| -> Vec<String> {
        let asked = "SELECT tableoid::regclass::text FROM attempts WHERE began_at = $1";
        owner.query(asked, &[&id]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let (then, later) = (at("2031-05-20").await, at("2031-09-02").await);
    let insert = "INSERT INTO attempts (id, delivery, tenant, number, step, is_lookup, began_at) \
                  VALUES (causeway_id_at($1), '\\x02', '\\x01', 1, 'submit', 0, $1)";
    owner.execute(insert, &[&then]).await.unwrap();
    assert_eq!(partition(then).await, ["attempts_rest"]);
    assert!(keep(then).await > 0);
    assert_eq!(partition(then).await, ["attempts_2031_05_01"], "moved to where it belongs");
    assert_eq!(keep(then).await, 0, "once is enough");
    owner.execute(insert, &[&at("2031-07-31 23:59:59.999").await]).await.unwrap();
    keep(later).await;
    let left = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'attempts\\_2031%' ORDER BY 1";
    let left: Vec<String> = owner.query(left, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let expected = [
        "attempts_2031_05_01",
        "attempts_2031_07_01",
        "attempts_2031_09_01",
        "attempts_2031_10_01",
        "attempts_2031_11_01",
    ];
    assert_eq!(left, expected, "June was empty; May and July are not");
}
