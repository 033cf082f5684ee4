//! Every claim of a Descriptor, carried out: each check below is one member of it, or one function that the contract lets
//! a connector claim.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use causeway::store::trace::SubmissionKind;
use causeway_core::account::{OnUnknown, Role};
use causeway_core::clock::Clock;
use causeway_core::connector::{Connector, FindSupport, ReadError};
use causeway_core::delivery::{Idempotency, State};
use causeway_core::outcome::Class;
use serde_json::json;

use super::Shown;
use super::lost::Undisturbed;
use crate::data::{self, Places};
use crate::parcel::Parcel;
use crate::watch::{Seen, Watch};
use crate::world::{Wish, World, account_wish};

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let world = World::set(&connector, &Wish::default()).await?;
    let claims = [
        ("texts", texts(&*connector)),
        ("credentials and settings", set_up(&world)),
        ("reads", reads(&world).await),
        ("the plan", plan(&world).await),
        ("ways out", ways_out(&world).await),
        ("idempotency", repeating(&world).await),
        ("find", finding(&connector).await),
        ("read back", reading_back(&world).await),
    ];
    let (mut shown, mut wrong) = (0, Vec::new());
    for (claim, result) in claims {
        match result {
            Ok(count) => shown += count,
            Err(error) => wrong.push(format!("{claim}: {error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(shown)
}

/// `name`, `title`, `docs`, and that the README tells of each credential and setting.
fn texts(connector: &dyn Connector) -> Result<Shown> {
    let descriptor = connector.describe();
    let readme = data::text(descriptor.name, "README.md")?;
    ensure!(readme.starts_with(&format!("# {}", descriptor.title)), "the README is headed by the title");
    ensure!(!descriptor.docs.is_empty(), "it was written from something");
    for document in descriptor.docs {
        ensure!(document.contains("20"), "{document}: when was it read?");
    }
    let fields = descriptor.credentials.iter().chain(descriptor.settings);
    for field in fields.clone() {
        ensure!(field.help.len() > 10 && field.help.ends_with('.'), "{}: say what it is", field.name);
        ensure!(readme.contains(&format!("`{}`", field.name)), "{}: the README does not tell of it", field.name);
    }
    ensure!(descriptor.credentials.iter().all(|one| one.default.is_none()), "a secret has no default");
    if let Some(words) = connector.erasing() {
        ensure!(words.contains(' ') && words.ends_with('.'), "erasing: a sentence");
    }
    Ok(2 + descriptor.docs.len() + fields.count())
}

/// `credentials` and `settings`: what is announced is declared, and what is required is missed.
fn set_up(world: &World) -> Result<Shown> {
    let descriptor = world.connector.describe();
    let announced = world.sandbox.announcement();
    for (part, fields) in [("credentials", descriptor.credentials), ("settings", descriptor.settings)] {
        let entered = announced[part].as_object().context("the ready line")?;
        for name in entered.keys() {
            ensure!(fields.iter().any(|field| field.name == name), "{name} is announced and not declared");
        }
        for field in fields.iter().filter(|field| field.required) {
            ensure!(entered.contains_key(field.name), "{} is required and not announced", field.name);
        }
    }
    let role = *descriptor.roles.first().context("a role")?;
    let customer = &world.customer;
    let refused =
        |wish| causeway::setup::account(customer.account, customer.tenant, wish).err().map(|no| no.to_string());
    let whole = || account_wish(announced, descriptor.name, role, &Wish::default());
    ensure!(refused(whole()).is_none(), "what the sandbox announces makes an account");
    let mut shown = 1;
    for field in descriptor.credentials.iter().chain(descriptor.settings).filter(|field| field.required) {
        let mut wish = whole();
        wish.secrets.remove(field.name);
        wish.settings.remove(field.name);
        let said = refused(wish).unwrap_or_default();
        ensure!(said.contains(field.name), "without {}: {said:?}", field.name);
        shown += 1;
    }
    for role in [Role::Ats, Role::Crm].into_iter().filter(|role| !descriptor.roles.contains(role)) {
        let wish = account_wish(announced, descriptor.name, role, &Wish::default());
        ensure!(refused(wish).is_some(), "{role:?} is not claimed and taken all the same");
        shown += 1;
    }
    ensure!(descriptor.settings.iter().any(|field| field.is_url), "a host to talk to");
    Ok(shown)
}

/// `list_jobs` and `fetch_form`: claimed by whoever has the role of an ATS, and by nobody else.
async fn reads(world: &Arc<World>) -> Result<Shown> {
    let at = Arc::clone(world);
    world
        .live(Watch::new(), async move |life| {
            let record = life.record().await?;
            let http = life.egress.http(&record);
            let listed = at.connector.list_jobs(&record.account, None, &http).await;
            let posting = &at.customer.posting.posting_id;
            if !at.connector.describe().roles.contains(&Role::Ats) {
                ensure!(listed.err() == Some(ReadError::NotClaimed), "postings are not claimed");
                let form = at.connector.fetch_form(&record.account, posting, &http).await;
                ensure!(form.err() == Some(ReadError::NotClaimed), "forms are not claimed");
                return Ok(2);
            }
            let page = listed?;
            let ids: BTreeSet<&String> = page.postings.iter().map(|posting| &posting.posting_id).collect();
            ensure!(ids.len() == page.postings.len() && ids.contains(posting), "each once, and what was published");
            ensure!(page.postings.iter().all(|posting| !posting.title.is_empty()), "each has a title");
            let form = at.connector.fetch_form(&record.account, posting, &http).await?;
            ensure!(form.posting_id == *posting && !form.questions.is_empty(), "the posting's questions");
            let gone = at.connector.fetch_form(&record.account, "424242", &http).await;
            ensure!(gone == Err(ReadError::NotThere), "a posting that is not there: {gone:?}");
            let schema = at.connector.form_schema(&form).context("forms have a schema")?;
            ensure!(schema == at.connector.form_schema(&form).context("twice")?, "the schema is pure");
            Ok(4)
        })
        .await
}

/// `plan`: never empty, names once, the same twice; only what follows a step can only add to it.
async fn plan(world: &Arc<World>) -> Result<Shown> {
    let at = Arc::clone(world);
    world
        .live(Watch::new(), async move |life| {
            let (_, document) = at.document(&Places::new())?;
            let parcel = Parcel::new(&at, &life.record().await?.account, &document)?;
            let plan = parcel.plan(&*at.connector);
            let names: BTreeSet<&str> = plan.iter().map(|step| step.name).collect();
            ensure!(!plan.is_empty() && names.len() == plan.len(), "{plan:?}");
            ensure!(plan == parcel.plan(&*at.connector), "the plan is pure");
            ensure!(!at.connector.only_adds(plan[0].name), "the first step cannot only add");
            Ok(plan.len())
        })
        .await
}

/// `auth`, `takes_files`, `names_hosts`, `read_pace`: used, and nothing besides.
async fn ways_out(world: &Arc<World>) -> Result<Shown> {
    let descriptor = world.connector.describe();
    let undisturbed = Undisturbed::of(world).await?;
    let entries = world.ledger_len()?;
    let lost = undisturbed.operations.iter();
    let rules: Vec<_> = lost.map(|one| json!({ "operation": one, "times": 1, "do": "drop_after_commit" })).collect();
    world.faults(&rules)?;
    let watch = Watch::new();
    let accepted = world.deliver(&watch, &Places::new()).await?;
    let state = world.state(&accepted).await?;
    ensure!(matches!(state, State::Delivered | State::Held), "{state}");
    world.faults(&[])?;
    // Some schemes are for reading back alone.
    back(world, &watch).await?;
    let Seen { schemes, named, paced, .. } = watch.seen();
    let declared: BTreeSet<&str> = descriptor.auth.iter().map(causeway_core::connector::AuthScheme::name).collect();
    ensure!(schemes == declared, "declared {declared:?}, used {schemes:?}");
    ensure!((named > 0) == descriptor.names_hosts, "names_hosts is {}, {named} such requests", descriptor.names_hosts);
    ensure!((paced > 0) == world.described.pace, "a pace was read in {paced} answers");
    let text = serde_json::to_string(&world.ledger(entries)?)?;
    for bytes in world.described.files.values() {
        let hash = causeway::hash::sha256_hex(bytes.as_bytes());
        ensure!(text.contains(&hash) == descriptor.takes_files, "takes_files is {}", descriptor.takes_files);
    }
    Ok(declared.len() + 3)
}

/// `Idempotency::Always`: the step is taken twice, and the vendor has what it had after the first time.
async fn repeating(world: &Arc<World>) -> Result<Shown> {
    let at = Arc::clone(world);
    world
        .live(Watch::new(), async move |life| {
            let record = life.record().await?;
            let http = life.egress.http(&record);
            let (_, document) = at.document(&Places::new())?;
            let mut parcel = Parcel::new(&at, &record.account, &document)?.another(&at);
            let mut shown = 0;
            for step in parcel.plan(&*at.connector) {
                let before = parcel.refs.clone();
                let first = parcel.step(&*at.connector, step.name, &http).await;
                ensure!(matches!(first.class, Class::Accepted | Class::AlreadyThere), "{}: {first:?}", step.name);
                if step.idempotency == Idempotency::Never {
                    continue;
                }
                let (held, kept) = (at.counts()?, parcel.refs.clone());
                // As after an unknown outcome: what the first try brought back is not known.
                parcel.refs = before;
                let second = parcel.step(&*at.connector, step.name, &http).await;
                ensure!(matches!(second.class, Class::Accepted | Class::AlreadyThere), "{}: {second:?}", step.name);
                ensure!(at.counts()? == held, "`{}` taken twice leaves more than once", step.name);
                ensure!(parcel.refs == kept, "`{}` taken twice brings other references", step.name);
                shown += 1;
            }
            Ok(shown)
        })
        .await
}

/// `find`: who claims it finds what was lost, and only then; who needs a credential for it holds without.
async fn finding(connector: &Arc<dyn Connector>) -> Result<Shown> {
    let cases = match connector.describe().find {
        FindSupport::Always => vec![(Vec::new(), true)],
        FindSupport::WithCredential(name) => vec![(Vec::new(), true), (vec![name], false)],
        FindSupport::None => vec![(Vec::new(), false)],
    };
    let mut shown = 0;
    for (without, found) in cases {
        for on_unknown in [OnUnknown::Hold, OnUnknown::Resend] {
            let world =
                World::set(connector, &Wish { without: without.clone(), on_unknown, ..Wish::default() }).await?;
            let steps = Undisturbed::of(&world).await?.steps;
            let step = steps.iter().find(|step| step.plan.idempotency == Idempotency::Never);
            let Some(operation) = step.and_then(|step| step.operations.last()) else { continue };
            world.faults(&[json!({ "operation": operation, "times": 1, "do": "drop_after_commit" })])?;
            let watch = Watch::new();
            let accepted = world.deliver(&watch, &Places::new()).await?;
            let (state, asked) = (world.state(&accepted).await?, watch.seen().asked);
            let looked = asked.contains_key("find");
            let ends = if found || on_unknown == OnUnknown::Resend { State::Delivered } else { State::Held };
            ensure!(looked == found && state == ends, "find asked: {looked}, {state} under {on_unknown:?}");
            shown += 1;
        }
    }
    Ok(shown)
}

/// `read_back` and `seen`: once the lag is over, the third proof is there, or why there is none.
async fn reading_back(world: &Arc<World>) -> Result<Shown> {
    let watch = Watch::new();
    let accepted = world.deliver(&watch, &Places::new()).await?;
    back(world, &watch).await?;
    let (query, id) = (world.about(), accepted.submission);
    let found = world.live(Watch::new(), async move |life| Ok(life.store.lookup(&query).await?)).await?;
    let submission = found.submissions.into_iter().find(|one| one.id == id).context("it is found")?;
    let SubmissionKind::Accepted { deliveries, .. } = submission.kind else { anyhow::bail!("it was accepted") };
    let proof = deliveries.into_iter().find_map(|one| one.proof).context("a third proof")?;
    match world.connector.read_back() {
        FindSupport::None => ensure!(proof.not_verifiable.is_some(), "not claimed, and proven: {proof:?}"),
        FindSupport::Always | FindSupport::WithCredential(_) => {
            ensure!(proof.seen_at.is_some(), "it was not seen at the vendor: {proof:?}");
        }
    }
    Ok(1)
}

/// What was delivered under this watch is read back.
async fn back(world: &Arc<World>, watch: &Arc<Watch>) -> Result<()> {
    let at = Arc::clone(world);
    world
        .live(Arc::clone(watch), async move |life| {
            at.advance_to(at.clock.now() + at.connector.describe().lag(&life.record().await?.account))?;
            life.read_back().await
        })
        .await
}
