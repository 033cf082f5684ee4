//! One function per command: reads what the command line holds back, asks, shows.

use anyhow::Context;
use causeway_core::clock::Clock;
use causeway_core::pii::Secret;

use super::args::{Accounts, AddAccount, Command, Jobs, Keys, Tenants, WhyArgs};
use super::ask::ask;
use super::progress::while_waiting;
use super::{End, input, out, serve, table};
use crate::admin::onboard::Ask;
use crate::admin::{OnboardRequest, Request, Response, is_refused};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::gateway::ReadConfig;
use crate::setup::{AccountChange, AccountWish, KeyWish};
use crate::store::postgres::{self, Migrated};
use crate::support::LookupRequest;
use crate::support::redact::for_terminal;

pub(super) async fn run(command: Command, config: Config, read: ReadConfig, json: bool) -> anyhow::Result<End> {
    let desk = Desk { config, json };
    match command {
        Command::Serve(_) => serve::run(desk.config, read, json).await,
        Command::Why(args) => desk.why(args).await,
        Command::Replay(args) => {
            desk.show("replaying", Request::Replay { tenant: args.of.tenant, delivery: args.delivery }).await
        }
        Command::Cancel(args) => {
            desk.show("cancelling", Request::Cancel { tenant: args.of.tenant, delivery: args.delivery }).await
        }
        Command::Cases(args) => {
            desk.show("reading cases", Request::Cases { tenant: args.of.tenant, limit: args.limit }).await
        }
        Command::Tenants(Tenants::Create { name }) => {
            desk.show("making the tenant", Request::TenantCreate { name }).await
        }
        Command::Tenants(Tenants::List) => desk.show("reading tenants", Request::Tenants).await,
        Command::Accounts(accounts) => desk.accounts(accounts).await,
        Command::Keys(keys) => desk.keys(keys).await,
        Command::Jobs(jobs) => desk.jobs(jobs).await,
        Command::Erase(args) => desk.erase(args).await,
        Command::Export(args) => desk.export(args).await,
        Command::Backup(args) => desk.backup(args).await,
        Command::Restore(args) => desk.restore(args).await,
        Command::Webhooks(webhooks) => desk.webhooks(webhooks).await,
        Command::Migrate => desk.migrate().await,
        Command::Reload => desk.reload().await,
        Command::Demo(_) | Command::Sandbox(_) | Command::Openapi(_) | Command::Doctor => {
            unreachable!("run without a configuration")
        }
    }
}

/// How a command ended that came to this answer.
fn end_of(response: &Response) -> End {
    match response {
        Response::Report(report) if !report.found => End::NothingFound,
        Response::Plan(reach) if reach.is_unknown() => End::NothingFound,
        Response::Checked(checked) if is_refused(checked) => End::No,
        Response::EndpointTested { taken: false, .. } => End::No,
        _an_answer => End::Answered,
    }
}

/// What every command has: the configuration, and how to answer.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) json: bool,
}

impl Desk {
    pub(super) async fn show(&self, what: &str, request: Request) -> anyhow::Result<End> {
        let response = ask(&self.config, what, request).await?;
        self.answer(&response)
    }

    pub(super) fn answer(&self, response: &Response) -> anyhow::Result<End> {
        if self.json {
            out::json(&response.value())?;
        } else {
            out::text(&for_terminal(&table::of(response)))?;
        }
        Ok(end_of(response))
    }

    async fn why(&self, args: WhyArgs) -> anyhow::Result<End> {
        let now = SystemClock.now();
        let moment = |text: Option<String>| text.map(|text| input::moment(&text, now)).transpose();
        let question = LookupRequest {
            email: args.email.as_deref().map(input::email).transpose()?,
            base_email: args.base,
            job: args.job,
            code: args.code,
            account: args.account,
            since: moment(args.since)?,
            until: moment(args.until)?,
            limit: Some(args.limit),
        };
        self.show("looking it up", Request::Why { tenant: args.of.tenant, question }).await
    }

    async fn accounts(&self, accounts: Accounts) -> anyhow::Result<End> {
        let (what, request) = match accounts {
            Accounts::Add(args) => return self.add_account(*args).await,
            Accounts::Map(map) => return self.map(map).await,
            Accounts::GoLive(args) => return self.go_live(args).await,
            Accounts::Rotate(args) => return self.rotate(args).await,
            Accounts::List(of) => ("reading accounts", Request::Accounts { tenant: of.tenant }),
            Accounts::Show(one) => {
                ("reading the account", Request::AccountShow { tenant: one.of.tenant, account: one.account })
            }
            Accounts::Check(one) => {
                let request = OnboardRequest { tenant: one.of.tenant, account: one.account, ask: Ask::Check };
                ("asking the vendor", Request::Onboard(request))
            }
            Accounts::Update(args) => {
                let change = AccountChange {
                    settings: input::pairs(&args.settings)?,
                    secrets: input::secrets(&args.secrets, &args.secret_files)?,
                    allow_private: args.allow_private,
                    on_invalid: args.on_invalid.map(Into::into),
                    repeats: args.repeats.map(Into::into),
                    on_unknown: args.on_unknown.map(Into::into),
                };
                let account = args.account;
                ("changing the account", Request::AccountUpdate { tenant: args.of.tenant, account, change })
            }
            Accounts::Pause(one) => ("pausing", Request::AccountPause { tenant: one.of.tenant, account: one.account }),
            Accounts::Resume(one) => {
                ("resuming", Request::AccountResume { tenant: one.of.tenant, account: one.account })
            }
        };
        self.show(what, request).await
    }

    async fn add_account(&self, args: AddAccount) -> anyhow::Result<End> {
        if args.settings.is_empty() && args.secrets.is_empty() && args.secret_files.is_empty() {
            // Before anything is typed: what it takes.
            if let Some(connector) = causeway_connectors::by_name(&args.connector) {
                out::remark(&format!("{} takes:", connector.describe().title));
                crate::setup::needs(&*connector).iter().for_each(|line| out::remark(&format!("  {line}")));
            }
        }
        let wish = AccountWish {
            connector: args.connector,
            role: args.role.into(),
            name: args.name,
            settings: input::pairs(&args.settings)?,
            secrets: input::secrets(&args.secrets, &args.secret_files)?,
            allow_private: args.allow_private,
            sandbox: args.sandbox,
            staged: args.staged,
            expires_at: args.expires.as_deref().map(input::end).transpose()?,
            on_invalid: args.on_invalid.into(),
            repeats: args.repeats.into(),
            on_unknown: args.on_unknown.into(),
        };
        self.show("adding the account", Request::AccountAdd { tenant: args.of.tenant, wish }).await
    }

    async fn keys(&self, keys: Keys) -> anyhow::Result<End> {
        match keys {
            Keys::Create { of, scopes, publishable, origins, test, name } => {
                let scopes = scopes.into_iter().map(Into::into).collect();
                let wish = KeyWish { publishable, scopes, origins, test };
                self.show("making the key", Request::KeyCreate { tenant: of.tenant, name, wish }).await
            }
            Keys::List(of) => self.show("reading keys", Request::Keys { tenant: of.tenant }).await,
            Keys::Revoke { of, key } => self.show("revoking", Request::KeyRevoke { tenant: of.tenant, key }).await,
            Keys::Receipts => self.show("reading keys", Request::ReceiptKeys).await,
            Keys::RotateReceipts => self.show("making a key", Request::ReceiptKeyRotate).await,
            Keys::InitRoot => {
                let path = crate::gateway::init_root(&self.config)?;
                let path = path.display().to_string();
                if self.json {
                    out::json(&serde_json::json!({ "root_key": path }))?;
                } else {
                    out::text(&format!(
                        "The root key is in {path}. Keep a copy elsewhere: without it the data cannot be read."
                    ))?;
                }
                Ok(End::Answered)
            }
        }
    }

    async fn jobs(&self, jobs: Jobs) -> anyhow::Result<End> {
        match jobs {
            Jobs::Sync(one) => {
                self.show("reading jobs", Request::JobsSync { tenant: one.of.tenant, account: one.account }).await
            }
            Jobs::List { of, account } => self.show("reading jobs", Request::Jobs { tenant: of.tenant, account }).await,
            Jobs::Show { of, job } => self.show("reading the job", Request::JobShow { tenant: of.tenant, job }).await,
        }
    }

    /// Only a running gateway has settings to reload; the store is not opened for it.
    async fn reload(&self) -> anyhow::Result<End> {
        let dir = &self.config.fixed.data.dir;
        match crate::admin::socket::connect(dir).await? {
            Some(_) => self.show("reloading", Request::Reload).await,
            None => Err(crate::admin::Reload::reload(&crate::admin::NothingRuns).err().context("it runs")?.into()),
        }
    }

    /// Each engine by itself: the store first, since it is the truth.
    async fn migrate(&self) -> anyhow::Result<End> {
        let (mut done, mut lines) = if self.config.fixed.store.dsn.is_empty() {
            self.migrate_data_directory().await?
        } else {
            self.migrate_postgres().await?
        };
        let queues = while_waiting("making the queues", crate::gateway::migrate_queue(&self.config)).await?;
        if let Some(queues) = queues {
            done.insert("queues".to_owned(), queues.into());
            lines.push(format!(
                "RabbitMQ holds {queues} queues for rings, one for dead letters and one for parked messages."
            ));
        }
        if self.json {
            out::json(&done)?;
        } else {
            lines.iter().try_for_each(|line| out::text(line))?;
        }
        Ok(End::Answered)
    }

    /// Opening the store brings it up to this version; a running gateway has done so.
    async fn migrate_data_directory(&self) -> anyhow::Result<Done> {
        let what = "bringing the store up to this version";
        ask(&self.config, what, Request::Ping).await.context("the store is as it was")?;
        let done = serde_json::Map::from_iter([("migrated".to_owned(), true.into())]);
        Ok((done, vec!["The store is of this version.".to_owned()]))
    }

    /// As the database's owner; gateways of this version and the one before go on meanwhile.
    async fn migrate_postgres(&self) -> anyhow::Result<Done> {
        let at = &self.config.fixed.store;
        let dsn = Secret::new(at.dsn.reveal());
        let owner = if at.direct_dsn.is_empty() { dsn.clone() } else { Secret::new(at.direct_dsn.reveal()) };
        let now = SystemClock.now();
        let done = tokio::task::spawn_blocking(move || postgres::migrate(&owner, &dsn, now));
        let done = while_waiting("bringing the database up to this version", done).await;
        let Migrated { applied, let_in } = done.context("migrating broke off")??;
        let mut lines: Vec<String> = applied.iter().map(|name| format!("applied {name}")).collect();
        lines.extend(let_in.iter().map(|role| format!("The role {role} may use it.")));
        lines.push("The database is of this version.".to_owned());
        let done = [("migrated", true.into()), ("applied", applied.into()), ("let_in", let_in.into())];
        Ok((done.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(), lines))
    }
}

/// What was done: for machines, and for people.
type Done = (serde_json::Map<String, serde_json::Value>, Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{CheckVerdict, Checked, SECRETS};
    use crate::support::Report;

    #[test]
    fn the_exit_code_says_whether_there_was_an_answer() {
        let report = |found| {
            let edge_refused = std::collections::BTreeMap::new();
            let (text, erased_at) = (None, None);
            Response::Report(Box::new(Report {
                found,
                submissions: vec![],
                truncated: false,
                text,
                erased_at,
                edge_refused,
            }))
        };
        let checked = |verdicts: &[CheckVerdict]| {
            let one = |verdict: &CheckVerdict| Checked { name: String::new(), verdict: *verdict, text: String::new() };
            Response::Checked(verdicts.iter().map(one).collect())
        };
        let one = |name: &str, verdict| Checked { name: name.to_owned(), verdict, text: String::new() };
        let about_secrets = Response::Checked(vec![one("x", CheckVerdict::No), one(SECRETS, CheckVerdict::Yes)]);
        for (response, end) in [
            (report(true), End::Answered),
            (report(false), End::NothingFound),
            (Response::Tenants(vec![]), End::Answered),
            (checked(&[CheckVerdict::Yes, CheckVerdict::No]), End::Answered),
            (checked(&[CheckVerdict::NotTestable, CheckVerdict::No]), End::No),
            (checked(&[CheckVerdict::NotTestable]), End::Answered),
            (about_secrets, End::No),
        ] {
            assert_eq!(end_of(&response), end, "{response:?}");
        }
    }
}
