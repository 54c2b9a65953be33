//! Floors of the command's source: a file imports only from its own room and from lower floors.
//!
//! A room is a file or a folder of `src`. The test reads `use` declarations, `mod` declarations,
//! and paths that begin with `crate`, `super` or `self`. It reads them as they are written: a name
//! taken from a folder's `mod.rs` counts as an import of that file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms, from the lowest floor to the highest. Rooms of one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["interrupt", "netlink", "state", "style"],
    &["lab", "progress"],
    &["ladder", "report", "traffic"],
    &["kernel", "stack"],
    &["commands/failure"],
    &["commands/hosts", "commands/output", "commands/place"],
    &[
        "commands/demo",
        "commands/lab",
        "commands/nc",
        "commands/perf",
    ],
    &["commands/mod"],
    &["lib"],
    &["main"],
];

#[test]
fn every_file_belongs_to_one_room() {
    let files = files();
    let strays: Vec<&String> = files.keys().filter(|file| room(file).is_none()).collect();
    assert!(strays.is_empty(), "files without a room: {strays:?}");
    for name in FLOORS.concat() {
        let is_used = files
            .keys()
            .any(|file| room(file).map(|room| room.name) == Some(name));
        assert!(is_used, "the room {name} has no file");
    }
}

#[test]
fn imports_lead_to_lower_floors() {
    for (from, to) in imports() {
        let (Some(own), Some(other)) = (room(&from), room(&to)) else {
            continue;
        };
        assert!(
            own.name == other.name || other.floor < own.floor,
            "{from} (floor {}) imports {to} (floor {})",
            own.floor,
            other.floor
        );
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for (from, to) in imports() {
        graph.entry(from).or_default().insert(to);
    }
    // Takes away the files that import nothing any more. Each of the others then imports one of
    // them.
    loop {
        let before = graph.len();
        let sources: BTreeSet<String> = graph.keys().cloned().collect();
        graph.retain(|_, targets| {
            targets.retain(|target| sources.contains(target));
            !targets.is_empty()
        });
        if graph.len() == before {
            break;
        }
    }
    let Some(first) = graph.keys().next() else {
        return;
    };
    let mut walk = vec![first];
    loop {
        let next = walk.last().and_then(|file| graph[*file].first());
        let next = next.expect("a file that imports another one");
        if let Some(begin) = walk.iter().position(|file| *file == next) {
            panic!("a circle: {:?}", &walk[begin..]);
        }
        walk.push(next);
    }
}

#[test]
fn paths_are_read_as_they_are_written() {
    let code = "pub(crate) use super::{a, b::{self, C}};\nmod g;\nfn f() { crate::d::e(); }\nmod tests { use super::*; }";
    let expected = [
        "x::a",
        "x::b::self",
        "x::b::C",
        "x::y::g",
        "d::e",
        "x::y::*",
    ];
    let found = paths(code, &["x".to_owned(), "y".to_owned()]);
    assert_eq!(
        found.iter().map(|path| path.join("::")).collect::<Vec<_>>(),
        expected
    );
}

struct Room {
    name: &'static str,
    floor: usize,
}

fn room(file: &str) -> Option<Room> {
    let holds = |name: &str| {
        let rest = file.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    FLOORS.iter().enumerate().find_map(|(floor, rooms)| {
        let name = rooms.iter().copied().find(|name| holds(name))?;
        Some(Room { name, floor })
    })
}

/// All files of `src` by their paths without the ending, such as `lab/mod`.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let name = path.strip_prefix(&root).expect("a path below the root");
                let name = name.with_extension("");
                files.insert(name.to_str().expect("a name in UTF-8").to_owned(), text);
            }
        }
    }
    files
}

/// Pairs of files of which the first imports from the second.
fn imports() -> BTreeSet<(String, String)> {
    let files = files();
    let by_module: BTreeMap<Vec<String>, &String> =
        files.keys().map(|file| (module(file), file)).collect();
    let mut imports = BTreeSet::new();
    for (file, code) in &files {
        for path in paths(code, &module(file)) {
            let prefixes = (0..=path.len()).rev().map(|len| &path[..len]);
            let target = prefixes.filter_map(|prefix| by_module.get(prefix)).next();
            let target = *target.expect("the crate's root is a prefix of every path");
            if target != file {
                imports.insert((file.clone(), target.clone()));
            }
        }
    }
    imports
}

/// The path of a file's module from the crate's root.
fn module(file: &str) -> Vec<String> {
    let parts: Vec<String> = file.split('/').map(str::to_owned).collect();
    match parts.split_last() {
        Some((last, folder)) if last == "mod" || last == "lib" => folder.to_vec(),
        _ => parts,
    }
}

/// The paths in `code` that lead to a module of this crate, from the crate's root.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut module = module.to_vec();
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1).map(String::as_str);
        let is_inside = at > 0 && tokens[at - 1] == "::";
        match token.as_str() {
            // A module within a file is its tests, and the last item there.
            "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => {
                module.push(tokens[at + 1].clone());
            }
            // A folder's facade stands on the files below it.
            "mod" if tokens.get(at + 2).is_some_and(|token| token == ";") => {
                paths.push([&module[..], &tokens[at + 1..at + 2]].concat());
            }
            "crate" | "super" | "self" if next == Some("::") && !is_inside => {
                let mut written = Vec::new();
                at = read_path(&tokens, at, &[], &mut written);
                paths.extend(written.iter().filter_map(|path| absolute(path, &module)));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    paths
}

/// Reads the path at a token, groups in braces included, and returns where it ends.
fn read_path(
    tokens: &[String],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    if tokens[at] == "," {
                        at += 1;
                    } else {
                        at = read_path(tokens, at, &path, paths);
                    }
                }
                return at + 1;
            }
            Some(name) => path.push(name.to_owned()),
            None => return at,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    if tokens.get(at).is_some_and(|token| token == "as") {
        at += 2;
    }
    paths.push(path);
    at
}

/// A path as seen from the crate's root.
fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (&module[..0], &path[1..]),
        "self" => (module, &path[1..]),
        _ => (module.get(..module.len().checked_sub(ups)?)?, &path[ups..]),
    };
    Some([base, rest].concat())
}

/// Names, `::` and single characters, without comments. What strings hold is read too, which adds
/// no paths.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in code.lines() {
        let mut rest = line.split("//").next().unwrap_or_default();
        while let Some(first) = rest.chars().next() {
            let is_name = |character: char| character.is_alphanumeric() || character == '_';
            let length = if is_name(first) {
                rest.find(|character| !is_name(character))
                    .unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                tokens.push(token.to_owned());
            }
            rest = after;
        }
    }
    tokens
}
