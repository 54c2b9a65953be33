//! The style of the workspace's own sources: titles, citations and the width of comments.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Columns of a comment, indentation included.
const WIDTH: usize = 100;

#[test]
fn comments_wrap_at_100_columns() {
    check(|source| {
        let lines = source
            .text
            .lines()
            .zip(1..)
            .filter(|(line, _)| is_wide_comment(line));
        lines
            .map(|(line, at)| (at, format!("{} columns", line.chars().count())))
            .collect()
    });
}

#[test]
fn links_and_tables_may_be_wider() {
    let word = "é".repeat(WIDTH - 3);
    assert!(!is_wide_comment(&format!("// {word}")));
    assert!(!is_wide_comment(&format!("    let text = {word:?};")));
    assert!(!is_wide_comment(&format!("//! | {word} |")));
    assert!(!is_wide_comment(&format!(
        "/// <https://example.com/{word}>"
    )));
    assert!(is_wide_comment(&format!(" // {word}")));
    assert!(is_wide_comment(&format!("/// {word}")));
}

#[test]
fn every_module_begins_with_its_title() {
    check(|source| {
        let in_src = source
            .path
            .components()
            .any(|part| part.as_os_str() == "src");
        let untitled = in_src && !is_titled(&source.text);
        untitled
            .then(|| (1, "no title: `//!` as the first line".to_owned()))
            .into_iter()
            .collect()
    });
}

#[test]
fn only_attributes_stand_before_a_title() {
    assert!(is_titled("#![no_std]\n\n//! Wire formats.\n"));
    assert!(!is_titled("//!\nuse core::fmt;\n"));
    assert!(!is_titled("use core::fmt;\n//! Too late.\n"));
    assert!(!is_titled(""));
}

#[test]
fn sections_of_rfcs_have_their_sign() {
    check(|source| {
        let lines = sections_without_sign(&source.text).into_iter();
        lines
            .map(|line| (line, "a section of an RFC without `§`".to_owned()))
            .collect()
    });
}

#[test]
fn a_number_behind_an_rfc_is_a_section_or_a_count() {
    // So that this file itself keeps the rule.
    let rfc = "RFC";
    let good = [
        format!("({rfc} 9293 §3.8.1, SHLD-29; {rfc} 6298 §5)"),
        format!("{rfc} 9293 figure 5, {rfc} 7323 appendix A"),
        format!("{rfc} 6928, 10 segments. {rfc} 6298. 3 seconds"),
    ];
    for text in good {
        assert_eq!(sections_without_sign(&text), [0; 0], "{text}");
    }
    let bad = [
        format!("({rfc} 9293 3.8.1)"),
        format!("{rfc} 9293, 3.8"),
        format!("{rfc} 6298 5: why"),
        format!("{rfc} 9293 section 3.8"),
        format!("/// {rfc} 9293\n    /// 3.8"),
        format!("// {rfc}\n// 9293 3.8"),
    ];
    for text in bad {
        assert_eq!(sections_without_sign(&text).len(), 1, "{text}");
    }
}

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

/// Whether a line is a comment, wider than it should be, and neither a link nor a row of a table.
fn is_wide_comment(line: &str) -> bool {
    let Some(text) = comment(line) else {
        return false;
    };
    let is_free = text.contains("://") || text.trim_start().starts_with('|');
    !is_free && line.chars().count() > WIDTH
}

/// Whether the first line that is neither empty nor an attribute is one of documentation.
fn is_titled(text: &str) -> bool {
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#!["));
    let title = lines.next().and_then(|line| line.strip_prefix("//!"));
    title.is_some_and(|title| !title.trim().is_empty())
}

/// The lines with the numbers of RFCs that a section without its sign follows, perhaps on the
/// next line.
fn sections_without_sign(text: &str) -> Vec<usize> {
    let words: Vec<_> = text.lines().zip(1..).flat_map(words).collect();
    let starts = (0..words.len()).filter(|&at| cites_without_sign(&words[at..]));
    starts.map(|at| words[at + 1].1).collect()
}

/// Whether these words begin with an RFC, its number and a section without its sign.
fn cites_without_sign(words: &[(&str, usize)]) -> bool {
    let [(rfc, _), (number, _), rest @ ..] = words else {
        return false;
    };
    let (digits, comma) = match number.strip_suffix(',') {
        Some(digits) => (digits, true),
        None => (*number, false),
    };
    if !rfc.ends_with("RFC") || !is_number(digits) {
        return false;
    }
    let mut rest = rest.iter().map(|&(word, _)| word).peekable();
    let named = rest
        .next_if(|word| word.to_lowercase().starts_with("section"))
        .is_some();
    let Some(section) = rest.next().and_then(section) else {
        return false;
    };
    // Behind a comma, a number without a dot may count something else.
    named || section.contains('.') || (!comma && section.len() <= 2)
}

/// The words of a line, without what makes it a comment.
fn words((line, at): (&str, usize)) -> impl Iterator<Item = (&str, usize)> {
    let text = comment(line).unwrap_or(line);
    text.split_whitespace().map(move |word| (word, at))
}

/// The section number that a word begins with.
fn section(word: &str) -> Option<&str> {
    let end = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    let number = word[..end].trim_end_matches('.');
    (!number.is_empty()).then_some(number)
}

/// The text of a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.strip_prefix(['/', '!']).unwrap_or(text))
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
