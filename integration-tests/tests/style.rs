//! The style of the workspace's own sources: citations.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn requirements_are_cited_by_ids_that_a_reader_can_find() {
    check(|source| {
        let lines = source
            .text
            .lines()
            .zip(1..)
            .filter(|(line, _)| has_private_id(line));
        lines
            .map(|(_, at)| (at, "an id of no public document".to_owned()))
            .collect()
    });
}

#[test]
fn ids_of_rfcs_and_hyphenated_words_are_no_private_ids() {
    assert!(!has_private_id("MUST-3, RMS-2018-3, S-shaped, S-1, 3-S-3"));
    let id = ["S", "9293", "3"].join("-");
    assert!(has_private_id(&format!("see ({id}).")));
}

/// A file of the workspace.
struct Source {
    /// Below the workspace's root.
    path: PathBuf,
    text: String,
}

/// Fails with every place that the rule finds in the sources: line and reason.
fn check(rule: impl Fn(&Source) -> Vec<(usize, String)>) {
    let sources = sources();
    assert!(
        sources.len() > 200,
        "only {} sources were found",
        sources.len()
    );
    let mut report = String::new();
    for source in &sources {
        for (line, reason) in rule(source) {
            writeln!(report, "{}:{line}: {reason}", source.path.display()).unwrap();
        }
    }
    assert!(
        report.is_empty(),
        "{} places\n{report}",
        report.lines().count()
    );
}

/// The Rust files of all packages.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let packages = ["crates", "examples", "integration-tests"];
    let mut folders = packages.map(|folder| root.join(folder)).to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// Whether a line has an id of the form `S`, number of an RFC, number, joined by hyphens.
fn has_private_id(line: &str) -> bool {
    let mut tokens = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    tokens.any(|token| {
        let mut parts = token.split('-');
        parts.next() == Some("S") && parts.clone().count() == 2 && parts.all(is_number)
    })
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}
