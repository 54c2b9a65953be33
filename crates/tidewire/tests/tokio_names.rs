//! Every public method of tokio's TCP types is one of ours, or stands below with the reason why
//! not: an upgrade of tokio that adds one fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// tokio's file, ours, and the types of both.
const FILES: [(&str, &str, &[&str]); 5] = [
    ("stream.rs", "stream.rs", &["TcpStream"]),
    ("listener.rs", "listener.rs", &["TcpListener"]),
    ("socket.rs", "socket.rs", &["TcpSocket"]),
    ("split.rs", "tcp/split.rs", &["ReadHalf", "WriteHalf"]),
    (
        "split_owned.rs",
        "tcp/split_owned.rs",
        &["OwnedReadHalf", "OwnedWriteHalf"],
    ),
];

/// What ours lack.
const ABSENT: [(&str, &[&str]); 3] = [
    ("TcpStream", NO_DESCRIPTOR),
    ("TcpListener", NO_DESCRIPTOR),
    ("TcpSocket", SOCKET),
];

/// There is no descriptor that a `std::net` type could own.
const NO_DESCRIPTOR: &[&str] = &["from_std", "into_std"];
/// As above; and `tos` and `set_tos` are hidden, deprecated names of `tos_v4` and `set_tos_v4`.
const SOCKET: &[&str] = &["from_std_stream", "tos", "set_tos"];

/// Where cargo keeps the source of the tokio that this workspace is locked to.
fn tokio_sources() -> PathBuf {
    // What other platforms need was never fetched; what other members of the workspace need is, if
    // it must be.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let manifest = metadata
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|path| {
            let folder = Path::new(path).parent().and_then(Path::file_name);
            let name = folder.and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix("tokio-")
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        })
        .unwrap_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            panic!("cargo metadata does not name tokio's source: {errors}")
        });
    Path::new(manifest).with_file_name("src").join("net/tcp")
}

type Methods = BTreeMap<String, BTreeSet<String>>;

/// The names behind `pub fn` and `pub async fn`, by the type whose `impl` block they are in.
fn methods(file: &Path) -> Methods {
    let source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut methods = Methods::new();
    let mut of = None;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("impl") {
            of = inherent_type(line);
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| line.starts_with("pub "))
            && let (Some(of), Some(name)) = (of, rest.split(['(', '<']).next())
        {
            let names = methods.entry(of.to_owned()).or_default();
            names.insert(name.to_owned());
        }
    }
    methods
}

/// The type of an `impl` block that is of no trait.
fn inherent_type(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl ")?;
    let is_of_a_trait = rest.contains(" for ");
    rest.split([' ', '<']).next().filter(|_| !is_of_a_trait)
}

#[test]
fn every_method_of_tokios_types_is_there() {
    let (theirs, ours) = (tokio_sources(), Path::new("src/net"));
    for (tokio, own, types) in FILES {
        let (tokio, own) = (methods(&theirs.join(tokio)), methods(&ours.join(own)));
        assert!(tokio.keys().eq(types), "tokio's types: {:?}", tokio.keys());
        for (name, methods) in &tokio {
            assert!(methods.len() >= 5, "{name}: tokio's file has another form");
            let own = own.get(name).unwrap_or_else(|| panic!("no {name}"));
            let missing: BTreeSet<_> = methods.difference(own).map(String::as_str).collect();
            let absent: BTreeSet<_> = ABSENT
                .iter()
                .filter(|(of, _)| of == name)
                .flat_map(|(_, names)| names.iter().copied())
                .collect();
            assert_eq!(missing, absent, "{name}");
        }
    }
}
