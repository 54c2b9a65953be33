//! Floors: which room of the core may import which, read from the imports themselves.
//!
//! A room knows the rooms below it, and never one above. The order is that of `ARCHITECTURE.md`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rooms from bottom to top, and those that each may know. Neither of `ip` and `tcp` knows the
/// other.
const FLOORS: [(&str, &[&str]); 7] = [
    ("time", &[]),
    ("error", &[]),
    ("offload", &[]),
    ("types", &["time", "error", "offload"]),
    ("ip", &["time", "error", "offload", "types"]),
    ("tcp", &["time", "error", "offload", "types"]),
    ("stack", &["time", "error", "offload", "types", "ip", "tcp"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file below `folder`.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The room that a file is in: its folder below `src`, or its own name.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(source()).expect("below src");
    let first = below.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a file names by `crate::`, doc links excepted.
fn imports(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in code {
        for (at, name) in line.match_indices("crate::") {
            let rest = &line[at + name.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
        }
    }
    found
}

#[test]
fn every_room_knows_only_the_rooms_below_it() {
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    let mut wrong = Vec::new();
    for path in paths.iter().filter(|path| !path.ends_with("src/lib.rs")) {
        let room = room(path);
        let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: in no room", path.display()));
            continue;
        };
        let text = std::fs::read_to_string(path).expect("readable");
        for import in imports(&text) {
            if import != room && !below.contains(&import.as_str()) {
                wrong.push(format!("{}: {room} knows {import}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_room_may_know_only_rooms_that_stand_below_it() {
    for (index, (room, below)) in FLOORS.iter().enumerate() {
        for name in *below {
            let stands_below = FLOORS[..index].iter().any(|(other, _)| other == name);
            assert!(stands_below, "{name} does not stand below {room}");
        }
    }
}

#[test]
fn imports_are_found_in_code_and_not_in_comments() {
    let text = "use crate::ip::Network;\n/// [`x`](crate::stack)\nfn f() { crate::tcp::g(); }\n";
    assert_eq!(imports(text), ["ip", "tcp"]);
}

#[test]
fn the_crate_docs_list_every_file() {
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    let docs = std::fs::read_to_string(source().join("lib.rs")).expect("readable");
    let listed: BTreeSet<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split("  ").next())
        .collect();
    let names = paths.iter().map(|path| {
        let below = path.strip_prefix(source()).expect("below src");
        below.with_extension("").to_string_lossy().into_owned()
    });
    let missing: Vec<String> = names
        .filter(|name| {
            !listed
                .iter()
                .any(|entry| entry.split(' ').next() == Some(name.as_str()))
        })
        .collect();
    assert_eq!(missing, [""; 0]);
}

// ---- Circles ----

/// A file below `src`, what it defines for others, and the names that it imports.
struct Source {
    name: String,
    defines: Vec<String>,
    imports: Vec<String>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("readable");
        let code = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let name = path.strip_prefix(source()).expect("below src");
        Self {
            name: name.to_string_lossy().into_owned(),
            defines: code.lines().filter_map(defined).collect(),
            imports: code.split("\nuse ").skip(1).flat_map(imported).collect(),
        }
    }
}

/// The name of an item that a line without indentation makes visible outside of its file.
fn defined(line: &str) -> Option<String> {
    let mut words = line.strip_prefix("pub")?.split_whitespace();
    words.find(|word| {
        matches!(
            *word,
            "struct" | "enum" | "trait" | "fn" | "type" | "static" | "const"
        )
    })?;
    let name = words.find(|word| !matches!(*word, "fn"))?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    Some(name[..end].to_owned())
}

/// The names in a `use` of this crate.
fn imported(statement: &str) -> Vec<String> {
    let path = statement.split(';').next().unwrap_or_default();
    if !path.starts_with("crate") && !path.starts_with("super") {
        return Vec::new();
    }
    let words = path.split(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the file at `to` is reached from `from` by imports.
fn reaches(graph: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; graph.len()];
    let mut next = graph[from].clone();
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            next.extend(&graph[at]);
        }
    }
    false
}

/// Types whose parts are files of their own, which know the whole.
const WHOLES: [&str; 2] = ["tcp/tcb.rs", "stack/mod.rs"];

#[test]
fn files_know_each_other_in_a_circle_only_as_parts_of_one_type() {
    let mut paths = Vec::new();
    files(&source(), &mut paths);
    paths.retain(|path| !path.ends_with("tests.rs"));
    let sources: Vec<_> = paths.iter().map(|path| Source::read(path)).collect();
    let graph: Vec<Vec<usize>> = sources
        .iter()
        .map(|source| {
            let others = sources.iter().enumerate();
            others
                .filter(|(_, other)| other.name != source.name)
                .filter(|(_, other)| {
                    other
                        .defines
                        .iter()
                        .any(|name| source.imports.contains(name))
                })
                .map(|(index, _)| index)
                .collect()
        })
        .collect();
    // Without the wholes no circle is left.
    let is_whole = |index: usize| WHOLES.contains(&sources[index].name.as_str());
    let parts: Vec<Vec<usize>> = graph
        .iter()
        .enumerate()
        .map(|(index, known)| {
            let known = known.iter().copied().filter(|&other| !is_whole(other));
            if is_whole(index) {
                Vec::new()
            } else {
                known.collect()
            }
        })
        .collect();
    let circles: Vec<_> = (0..sources.len())
        .filter(|&index| reaches(&parts, index, index))
        .map(|index| &sources[index].name)
        .collect();
    assert_eq!(circles, [""; 0]);
}
