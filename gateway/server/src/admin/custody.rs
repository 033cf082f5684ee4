//! What a privacy officer and whoever keeps backups ask of a gateway.

use std::path::PathBuf;

use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::pii::Pii;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::execute::{ACTOR, address};
use super::{Fault, Response, Services, TenantName};
use crate::store::custody::CopyState;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is a command of the same name")]
pub enum CustodyRequest {
    ErasurePlan { tenant: TenantName, email: Pii<String> },
    Erase { tenant: TenantName, email: Pii<String> },
    Export { tenant: TenantName, email: Pii<String>, demographics: bool, after: Option<SubmissionId> },
    ExportFile { tenant: TenantName, email: Pii<String>, submission: SubmissionId, position: usize },
    VendorCopies { tenant: TenantName },
    VendorCopySettle { tenant: TenantName, delivery: DeliveryId, state: CopyState },
    Backup { into: PathBuf },
    RestoreConfirm,
}

pub(super) async fn execute(services: &Services, request: CustodyRequest) -> Result<Response, Fault> {
    let support = &services.support;
    match request {
        CustodyRequest::ErasurePlan { tenant, email } => {
            let tenant = services.tenant(tenant).await?.id;
            Ok(Response::Plan(Box::new(support.erasure_plan(ACTOR, tenant, &address(&email)?).await?)))
        }
        CustodyRequest::Erase { tenant, email } => {
            let tenant = services.tenant(tenant).await?.id;
            Ok(Response::Erased(Box::new(support.erase(ACTOR, tenant, &address(&email)?).await?)))
        }
        CustodyRequest::Export { tenant, email, demographics, after } => {
            let tenant = services.tenant(tenant).await?.id;
            let export = support.export(ACTOR, tenant, &address(&email)?, demographics, after).await?;
            Ok(Response::Export(Box::new(export)))
        }
        CustodyRequest::ExportFile { tenant, email, submission, position } => {
            let tenant = services.tenant(tenant).await?.id;
            let bytes = support.export_file(ACTOR, tenant, &address(&email)?, (submission, position)).await?;
            Ok(Response::File { content_base64: Pii::new(BASE64.encode(&bytes)) })
        }
        CustodyRequest::VendorCopies { tenant } => {
            let tenant = services.tenant(tenant).await?.id;
            Ok(Response::VendorCopies(support.vendor_copies(ACTOR, tenant).await?))
        }
        CustodyRequest::VendorCopySettle { tenant, delivery, state } => {
            let tenant = services.tenant(tenant).await?.id;
            Ok(Response::VendorCopies(support.settle_vendor_copy(ACTOR, tenant, delivery, state).await?))
        }
        CustodyRequest::Backup { into } => {
            let report = support.backup(ACTOR, &into).await?;
            Ok(Response::BackedUp { into, report })
        }
        CustodyRequest::RestoreConfirm => Ok(Response::RestoreConfirmed(support.confirm_restore(ACTOR).await?)),
    }
}
