//! The suite: every probe, every connector.

use causeway_core::outcome::Class;

use crate::liar::{Liar, Lie};
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

/// A claim that is not kept is noticed by these probes: of each connector that it is a lie of.
#[tokio::test]
async fn a_lie_is_noticed() {
    for (lie, probe, by_all) in [
        (Lie::AllRepeatable, "claims", true),
        (Lie::AllRepeatable, "kills", true),
        (Lie::AllRepeatable, "lost answers", true),
        (Lie::NothingFound, "claims", false),
        (Lie::NoLag, "lag", false),
        (Lie::Files, "claims", true),
        (Lie::Hosts, "claims", true),
        (Lie::MayEverything, "checks", true),
        (Lie::AlwaysYes, "outcomes", true),
        (Lie::AlwaysYes, "recorded", true),
        (Lie::NoPostings, "claims", false),
    ] {
        let ask = PROBES.iter().find(|known| known.name == probe).unwrap().ask;
        let mut believed = Vec::new();
        for connector in connectors() {
            let vendor = connector.describe().name;
            if ask(Liar::of(connector, lie)).await.is_ok() {
                believed.push(vendor);
            }
        }
        let noticed = if by_all { believed.is_empty() } else { believed.len() < connectors().len() };
        assert!(noticed, "{lie:?} was believed by `{probe}` of {believed:?}");
    }
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
