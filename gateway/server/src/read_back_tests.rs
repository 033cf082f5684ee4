//! Reading back, over a store in memory and a vendor that shows what it is told to.

use std::collections::VecDeque;

use causeway_core::account::Account;
use causeway_core::connector::{Descriptor, Permission};
use causeway_core::delivery::{Refs, State, StepPlan};
use causeway_core::ids::DeliveryId;
use causeway_core::outcome::{Class, Outcome};
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::dispatch::tests::fake::{FakeStore, Row};
use crate::egress::EgressPolicy;
use crate::egress::testing::{DESCRIPTOR, TokioClock, egress, plant, record};
use crate::store::work::Proof;

/// The Descriptor's.
const LAG: Duration = Duration::from_secs(10);

struct Shows {
    how: FindSupport,
    /// Calls one answer takes.
    calls: usize,
    breaks: bool,
    /// How long it thinks about one.
    takes: Duration,
    found: Mutex<VecDeque<Found>>,
    asked: Mutex<Vec<DeliveryId>>,
    /// Between which moments the record was to be looked for.
    between: Mutex<Vec<(Timestamp, Timestamp)>>,
}

#[async_trait]
impl Connector for Shows {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn plan(&self, _: &Delivery<'_>) -> Vec<StepPlan> {
        Vec::new()
    }

    async fn run(&self, _: &str, _: &Delivery<'_>, _: &dyn Http) -> Outcome {
        Outcome::new(Class::Accepted)
    }

    fn read_back(&self) -> FindSupport {
        self.how
    }

    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        self.between.lock().unwrap().push((taken.sent_at, taken.said_yes_at));
        assert!(!self.breaks, "the vendor's answer breaks the connector");
        tokio::time::sleep(self.takes).await;
        for _ in 0..self.calls {
            let request = Request::get("https://api.vendor.test/").body(Bytes::new()).unwrap();
            if http.send(request).await.is_err() {
                return Found::CannotTell;
            }
        }
        self.asked.lock().unwrap().push(delivery.id);
        self.found.lock().unwrap().pop_front().unwrap_or(Found::NotSeen { as_of: delivery.now })
    }

    async fn check(&self, _: &Account, _: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }
}

struct Rig {
    read_back: ReadBack,
    store: Arc<FakeStore>,
    vendor: Arc<Shows>,
    clock: Arc<TokioClock>,
    account: AccountId,
    wire: Arc<AtomicUsize>,
}

fn rig_of(change: impl FnOnce(&mut Shows), settings: serde_json::Value) -> Rig {
    let mut vendor = Shows {
        how: FindSupport::Always,
        calls: 1,
        breaks: false,
        takes: Duration::ZERO,
        found: Mutex::default(),
        asked: Mutex::default(),
        between: Mutex::default(),
    };
    change(&mut vendor);
    let (vendor, store, clock) = (Arc::new(vendor), Arc::new(FakeStore::default()), TokioClock::new());
    let egress = Arc::new(egress(Arc::clone(&vendor) as Arc<dyn Connector>, EgressPolicy::default()));
    let record = record("scripted", settings);
    let account = record.account.id;
    let wire = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&wire);
    plant(&egress, &record, move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Response::new(Bytes::new())) })
    });
    store.with_account(record);
    let connector = Arc::clone(&vendor);
    let read_back = ReadBack::new(ReadBackParts {
        store: Arc::clone(&store) as Arc<dyn Store>,
        egress,
        connectors: Arc::new(move |_| Some(Arc::clone(&connector) as Arc<dyn Connector>)),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        policy: ReadBackPolicy::default(),
    });
    Rig { read_back, store, vendor, clock, account, wire }
}

fn rig(found: impl IntoIterator<Item = Found>) -> Rig {
    let found = found.into_iter().collect();
    rig_of(|vendor| vendor.found = Mutex::new(found), json!({}))
}

impl Rig {
    /// The vendor said yes now.
    fn delivered(&self) -> DeliveryId {
        let id = self.store.queue(self.account, 1);
        let now = self.clock.now();
        let mut inner = self.store.lock();
        let row = inner.rows.get_mut(&id).unwrap();
        (row.state, row.due, row.settled_at) = (State::Delivered, None, Some(now));
        row.proof = Some(Proof::due(later(now, LAG)));
        id
    }

    async fn pass_after(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
        self.read_back.pass().await.unwrap();
    }

    /// Passes until it is read back or given up, for weeks.
    async fn until_proven(&self, id: DeliveryId) -> Proof {
        for _ in 0..20_000 {
            self.pass_after(Duration::from_secs(60)).await;
            let row = self.store.row(id);
            assert_eq!(row.state, State::Delivered, "where it stands never changes");
            if let Some(proof) = row.proof.filter(|proof| proof.due_at.is_none()) {
                return proof;
            }
        }
        panic!("reading back never ends");
    }

    fn asked(&self) -> usize {
        self.vendor.asked.lock().unwrap().len()
    }

    fn row(&self, id: DeliveryId) -> Row {
        self.store.row(id)
    }
}

fn vendor_record(id: &str, created_at: Option<Timestamp>, ours: bool) -> VendorRecord {
    let refs = Refs::from([("application_id".to_owned(), id.to_owned())]);
    VendorRecord { vendor_id: id.to_owned(), refs, created_at, carries_our_reference: ours, is_application: true }
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_is_seen_once_the_vendor_can_show_it() {
    let rig = rig([]);
    let id = rig.delivered();
    rig.vendor.found.lock().unwrap().push_back(Found::Seen(vec![vendor_record("a7", Some(rig.clock.now()), false)]));
    rig.pass_after(LAG - Duration::from_secs(1)).await;
    assert_eq!(rig.asked(), 0, "not before its time");
    rig.pass_after(Duration::from_secs(1)).await;
    let row = rig.row(id);
    assert_eq!((row.proof, row.vendor_id.as_deref()), (Some(Proof::seen(rig.clock.now())), Some("a7")));
    assert_eq!((row.state, row.refs["application_id"].as_str()), (State::Delivered, "a7"));
    rig.pass_after(LAG).await;
    assert_eq!(rig.asked(), 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_is_twice_not_shown_after_the_lag_is_a_case_until_it_turns_up() {
    let rig = rig([]);
    let id = rig.delivered();
    // As of before the lag: says nothing.
    rig.vendor.found.lock().unwrap().push_back(Found::NotSeen { as_of: rig.clock.now() });
    let steps = [(0, None), (1, None), (2, Some(Reason::NotSeenAtVendor))];
    for (asked, (missed, reason)) in steps.into_iter().enumerate() {
        while rig.asked() == asked {
            rig.pass_after(Duration::from_secs(1)).await;
        }
        assert_eq!((rig.row(id).missed, rig.row(id).reason), (missed, reason));
    }
    rig.vendor.found.lock().unwrap().push_back(Found::Seen(vec![vendor_record("late", None, true)]));
    assert!(rig.until_proven(id).await.seen_at.is_some());
    assert_eq!(rig.row(id).reason, None);
}

#[tokio::test(start_paused = true)]
async fn it_ends_and_says_why() {
    let check = async |change: fn(&mut Shows), document: &'static [u8], asked: usize, told: &str| {
        let rig = rig_of(change, json!({}));
        let id = rig.delivered();
        rig.store.lock().rows.get_mut(&id).unwrap().document = Bytes::from_static(document);
        let proof = rig.until_proven(id).await;
        let why = proof.not_verifiable.unwrap();
        assert!(why.contains(told), "{why}");
        assert_eq!(rig.asked(), asked, "{told}");
    };
    let fine: &[u8] = br#"{"job":"j1"}"#;
    check(|_| {}, fine, 8, "does not show it, asked 8 times").await;
    check(|vendor| vendor.found = Mutex::new(busy_forever()), fine, 8, "asked for 8 times, without an answer").await;
    check(|vendor| vendor.found = Mutex::new([Found::CannotTell].into()), fine, 1, "could not be made to say").await;
    check(|vendor| vendor.how = FindSupport::None, fine, 0, "offers no call").await;
    check(|vendor| vendor.how = FindSupport::WithCredential("harvest"), fine, 0, "no credential `harvest`").await;
    check(|vendor| vendor.calls = 50, fine, 0, "too many calls").await;
    check(|vendor| vendor.breaks = true, fine, 0, "could not be made to say").await;
    check(|_| {}, b"", 0, "cannot be opened").await;
    check(|_| {}, b"[", 0, "cannot be read").await;
}

fn busy_forever() -> VecDeque<Found> {
    std::iter::repeat_n(Found::NotNow { retry_after: None }, 50).collect()
}

#[tokio::test(start_paused = true)]
async fn only_a_record_that_can_be_ours_counts() {
    let check = async |named: Option<&str>, record: fn(Timestamp) -> VendorRecord, seen: bool| {
        let rig = rig([]);
        let other = rig.delivered();
        {
            let mut inner = rig.store.lock();
            let row = inner.rows.get_mut(&other).unwrap();
            (row.proof, row.vendor_id) = (None, Some("another's".to_owned()));
        }
        let id = rig.delivered();
        rig.store.lock().rows.get_mut(&id).unwrap().vendor_id = named.map(str::to_owned);
        let record = record(rig.clock.now());
        rig.vendor.found.lock().unwrap().push_back(Found::Seen(vec![record.clone()]));
        rig.pass_after(LAG).await;
        assert_eq!(rig.row(id).proof.unwrap().seen_at.is_some(), seen, "{named:?} {record:?}");
    };
    check(None, |at| vendor_record("a", Some(at), false), true).await;
    check(None, |at| vendor_record("a", Some(at - SignedDuration::from_secs(119)), false), true).await;
    check(None, |at| vendor_record("a", Some(at - SignedDuration::from_secs(121)), false), false).await;
    check(None, |at| vendor_record("a", Some(at + SignedDuration::from_secs(119)), false), true).await;
    check(None, |at| vendor_record("a", Some(at + SignedDuration::from_secs(121)), false), false).await;
    check(None, |_| vendor_record("a", None, false), false).await;
    check(None, |_| vendor_record("a", None, true), true).await;
    check(None, |at| vendor_record("another's", Some(at), false), false).await;
    check(Some("a"), |_| vendor_record("a", None, false), true).await;
    check(Some("b"), |at| vendor_record("a", Some(at), false), false).await;
    check(Some("b"), |at| vendor_record("a", Some(at), true), true).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_hides_nothing() {
    for (ahead, created) in [(3_600, -3_600), (-3_600, 3_600)] {
        let rig = rig([]);
        rig.clock.be_ahead(ahead);
        let (id, at) = (rig.delivered(), rig.clock.now());
        let there = at + SignedDuration::from_secs(created);
        rig.vendor.found.lock().unwrap().push_back(Found::Seen(vec![vendor_record("a", Some(there), false)]));
        rig.pass_after(LAG).await;
        assert!(rig.row(id).proof.unwrap().seen_at.is_some(), "{ahead}");
        assert_eq!(*rig.vendor.between.lock().unwrap(), [(at.min(there), at.max(there))]);
    }
}

#[test]
fn reading_back_leaves_deliveries_their_calls() {
    for (room, due, calls) in [
        (0, false, 0),
        (1, false, 1),
        (2, false, 1),
        (8, false, 2),
        (900, false, 225),
        (0, true, 0),
        (19, true, 0),
        (20, true, 1),
        (900, true, 45),
    ] {
        assert_eq!(allowance(room, due), calls, "{room} {due}");
    }
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_are_due_go_first() {
    let ours = [vendor_record("a", None, true)];
    let rig = rig_of(|_| {}, json!({ "limit_calls": 20, "limit_window_ms": 1_000 }));
    for _ in 0..6 {
        rig.delivered();
    }
    *rig.vendor.found.lock().unwrap() = std::iter::repeat_n(Found::Seen(ours.to_vec()), 20).collect();
    tokio::time::sleep(LAG).await;
    let waiting = rig.store.queue(rig.account, 2);
    rig.read_back.pass().await.unwrap();
    assert_eq!(rig.asked(), 0, "18 calls a window, and a delivery is due");
    rig.store.lock().rows.get_mut(&waiting).unwrap().due = None;
    rig.read_back.pass().await.unwrap();
    assert_eq!((rig.asked(), rig.wire.load(Ordering::SeqCst)), (4, 4), "a quarter of 18");
}

#[tokio::test(start_paused = true)]
async fn a_busy_postings_records_are_read_for_so_long_and_less_while_anybodys_deliveries_are_due() {
    let rig = rig_of(|vendor| vendor.takes = Duration::from_millis(40), json!({}));
    for _ in 0..20 {
        rig.delivered();
    }
    let ours = vec![vendor_record("a", None, true)];
    *rig.vendor.found.lock().unwrap() = std::iter::repeat_n(Found::Seen(ours), 20).collect();
    rig.pass_after(LAG).await;
    assert_eq!(rig.asked(), 7, "the last began within 250 ms");
    let another = record("scripted", json!({}));
    let id = another.account.id;
    rig.store.with_account(another);
    rig.store.queue(id, 2);
    rig.read_back.pass().await.unwrap();
    assert_eq!(rig.asked(), 9, "the last began within 50 ms");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_cannot_answer_is_left_alone_for_a_while() {
    let rig = rig(busy_forever());
    let (_, _) = (rig.delivered(), rig.delivered());
    rig.pass_after(LAG).await;
    assert_eq!(rig.asked(), 1, "the others are not asked for in the same pass");
    rig.pass_after(Duration::from_secs(5)).await;
    assert_eq!(rig.asked(), 1);
    rig.pass_after(Duration::from_secs(5)).await;
    assert_eq!(rig.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_never_gets_a_call_is_given_up() {
    let rig = rig_of(|_| {}, json!({ "limit_calls": 1 }));
    let id = rig.delivered();
    rig.store.queue(rig.account, 2);
    let proof = rig.until_proven(id).await;
    assert!(proof.not_verifiable.unwrap().contains("left no call"));
    assert_eq!(rig.asked(), 0);
}
