//! Floors: which room of the core may import which, read from the imports themselves.
//!
//! A room knows the rooms below it, and never one above. The order is that of `ARCHITECTURE.md`.

use std::path::{Path, PathBuf};

/// Rooms from bottom to top, and those that each may know. Neither of `ip` and `tcp` knows the other.
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
