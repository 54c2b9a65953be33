//! Link test: `tidewire-wire` needs neither `std` nor an allocator.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn links_without_std_and_without_an_allocator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    fs::create_dir_all(&out).unwrap();
    let rlib = out.join("libtidewire_wire.rlib");
    let program = out.join("no_std");

    rustc([
        root.join("src/lib.rs").as_os_str(),
        "--crate-type=rlib".as_ref(),
        "--crate-name=tidewire_wire".as_ref(),
        "-o".as_ref(),
        rlib.as_os_str(),
    ]);
    let mut link = "tidewire_wire=".to_owned();
    link.push_str(rlib.to_str().unwrap());
    rustc([
        root.join("tests/no_std/program.rs").as_os_str(),
        "--crate-type=bin".as_ref(),
        "--crate-name=no_std".as_ref(),
        "--extern".as_ref(),
        link.as_ref(),
        // No C runtime start and no default libraries: `core` documents that it needs `memcpy` and
        // its kin, which the C library gives; any other unresolved symbol fails the link.
        "-Clink-arg=-nostartfiles".as_ref(),
        "-Clink-arg=-nodefaultlibs".as_ref(),
        "-Clink-arg=-lc".as_ref(),
        "-o".as_ref(),
        program.as_os_str(),
    ]);
    assert!(fs::metadata(program).unwrap().len() > 0);
}

/// The crate's own attributes, so that a `std` behind a `cfg` cannot slip in.
#[test]
fn declares_no_std_and_no_unsafe() {
    let source = include_str!("../src/lib.rs");
    assert!(source.contains("\n#![no_std]\n"));
    assert!(source.contains("\n#![forbid(unsafe_code)]\n"));
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    assert_eq!(
        dependencies.split('[').next().unwrap().trim(),
        "",
        "dependencies"
    );
}

fn rustc<const N: usize>(arguments: [&OsStr; N]) {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition=2024", "-Copt-level=2", "-Cpanic=abort"])
        .args(arguments)
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
