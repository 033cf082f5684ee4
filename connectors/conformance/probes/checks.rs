//! What `causeway accounts check` says, by the function it uses: of good credentials, of refused ones, and of each
//! permission that is taken away.

use std::sync::Arc;

use anyhow::{Result, ensure};
use causeway::admin::{CheckVerdict, Checked, is_refused};
use causeway_core::connector::Connector;
use serde_json::{Value, json};

use super::Shown;
use crate::watch::Watch;
use crate::world::{Wish, World};

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let world = World::set(&connector, &Wish::default()).await?;
    let before = world.counts()?;
    let good = checked(&world, &Value::Null).await?;
    ensure!(noes(&good).is_empty() && good.iter().any(|one| one.verdict == CheckVerdict::Yes), "{good:?}");
    let refused = checked(&world, &json!({ "credentials_valid": false })).await?;
    // What needs no credential may say yes all the same.
    let yes = |checked: &[Checked]| checked.iter().filter(|one| one.verdict == CheckVerdict::Yes).count();
    ensure!(!noes(&refused).is_empty() && yes(&refused) < yes(&good), "refused credentials are not seen: {refused:?}");
    let open = world.described.open_checks;
    ensure!(
        yes(&refused) == open && is_refused(&refused) == (open == 0),
        "{open} checks need no credential: {refused:?}"
    );
    world.quiet()?;
    for withdrawn in &world.described.permissions {
        let world = World::set(&connector, &Wish::default()).await?;
        let said = checked(&world, &withdrawn.settings).await?;
        ensure!(noes(&said) == withdrawn.no, "without {}: {:?}", withdrawn.settings, noes(&said));
        ensure!(said.iter().all(|one| one.text.len() > 3), "{said:?}");
    }
    ensure!(before == world.counts()?, "a check writes nothing");
    Ok(2 + world.described.permissions.len())
}

async fn checked(world: &Arc<World>, settings: &Value) -> Result<Vec<Checked>> {
    world.settings(settings)?;
    world
        .live(Watch::new(), async move |life| {
            Ok(causeway::admin::check(&*life.connector(), &life.egress, &life.record().await?).await)
        })
        .await
}

fn noes(checked: &[Checked]) -> Vec<String> {
    checked.iter().filter(|one| one.verdict == CheckVerdict::No).map(|one| one.name.clone()).collect()
}
