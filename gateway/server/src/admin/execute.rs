//! Executes one request. Names become ids here; everything else is `support`'s, `setup`'s and the store's.

use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::pii::Pii;

use super::{Fault, FaultKind, Request, Response, Services, TenantName, custody, onboard, webhooks};
use crate::ingress::auth::{ApiKey, KeyPrefix};
use crate::setup::{self, AccountChange, AccountWish, Hidden, KeyWish, SetupError};
use crate::store::StoreError;
use crate::store::setup::{AccountChanged, AccountRecord, NewAccount, NewKey, NewTenant, PostingRecord, Tenant};
use crate::support::{Actor, SupportError, replayed_to};

/// Whoever may use the data directory.
pub(super) const ACTOR: Actor = Actor::Cli;

/// Executes one request.
///
/// # Errors
/// [`Fault`], in words for the person who asked.
pub async fn execute(services: &Services, request: Request) -> Result<Response, Fault> {
    match request {
        Request::Ping => Ok(Response::Pong),
        Request::Reload => Ok(Response::Reloaded(services.settings.reload()?)),
        Request::TenantCreate { name } => services.create_tenant(&name).await,
        Request::Tenants => Ok(Response::Tenants(services.store.tenants().await?)),
        Request::AccountAdd { tenant, wish } => services.add_account(tenant, wish).await,
        Request::Accounts { tenant } => services.accounts(tenant).await,
        Request::AccountShow { tenant, account } => {
            Ok(Response::Account(Box::new(services.account(tenant, &account).await?)))
        }
        Request::AccountCheck { tenant, account } => {
            let account = services.account(tenant, &account).await?;
            Ok(Response::Checked(services.vendors.check(&account).await?))
        }
        Request::AccountUpdate { tenant, account, change } => services.update_account(tenant, &account, change).await,
        Request::Examine => services.examine().await,
        Request::AccountPause { tenant, account } => services.pause(tenant, &account).await,
        Request::AccountResume { tenant, account } => services.resume(tenant, &account).await,
        Request::KeyCreate { tenant, name, wish } => services.create_key(tenant, name, wish).await,
        Request::Keys { tenant } => {
            let tenant = services.tenant(tenant).await?.id;
            Ok(Response::Keys(services.store.keys(tenant).await?))
        }
        Request::KeyRevoke { tenant, key } => {
            let tenant = services.tenant(tenant).await?.id;
            services.store.revoke_key(tenant, key, &ACTOR.to_string(), services.clock.now()).await?;
            Ok(done(key, "revoked"))
        }
        Request::ReceiptKeys => Ok(Response::ReceiptKeys(services.sites.receipts.receipt_keys().await?)),
        Request::ReceiptKeyRotate => {
            let receipts = &services.sites.receipts;
            let key = receipts.rotate_receipt_key(&ACTOR.to_string(), services.clock.now()).await?;
            Ok(done(key.id, "signs the receipts of what comes from now on; the former keys stay listed"))
        }
        Request::JobsSync { tenant, account } => {
            let account = services.account(tenant, &account).await?;
            Ok(Response::Synced(services.vendors.sync(&account).await?))
        }
        Request::Jobs { tenant, account } => services.jobs(tenant, account).await,
        Request::JobShow { tenant, job } => services.job(tenant, &job).await,
        Request::Why { tenant, question } => {
            let tenant = services.tenant(tenant).await?.id;
            let query = question.check(tenant).map_err(|error| Fault::new(FaultKind::Usage, error.to_string()))?;
            Ok(Response::Report(Box::new(services.support.lookup(ACTOR, &query).await?)))
        }
        Request::Replay { tenant, delivery } => {
            let tenant = services.tenant(tenant).await?.id;
            let replayed = services.support.replay(ACTOR, tenant, delivery).await?;
            Ok(done(delivery, replayed_to(replayed.state)))
        }
        Request::Cancel { tenant, delivery } => {
            let tenant = services.tenant(tenant).await?.id;
            services.support.cancel(ACTOR, tenant, delivery).await?;
            Ok(done(delivery, "called off"))
        }
        Request::Cases { tenant, limit } => {
            let tenant = services.tenant(tenant).await?.id;
            let cases = services.support.cases(ACTOR, tenant, limit).await?;
            Ok(Response::Cases(cases.iter().map(Into::into).collect()))
        }
        Request::Custody(request) => custody::execute(services, request).await,
        Request::Onboard(request) => onboard::execute(services, request).await,
        Request::Webhooks(request) => webhooks::execute(services, request).await,
    }
}

pub(super) fn done(id: impl std::fmt::Display, what: &str) -> Response {
    Response::Done { id: id.to_string(), done: what.to_owned() }
}

pub(super) fn address(typed: &Pii<String>) -> Result<NormalEmail, Fault> {
    NormalEmail::parse(typed.reveal())
        .ok_or_else(|| Fault::new(FaultKind::Usage, "the e-mail address has no `local@domain` form"))
}

impl Services {
    async fn create_tenant(&self, name: &str) -> Result<Response, Fault> {
        let name = setup::name(name)?;
        let tenant = NewTenant { name, actor: ACTOR.to_string(), now: self.clock.now() };
        Ok(Response::Tenant(self.store.create_tenant(tenant).await?))
    }

    async fn add_account(&self, tenant: TenantName, wish: AccountWish) -> Result<Response, Fault> {
        let tenant = self.tenant(tenant).await?.id;
        let now = self.clock.now();
        let (sandbox, staged, expires_at) = (wish.sandbox, wish.is_staged(), wish.expires_at);
        self.not_past(expires_at)?;
        let (account, credentials) = setup::account(AccountId::new(now, &*self.entropy), tenant, wish)?;
        let account = NewAccount { account, credentials, sandbox, staged, expires_at, actor: ACTOR.to_string(), now };
        Ok(Response::Account(Box::new(self.store.add_account(account).await?)))
    }

    /// It stays paused if it is: resuming is a decision of its own.
    async fn update_account(&self, tenant: TenantName, name: &str, change: AccountChange) -> Result<Response, Fault> {
        let mut record = self.account(tenant, name).await?;
        if !change.secrets.is_empty() && record.credentials.next.is_some() {
            let text = "two sets of secrets live: end that with `accounts rotate --finish` or `--abandon` first";
            return Err(Fault::new(FaultKind::Refused, format!("{}: {text}", record.account.name)));
        }
        let held = self.store.credentials(record.account.id).await?;
        let secrets_change = !change.secrets.is_empty();
        let (account, credentials) = setup::changed(record.account, held, change)?;
        record.account = account.clone();
        let credentials = secrets_change.then_some(credentials);
        let change = AccountChanged { account, credentials, actor: ACTOR.to_string(), now: self.clock.now() };
        self.store.update_account(change).await?;
        Ok(Response::Account(Box::new(record)))
    }

    /// The store and every account, without asking a vendor.
    async fn examine(&self) -> Result<Response, Fault> {
        let mut findings = self.store.examine().await?;
        for record in self.store.accounts(None).await? {
            let secrets = self.store.credentials(record.account.id).await;
            findings.extend(setup::examined(&record, secrets.as_ref(), self.clock.now()));
        }
        Ok(Response::Examined(findings))
    }

    async fn accounts(&self, tenant: TenantName) -> Result<Response, Fault> {
        let tenant = match tenant {
            Some(name) => Some(self.tenant(Some(name)).await?.id),
            None => None,
        };
        Ok(Response::Accounts(self.store.accounts(tenant).await?))
    }

    async fn pause(&self, tenant: TenantName, account: &str) -> Result<Response, Fault> {
        let account = self.account(tenant, account).await?.account;
        let deliveries = self.support.pause(ACTOR, account.id).await?;
        Ok(Response::Changed { account: account.name, deliveries })
    }

    async fn resume(&self, tenant: TenantName, account: &str) -> Result<Response, Fault> {
        let account = self.account(tenant, account).await?.account;
        let deliveries = self.support.resume(ACTOR, account.id).await?;
        Ok(Response::Changed { account: account.name, deliveries })
    }

    async fn create_key(&self, tenant: TenantName, name: String, wish: KeyWish) -> Result<Response, Fault> {
        let (kind, scopes, origins) = match setup::key(&wish)? {
            setup::KeyKind::Secret { scopes } => (KeyPrefix::Secret, scopes, None),
            setup::KeyKind::Publishable { origins } => (KeyPrefix::Publishable, Vec::new(), Some(origins)),
        };
        let tenant = self.tenant(tenant).await?.id;
        let now = self.clock.now();
        let ApiKey { id, text, hash } = ApiKey::generate(kind, now, &*self.entropy);
        let actor = ACTOR.to_string();
        let key = NewKey { id, tenant, name, hash, scopes, origins, test: wish.test, actor, now };
        Ok(Response::KeyMade { key: self.store.create_key(key).await?, text: Hidden(text) })
    }

    async fn jobs(&self, tenant: TenantName, account: Option<String>) -> Result<Response, Fault> {
        Ok(Response::Jobs(self.postings(tenant, account).await?))
    }

    async fn job(&self, tenant: TenantName, job: &str) -> Result<Response, Fault> {
        let is_meant = |record: &PostingRecord| {
            let posting = &record.posting;
            posting.posting_id == job
                || posting.vendor_job_id.as_deref() == Some(job)
                || posting.requisition_code.as_deref() == Some(job)
                || posting.sibling_ids.iter().any(|id| id == job)
        };
        let postings = self.postings(tenant, None).await?;
        let found: Vec<PostingRecord> = postings.into_iter().filter(is_meant).collect();
        if found.is_empty() {
            return Err(Fault::new(FaultKind::NotFound, format!("no synced job has the id or code {job:?}")));
        }
        Ok(Response::Jobs(found))
    }

    async fn postings(&self, tenant: TenantName, account: Option<String>) -> Result<Vec<PostingRecord>, Fault> {
        let accounts = match account {
            Some(name) => vec![self.account(tenant, &name).await?],
            None => self.store.accounts(Some(self.tenant(tenant).await?.id)).await?,
        };
        let mut postings = Vec::new();
        for account in accounts {
            postings.extend(self.store.postings(account.account.id).await?);
        }
        Ok(postings)
    }

    /// The tenant of this name or id; the only one if none is named.
    pub(super) async fn tenant(&self, name: TenantName) -> Result<Tenant, Fault> {
        let tenants = self.store.tenants().await?;
        let names = || tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>().join(", ");
        match (name, tenants.as_slice()) {
            (_, []) => Err(Fault::new(FaultKind::Usage, "there is no tenant yet: run `causeway tenants create NAME`")),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Fault::new(FaultKind::Usage, format!("say which tenant with --tenant: {}", names()))),
            (Some(name), _) => {
                let id: Option<TenantId> = name.parse().ok();
                let found = tenants.iter().find(|tenant| tenant.name == name || Some(tenant.id) == id);
                let missing =
                    || Fault::new(FaultKind::NotFound, format!("there is no tenant {name:?}; there are: {}", names()));
                found.cloned().ok_or_else(missing)
            }
        }
    }

    /// The account of this name or id.
    pub(super) async fn account(&self, tenant: TenantName, name: &str) -> Result<AccountRecord, Fault> {
        let tenant = match tenant {
            Some(named) => Some(self.tenant(Some(named)).await?.id),
            None => None,
        };
        let id: Option<AccountId> = name.parse().ok();
        let accounts = self.store.accounts(tenant).await?;
        let found: Vec<&AccountRecord> =
            accounts.iter().filter(|record| record.account.name == name || Some(record.account.id) == id).collect();
        match found.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let names: Vec<&str> = accounts.iter().map(|record| record.account.name.as_str()).collect();
                let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
                Err(Fault::new(FaultKind::NotFound, format!("there is no account {name:?}; there are: {known}")))
            }
            _ => Err(Fault::new(
                FaultKind::Usage,
                format!("several tenants have an account {name:?}: say which with --tenant"),
            )),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Unavailable(_) => FaultKind::Unavailable,
            StoreError::NotFound(_) => FaultKind::NotFound,
            StoreError::Exists(_)
            | StoreError::Fenced
            | StoreError::IllegalMove { .. }
            | StoreError::EndsByItself(_) => FaultKind::Refused,
            StoreError::Corrupt(_) | StoreError::Failed(_) => FaultKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SupportError> for Fault {
    fn from(error: SupportError) -> Self {
        match error {
            SupportError::MakesNoSense(why) => Self::new(FaultKind::Refused, why),
            SupportError::Nobody => Self::new(FaultKind::NotFound, error.to_string()),
            SupportError::Store(error) => error.into(),
        }
    }
}

impl From<SetupError> for Fault {
    fn from(error: SetupError) -> Self {
        Self::new(FaultKind::Usage, error.to_string())
    }
}
