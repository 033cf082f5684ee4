//! A delivery made by hand, for what is the connector's alone: no store, no dispatch.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use causeway_core::account::Account;
use causeway_core::application::Application;
use causeway_core::clock::Clock;
use causeway_core::connector::{Connector, Delivery, File, Http};
use causeway_core::delivery::{Refs, StepPlan};
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::outcome::{Class, Outcome};
use jiff::Timestamp;
use serde_json::Value;

use crate::world::{Customer, World};

/// Everything a delivery borrows.
pub(crate) struct Parcel {
    id: DeliveryId,
    application_id: SubmissionId,
    pub(crate) account: Account,
    customer: Customer,
    application: Application,
    files: Vec<File>,
    pub(crate) refs: Refs,
    now: Timestamp,
}

impl Parcel {
    /// A delivery of this document to this account. Two of one document are alike.
    pub(crate) fn new(world: &World, account: &Account, document: &Value) -> Result<Self> {
        let files = world.files(document)?.into_iter().map(|file| File { id: file.id, bytes: file.bytes }).collect();
        Ok(Self {
            id: "del_00000000000070008000000000000004".parse().ok().context("an id")?,
            application_id: "sub_00000000000070008000000000000001".parse().ok().context("an id")?,
            account: account.clone(),
            customer: world.customer.clone(),
            application: Application::parse(document.to_string().as_bytes())?,
            files: if world.connector.describe().takes_files { files } else { Vec::new() },
            refs: Refs::new(),
            now: world.clock.now(),
        })
    }

    pub(crate) fn delivery(&self) -> Delivery<'_> {
        Delivery {
            id: self.id,
            application_id: self.application_id,
            code: "K7Q2-M9XD",
            received_at: self.now,
            account: &self.account,
            posting: &self.customer.posting,
            form: self.customer.form.as_ref(),
            application: &self.application,
            files: &self.files,
            fields: &[],
            refs: &self.refs,
            now: self.now,
        }
    }

    pub(crate) fn plan(&self, connector: &dyn Connector) -> Vec<StepPlan> {
        connector.plan(&self.delivery())
    }

    /// One step; what it brought back is kept.
    pub(crate) async fn step(&mut self, connector: &dyn Connector, step: &str, http: &dyn Http) -> Outcome {
        let outcome = connector.run(step, &self.delivery(), http).await;
        self.refs.extend(outcome.refs.clone());
        outcome
    }

    /// Every step, as far as they go well.
    pub(crate) async fn carry(&mut self, connector: &dyn Connector, http: &dyn Http) -> Result<(), Outcome> {
        for step in self.plan(connector) {
            let outcome = self.step(connector, step.name, http).await;
            if !matches!(outcome.class, Class::Accepted | Class::AlreadyThere) {
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// Under ids of its own: another application.
    pub(crate) fn another(mut self, world: &World) -> Self {
        self.id = DeliveryId::new(self.now, world.entropy.as_ref());
        self.application_id = SubmissionId::new(self.now, world.entropy.as_ref());
        self
    }

    pub(crate) fn with_refs(mut self, refs: &BTreeMap<String, String>) -> Self {
        self.refs = refs.clone();
        self
    }
}
