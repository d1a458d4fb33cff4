//! The rooms of this workspace: which may know which, and that none grows a second door.
//!
//! A *door* is a way out of pure computation: a socket, a file, the clock. Each room has the doors that `plan.rs` gives it,
//! with a reason, and no other. The sources are parsed, and names resolved through imports, so that a door is seen under
//! whatever name it is used. What cannot be seen this way is a door inside a crate of others: so those are named one by
//! one too.

mod doors;
mod look;
mod plan;
mod source;

use std::collections::BTreeSet;

use std::path::PathBuf;
use std::process::Command;

use doors::Door;
use look::Sighting;
use plan::{ALLOWED, Allowed, EXTERNAL, External, HARMLESS, OUTSIDE, ROOMS};
use serde::Deserialize;
use source::Source;

#[test]
fn every_crate_has_its_place() {
    let crates: BTreeSet<_> = workspace().packages.iter().map(|package| package.name.clone()).collect();
    let planned: BTreeSet<_> = ROOMS.iter().map(|room| room.name.to_owned()).collect();
    assert_eq!(crates, planned, "the workspace's crates and the table of rooms differ");
}

#[test]
fn dependencies_point_downward() {
    let floor = |name: &str| ROOMS.iter().find(|room| room.name == name).map(|room| room.floor);
    for room in ROOMS {
        for below in room.may_use {
            assert!(floor(below) < Some(room.floor), "`{}` may not stand above `{below}`", room.name);
        }
    }
    let ours = |name: &str| floor(name).is_some();
    let edges = edges().filter(|edge| ours(&edge.to)).filter(|Edge { from, to, .. }| {
        !ROOMS.iter().any(|room| room.name == from && room.may_use.contains(&to.as_str()))
    });
    refuse(edges.map(|Edge { from, to, .. }| format!("`{from}` depends on `{to}`")));
}

#[test]
fn a01_each_dependency_is_where_its_power_belongs() {
    let ours = |name: &str| ROOMS.iter().any(|room| room.name == name);
    let edges: Vec<_> = edges().filter(|edge| !ours(&edge.to)).collect();
    refuse(edges.iter().filter(|edge| !edge.is_allowed()).map(|Edge { from, to, features, .. }| {
        format!("`{from}` depends on `{to}` with {features:?}, which no row of `EXTERNAL` or `HARMLESS` allows")
    }));
    let rooms = EXTERNAL.iter().flat_map(|row| row.rooms.iter().map(move |room| (row, *room)));
    let idle = rooms.filter(|(row, room)| !edges.iter().any(|edge| edge.from == *room && row.covers(edge)));
    refuse(idle.map(|(row, room)| format!("`{room}` no longer depends on `{}`", row.name)));
    let unused = HARMLESS.iter().filter(|name| !edges.iter().any(|edge| edge.to == **name));
    refuse(unused.map(|name| format!("no room depends on `{name}` any more")));
}

#[test]
fn a01_no_room_grows_a_second_door() {
    let mut problems = Vec::new();
    let mut used = vec![BTreeSet::new(); ALLOWED.len()];
    for package in workspace().packages.iter().filter(|package| !OUTSIDE.contains(&package.name.as_str())) {
        let sources = sources(package).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        for sighting in look::through(&sources) {
            let rows = ALLOWED.iter().enumerate().filter(|(_, row)| row.allows(&package.name, &sighting));
            let rows: Vec<_> = rows.map(|(row, _)| row).collect();
            if rows.is_empty() {
                let Sighting { file, line, door, what } = sighting;
                problems.push(format!("{} {file}:{line} leads to {door} through `{what}`", package.name));
            }
            for row in rows {
                used[row].insert(sighting.door);
            }
        }
    }
    for (row, used) in ALLOWED.iter().zip(used) {
        let unused = row.doors.iter().filter(|door| !used.contains(door));
        problems.extend(unused.map(|door| format!("{} {:?} no longer leads to {door}", row.room, row.places)));
    }
    refuse(problems);
}

#[test]
fn every_kind_of_door_is_seen() {
    for (text, door) in PLANTED {
        let found = seen(&[text]);
        assert!(found.iter().any(|sighting| sighting.door == *door), "{door} not seen in:\n{text}\nonly {found:?}");
    }
}

#[test]
fn a_door_is_seen_through_another_file() {
    let hidden = [
        ("pub use std::time::Instant as Tick;", "use crate::a::Tick; fn f() { Tick::now(); }"),
        ("pub type Tick = std::time::Instant;", "fn f() -> crate::a::Tick { crate::a::Tick::now() }"),
        ("pub(crate) use std::time;", "use crate::a::time as t; fn f() { t::SystemTime::now(); }"),
        ("use std::time::Instant;", "use super::*; fn f() { Instant::now(); }"),
    ];
    for (first, second) in hidden {
        let found = seen(&[first, second]);
        let in_second = found.iter().find(|sighting| sighting.file == "1.rs").map(|sighting| sighting.door);
        assert_eq!(in_second, Some(Door::Clock), "{first}\n{second}\n{found:?}");
    }
}

#[test]
fn a_sighting_names_its_line() {
    let found = seen(&["fn f() {\n    let _ = 1;\n    std::env::var(\"HOME\");\n}\n"]);
    let expected = Sighting { file: "0.rs".into(), line: 3, door: Door::Environment, what: "std::env::var".into() };
    assert_eq!(found, [expected]);
}

#[test]
fn what_has_no_power_is_no_door() {
    for text in HARMLESS_TEXTS {
        assert_eq!(seen(&[text]), [], "{text}");
    }
}

#[test]
fn a_file_of_a_target_is_found_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("src/lib.rs", "mod a; mod b; #[cfg(test)] mod tests; #[path = \"odd/name.rs\"] mod c; include!(\"d.rs\");");
    write("src/a.rs", "mod deep; mod inline { mod deeper; }");
    write("src/a/deep.rs", "");
    write("src/a/inline/deeper.rs", "");
    write("src/b/mod.rs", "mod deep;");
    write("src/b/deep.rs", "");
    write("src/odd/name.rs", "mod sibling;");
    write("src/odd/sibling.rs", "");
    write("src/d.rs", "");
    write("src/not_compiled.rs", "");
    write("src/tests.rs", "");
    let found = source::of_target(directory.path(), &directory.path().join("src/lib.rs")).unwrap();
    let found: BTreeSet<_> = found.iter().map(|source| source.name.as_str()).collect();
    let expected = [
        "src/a.rs",
        "src/a/deep.rs",
        "src/a/inline/deeper.rs",
        "src/b/deep.rs",
        "src/b/mod.rs",
        "src/d.rs",
        "src/lib.rs",
        "src/odd/name.rs",
        "src/odd/sibling.rs",
    ];
    assert_eq!(found, BTreeSet::from(expected));
    write("src/lib.rs", "mod nowhere;");
    let missing = source::of_target(directory.path(), &directory.path().join("src/lib.rs"));
    assert!(missing.err().unwrap().starts_with("`src/nowhere/mod.rs` cannot be read"));
}

/// Each leads through its door, one way or another.
const PLANTED: &[(&str, Door)] = &[
    ("use std::net::TcpStream;", Door::Network),
    ("fn f() { let _ = (\"a\", 1).to_socket_addrs(); }", Door::Network),
    ("use std::{fmt, os::unix::{net::UnixStream as Pipe}};", Door::LocalSockets),
    ("async fn f() { tokio::net::TcpStream::connect(\"a:1\").await; }", Door::Network),
    ("fn f() { ::std::fs::read(\"x\"); }", Door::Files),
    ("use std as s; fn f() { s::fs::read(\"x\"); }", Door::Files),
    ("extern crate std as s; fn f() { s::fs::read(\"x\"); }", Door::Files),
    ("fn f() { use std::fs::{self}; }", Door::Files),
    ("fn f() { std::r#fs::read(\"x\"); }", Door::Files),
    ("use std::*;", Door::Network),
    ("use std::time::*;", Door::Clock),
    ("use std::path::Path; fn f(p: &Path) { p.exists(); }", Door::Files),
    ("use std::path::Path; fn f(p: &Path) -> bool { Path::exists(p) }", Door::Files),
    ("mod inner { fn f() { std::fs::remove_file(\"x\"); } }", Door::Files),
    ("struct S; impl S { fn f() { std::fs::File::open(\"x\"); } }", Door::Files),
    ("#[cfg(not(test))] fn f() { std::fs::read(\"x\"); }", Door::Files),
    ("#[cfg(any(test, unix))] fn f() { std::fs::read(\"x\"); }", Door::Files),
    ("use std::process; fn f() { process::exit(1); }", Door::Processes),
    ("fn f() { std::process::Command::new(\"x\"); }", Door::Processes),
    ("fn f() { rustix::process::getpid(); }", Door::Processes),
    ("fn f() { std::env::var(\"X\"); }", Door::Environment),
    ("fn f() { vec![1, std::env::args().count()]; }", Door::Environment),
    ("fn f() { assert!(matches!(std::env::var_os(\"X\"), Some(_))); }", Door::Environment),
    ("macro_rules! m { () => { std::env::var(\"X\") } }", Door::Environment),
    ("macro_rules! m { () => { use std::{env, fmt}; } }", Door::Network),
    ("#[arg(default_value_t = std::env::temp_dir())] struct S;", Door::Environment),
    ("use std::time::Instant; fn f() { Instant::now(); }", Door::Clock),
    ("use std::time::Instant; fn f() { let now: fn() -> Instant = Instant::now; }", Door::Clock),
    ("use std::time::Instant as I; fn f() { <I>::now(); }", Door::Clock),
    ("use std::time as t; use t::Instant as I; fn f() { I::now(); }", Door::Clock),
    ("use core::time; fn f() { time::SystemTime::now(); }", Door::Clock),
    ("type T = std::time::SystemTime; fn f() { T::now(); }", Door::Clock),
    ("fn f(since: std::time::Instant) { since.elapsed(); }", Door::Clock),
    ("fn f(since: T) { assert!(since.elapsed() > x); }", Door::Clock),
    ("fn f() { std::thread::sleep(d); }", Door::Clock),
    ("use std::thread; fn f() { thread::spawn(|| ()); }", Door::Threads),
    ("use tokio::task; fn f() { task::spawn_blocking(|| ()); }", Door::Threads),
    ("fn f() { tokio::spawn(async {}); }", Door::Threads),
    ("fn f() { getrandom::fill(&mut b); }", Door::Randomness),
    ("use std::hash::RandomState;", Door::Randomness),
    ("fn f() { println!(\"x\"); }", Door::Streams),
    ("fn f() { g!(eprintln!(\"x\")); }", Door::Streams),
    ("use std::io; fn f() { io::stdout(); }", Door::Streams),
    ("use libc::c_int;", Door::System),
    ("fn f() { libc::getpid(); }", Door::System),
    ("unsafe extern \"C\" { fn getpid() -> i32; }", Door::System),
    ("fn f() { core::arch::asm!(\"nop\"); }", Door::System),
    ("fn f() { unsafe { g() } }", Door::Unsafe),
    ("fn f() { g!(unsafe { h() }); }", Door::Unsafe),
    ("unsafe fn f() {}", Door::Unsafe),
    ("unsafe impl Send for S {}", Door::Unsafe),
    ("#[unsafe(no_mangle)] extern \"C\" fn f() {}", Door::Unsafe),
];

/// None of these leads anywhere.
const HARMLESS_TEXTS: &[&str] = &[
    "use std::net::{IpAddr, Ipv4Addr}; fn f(a: IpAddr) -> bool { a.is_loopback() }",
    "use std::time::{Duration, Instant}; fn f(a: Instant, b: Instant) -> Duration { a - b }",
    "use std::process::ExitCode; fn f() -> ExitCode { ExitCode::from(2) }",
    "const V: &str = env!(\"CARGO_PKG_VERSION\"); const T: &str = include_str!(\"x\");",
    "#[cfg(test)] mod tests { fn f() { std::fs::read(\"x\"); } }",
    "#[cfg(all(test, unix))] use std::fs;",
    "#[test] fn f() { std::env::var(\"X\"); }",
    "struct S; impl S { #[cfg(test)] fn f() { println!(\"x\"); } }",
    "/// Reads `std::fs` and calls `unsafe` code; std::env::var too.\nfn f() {}",
    "const S: &str = \"std::fs::read\"; // std::fs::read",
    "mod fs { pub fn read() {} } fn f() { fs::read(); }",
    "enum Command { New } fn f() { Command::New; }",
    "use std::fmt::{self, Write}; use std::io::{self}; fn f() { self::g(); }",
    "use std::io::{self, Read}; fn f(r: &mut impl Read) -> io::Result<()> { Ok(()) }",
    "fn f() { write!(out, \"{}\", a.b); format!(\"x\"); }",
];

/// A normal or build dependency.
struct Edge {
    from: String,
    to: String,
    /// The features asked for, `default` among them where it is not turned off.
    features: Vec<String>,
    building: bool,
}

impl Edge {
    fn is_allowed(&self) -> bool {
        EXTERNAL.iter().any(|row| row.covers(self)) || HARMLESS.contains(&self.to.as_str())
    }
}

impl External {
    fn covers(&self, edge: &Edge) -> bool {
        let few = |most: &[&str]| edge.features.iter().all(|feature| most.contains(&feature.as_str()));
        self.name == edge.to
            && self.building == edge.building
            && self.rooms.contains(&edge.from.as_str())
            && self.features.is_none_or(few)
    }
}

impl Allowed {
    fn allows(&self, room: &str, sighting: &Sighting) -> bool {
        let here = self.places.iter().any(|place| match *place {
            directory if directory.ends_with('/') => sighting.file.starts_with(directory),
            file => sighting.file == file,
        });
        here && self.room == room && self.doors.contains(&sighting.door)
    }
}

/// What `cargo metadata` says of the workspace, as far as it is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; none for a normal one.
    kind: Option<String>,
    features: Vec<String>,
    uses_default_features: bool,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let flags = ["metadata", "--format-version", "1", "--no-deps", "--all-features", "--offline", "--manifest-path"];
    let told = Command::new(env!("CARGO")).args(flags).arg(manifest).output().expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).expect("cargo describes the workspace that it built")
}

fn edges() -> impl Iterator<Item = Edge> {
    workspace().packages.into_iter().flat_map(|package| {
        let from = package.name;
        let shipped = package.dependencies.into_iter().filter(|needed| needed.kind.as_deref() != Some("dev"));
        shipped.map(move |needed| {
            let default = needed.uses_default_features.then(|| "default".to_owned());
            let features = needed.features.into_iter().chain(default).collect();
            let building = needed.kind.as_deref() == Some("build");
            Edge { from: from.clone(), to: needed.name, features, building }
        })
    })
}

/// What the crate's library, program and build script are compiled from. Tests, benchmarks and examples are not shipped.
fn sources(package: &Package) -> Result<Vec<Source>, String> {
    let directory = package.manifest_path.parent().expect("a manifest lies in a directory");
    let shipped = |kind: &String| !["test", "bench", "example"].contains(&kind.as_str());
    let roots = package.targets.iter().filter(|target| target.kind.iter().any(shipped));
    let mut sources = Vec::new();
    for root in roots {
        let found = source::of_target(directory, &root.src_path);
        sources.append(&mut found.map_err(|problem| format!("{}: {problem}", package.name))?);
    }
    if sources.is_empty() { Err(format!("`{}` has no sources", package.name)) } else { Ok(sources) }
}

/// What is seen in files of these texts, called `0.rs`, `1.rs` and so on.
fn seen(texts: &[&str]) -> Vec<Sighting> {
    let sources: Result<Vec<_>, _> =
        texts.iter().enumerate().map(|(number, text)| source::of_text(&format!("{number}.rs"), text)).collect();
    look::through(&sources.unwrap())
}

fn refuse(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
