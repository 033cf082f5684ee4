//! Requests over a real store, directly and through a real control socket.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use causeway_core::account::{OnInvalid, OnUnknown, Repeats};
use causeway_core::clock::{ManualClock, SeededEntropy};
use causeway_core::connector::{Descriptor, Field};
use causeway_core::pii::Secret;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::socket::{self, Control};
use super::*;
use crate::egress::{SiteClient, SitePolicy, SystemResolver};
use crate::store::keys::RootKey;
use crate::store::setup::Scope;
use crate::store::sql::SqlStore;
use crate::store::sqlite::{self, OpenOptions};
use crate::store::webhooks::Webhooks;
use crate::webhooks::{Sender, SenderParts, WebhookPolicy};

struct NoVendors;

#[async_trait]
impl Vendors for NoVendors {
    async fn check(&self, _account: &AccountRecord) -> Result<Vec<Checked>, Fault> {
        Ok(vec![])
    }
    async fn sync(&self, _account: &AccountRecord) -> Result<SyncReport, Fault> {
        Ok(SyncReport::default())
    }
    async fn read_forms(&self, _account: &AccountRecord) -> Result<(), Fault> {
        Ok(())
    }
    async fn custom_fields(&self, _account: &AccountRecord) -> Result<Vec<VendorField>, Fault> {
        Ok(Vec::new())
    }
    async fn stages(&self, _account: &AccountRecord) -> Result<Vec<Stage>, Fault> {
        Ok(Vec::new())
    }
}

fn sites(opened: &Arc<SqlStore>, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Sites {
    let store: Arc<dyn Webhooks> = Arc::clone(opened) as Arc<dyn Webhooks>;
    let client = Arc::new(SiteClient::new(&SitePolicy::default(), Arc::new(SystemResolver), Arc::clone(clock)));
    let sender = Sender::new(SenderParts {
        store: Arc::clone(&store),
        client: Arc::clone(&client),
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
        retry: crate::retry::RetryPolicy::default().into(),
        policy: WebhookPolicy::default(),
    });
    Sites { store, sender, client, receipts: Arc::<SqlStore>::clone(opened) }
}

fn services(dir: &Path) -> Services {
    services_over(dir, Arc::new(NoVendors))
}

pub(super) fn services_over(dir: &Path, vendors: Arc<dyn Vendors>) -> Services {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    let options = OpenOptions::new(dir, RootKey::generate(&*entropy), Arc::clone(&clock), Arc::clone(&entropy));
    let opened = sqlite::open(options).unwrap();
    let store: Arc<dyn Store> = Arc::clone(&opened) as Arc<dyn Store>;
    let sites = sites(&opened, &clock, &entropy);
    let support = Support::new(Arc::clone(&store), opened, Arc::clone(&clock), Arc::new(|_| {}));
    Services { store, support, clock, entropy, vendors, settings: Arc::new(NothingRuns), sites }
}

/// Some connector, whichever comes first: what an account needs is its Descriptor's word.
pub(super) fn described() -> &'static Descriptor {
    causeway_connectors::all().first().expect("this build has connectors").describe()
}

pub(super) fn required(fields: &'static [Field]) -> impl Iterator<Item = &'static str> {
    fields.iter().filter(|field| field.required && field.default.is_none()).map(|field| field.name)
}

/// Nothing but its name.
fn bare_wish() -> AccountWish {
    AccountWish {
        connector: described().name.to_owned(),
        role: described().roles[0],
        name: None,
        settings: BTreeMap::new(),
        secrets: BTreeMap::new(),
        allow_private: false,
        sandbox: false,
        staged: false,
        expires_at: None,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

/// Everything that is required.
pub(super) fn whole_wish() -> AccountWish {
    let secret = |name: &str| (name.to_owned(), Hidden(Secret::new("hunter2")));
    let setting = |name: &str| (name.to_owned(), "acme".to_owned());
    AccountWish {
        secrets: required(described().credentials).map(secret).collect(),
        settings: required(described().settings).map(setting).collect(),
        ..bare_wish()
    }
}

pub(super) fn named(name: &str) -> Request {
    Request::TenantCreate { name: name.to_owned() }
}

#[tokio::test]
async fn a_tenant_may_go_unnamed_only_while_it_is_the_only_one() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    let keys = |tenant: Option<&str>| Request::Keys { tenant: tenant.map(str::to_owned) };
    let fault = execute(&services, keys(None)).await.unwrap_err();
    assert!(fault.text.contains("tenants create"), "{fault}");
    execute(&services, named("acme")).await.unwrap();
    execute(&services, keys(None)).await.unwrap();
    execute(&services, named("globex")).await.unwrap();
    let fault = execute(&services, keys(None)).await.unwrap_err();
    assert!(fault.kind == FaultKind::Usage && fault.text.contains("--tenant: acme, globex"), "{fault}");
    execute(&services, keys(Some("globex"))).await.unwrap();
    assert_eq!(execute(&services, keys(Some("initech"))).await.unwrap_err().kind, FaultKind::NotFound);
    assert_eq!(execute(&services, named("acme")).await.unwrap_err().kind, FaultKind::Refused);
    assert_eq!(execute(&services, named("Acme Inc")).await.unwrap_err().kind, FaultKind::Usage);
    services.store.close().await;
}

#[tokio::test]
async fn an_account_is_added_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    let add = |wish| Request::AccountAdd { tenant: None, wish };
    let fault = execute(&services, add(bare_wish())).await.unwrap_err();
    for name in required(described().credentials).chain(required(described().settings)) {
        assert!(fault.text.contains(name), "{name} is missing: {fault}");
    }
    let Response::Accounts(none) = execute(&services, Request::Accounts { tenant: None }).await.unwrap() else {
        panic!()
    };
    assert!(none.is_empty());
    let response = execute(&services, add(whole_wish())).await.unwrap();
    assert!(!response.value().to_string().contains("hunter2"), "a secret is never shown again");
    assert_eq!(execute(&services, add(whole_wish())).await.unwrap_err().kind, FaultKind::Refused);
    services.store.close().await;
}

#[tokio::test]
async fn a_mistyped_secret_is_corrected_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    let add = Request::AccountAdd { tenant: None, wish: whole_wish() };
    let Response::Account(added) = execute(&services, add).await.unwrap() else { panic!() };
    let secret = required(described().credentials).next().expect("it takes a secret");
    let setting = required(described().settings).next().expect("it takes a setting");
    let update = |settings: &[(&str, &str)], secrets: &[(&str, &str)]| Request::AccountUpdate {
        tenant: None,
        account: described().name.to_owned(),
        change: AccountChange {
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            secrets: secrets.iter().map(|(name, value)| ((*name).to_owned(), Hidden(Secret::new(*value)))).collect(),
            ..AccountChange::default()
        },
    };
    let common = [("retry_schedule", "1s,2s"), ("limit_calls", "5")];
    let response = execute(&services, update(&common, &[(secret, "swordfish")])).await.unwrap();
    assert!(!response.value().to_string().contains("swordfish"), "a secret is never shown again");
    let credentials = services.store.credentials(added.account.id).await.unwrap();
    assert_eq!(credentials.get(secret).map(Secret::reveal), Some("swordfish"));
    let stored = services.store.account(added.account.id).await.unwrap().account;
    assert_eq!(stored.settings.get("retry_schedule_ms"), Some(&serde_json::json!([1_000, 2_000])));
    assert_eq!(stored.settings.get(setting), added.account.settings.get(setting));
    // Another setting later; what was set before stays, and an empty value takes one away.
    execute(&services, update(&[(setting, "globex"), ("retry_schedule", "")], &[])).await.unwrap();
    let stored = services.store.account(added.account.id).await.unwrap().account;
    assert_eq!(stored.setting(setting), Some("globex"));
    assert_eq!((stored.settings.get("retry_schedule_ms"), stored.settings.get("limit_calls")), (None, Some(&5.into())));
    assert_eq!(services.store.credentials(added.account.id).await.unwrap(), credentials);
    for (settings, secrets, told) in [
        (vec![(setting, "")], vec![], setting),
        (vec![], vec![(secret, "")], secret),
        (vec![("nonsense", "1")], vec![], "nonsense"),
        (vec![("limit_calls", "0")], vec![], "limit_calls"),
    ] {
        let fault = execute(&services, update(&settings, &secrets)).await.unwrap_err();
        assert!(fault.kind == FaultKind::Usage && fault.text.contains(told), "{fault}");
    }
    services.store.close().await;
}

#[tokio::test]
async fn policies_are_changed_and_the_audit_names_who_did_it() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    let add = Request::AccountAdd { tenant: None, wish: AccountWish { allow_private: true, ..whole_wish() } };
    let Response::Account(added) = execute(&services, add).await.unwrap() else { panic!() };
    let change = |change| Request::AccountUpdate { tenant: None, account: described().name.to_owned(), change };
    let policies = AccountChange {
        allow_private: Some(false),
        on_invalid: Some(OnInvalid::Hold),
        repeats: Some(Repeats::Refuse),
        on_unknown: Some(OnUnknown::Resend),
        ..AccountChange::default()
    };
    execute(&services, change(policies)).await.unwrap();
    let stored = services.store.account(added.account.id).await.unwrap().account;
    let policies = (stored.allow_private, stored.on_invalid, stored.repeats, stored.on_unknown);
    assert_eq!(policies, (false, OnInvalid::Hold, Repeats::Refuse, OnUnknown::Resend));
    assert_eq!(stored.settings, added.account.settings, "the rest stays");
    execute(&services, change(AccountChange { repeats: Some(Repeats::Hold), ..AccountChange::default() }))
        .await
        .unwrap();
    let stored = services.store.account(added.account.id).await.unwrap().account;
    assert_eq!((stored.on_invalid, stored.repeats), (OnInvalid::Hold, Repeats::Hold));
    // A plain URL needs the leave that is taken away.
    let url = described().settings.iter().find(|field| field.is_url).expect("it takes a URL").name;
    let plain = AccountChange {
        settings: [(url.to_owned(), "http://127.0.0.1:1".to_owned())].into(),
        allow_private: Some(true),
        ..AccountChange::default()
    };
    execute(&services, change(plain)).await.unwrap();
    let taken = AccountChange { allow_private: Some(false), ..AccountChange::default() };
    let fault = execute(&services, change(taken)).await.unwrap_err();
    assert!(fault.kind == FaultKind::Usage && fault.text.contains(url), "{fault}");

    let raw = rusqlite::Connection::open(folder.path().join("causeway.db")).unwrap();
    let mut rows =
        raw.prepare("SELECT action, actor FROM audit WHERE action LIKE 'accounts.%' ORDER BY position").unwrap();
    let audited: Vec<(String, String)> =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let by_cli = |action: &str| (action.to_owned(), "cli".to_owned());
    assert_eq!(audited, [[by_cli("accounts.add")].as_slice(), &[(); 3].map(|()| by_cli("accounts.update"))].concat());
    services.store.close().await;
}

#[tokio::test]
async fn accounts_are_examined_without_a_vendor() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    let add = Request::AccountAdd { tenant: None, wish: AccountWish { allow_private: true, ..whole_wish() } };
    let Response::Account(mut added) = execute(&services, add).await.unwrap() else { panic!() };
    let findings = async || match execute(&services, Request::Examine).await.unwrap() {
        Response::Examined(findings) => findings,
        other => panic!("{other:?}"),
    };
    let of_account = |findings: &[crate::store::finding::Finding]| {
        findings.iter().filter(|finding| finding.what.starts_with("account ")).cloned().collect::<Vec<_>>()
    };
    let well = of_account(&findings().await);
    assert!(well.len() == 1 && well[0].state == crate::store::finding::Health::Well, "{well:?}");
    // As an older version, or somebody with a database tool, left it.
    let now = services.clock.now();
    added.account.settings.clear();
    let emptied = crate::store::setup::AccountChanged {
        account: added.account,
        credentials: Some(BTreeMap::new()),
        actor: "test".to_owned(),
        now,
    };
    services.store.update_account(emptied).await.unwrap();
    let bad = of_account(&findings().await);
    for name in required(described().credentials).chain(required(described().settings)) {
        let told = bad.iter().find(|finding| finding.text.contains(name)).unwrap_or_else(|| panic!("{name}: {bad:?}"));
        assert!(told.text.contains("accounts update") && told.state == crate::store::finding::Health::Bad, "{told:?}");
    }
    services.store.close().await;
}

#[tokio::test]
async fn without_a_gateway_there_is_nothing_to_reload() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    let fault = execute(&services, Request::Reload).await.unwrap_err();
    assert!(fault.kind == FaultKind::Refused && fault.text.contains("no gateway runs"), "{fault}");
    services.store.close().await;
}

async fn through_the_socket(dir: &Path) {
    let services = services(dir);
    std::fs::write(dir.join(socket::NAME), "left by a process that was killed").unwrap();
    let control = Control::bind(dir).unwrap();
    let mode = std::fs::metadata(dir.join(socket::NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(control.serve(services.clone(), tasks.clone(), stop.clone()));
    let ask = async |request: Request| {
        let stream = socket::connect(dir).await.unwrap().expect("it listens");
        socket::ask(stream, &request).await
    };
    assert!(matches!(ask(Request::Ping).await, Ok(Response::Pong)));
    assert!(matches!(ask(named("acme")).await, Ok(Response::Tenant(tenant)) if tenant.name == "acme"));
    assert_eq!(ask(named("acme")).await.unwrap_err().kind, FaultKind::Refused);
    let add = Request::AccountAdd { tenant: None, wish: whole_wish() };
    assert!(matches!(ask(add).await, Ok(Response::Account(_))));
    let Ok(Response::Accounts(accounts)) = ask(Request::Accounts { tenant: None }).await else { panic!() };
    let secrets = services.store.credentials(accounts[0].account.id).await.unwrap();
    assert!(secrets.values().all(|secret| secret.reveal() == "hunter2") && !secrets.is_empty(), "they travelled whole");
    let scopes = vec![Scope::Submit];
    let made = ask(Request::KeyCreate {
        tenant: None,
        name: "site".to_owned(),
        wish: KeyWish { scopes, ..KeyWish::default() },
    })
    .await;
    assert!(matches!(made, Ok(Response::KeyMade { text, .. }) if text.0.reveal().starts_with("ck_")));
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(socket::connect(dir).await.unwrap().is_none(), "nobody answers after the end");
    services.store.close().await;
}

#[tokio::test]
async fn the_control_socket_answers_as_the_direct_way_does() {
    through_the_socket(tempfile::tempdir().unwrap().path()).await;
}

#[tokio::test]
async fn a_long_path_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(60)).join("e".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    through_the_socket(&deep).await;
}

#[tokio::test]
async fn where_nobody_listens_there_is_nobody_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    assert!(socket::connect(folder.path()).await.unwrap().is_none());
    assert!(socket::connect(&folder.path().join("none")).await.unwrap().is_none());
    let stale = Control::bind(folder.path()).unwrap();
    drop(stale);
    assert!(socket::connect(folder.path()).await.unwrap().is_none());
}

fn endpoint_wish(url: &str) -> Request {
    let wish = EndpointWish { url: url.to_owned(), events: Vec::new(), test: false, allow_private: false };
    Request::Webhooks(WebhookRequest::Add { tenant: None, wish })
}

#[tokio::test]
async fn an_endpoint_at_a_private_address_is_refused_and_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    for (url, told) in [
        ("https://10.1.2.3/hooks", "private or reserved"),
        ("https://localhost/hooks", "private or reserved"),
        ("https://169.254.169.254/latest/meta-data", "private or reserved"),
        ("http://93.184.216.34/hooks", "only https"),
        ("https://ada:pw@93.184.216.34/", "user name"),
        ("jobs", "no URL"),
    ] {
        let fault = execute(&services, endpoint_wish(url)).await.unwrap_err();
        assert!(fault.kind == FaultKind::Usage && fault.text.contains(told), "{url}: {fault}");
    }
    let wish = EndpointWish {
        url: "https://93.184.216.34/".to_owned(),
        events: vec!["application.eaten".to_owned()],
        test: false,
        allow_private: false,
    };
    let add = Request::Webhooks(WebhookRequest::Add { tenant: None, wish });
    let fault = execute(&services, add).await.unwrap_err();
    assert!(fault.text.contains("application.held, application.delivered"), "{fault}");
    let list = Request::Webhooks(WebhookRequest::List { tenant: None });
    let Response::Endpoints(none) = execute(&services, list).await.unwrap() else { panic!() };
    assert_eq!(none, []);
    services.store.close().await;
}

#[tokio::test]
async fn an_endpoints_secret_is_shown_once_and_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path());
    execute(&services, named("acme")).await.unwrap();
    let made = async |request: Request| match execute(&services, request).await.unwrap() {
        Response::EndpointMade { endpoint, secret } => (endpoint, secret.0.reveal().to_owned()),
        other => panic!("{other:?}"),
    };
    let (endpoint, secret) = made(endpoint_wish("https://93.184.216.34/hooks")).await;
    assert!(secret.starts_with("whsec_"), "{secret}");
    let ask = |request| Request::Webhooks(request);
    let rotate = WebhookRequest::RotateSecret {
        tenant: None,
        endpoint: endpoint.id,
        both_for: std::time::Duration::from_secs(60),
    };
    let (_, second) = made(ask(rotate)).await;
    assert_ne!(secret, second);
    let list = execute(&services, ask(WebhookRequest::List { tenant: None })).await.unwrap();
    assert!(!list.value().to_string().contains("whsec_"), "never again");
    execute(&services, ask(WebhookRequest::Enable { tenant: None, endpoint: endpoint.id })).await.unwrap();
    execute(&services, ask(WebhookRequest::Remove { tenant: None, endpoint: endpoint.id })).await.unwrap();
    let gone = execute(&services, ask(WebhookRequest::Test { tenant: None, endpoint: endpoint.id })).await;
    assert_eq!(gone.unwrap_err().kind, FaultKind::NotFound);
    let tenants = services.store.tenants().await.unwrap();
    assert_eq!(services.store.verify_audit(tenants[0].id).await.unwrap(), None);
    services.store.close().await;
}
