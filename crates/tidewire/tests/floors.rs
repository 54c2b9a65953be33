//! The order of the source files: each imports only from itself and from what is below it.

use std::fs;
use std::path::{Path, PathBuf};

/// Bottom to top. A folder with a slash at its end is one floor: its files know each other.
const FLOORS: &[&str] = &[
    "error.rs",
    // Below both the devices and the shard.
    "clock.rs",
    "note.rs",
    "wakes.rs",
    // One trait and those that implement it.
    "device/",
    // What the lock guards, the lock, the driver task, the handles.
    "shard/wakers.rs",
    "shard/state/",
    "shard/lock.rs",
    "shard/drain.rs",
    "shard/driver.rs",
    "shard/handle.rs",
    // Sockets.
    "shard/conn.rs",
    "shard/accept.rs",
    "shard/binding.rs",
    "shard/mod.rs",
    // The stack that a program holds, how it is started, and which one is the default.
    "stack.rs",
    "builder.rs",
    "ambient.rs",
    // The public sockets: streams, their halves, and listeners are made of each other.
    "net/",
    "axum.rs",
    "lib.rs",
];

/// A source file: its path below `src`, and its text.
type File = (String, String);

#[test]
fn no_file_imports_from_above() {
    let files = source_files();
    assert!(!files.is_empty());
    assert_eq!(faults(&files), Vec::<String>::new());
    for floor in FLOORS {
        let has_file = files.iter().any(|(path, _)| floor_of(path) == rank(floor));
        assert!(has_file, "{floor} is in the table, but not in the source");
    }
}

#[test]
fn an_import_from_above_is_found() {
    let fault = |path: &str, text: &str| faults(&[(path.to_owned(), text.to_owned())]);
    let is_good = |path, text| fault(path, text).is_empty();
    assert!(is_good("shard/state/mod.rs", "use crate::device::Device;"));
    assert!(is_good(
        "shard/state/mod.rs",
        "// as crate::net does\nlet x = 1;"
    ));
    assert!(is_good(
        "shard/conn.rs",
        "use super::{handle::ShardRef, state::State};"
    ));
    assert!(is_good(
        "net/tcp/split.rs",
        "use super::super::stream::TcpStream;"
    ));
    assert!(is_good(
        "net/stream.rs",
        "#[cfg(test)]\nmod tests { use crate::axum; }"
    ));

    assert!(!is_good("device/tap.rs", "use crate::shard::Wakes;"));
    assert!(!is_good(
        "device/tap.rs",
        "use crate::{\n    clock::Clock,\n    shard::{Wakes},\n};"
    ));
    assert!(!is_good(
        "device/tap.rs",
        "fn f() { crate::builder::start(); }"
    ));
    assert!(!is_good(
        "shard/lock.rs",
        "use super::{state::State, driver::Driver};"
    ));
    assert!(!is_good("shard/conn.rs", "use super::ShardRef;"));
    assert!(!is_good("stack.rs", "use super::net::TcpStream;"));
    // A name at the crate's root hides the file that it is from.
    assert!(!is_good("net/stream.rs", "use crate::StackError;"));
    assert!(!is_good("new.rs", "// no import at all"));
}

/// What is wrong, one line each.
fn faults(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in files {
        let Some(own) = floor_of(path) else {
            faults.push(format!("{path} is not in the table"));
            continue;
        };
        for import in imports(path, &code_of(text)) {
            match floor_of_module(&import) {
                Some(other) if other <= own => {}
                Some(_) => faults.push(format!("{path} imports {} from above", import.join("::"))),
                None => faults.push(format!(
                    "{path} imports {}: from which file?",
                    import.join("::")
                )),
            }
        }
    }
    faults
}

/// Without comments and without the unit tests, which end a file.
fn code_of(text: &str) -> String {
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// All paths that begin with `crate::` or `super::`, in `use` lines and elsewhere, from the crate's
/// root.
fn imports(path: &str, code: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = ["crate::", "super::"]
        .iter()
        .filter_map(|root| rest.find(root))
        .min()
    {
        let begins_a_path = !rest[..start].ends_with(is_name);
        let (mut base, mut tail) = match rest[start..].strip_prefix("crate::") {
            Some(tail) => (Vec::new(), tail),
            None => (module_of(path), &rest[start..]),
        };
        while let Some(above) = tail.strip_prefix("super::") {
            base.pop();
            tail = above;
        }
        let (tree, after) = path_trees(base, tail);
        if begins_a_path {
            found.extend(tree);
        }
        rest = after;
    }
    found
}

/// The paths of `a::{b, c::d}` below `base`, and the text after it.
fn path_trees(base: Vec<String>, text: &str) -> (Vec<Vec<String>>, &str) {
    let text = text.trim_start();
    if let Some(mut inside) = text.strip_prefix('{') {
        let mut paths = Vec::new();
        loop {
            inside = inside.trim_start();
            if let Some(after) = inside.strip_prefix('}') {
                return (paths, after);
            }
            let (found, after) = path_trees(base.clone(), inside);
            paths.extend(found);
            // A comma, a new name, or, in text that is not Rust, anything.
            let next = after.find([',', '}']).unwrap_or(after.len());
            inside = after[next..].trim_start_matches(',');
            if inside.is_empty() {
                return (paths, inside);
            }
        }
    }
    let len = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, after) = text.split_at(len);
    let mut path = base;
    path.extend((!name.is_empty()).then(|| name.to_owned()));
    match after.strip_prefix("::") {
        Some(below) if !name.is_empty() => path_trees(path, below),
        _ => (vec![path], after),
    }
}

/// `shard/conn.rs` is `shard::conn`, `shard/mod.rs` is `shard`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

fn rank(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|known| *known == floor)
}

fn floor_of(path: &str) -> Option<usize> {
    FLOORS
        .iter()
        .position(|floor| match floor.strip_suffix('/') {
            Some(folder) => Path::new(path).starts_with(folder),
            None => *floor == path,
        })
}

/// The floor of the file that an item's path leads to; `None` for the crate's root.
fn floor_of_module(path: &[String]) -> Option<usize> {
    (1..=path.len()).rev().find_map(|len| {
        let module = path[..len].join("/");
        floor_of(&format!("{module}.rs")).or_else(|| floor_of(&format!("{module}/mod.rs")))
    })
}

fn source_files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.push((name, text));
            }
        }
    }
    files
}
