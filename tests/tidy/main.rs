//! Checks on the source itself: what a reviewer would otherwise have to look for in every change.
//!
//! One file a concern. A check is a function from sources (or manifests, or documents) to complaints, tried on a bad
//! example beside it, so that we know it can fail; this file runs each on the whole workspace.
//!
//! It owns no rule that `rustc`, clippy or `rustfmt` can state, and must not know what the code does.

mod calls;
mod documents;
mod facts;
mod form;
mod layers;
mod manifests;
mod ratchet;
mod tree;

use tree::Tree;

/// A place and what is wrong with it: `src/queue/mod.rs:12: …`.
type Complaint = String;

#[track_caller]
fn assert_none(complaints: &[Complaint]) {
    let count = complaints.len();
    assert!(complaints.is_empty(), "{count} complaints:\n  {}", complaints.join("\n  "));
}

#[test]
fn every_file_is_part_of_a_crate() {
    assert_none(&tree::dead_files(Tree::workspace()));
}

#[test]
fn every_file_says_first_what_it_owns() {
    assert_none(&form::module_docs(&Tree::workspace().sources));
}

#[test]
fn every_exception_from_a_lint_has_a_reason() {
    assert_none(&form::reasons(&Tree::workspace().sources));
}

#[test]
fn no_example_in_the_docs_is_ignored() {
    assert_none(&form::ignored_examples(&Tree::workspace().sources));
}

#[test]
fn no_part_knows_what_it_must_not_know() {
    assert_none(&layers::check(&Tree::workspace().sources, layers::LAYERS));
    assert_none(&manifests::layers(&Tree::workspace().manifests));
}

#[test]
fn nothing_is_left_to_be_done() {
    assert_none(&calls::placeholders(&Tree::workspace().sources));
}

#[test]
fn nothing_panics_without_an_invariant() {
    assert_none(&calls::panics(&Tree::workspace().sources));
}

#[test]
fn no_select_draws_lots() {
    assert_none(&calls::unbiased_selects(&Tree::workspace().sources));
}

#[test]
fn no_test_really_sleeps() {
    assert_none(&calls::sleeps(&Tree::workspace().sources, calls::REAL_TIME));
}

#[test]
fn files_stay_short() {
    assert_none(&ratchet::files(&Tree::workspace().sources, ratchet::LONG_FILES));
}

#[test]
fn functions_stay_short() {
    assert_none(&ratchet::functions(&Tree::workspace().sources, ratchet::LONG_FUNCTIONS));
}

#[test]
fn libraries_pick_no_version_of_kubernetes() {
    assert_none(&manifests::kubernetes_versions(&Tree::workspace().manifests));
}

#[test]
fn every_member_takes_the_workspace_s_lints_edition_and_rust_version() {
    assert_none(&manifests::inherited(&Tree::workspace().manifests));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let tree = Tree::workspace();
    assert_none(&documents::links(&tree.documents, |path| tree.root.join(path).exists()));
}

#[test]
fn examples_in_documents_are_compiled() {
    assert_none(&documents::examples(Tree::workspace()));
}

#[test]
fn tests_that_documents_name_exist() {
    assert_none(&documents::named_tests(Tree::workspace()));
}

#[test]
fn files_that_documents_name_exist() {
    let tree = Tree::workspace();
    assert_none(&documents::named_files(&tree.documents, |path| tree.root.join(path).exists()));
}

#[test]
fn log_lines_that_documents_explain_exist() {
    assert_none(&documents::log_lines(Tree::workspace()));
}
