//! Every public method of tokio's TCP types is one of ours, or stands below with the reason why not: an upgrade of
//! tokio that adds one fails here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// tokio's file, ours, and what ours lacks.
const FILES: [(&str, &str, &[&str]); 5] = [
    ("stream.rs", "stream.rs", NO_DESCRIPTOR),
    ("listener.rs", "listener.rs", NO_DESCRIPTOR),
    ("socket.rs", "socket.rs", SOCKET),
    ("split.rs", "tcp/split.rs", &[]),
    ("split_owned.rs", "tcp/split_owned.rs", &[]),
];

/// There is no descriptor that a `std::net` type could own.
const NO_DESCRIPTOR: &[&str] = &["from_std", "into_std"];
/// As above; and `tos` and `set_tos` are hidden, deprecated names of `tos_v4` and `set_tos_v4`.
const SOCKET: &[&str] = &["from_std_stream", "tos", "set_tos"];

/// Where cargo keeps the source of the tokio that this workspace is locked to.
fn tokio_sources() -> PathBuf {
    // What other platforms need was never fetched; what other members of the workspace need is, if it must be.
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

/// The names behind `pub fn` and `pub async fn`.
fn methods(file: &Path) -> BTreeSet<String> {
    let source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let lines = source.lines().map(str::trim_start);
    lines
        .filter(|line| line.starts_with("pub "))
        .filter_map(|line| line.split_once("fn "))
        .filter_map(|(_, rest)| rest.split(['(', '<']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_method_of_tokios_types_is_there() {
    let (theirs, ours) = (tokio_sources(), Path::new("src/net"));
    for (tokio, own, absent) in FILES {
        let tokio = methods(&theirs.join(tokio));
        assert!(tokio.len() >= 5, "{own}: tokio's file has another form");
        let missing: Vec<_> = tokio
            .difference(&methods(&ours.join(own)))
            .cloned()
            .collect();
        let mut absent: Vec<_> = absent.iter().map(ToString::to_string).collect();
        absent.sort();
        assert_eq!(missing, absent, "{own}");
    }
}
