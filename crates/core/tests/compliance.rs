//! The ledger of RFC 9293's requirements (its Appendix B): each is implemented at a place that
//! names it and tested by a test whose file names it, or listed as an exception with a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Columns: id, level, text, where implemented, where tested (file::function), exception with its
/// reason.
const LEDGER: &str = include_str!("rfc9293.tsv");

struct Row<'a> {
    id: &'a str,
    implemented: &'a str,
    tested: &'a str,
    exception: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    LEDGER
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let &[id, _, _, implemented, tested, exception] = &columns[..] else {
                panic!("six columns, not {}: {line}", columns.len());
            };
            Row {
                id,
                implemented,
                tested,
                exception,
            }
        })
        .collect()
}

/// A file of the workspace, by its path below `crates`.
fn read(path: &str) -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(crates.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether the text names the requirement, and not one whose number only begins alike.
fn names(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let next = text[at + id.len()..].chars().next();
        !next.is_some_and(|next| next.is_ascii_digit())
    })
}

#[test]
fn every_requirement_is_in_the_ledger_once() {
    let known: Vec<_> = rows().iter().map(|row| row.id).collect();
    let unique: BTreeSet<_> = known.iter().copied().collect();
    assert_eq!(known.len(), unique.len(), "an id is listed twice");
    let all = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];
    let all = all
        .iter()
        .flat_map(|&(level, count)| (1..=count).map(move |n| format!("{level}-{n}")));
    let missing: Vec<_> = all.filter(|id| !unique.contains(id.as_str())).collect();
    assert_eq!(missing, [""; 0]);
    assert_eq!(unique.len(), 119);
}

#[test]
fn every_requirement_is_implemented_and_tested_where_the_ledger_says_or_excepted_with_a_reason() {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows() {
        let id = row.id;
        if !row.exception.is_empty() {
            if row.exception.len() < 30 {
                wrong.push(format!("{id}: an exception needs a reason"));
            }
            continue;
        }
        let source = files
            .entry(row.implemented)
            .or_insert_with(|| read(row.implemented));
        if !row.implemented.contains("/src/") || !names(source, id) {
            wrong.push(format!("{id}: {} does not name it", row.implemented));
        }
        let Some((file, function)) = row.tested.split_once("::") else {
            wrong.push(format!("{id}: no test"));
            continue;
        };
        let source = files.entry(file).or_insert_with(|| read(file));
        if !source.contains(&format!("fn {function}(")) {
            wrong.push(format!("{id}: {file} has no {function}"));
        }
        if !names(source, id) {
            wrong.push(format!("{id}: {file} does not name it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
