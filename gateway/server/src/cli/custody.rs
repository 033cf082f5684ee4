//! The commands of a privacy officer and of whoever keeps backups: `erase`, `export`, `backup`, `restore`.
//!
//! Files are written here, for their owner only, and never over others; what is in them is `support`'s word. `restore` is
//! the one command that works on a data directory which no gateway may have open.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::pii::Pii;
use clap::{Args, Subcommand, ValueEnum};
use data_encoding::BASE64;

use super::args::OfTenant;
use super::ask::ask;
use super::verbs::Desk;
use super::{End, input, out, table, table_custody};
use crate::admin::{CustodyRequest, Request, Response, TenantName};
use crate::bucket::Bucket;
use crate::clock::{OsEntropy, SystemClock};
use crate::store::custody::CopyState;
use crate::store::keys::RootKey;
use crate::store::sqlite::{Erasures, RestoreOptions};
use crate::support::person::Export;
use crate::support::redact::for_terminal;

/// `erase`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct EraseArgs {
    #[command(flatten)]
    pub of: OfTenant,
    /// The person's address; `-` reads it from standard input.
    #[arg(long, value_name = "EMAIL|-", required = true)]
    pub email: Option<String>,
    /// Show what erasing would reach, with the names found; changes nothing. This is also what happens without --yes.
    #[arg(long, conflicts_with = "yes")]
    pub preview: bool,
    /// Erase.
    #[arg(long)]
    pub yes: bool,
    /// Copies at vendors.
    #[command(subcommand)]
    pub copies: Option<Copies>,
}

/// `erase vendor-copies`, `erase vendor-copy`
#[derive(Debug, Subcommand)]
pub enum Copies {
    /// List copies at vendors of people who were erased here, and what became of each.
    VendorCopies(OfTenant),
    /// Record what became of a copy at a vendor.
    VendorCopy {
        #[command(flatten)]
        of: OfTenant,
        /// The delivery that brought it there, as the list shows it.
        delivery: DeliveryId,
        /// What became of it.
        #[arg(long)]
        state: CopyStateArg,
    },
}

/// As [`CopyState`].
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CopyStateArg {
    /// It has to be erased there by hand.
    ByHand,
    /// The vendor was asked to erase it.
    AskedVendor,
    /// It was erased there.
    Confirmed,
    /// There is no such record there.
    NotThere,
}

impl From<CopyStateArg> for CopyState {
    fn from(arg: CopyStateArg) -> Self {
        match arg {
            CopyStateArg::ByHand => Self::ByHand,
            CopyStateArg::AskedVendor => Self::AskedVendor,
            CopyStateArg::Confirmed => Self::Confirmed,
            CopyStateArg::NotThere => Self::NotThere,
        }
    }
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub of: OfTenant,
    /// The person's address; `-` reads it from standard input.
    #[arg(long, value_name = "EMAIL|-")]
    pub email: String,
    /// The file to make; attachments go into a folder beside it, FILE.files.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Demographic answers too. For a privacy officer; audited.
    #[arg(long)]
    pub demographics: bool,
}

/// `backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder to make; one that is there has to be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `restore`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RestoreArgs {
    /// The backup's folder.
    #[arg(long, value_name = "DIR", required = true)]
    pub from: Option<PathBuf>,
    /// The file with the persons' keys, if it is not the backup's own `keys.db`.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// The newest `erasures.log` of the gateway that was lost; `none` if nobody was erased after the backup.
    #[arg(long, value_name = "FILE|none")]
    pub erasures: Option<PathBuf>,
    /// What follows.
    #[command(subcommand)]
    pub then: Option<Then>,
}

/// `restore confirm`
#[derive(Debug, Subcommand)]
pub enum Then {
    /// Let deliveries go on after a restore; what the lost gateway may have sent is asked for first.
    Confirm,
}

/// Whose export.
struct Whom {
    tenant: TenantName,
    email: Pii<String>,
}

impl Desk {
    async fn of_custody(&self, what: &str, request: CustodyRequest) -> anyhow::Result<End> {
        self.show(what, Request::Custody(request)).await
    }

    /// The list, always; the deed only with `--yes`.
    pub(super) async fn erase(&self, args: EraseArgs) -> anyhow::Result<End> {
        match args.copies {
            Some(Copies::VendorCopies(of)) => {
                return self.of_custody("reading copies", CustodyRequest::VendorCopies { tenant: of.tenant }).await;
            }
            Some(Copies::VendorCopy { of, delivery, state }) => {
                let request = CustodyRequest::VendorCopySettle { tenant: of.tenant, delivery, state: state.into() };
                return self.of_custody("recording", request).await;
            }
            None => {}
        }
        let email = input::email(args.email.as_deref().context("say whom with --email")?)?;
        let tenant = args.of.tenant;
        let request = CustodyRequest::ErasurePlan { tenant: tenant.clone(), email: email.clone() };
        if !args.yes {
            let end = self.of_custody("finding what it reaches", request).await?;
            out::remark("Nothing was erased. Run it again with --yes to erase.");
            return Ok(end);
        }
        let plan = ask(&self.config, "finding what it reaches", Request::Custody(request)).await?;
        if matches!(&plan, Response::Plan(reach) if reach.is_unknown()) {
            return self.answer(&plan);
        }
        out::remark(&for_terminal(&table::of(&plan)));
        self.of_custody("erasing", CustodyRequest::Erase { tenant, email }).await
    }

    pub(super) async fn export(&self, args: ExportArgs) -> anyhow::Result<End> {
        if args.out.exists() {
            bail!("{} is there already: an export is never written over something", args.out.display());
        }
        let email = input::email(&args.email)?;
        let whom = Whom { tenant: args.of.tenant, email };
        let mut export = self.page_of_export(&whom, args.demographics, None).await?;
        while let Some(after) = export.next {
            let page = self.page_of_export(&whom, args.demographics, Some(after)).await?;
            export.submissions.extend(page.submissions);
            export.next = page.next;
        }
        let files = self
            .write_export(&whom, &args.out, &mut export)
            .await
            .with_context(|| format!("the export cannot be written to {}", args.out.display()))?;
        let left_out = export.submissions.iter().any(|one| one.demographics_left_out);
        if self.json {
            out::json(&serde_json::json!({ "out": args.out, "submissions": export.submissions.len(),
                "attachments": files, "demographics_left_out": left_out }))?;
        } else {
            out::text(&table_custody::exported(&args.out, &export, files, left_out))?;
        }
        Ok(End::Answered)
    }

    async fn page_of_export(
        &self,
        Whom { tenant, email }: &Whom,
        demographics: bool,
        after: Option<SubmissionId>,
    ) -> anyhow::Result<Export> {
        let (tenant, email) = (tenant.clone(), email.clone());
        let request = CustodyRequest::Export { tenant, email, demographics, after };
        let answer = ask(&self.config, "gathering what is held", Request::Custody(request)).await?;
        let Response::Export(export) = answer else { bail!("the gateway answered something else") };
        Ok(*export)
    }

    /// The document, and each attachment, fetched one after the other, as a file of its own beside it. How many.
    async fn write_export(&self, whom: &Whom, out: &Path, export: &mut Export) -> anyhow::Result<usize> {
        let folder = PathBuf::from(format!("{}.files", out.display()));
        let mut written = 0;
        for submission in &mut export.submissions {
            for attachment in &mut submission.attachments {
                let (tenant, email) = (whom.tenant.clone(), whom.email.clone());
                let (submission, position) = (submission.record.id, attachment.position);
                let request = CustodyRequest::ExportFile { tenant, email, submission, position };
                let Response::File { content_base64 } =
                    ask(&self.config, "fetching an attachment", Request::Custody(request)).await?
                else {
                    bail!("the gateway answered something else");
                };
                let content =
                    BASE64.decode(content_base64.reveal().as_bytes()).context("an attachment is not readable")?;
                if written == 0 {
                    fs::DirBuilder::new().mode(0o700).create(&folder)?;
                }
                // Names of ours: what a person called a file may be anything.
                let name = format!("{submission}-{position}");
                new_file(&folder.join(&name))?.write_all(&content)?;
                attachment.size = Some(content.len());
                attachment.file = folder.file_name().map(|folder| Path::new(folder).join(&name).display().to_string());
                written += 1;
            }
        }
        new_file(out)?.write_all(serde_json::to_string_pretty(&*export)?.as_bytes())?;
        Ok(written)
    }

    pub(super) async fn backup(&self, args: BackupArgs) -> anyhow::Result<End> {
        let into = std::path::absolute(&args.out).context("the folder's place is not known")?;
        if fs::read_dir(&into).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty: a backup goes into a folder of its own", into.display());
        }
        self.of_custody("copying the store", CustodyRequest::Backup { into }).await
    }

    pub(super) async fn restore(&self, args: RestoreArgs) -> anyhow::Result<End> {
        if let Some(Then::Confirm) = args.then {
            return self.of_custody("letting deliveries go on", CustodyRequest::RestoreConfirm).await;
        }
        let from = args.from.context("say which backup with --from")?;
        let erasures = match args.erasures {
            Some(none) if none.as_os_str() == "none" => Erasures::NoneSince,
            Some(file) => Erasures::File(file),
            None => bail!(
                "people may have been erased after this backup was taken: name the newest erasures.log of the gateway \
                 that was lost with --erasures FILE, or say --erasures none if nobody was"
            ),
        };
        let data = &self.config.fixed.data;
        // A new one, as other commands would advise, opens nothing of the backup.
        let root_key = data.root_key();
        ensure!(
            root_key.exists(),
            "a restore needs the root key that the backup's data was sealed with: copy it to {} first",
            root_key.display()
        );
        let options = RestoreOptions {
            from,
            keys: args.keys,
            erasures,
            into: data.dir.clone(),
            bucket: Bucket::open(&self.config.fixed.blobs)?,
            root_key: RootKey::load(&root_key)?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        };
        let restored = tokio::task::spawn_blocking(move || crate::store::sqlite::restore(&options));
        let report = restored.await.context("restoring ended early")?.context("nothing was restored")?;
        if self.json {
            out::json(&report)?;
        } else {
            out::text(&table_custody::restored(&data.dir, &report))?;
        }
        Ok(End::Answered)
    }
}

/// For its owner only, and not there before.
fn new_file(path: &Path) -> std::io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
