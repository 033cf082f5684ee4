//! Tidy: the house rules that the compiler and clippy do not know.
//!
//! Each rule is a function from the tree to a list of complaints; a test per rule prints them all. The rules themselves
//! are tested on small made-up trees in `rules.rs`, so a rule that stopped finding anything is noticed.

mod rules;
mod tree;

use rules::Complaint;
use tree::Tree;

fn check(rule: fn(&Tree) -> Vec<Complaint>) {
    let complaints = rule(&Tree::of_this_repository());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_are_short_enough() {
    check(rules::size);
}

#[test]
fn files_say_what_they_are_responsible_for() {
    check(rules::module_docs);
}

#[test]
fn imports_point_one_way() {
    check(rules::import_direction);
}

#[test]
fn vendors_are_named_only_in_their_own_folders() {
    check(rules::vendor_names);
}

#[test]
fn connector_folders_are_complete_and_listed() {
    check(rules::connectors);
}

#[test]
fn no_unfinished_work_is_left_behind() {
    check(rules::leftovers);
}

#[test]
fn no_file_is_dead() {
    check(rules::dead_files);
}

#[test]
fn decisions_are_numbered_without_gaps() {
    check(rules::decisions);
}

#[test]
fn the_reading_path_reads_on() {
    check(rules::reading_path);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    check(rules::honest_tests);
}
