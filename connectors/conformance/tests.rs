//! The suite: every probe, every connector.

use std::sync::Arc;
use std::time::Duration;

use causeway_core::connector::Connector;
use causeway_core::outcome::Class;

use crate::liar::{Liar, Lie};
use crate::probes::lag;
use crate::{PROBES, connectors};

async fn check(name: &str) {
    let probe = PROBES.iter().find(|probe| probe.name == name).unwrap();
    let mut wrong = Vec::new();
    for connector in connectors() {
        let vendor = connector.describe().name;
        match (probe.ask)(connector).await {
            Ok(shown) => assert!(shown > 0, "{vendor}: {name} showed nothing"),
            Err(error) => wrong.push(format!("{vendor}: {error:#}")),
        }
    }
    assert!(wrong.is_empty(), "{}, but:\n{}", probe.shows, wrong.join("\n"));
}

#[tokio::test]
async fn recorded_answers_get_their_class() {
    check("recorded").await;
}

#[tokio::test]
async fn every_class_of_outcome_comes_about() {
    check("outcomes").await;
}

#[tokio::test]
async fn every_claim_is_carried_out() {
    check("claims").await;
}

#[tokio::test]
async fn accounts_check_sees_what_is_missing() {
    check("checks").await;
}

#[tokio::test]
async fn every_field_has_its_fate_at_the_vendor() {
    check("fates").await;
}

#[tokio::test]
async fn a_kill_at_any_boundary_doubles_nothing() {
    check("kills").await;
}

#[tokio::test]
async fn a_lost_answer_doubles_nothing() {
    check("lost answers").await;
}

#[tokio::test]
async fn a_late_vendor_is_waited_for() {
    check("lag").await;
}

#[tokio::test]
async fn no_window_holds_more_than_the_vendor_allows() {
    check("limits").await;
}

/// A claim that is not kept is noticed, of each connector that it is a lie of. Who claims less than there is may be believed:
/// that is no promise broken.
#[tokio::test]
async fn a_lie_is_noticed() {
    for (lie, probe, claims_less) in [
        (Lie::AllRepeatable, "claims", false),
        (Lie::AllRepeatable, "lost answers", false),
        (Lie::NothingFound, "claims", true),
        (Lie::Files, "claims", false),
        (Lie::Hosts, "claims", false),
        (Lie::MayEverything, "checks", false),
        (Lie::AlwaysYes, "outcomes", false),
        (Lie::AlwaysYes, "recorded", false),
        (Lie::NoPostings, "claims", false),
    ] {
        let ask = PROBES.iter().find(|known| known.name == probe).unwrap().ask;
        let (mut noticed, mut believed) = (0, Vec::new());
        for connector in connectors() {
            let vendor = connector.describe().name;
            let liar = Liar::of(connector, lie);
            let asked = ask(Arc::clone(&liar) as Arc<dyn Connector>).await;
            noticed += usize::from(asked.is_err() && liar.has_lied());
            if asked.is_ok() && liar.has_lied() {
                believed.push(vendor);
            }
        }
        assert!(noticed > 0 && (claims_less || believed.is_empty()), "{lie:?}: `{probe}` believed {believed:?}");
    }
}

/// The lag's probe would see a second record, if there were one.
#[tokio::test]
async fn a_vendor_later_than_it_said_is_noticed() {
    let (said, really) = (Duration::from_secs(1), Duration::from_secs(600));
    let mut noticed = 0;
    for connector in connectors() {
        noticed += usize::from(lag::at(&connector, really, Some(said)).await.is_err());
    }
    assert!(noticed > 0, "nobody's second record was seen");
}

#[test]
fn no_probe_is_left_out() {
    let text = include_str!("tests.rs");
    for probe in PROBES {
        assert!(text.contains(&format!("check(\"{}\")", probe.name)), "{} is never asked", probe.name);
    }
    // The classes that `tidy` looks for are these.
    let classes: Vec<&str> = Class::ALL.into_iter().map(Class::as_str).collect();
    let tidy = include_str!("../../tests/tidy/rules.rs");
    assert!(tidy.contains(&format!("{classes:?}")), "{classes:?}");
}
