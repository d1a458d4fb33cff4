//! What `SECURITY.md` promises has the tests that it names.

use std::path::{Path, PathBuf};

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("SECURITY.md")).expect("it is there");
    let table = text.split("\n## ").find(|part| part.starts_with("What is promised")).expect("the table is there");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | "))
        .skip(1)
        .collect();
    assert!(rows.len() > 10, "{} rows", rows.len());
    let sources = sources(&root.join("crates")).chain(sources(&root.join("guests/js"))).collect::<Vec<_>>();
    let mut missing = Vec::new();
    for (promise, tests) in rows {
        let words: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let (patterns, rooms): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.contains('_'));
        if patterns.is_empty() {
            missing.push(format!("`{promise}` names no test"));
        }
        let exists = |pattern: &str, room: Option<&str>| {
            let name = format!("fn {}", pattern.trim_end_matches('*'));
            let inside = |path: &Path| room.is_none_or(|room| path.starts_with(root.join("crates").join(room)));
            sources.iter().any(|(path, text)| inside(path) && text.contains(&name))
        };
        missing
            .extend(patterns.iter().filter(|pattern| !exists(pattern, None)).map(|pattern| format!("no `{pattern}`")));
        for room in rooms.iter().filter(|room| root.join("crates").join(room).is_dir()) {
            if !patterns.iter().any(|pattern| exists(pattern, Some(room))) {
                missing.push(format!("none of {patterns:?} is in `{room}`"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Every Rust source below a directory, built ones apart.
fn sources(below: &Path) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    let (mut waiting, mut found) = (vec![below.to_path_buf()], Vec::new());
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("it can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), std::fs::read_to_string(&path).expect("it is text")));
            }
        }
    }
    found.into_iter()
}
