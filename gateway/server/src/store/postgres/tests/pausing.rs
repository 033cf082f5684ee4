//! A pause whose backlog does not all read back, where many rows are written in one statement.

use causeway_core::reason::Reason;
use causeway_servers::Postgres as Server;

use super::Postgres;
use crate::store::suite::world::World;
use crate::store::webhooks::EventType;

#[tokio::test]
async fn sites_are_told_of_what_was_held_and_where_it_stands_now() {
    let w = World::<Postgres>::new().await;
    let site = w.one_endpoint().await;
    let mut ids = Vec::new();
    for name in ["broken", "sound"] {
        ids.push(w.accept(w.application(&format!("{name}@example.org"))).await.1);
    }
    let (_, database) = w.backend.dsn.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap();
    let broken = format!("UPDATE deliveries SET refs = 'nonsense' WHERE id = '\\x{}'", ids[0].as_uuid().simple());
    Server::shared().unwrap().psql(database, &broken).unwrap();
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    let mut told = w.told(&site).await;
    told.sort_by_key(|(kind, _)| kind.as_str());
    assert_eq!(told, [(EventType::Held, Some(Reason::AccountPaused)), (EventType::Parked, Some(Reason::Poison))]);
}
