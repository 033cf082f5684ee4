//! Overlays: listing what can be mapped, saving what may be, and looking at versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use causeway_core::account::Role;
use causeway_core::connector::Connector;
use causeway_core::overlay::{FORMAT, Overlay, Rule, VendorField};
use causeway_core::posting::Form;

use super::super::execute::ACTOR;
use super::super::{Fault, FaultKind, Services};
use super::{FieldView, Saved, VersionView};
use crate::overlay::check::{self, Ground};
use crate::overlay::fields_of_form;
use crate::overlay::preview::{self, Shown};
use crate::schema::Schemas;
use crate::store::onboard::{Mapping, NewOverlay, OverlayRecord};
use crate::store::setup::AccountRecord;
use crate::store::trace::AuditEntry;

/// So many of the newest applications are tried against an overlay before it is saved.
const TRIED: usize = 50;
/// A preview shows at most so many.
const SHOWN_MAX: usize = 100;

fn usage(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Usage, text)
}

/// The vendor's fields of one account, and the forms they come from.
pub(super) struct Known {
    pub(super) fields: Vec<VendorField>,
    pub(super) forms: Vec<Form>,
    /// For each field of a form, how many forms have it.
    asked: BTreeMap<String, usize>,
}

impl Services {
    pub(super) fn connector(record: &AccountRecord) -> Result<Arc<dyn Connector>, Fault> {
        let known = causeway_connectors::by_name(&record.account.connector);
        known.ok_or_else(|| {
            Fault::new(FaultKind::Internal, format!("this build has no connector {}", record.account.connector))
        })
    }

    /// The postings' questions, read where they never were; and the fields of the vendor's records, asked of the vendor.
    pub(super) async fn known(&self, record: &AccountRecord) -> Result<Known, Fault> {
        let connector = Self::connector(record)?;
        let (mut fields, mut asked): (Vec<VendorField>, BTreeMap<String, usize>) = Default::default();
        let mut forms = Vec::new();
        if record.account.role == Role::Ats {
            self.vendors.read_forms(record).await?;
            forms = self.store.forms(record.account.id).await?;
            for field in forms.iter().flat_map(|form| fields_of_form(connector.as_ref(), form)) {
                *asked.entry(field.name.clone()).or_default() += 1;
                match fields.iter_mut().find(|known| known.name == field.name) {
                    None => fields.push(field),
                    Some(known) => merge(known, field),
                }
            }
        }
        fields.extend(self.vendors.custom_fields(record).await?);
        Ok(Known { fields, forms, asked })
    }

    pub(super) async fn vendor_fields(&self, record: &AccountRecord) -> Result<Vec<FieldView>, Fault> {
        let Known { fields, forms, asked } = self.known(record).await?;
        let overlay = record.mapping.as_ref().map(|mapping| &mapping.overlay);
        let view = |field: VendorField| FieldView {
            filled: overlay.and_then(|overlay| Some(overlay.rule_for(&field.name)?.told(overlay))),
            asked: asked.get(&field.name).map(|count| (*count, forms.len())),
            field,
        };
        Ok(fields.into_iter().map(view).collect())
    }

    /// The version in force, or an older one. An account without any has an empty one.
    pub(super) async fn overlay(&self, record: &AccountRecord, version: Option<u32>) -> Result<Mapping, Fault> {
        match (version, &record.mapping) {
            (None, Some(mapping)) => Ok(Mapping::clone(mapping)),
            (None, None) => Ok(Mapping { version: 0, overlay: empty(), fields: Vec::new() }),
            (Some(version), _) => Ok(self.version(record, version).await?.mapping),
        }
    }

    async fn version(&self, record: &AccountRecord, version: u32) -> Result<OverlayRecord, Fault> {
        let all = self.store.overlays(record.account.id).await?;
        let numbers: Vec<String> = all.iter().map(|known| known.mapping.version.to_string()).collect();
        all.into_iter().find(|known| known.mapping.version == version).ok_or_else(|| {
            let known = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
            Fault::new(FaultKind::NotFound, format!("there is no version {version}; there are: {known}"))
        })
    }

    pub(super) async fn versions(&self, record: &AccountRecord) -> Result<Vec<VersionView>, Fault> {
        let in_force = record.mapping.as_ref().map(|mapping| mapping.version);
        let view = |known: OverlayRecord| VersionView {
            version: known.mapping.version,
            in_force: in_force == Some(known.mapping.version),
            rules: known.mapping.overlay.rules.len(),
            note: known.note,
            saved_at: known.saved_at,
            saved_by: known.saved_by,
        };
        Ok(self.store.overlays(record.account.id).await?.into_iter().map(view).collect())
    }

    pub(super) async fn import(&self, record: &AccountRecord, text: &str, note: String) -> Result<Saved, Fault> {
        let overlay = Overlay::parse(text).map_err(usage)?;
        self.save(record, overlay, note).await
    }

    /// One rule in place of whatever fills its field; for a look-up, the table's entries join those it has.
    pub(super) async fn set_rule(
        &self,
        record: &AccountRecord,
        rule: Rule,
        table: Option<BTreeMap<String, String>>,
        note: String,
    ) -> Result<Saved, Fault> {
        let mut overlay = self.overlay(record, None).await?.overlay;
        if let (Rule::LookUp { table: name, .. }, Some(entries)) = (&rule, table) {
            overlay.tables.entry(name.clone()).or_default().extend(entries);
        }
        match overlay.rules.iter_mut().find(|known| known.field() == rule.field()) {
            Some(known) => *known = rule,
            None => overlay.rules.push(rule),
        }
        self.save(record, overlay, note).await
    }

    pub(super) async fn unset_rule(&self, record: &AccountRecord, field: &str, note: String) -> Result<Saved, Fault> {
        let mut overlay = self.overlay(record, None).await?.overlay;
        if overlay.rule_for(field).is_none() {
            return Err(Fault::new(FaultKind::NotFound, format!("no rule fills {field}")));
        }
        overlay.rules.retain(|rule| rule.field() != field);
        let used: BTreeSet<String> = overlay
            .rules
            .iter()
            .filter_map(|rule| if let Rule::LookUp { table, .. } = rule { Some(table.clone()) } else { None })
            .collect();
        overlay.tables.retain(|name, _| used.contains(name));
        self.save(record, overlay, note).await
    }

    /// An older version becomes the newest. It is checked as any other: the vendor's fields may have changed since.
    pub(super) async fn roll_back(&self, record: &AccountRecord, to: u32) -> Result<Saved, Fault> {
        let older = self.version(record, to).await?;
        self.save(record, older.mapping.overlay, format!("back to version {to}")).await
    }

    async fn save(&self, record: &AccountRecord, overlay: Overlay, note: String) -> Result<Saved, Fault> {
        let before = self.overlay(record, None).await?.overlay;
        let changes = overlay.diff(&before);
        if changes.is_empty() {
            return Err(Fault::new(FaultKind::Refused, "nothing would change: this is what the version in force says"));
        }
        let known = self.known(record).await?;
        let lines = self.faults(record, &overlay, &known).await?;
        if !lines.is_empty() {
            let lines: String = lines.iter().take(50).map(|line| format!("\n  {line}")).collect();
            return Err(usage(format!("the overlay was not saved; the version in force stays:{lines}")));
        }
        let named = |field: &VendorField| overlay.rule_for(&field.name).is_some();
        let new = NewOverlay {
            account: record.account.id,
            base: record.mapping.as_ref().map(|mapping| mapping.version),
            fields: known.fields.into_iter().filter(named).collect(),
            overlay,
            note,
            actor: ACTOR.to_string(),
            now: self.clock.now(),
        };
        let version = self.store.save_overlay(new).await?;
        Ok(Saved { account: record.account.name.clone(), version, changes })
    }

    async fn faults(&self, record: &AccountRecord, overlay: &Overlay, known: &Known) -> Result<Vec<String>, Fault> {
        let connector = Self::connector(record)?;
        let schemas = self.schemas()?;
        let ground = Ground {
            record,
            connector: connector.as_ref(),
            fields: &known.fields,
            forms: &known.forms,
            questions: &self.questions(record).await?,
            recent: &self.store.recent(record.account.id, TRIED).await?,
            schemas: &schemas,
        };
        Ok(check::faults(overlay, &ground))
    }

    /// Every ordinary question that a posting of the account's tenant asks, in the account's own world.
    async fn questions(&self, record: &AccountRecord) -> Result<BTreeSet<String>, Fault> {
        let mut questions = BTreeSet::new();
        for ats in self.store.accounts(Some(record.account.tenant)).await? {
            if ats.account.role != Role::Ats || ats.sandbox != record.sandbox {
                continue;
            }
            let connector = Self::connector(&ats)?;
            let forms = self.store.forms(ats.account.id).await?;
            let fields = forms.iter().flat_map(|form| fields_of_form(connector.as_ref(), form));
            questions.extend(fields.map(|field| field.name));
        }
        Ok(questions)
    }

    fn schemas(&self) -> Result<Schemas, Fault> {
        Schemas::new(&causeway_connectors::all()).map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))
    }

    pub(super) async fn diff(
        &self,
        record: &AccountRecord,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<Vec<String>, Fault> {
        let newer = self.overlay(record, to).await?;
        let from = from.unwrap_or_else(|| newer.version.saturating_sub(1));
        let older = if from == 0 { empty() } else { self.version(record, from).await?.mapping.overlay };
        Ok(newer.overlay.diff(&older))
    }

    /// What a document, or the version in force against none, makes of the newest applications. Audited: values are shown.
    pub(super) async fn preview(
        &self,
        record: &AccountRecord,
        text: Option<String>,
        limit: usize,
    ) -> Result<Vec<Shown>, Fault> {
        let connector = Self::connector(record)?;
        let recent = self.store.recent(record.account.id, limit.clamp(1, SHOWN_MAX)).await?;
        let (overlay, fields, before) = match text {
            Some(text) => {
                let overlay = Overlay::parse(&text).map_err(usage)?;
                let known = self.known(record).await?;
                let lines = self.faults(record, &overlay, &known).await?;
                if let Some(first) = lines.first() {
                    return Err(usage(format!("the overlay could not be saved: {first}")));
                }
                (overlay, known.fields, record.clone())
            }
            None => {
                let in_force = self.overlay(record, None).await?;
                (in_force.overlay, in_force.fields, AccountRecord { mapping: None, ..record.clone() })
            }
        };
        let shown = preview::shown(&before, connector.as_ref(), &self.schemas()?, (&overlay, &fields), &recent);
        let ids: Vec<String> = recent.iter().map(|recent| recent.submission.to_string()).collect();
        let subject = if ids.is_empty() { "nothing".to_owned() } else { ids.join(" ") };
        let entry = AuditEntry {
            tenant: record.account.tenant,
            at: self.clock.now(),
            actor: ACTOR.to_string(),
            action: "accounts.map_preview".to_owned(),
            subject: format!("{}: {subject}", record.account.id),
        };
        self.store.audit(entry).await?;
        Ok(shown)
    }
}

fn empty() -> Overlay {
    Overlay { format: FORMAT, ..Overlay::default() }
}

/// The same question asked by another posting may offer other options; required by one is required.
fn merge(known: &mut VendorField, field: VendorField) {
    known.required |= field.required;
    for option in field.options {
        if !known.options.iter().any(|same| same.id == option.id) {
            known.options.push(option);
        }
    }
}
