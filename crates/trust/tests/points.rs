//! Whatever is approved and however the file changes: a session has the points whose text was approved, and no others.

use lockgate_trust::{Record, Report, SETTINGS, Selection, ServerPin, Sighted, Store, StoreError};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Sections in three versions each, none of which leads anywhere.
fn section(name: usize, version: usize) -> String {
    match name % 3 {
        0 => format!("[http.p{name}]\nhosts = [\"v{version}.example.com\"]\n"),
        1 => format!("[kv.p{name}]\nallow = [\"get\"]\nprefix = \"v{version}/\"\n"),
        _ => format!("[tool.p{name}]\nurl = \"https://v{version}.example.com/mcp\"\ntools = [\"t\"]\n"),
    }
}

fn point(name: usize) -> String {
    format!("{}.p{name}", ["http", "kv", "tool"][name % 3])
}

/// One version of a file: a version of each section, none where it is missing, and the settings'.
type Version = (Vec<Option<usize>>, usize);

fn text((sections, settings): &Version) -> String {
    let mut out = format!("agent = \"a{settings}\"\n");
    for (name, version) in sections.iter().enumerate() {
        out.extend(version.map(|version| section(name, version)));
    }
    out
}

fn version() -> impl Strategy<Value = Version> {
    (prop::collection::vec(prop::option::weighted(0.8, 0..3_usize), 6), 0..2_usize)
}

/// What an operator does: approves or revokes some points, by their numbers; the settings are the last.
fn deeds() -> impl Strategy<Value = Vec<(Version, bool, Vec<usize>)>> {
    prop::collection::vec((version(), any::<bool>(), prop::collection::vec(0..7_usize, 0..7)), 1..6)
}

struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("work")).unwrap();
        Desk { directory }
    }

    fn write(&self, text: &str) -> Sighted {
        let path = self.directory.path().join("work/lockgate.toml");
        std::fs::write(&path, text).unwrap();
        Sighted::at(&path).unwrap()
    }

    fn store_path(&self) -> PathBuf {
        self.directory.path().join("state/trust")
    }

    fn store(&self, workspace: &Sighted) -> Store {
        Store::open_or_make(&self.store_path(), Some(workspace)).unwrap()
    }
}

fn approve(store: &Store, sighted: &Sighted, selection: &Selection) {
    let approved = store.change(sighted, |record: Option<Record>| {
        let report = Report::of(sighted, record.as_ref(), &[]).unwrap();
        Ok::<_, StoreError>(Some(report.approve(sighted, record, selection, 1).unwrap()))
    });
    assert!(approved.unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn m03_a_session_has_the_points_whose_text_was_approved_and_no_others(deeds in deeds(), last in version()) {
        let desk = Desk::new();
        // Beside the code: which texts are approved, and which file runs.
        let mut known: Vec<(String, String)> = Vec::new();
        let mut revoked: BTreeSet<String> = BTreeSet::new();
        let mut runs = None;
        let named = |version: &Version, number: usize| match version.0.get(number) {
            Some(Some(found)) => Some((point(number), section(number, *found))),
            Some(None) => None,
            None => Some((SETTINGS.to_owned(), version.1.to_string())),
        };
        for (version, approves, numbers) in &deeds {
            let sighted = desk.write(&text(version));
            let store = desk.store(&sighted);
            let chosen: BTreeSet<(String, String)> = numbers.iter().filter_map(|number| named(version, *number)).collect();
            let names: Vec<String> = chosen.iter().map(|(name, _)| name.clone()).collect();
            if *approves {
                approve(&store, &sighted, &Selection::Points(names));
                let present: BTreeSet<String> = (0..7).filter_map(|number| named(version, number)).map(|(name, _)| name).collect();
                known.retain(|(name, _)| present.contains(name) && !chosen.iter().any(|(chosen, _)| chosen == name));
                revoked.retain(|name| present.contains(name) && !chosen.iter().any(|(chosen, _)| chosen == name));
                known.extend(chosen);
                let settings = (SETTINGS.to_owned(), version.1.to_string());
                runs = (known.contains(&settings) && !revoked.contains(SETTINGS)).then(|| text(version));
            } else {
                let done = store.change(&sighted, |record: Option<Record>| {
                    let Some(mut record) = record else { return Ok::<_, StoreError>(None) };
                    record.revoke(&names, sighted.sha256(), 2);
                    Ok(Some(record))
                });
                if done.unwrap().is_some() {
                    let all: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
                    let names = if names.is_empty() { all } else { names };
                    if numbers.iter().all(|number| named(version, *number).is_none()) || names.contains(&SETTINGS.to_owned()) {
                        runs = None;
                    }
                    revoked.extend(names.into_iter().filter(|name| known.iter().any(|(known, _)| known == name)));
                }
            }
        }
        // The last file, and each that was there before.
        for version in deeds.iter().map(|(version, ..)| version).chain([&last]) {
            let sighted = desk.write(&text(version));
            let may_run = runs.as_deref() == Some(text(version).as_str());
            let decided = sighted.trusted_by(Store::open(&desk.store_path(), None));
            prop_assert_eq!(decided.is_ok(), may_run, "{:?}", decided.err());
            let Ok(trusted) = decided else { continue };
            let granted = trusted.grant().unwrap();
            let held: BTreeSet<String> = granted.manifest().grants().iter().map(|grant| grant.point.to_string()).collect();
            let due: BTreeSet<String> = (0..6)
                .filter_map(|number| named(version, number))
                .filter(|named| known.contains(named) && !revoked.contains(&named.0))
                .map(|(name, _)| name)
                .collect();
            let withheld: BTreeSet<String> = granted.withheld().iter().map(|found| found.point.clone()).collect();
            prop_assert_eq!(&held, &due);
            prop_assert!(held.is_disjoint(&withheld));
            prop_assert_eq!(held.len() + withheld.len(), version.0.iter().flatten().count());
        }
    }

    #[test]
    fn m01_any_bytes_give_the_same_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let desk = Desk::new();
        desk.write("");
        let path = desk.directory.path().join("work/lockgate.toml");
        std::fs::write(&path, &bytes).unwrap();
        let refused = Sighted::at(&path).unwrap().trusted_by(Store::open(&desk.store_path(), None)).unwrap_err();
        let expected = format!("the manifest `{}` is not trusted: it was never approved here", path.display());
        prop_assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn m01_what_lies_there_later_plays_no_part() {
    let desk = Desk::new();
    let sighted = desk.write("[http.api]\nhosts = [\"a.example.com\"]\n");
    approve(&desk.store(&sighted), &sighted, &Selection::All);
    let first = desk.write("[http.api]\nhosts = [\"a.example.com\"]\n");
    // Between the look and the decision the file becomes another, and then nothing at all.
    desk.write("[http.api]\nhosts = [\"evil.example\"]\n");
    std::fs::remove_dir_all(desk.directory.path().join("work")).unwrap();
    let granted = first.trusted_by(Store::open(&desk.store_path(), None)).unwrap().grant().unwrap();
    assert!(granted.manifest().to_toml().contains("a.example.com"));
}

#[test]
fn m02_a_store_is_made_for_its_owner_alone_and_nothing_is_made_by_a_look() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let sighted = desk.write("");
    assert!(Store::open(&desk.store_path(), Some(&sighted)).unwrap().is_none());
    assert!(!desk.store_path().exists());
    let store = desk.store(&sighted);
    approve(&store, &sighted, &Selection::All);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o700);
    for file in std::fs::read_dir(store.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert!(path.extension().is_none_or(|extension| extension != "new"), "nothing is left behind");
    }
    // A directory with something in it that is no store does not become one.
    let other = desk.directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(other.join("x"), "").unwrap();
    assert!(matches!(Store::open_or_make(&other, None), Err(StoreError::Brought(_))));
}

#[test]
fn m07_what_a_session_saw_of_a_point_that_was_approved_otherwise_since_is_not_pinned() {
    let server = |host: &str| format!("[tool.x]\nurl = \"https://{host}.example.com/mcp\"\ntools = [\"t\"]\n");
    let see = |desk: &Desk, file: &Sighted| {
        let path = desk.directory.path().join("work").join(file.file());
        let granted = Sighted::at(&path).unwrap().trusted_by(Store::open(&desk.store_path(), None)).unwrap();
        let granted = granted.grant().unwrap();
        let tool = serde_json::json!({"name": "t", "inputSchema": {"type": "object"}});
        granted.pins().check_server("tool.x", ServerPin::new(Some("s"), None, [&tool])).unwrap();
        granted
    };
    let tools = |desk: &Desk, sighted: &Sighted| {
        let record = desk.store(sighted).record(sighted).unwrap().unwrap();
        record.points["tool.x"].pins.server.clone()
    };
    let desk = Desk::new();
    let first = desk.write(&server("one"));
    let store = desk.store(&first);
    approve(&store, &first, &Selection::All);
    let granted = see(&desk, &first);
    // While that session runs, the operator says yes to another server.
    let second = desk.write(&server("two"));
    approve(&store, &second, &Selection::All);
    granted.remember_tools(&store).unwrap();
    assert_eq!(tools(&desk, &second), None);
    see(&desk, &second).remember_tools(&store).unwrap();
    assert_eq!(tools(&desk, &second).unwrap().tools.len(), 1);
}
