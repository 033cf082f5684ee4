//! The way to a live account over a real store: what is refused and leaves everything as it was, and what goes through.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use causeway_core::account::Which;
use causeway_core::posting::{FieldKind, Form, Posting, Question, QuestionField};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::tests::{described, named, required, services_over, whole_wish};
use super::super::{CheckVerdict, Checked, FaultKind, Request, Vendors, execute as execute_all};
use super::*;
use crate::setup::AccountWish;
use crate::store::setup::{Sync, SyncReport};

/// A vendor whose records require one field, and which grants what it is told to.
#[derive(Default)]
struct Vendor {
    refuses: Mutex<bool>,
}

#[async_trait]
impl Vendors for Vendor {
    async fn check(&self, _account: &AccountRecord) -> Result<Vec<Checked>, Fault> {
        let one = |name: &str, verdict| Checked { name: name.to_owned(), verdict, text: String::new() };
        let refuses = *self.refuses.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = if refuses { CheckVerdict::No } else { CheckVerdict::Yes };
        Ok(vec![one("read", verdict), one("write", CheckVerdict::NotTestable)])
    }
    async fn sync(&self, _account: &AccountRecord) -> Result<SyncReport, Fault> {
        Ok(SyncReport::default())
    }
    async fn read_forms(&self, _account: &AccountRecord) -> Result<(), Fault> {
        Ok(())
    }
    async fn custom_fields(&self, _account: &AccountRecord) -> Result<Vec<VendorField>, Fault> {
        let name = "record.cost_centre".to_owned();
        let label = "Cost centre".to_owned();
        Ok(vec![VendorField { name, label, kind: FieldKind::Number, options: Vec::new(), required: true }])
    }
    async fn stages(&self, _account: &AccountRecord) -> Result<Vec<Stage>, Fault> {
        Err(Fault::new(FaultKind::Refused, "this connector reads no stages"))
    }
}

struct Desk {
    services: Services,
    vendor: std::sync::Arc<Vendor>,
    _folder: tempfile::TempDir,
}

impl Desk {
    /// A tenant with one account at a real vendor: not live yet.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vendor = std::sync::Arc::new(Vendor::default());
        let services = services_over(folder.path(), std::sync::Arc::clone(&vendor) as std::sync::Arc<dyn Vendors>);
        execute_all(&services, named("acme")).await.unwrap();
        let add = Request::AccountAdd { tenant: None, wish: whole_wish() };
        execute_all(&services, add).await.unwrap();
        Self { services, vendor, _folder: folder }
    }

    async fn ask(&self, ask: Ask) -> Result<Value, Fault> {
        let account = described().name.to_owned();
        let request = Request::Onboard(OnboardRequest { tenant: None, account, ask });
        execute_all(&self.services, request).await.map(|response| response.value())
    }

    async fn refused(&self, ask: Ask, kind: FaultKind, told: &str) {
        let fault = self.ask(ask).await.unwrap_err();
        assert!(fault.kind == kind && fault.text.contains(told), "{:?}: {}", fault.kind, fault.text);
    }

    async fn record(&self) -> AccountRecord {
        self.services.store.accounts(None).await.unwrap().remove(0)
    }

    async fn check(&self) -> Vec<String> {
        let account = described().name.to_owned();
        let request = Request::Onboard(OnboardRequest { tenant: None, account, ask: Ask::Check });
        let Response::Checked(checked) = execute_all(&self.services, request).await.unwrap() else { panic!() };
        checked.into_iter().map(|one| format!("{:?} {}", one.verdict, one.text)).collect()
    }

    async fn open(&self) -> Vec<String> {
        let list = self.ask(Ask::Checklist).await.unwrap();
        let items = list["items"].as_array().unwrap().iter().filter(|item| item["state"] == "open");
        items.map(|item| item["item"].as_str().unwrap().to_owned()).collect()
    }

    /// The account's one posting asks one question.
    async fn posting(&self) {
        let account = self.record().await.account.id;
        let now = self.services.clock.now();
        let posting = Posting { posting_id: "7".to_owned(), ..Posting::default() };
        let sync = Sync { account, started_at: now, complete: true, postings: vec![posting] };
        self.services.store.apply_sync(sync).await.unwrap();
        let field = QuestionField { name: "question_1".to_owned(), ..QuestionField::default() };
        let question = Question { label: "Notice".to_owned(), fields: vec![field], ..Question::default() };
        let form = Form { posting_id: "7".to_owned(), digest: "d".to_owned(), questions: vec![question] };
        self.services.store.put_form(account, &form, now).await.unwrap();
    }
}

fn import(rules: &Value) -> Ask {
    Ask::Import { text: json!({ "format": 1, "rules": rules }).to_string(), note: "n".to_owned() }
}

fn constant(field: &str, value: &str) -> Rule {
    Rule::Constant { field: field.to_owned(), value: json!(value) }
}

#[tokio::test]
async fn an_overlay_is_saved_whole_or_not_at_all() {
    let desk = Desk::new().await;
    desk.posting().await;
    let fields = desk.ask(Ask::Fields).await.unwrap();
    let names: Vec<&str> = fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["question_1", "record.cost_centre"]);
    assert_eq!((&fields[0]["asked"], &fields[1]["asked"]), (&json!([1, 1]), &Value::Null));
    let set = |rule: Rule| Ask::SetRule { rule, table: None, note: "first".to_owned() };
    let saved = desk.ask(set(constant("record.cost_centre", "4711"))).await.unwrap();
    assert_eq!(
        (&saved["version"], &saved["changes"]),
        (&json!(1), &json!(["+ record.cost_centre: constant \"4711\""]))
    );
    for (bad, told) in [
        (json!([{ "op": "constant", "field": "record.cost_centre", "value": "four" }]), "it takes a number"),
        (json!([{ "op": "constant", "field": "record.gone", "value": "x" }]), "the vendor has no such field"),
        (
            json!([{ "op": "copy", "field": "question_1", "from": "/demographics/0/scheme" }]),
            "goes where it was asked for",
        ),
        (json!([{ "op": "eval", "field": "question_1", "from": "/source/board" }]), "it is no overlay"),
    ] {
        desk.refused(import(&bad), FaultKind::Usage, told).await;
    }
    desk.refused(set(constant("record.cost_centre", "4711")), FaultKind::Refused, "nothing would change").await;
    desk.refused(
        Ask::UnsetRule { field: "question_1".to_owned(), note: String::new() },
        FaultKind::NotFound,
        "no rule",
    )
    .await;
    desk.refused(Ask::Rollback { to: 9 }, FaultKind::NotFound, "there are: 1").await;
    assert_eq!(desk.record().await.mapping.unwrap().version, 1, "whatever is refused leaves it as it was");

    let copy = Rule::Copy { field: "question_1".to_owned(), from: "/eligibility/notice".to_owned() };
    desk.ask(set(copy)).await.unwrap();
    let exported = desk.ask(Ask::Overlay { version: None }).await.unwrap();
    assert_eq!(exported["rules"].as_array().unwrap().len(), 2);
    let diff = desk.ask(Ask::Diff { from: None, to: None }).await.unwrap();
    assert_eq!(diff, json!(["+ question_1: copy /eligibility/notice"]));
    assert_eq!(desk.ask(Ask::Rollback { to: 1 }).await.unwrap()["version"], 3);
    let again = Ask::Import { text: exported.to_string(), note: String::new() };
    assert_eq!(desk.ask(again).await.unwrap()["version"], 4, "what is exported can be imported");
    let versions = desk.ask(Ask::Versions).await.unwrap();
    let told: Vec<_> = versions.as_array().unwrap().iter().map(|one| (&one["note"], &one["in_force"])).collect();
    assert_eq!(told[1], (&json!("back to version 1"), &json!(false)));
    assert_eq!((told.len(), told[0].1), (4, &json!(true)));
    let before = desk.services.store.verify_audit(desk.record().await.account.tenant).await.unwrap();
    assert_eq!(desk.ask(Ask::Preview { text: None, limit: 5 }).await.unwrap(), json!([]));
    assert_eq!(before, None);
    desk.refused(Ask::Stages, FaultKind::Refused, "reads no stages").await;
    desk.services.store.close().await;
}

#[tokio::test]
async fn an_account_goes_live_with_everything_in_order_and_not_before() {
    let desk = Desk::new().await;
    assert_eq!(desk.record().await.live_at, None, "an account at a real vendor begins not live");
    let tick = |item: &str, note: &str| Ask::Tick { item: item.to_owned(), done: true, note: note.to_owned() };
    let all = [
        "permissions",
        "jobs_read",
        "fields_mapped",
        "test_application",
        "test_removed",
        "consent_texts",
        "alert_address",
        "retention",
    ];
    assert_eq!(desk.open().await, all, "and webhook_ping does not apply");
    desk.refused(Ask::GoLive, FaultKind::Refused, "retention: look at [retention]").await;
    *desk.vendor.refuses.lock().unwrap() = true;
    desk.check().await;
    desk.refused(Ask::GoLive, FaultKind::Refused, "permissions: no: read").await;
    *desk.vendor.refuses.lock().unwrap() = false;
    desk.check().await;
    desk.posting().await;
    assert_eq!(desk.open().await, all[2..]);
    desk.refused(tick("fields_mapped", "fine"), FaultKind::Usage, "is not ticked by hand").await;
    desk.refused(tick("retention", " "), FaultKind::Usage, "say what was found").await;
    let rule = constant("record.cost_centre", "4711");
    desk.ask(Ask::SetRule { rule, table: None, note: String::new() }).await.unwrap();
    for item in ["test_application", "test_removed", "consent_texts", "retention"] {
        desk.ask(tick(item, "looked at")).await.unwrap();
    }
    assert_eq!(desk.open().await, ["alert_address"]);
    let mut wish = crate::setup::AccountChange::default();
    wish.settings.insert("alert_address".to_owned(), "hiring-systems@example.org".to_owned());
    let update = Request::AccountUpdate { tenant: None, account: described().name.to_owned(), change: wish };
    execute_all(&desk.services, update).await.unwrap();
    assert!(desk.open().await.is_empty());
    let list = desk.ask(Ask::Checklist).await.unwrap();
    let retention = list["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&retention["tick"]["actor"], &retention["tick"]["note"]), (&json!("cli"), &json!("looked at")));
    // A tick is taken back, and given again.
    desk.ask(Ask::Tick { item: "retention".to_owned(), done: false, note: String::new() }).await.unwrap();
    desk.refused(Ask::GoLive, FaultKind::Refused, "retention").await;
    desk.ask(tick("retention", "agreed")).await.unwrap();
    let live = desk.ask(Ask::GoLive).await.unwrap();
    assert_eq!(live["deliveries"], 0);
    assert!(desk.record().await.live_at.is_some());
    desk.ask(Ask::GoLive).await.unwrap();
    desk.services.store.close().await;
}

#[tokio::test]
async fn who_is_on_this_machine_or_for_tests_is_live_at_once_unless_asked_otherwise() {
    for (allow_private, sandbox, staged, live) in [
        (false, false, false, false),
        (true, false, false, true),
        (false, true, false, true),
        (true, true, true, false),
    ] {
        let wish = AccountWish { allow_private, sandbox, staged, ..whole_wish() };
        assert_eq!(!wish.is_staged(), live, "{allow_private} {sandbox} {staged}");
    }
}

#[tokio::test]
async fn secrets_change_without_a_gap_and_each_mistake_leaves_both() {
    let desk = Desk::new().await;
    let name = required(described().credentials).next().unwrap().to_owned();
    let now = desk.services.clock.now();
    let newer = |text: &str, days: i64| {
        let secret = Hidden(causeway_core::pii::Secret::new(text));
        let expires_at = Some(now + SignedDuration::from_hours(24 * days));
        Ask::Rotate { secrets: [(name.clone(), secret)].into(), expires_at }
    };
    desk.refused(Ask::RotateFinish, FaultKind::Refused, "nothing to finish").await;
    desk.refused(Ask::RotateAbandon, FaultKind::Refused, "nothing to abandon").await;
    desk.refused(Ask::Rotate { secrets: BTreeMap::new(), expires_at: None }, FaultKind::Usage, "--secret").await;
    desk.refused(newer("hunter2", 9), FaultKind::Usage, "in use already").await;
    desk.refused(newer("second", -1), FaultKind::Usage, "expired already").await;
    let unknown = [("nonsense".to_owned(), Hidden(causeway_core::pii::Secret::new("x")))].into();
    desk.refused(Ask::Rotate { secrets: unknown, expires_at: None }, FaultKind::Usage, "there is no secret").await;
    let shown = desk.ask(newer("second", 9)).await.unwrap();
    assert!(!shown.to_string().contains("second"), "a secret is never shown again");
    desk.refused(Ask::RotateFinish, FaultKind::Refused, "has not taken the newer secrets yet").await;
    let id = desk.record().await.account.id;
    let change = crate::setup::AccountChange {
        secrets: [(name.clone(), Hidden(causeway_core::pii::Secret::new("third")))].into(),
        ..Default::default()
    };
    let update = Request::AccountUpdate { tenant: None, account: described().name.to_owned(), change };
    let fault = execute_all(&desk.services, update).await.unwrap_err();
    assert!(fault.text.contains("two sets of secrets live"), "{}", fault.text);
    let store = &desk.services.store;
    store.secrets_used(id, Which::Next, true, now + SignedDuration::from_secs(1)).await.unwrap();
    desk.refused(Ask::RotateFinish, FaultKind::Refused, "the vendor refused the newer secrets").await;
    let told = desk.check().await.join("\n");
    assert!(
        told.contains("the newer secrets still work, and expire on")
            && told.contains("not taken by the vendor yet; refused since"),
        "{told}"
    );
    store.secrets_used(id, Which::Next, false, now + SignedDuration::from_secs(2)).await.unwrap();
    desk.ask(Ask::RotateFinish).await.unwrap();
    assert_eq!(store.credentials(id).await.unwrap()[&name].reveal(), "second");
    assert_eq!(store.next_credentials(id).await.unwrap(), None);
    desk.ask(Ask::Expires { at: Some(Timestamp::UNIX_EPOCH) }).await.unwrap();
    assert!(desk.check().await.iter().any(|line| line.contains("No the secrets expired on 1970-01-01")));
    desk.services.store.close().await;
}
