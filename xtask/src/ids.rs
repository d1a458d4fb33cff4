//! Which requirements hold: counts tests by the ids in their names, from what `cargo test` printed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// Ids of requirements: a letter for the area, and the numbers there are. What else looks like an id, such as the `f64`
/// of a test of floats, is none.
const REQUIREMENTS: &[(char, &[(u8, u8)])] = &[
    ('A', &[(1, 18)]),
    ('B', &[(1, 4), (20, 26)]),
    ('D', &[(1, 12)]),
    ('F', &[(1, 7)]),
    ('G', &[(1, 5), (21, 21)]),
    ('H', &[(1, 2)]),
    ('J', &[(1, 4)]),
    ('M', &[(1, 10)]),
    ('N', &[(1, 8), (20, 26)]),
    ('P', &[(1, 4)]),
    ('S', &[(1, 7)]),
    ('V', &[(1, 11), (20, 27)]),
    ('W', &[(1, 2)]),
    ('X', &[(1, 1)]),
];

/// A requirement, shown as `N-5`; in the name of a test it is `n05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    area: char,
    number: u8,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.area, self.number))
    }
}

impl Id {
    fn from_word(word: &str) -> Option<Id> {
        let [area @ b'a'..=b'z', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = *word.as_bytes() else { return None };
        let id = Id { area: char::from(area.to_ascii_uppercase()), number: (tens - b'0') * 10 + (ones - b'0') };
        let (_, numbers) = REQUIREMENTS.iter().find(|(area, _)| *area == id.area)?;
        numbers.iter().any(|(first, last)| (*first..=*last).contains(&id.number)).then_some(id)
    }

    /// The ids with which the last segment of a test's path begins: `limits::n05_a14_budgets_are_split` has two.
    fn of_test(path: &str) -> impl Iterator<Item = Id> {
        let name = path.rsplit("::").next().unwrap_or(path);
        name.split('_').map_while(Id::from_word)
    }
}

/// What became of the tests of one id, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: Vec<String>,
    failed: Vec<String>,
    ignored: usize,
}

/// What a run of the tests showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    ids: BTreeMap<Id, Count>,
    all: Count,
    /// Tests of which neither success nor failure was printed: their program ended before.
    lost: usize,
}

impl Report {
    /// Reads the output of `cargo test`, of any number of test programs one after the other.
    pub fn read(output: &str) -> Report {
        let mut report = Report::default();
        let mut announced = 0;
        for line in output.lines() {
            if let Some(number) = announcement(line) {
                // Added, not set: a test may run a program of tests itself.
                announced += number;
            } else if let Some((test, verdict)) = verdict(line) {
                announced = announced.saturating_sub(1);
                report.count(test, verdict);
            }
        }
        report.lost = announced;
        report
    }

    fn count(&mut self, test: &str, verdict: Verdict) {
        self.all.add(test, verdict);
        for id in Id::of_test(test) {
            self.ids.entry(id).or_default().add(test, verdict);
        }
    }

    /// Ids with a test that passed and none that failed.
    fn held(&self) -> usize {
        self.ids.values().filter(|count| !count.passed.is_empty() && count.failed.is_empty()).count()
    }

    /// Whether no test of a requirement failed and every program of tests came to its end.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.ids.values().all(|count| count.failed.is_empty())
    }

    /// The table, with the names of tests where wanted, and the sums.
    pub fn show(&self, names: bool) -> String {
        let mut out = String::from("id     passed  failed\n");
        for (id, count) in &self.ids {
            let ignored = if count.ignored > 0 { format!("  ({} ignored)", count.ignored) } else { String::new() };
            let _ = writeln!(out, "{id:<5}  {:>6}  {:>6}{ignored}", count.passed.len(), count.failed.len());
            let failed = count.failed.iter().map(|name| (name, "FAILED "));
            let passed = count.passed.iter().filter(|_| names).map(|name| (name, ""));
            for (name, mark) in failed.chain(passed) {
                let _ = writeln!(out, "         {mark}{name}");
            }
        }
        let _ = writeln!(out, "requirements held: {}", self.held());
        if self.lost > 0 {
            let _ = writeln!(out, "tests without a verdict, their program having ended before: {}", self.lost);
        }
        let _ = writeln!(out, "{} passed, {} failed", self.all.passed.len(), self.all.failed.len() + self.lost);
        out
    }
}

impl Count {
    fn add(&mut self, test: &str, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed.push(test.to_owned()),
            Verdict::Failed => self.failed.push(test.to_owned()),
            Verdict::Ignored => self.ignored += 1,
        }
    }
}

#[derive(Clone, Copy)]
enum Verdict {
    Passed,
    Failed,
    Ignored,
}

/// `running 12 tests`
fn announcement(line: &str) -> Option<usize> {
    let number = line.strip_prefix("running ")?;
    number.strip_suffix(" tests").or_else(|| number.strip_suffix(" test"))?.parse().ok()
}

/// `test limits::n05_the_clock_ends_it ... ok`
fn verdict(line: &str) -> Option<(&str, Verdict)> {
    let (test, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = match verdict.split([',', ' ']).next()? {
        "ok" => Verdict::Passed,
        "FAILED" => Verdict::Failed,
        "ignored" => Verdict::Ignored,
        _ => return None,
    };
    Some((test.strip_suffix(" - should panic").unwrap_or(test).trim_end(), verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "   Compiling lockgate-cell v0.1.0
warning: test n05_is_no_verdict ... ok
     Running unittests src/lib.rs (target/release/deps/lockgate_cell-1)

running 4 tests
test bounds::n05_memory_is_bounded ... ok
test bounds::n05_a_long_wait_ends ... FAILED
test helpers_help ... ok
test bounds::n05_slow ... ignored, takes an hour

failures:

---- bounds::n05_a_long_wait_ends stdout ----
thread 'bounds::n05_a_long_wait_ends' panicked

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/grants.rs (target/release/deps/grants-1)

running 3 tests
test g21_doctor_tries_each_wall ... ok
test n01_a14_a_child_gets_no_more - should panic ... ok
test f64_and_u16_round_trip ... ok

test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

   Doc-tests lockgate_cell

running 1 test
test crates/cell/src/lib.rs - prepare (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn ids_begin_the_last_segment_of_a_name() {
        let ids = |name: &str| Id::of_test(name).map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids("n05_wall_time_ends_the_cell"), ["N-5"]);
        assert_eq!(ids("limits::a14_budgets_split"), ["A-14"]);
        assert_eq!(ids("a::b::g21_walls_are_up"), ["G-21"]);
        assert_eq!(ids("n05_a14_both"), ["N-5", "A-14"]);
        assert_eq!(ids("j01"), ["J-1"]);
        for name in ["n05::helpers", "the_n05_limit", "n5_x", "n005_x", "N05_x", "f64_x", "u16_x", "n09_x", "z01_x", ""]
        {
            assert_eq!(ids(name), [""; 0], "{name}");
        }
    }

    #[test]
    fn tests_are_counted_by_id() {
        let report = Report::read(OUTPUT);
        assert!(!report.is_good());
        assert_eq!(
            report.show(false),
            "id     passed  failed
A-14        1       0
G-21        1       0
N-1         1       0
N-5         1       1  (1 ignored)
         FAILED bounds::n05_a_long_wait_ends
requirements held: 3
6 passed, 1 failed
"
        );
    }

    #[test]
    fn names_are_shown_when_wanted() {
        let shown = Report::read(OUTPUT).show(true);
        assert!(shown.contains("G-21        1       0\n         g21_doctor_tries_each_wall\nN-1 "), "{shown}");
        assert!(shown.contains("FAILED bounds::n05_a_long_wait_ends\n         bounds::n05_memory_is_bounded\n"));
    }

    #[test]
    fn what_has_no_failure_is_good() {
        let good = Report::read(&OUTPUT.replace("... FAILED", "... ok"));
        assert!(good.is_good());
        assert!(good.show(false).ends_with("requirements held: 4\n7 passed, 0 failed\n"), "{}", good.show(false));
        // A test without an id decides nothing about requirements, but is counted.
        let other = Report::read(
            &OUTPUT.replace("... FAILED", "... ok").replace("helpers_help ... ok", "helpers_help ... FAILED"),
        );
        assert!(other.is_good());
        assert!(other.show(false).ends_with("requirements held: 4\n6 passed, 1 failed\n"));
    }

    #[test]
    fn a_program_of_tests_that_ended_early_is_noticed() {
        let cut = OUTPUT.replace("... FAILED", "... ok").replace("test g21_doctor_tries_each_wall ... ok\n", "");
        let report = Report::read(&cut);
        assert!(!report.is_good());
        assert!(report.show(false).ends_with("their program having ended before: 1\n6 passed, 1 failed\n"));
        let last = Report::read("running 2 tests\ntest n01_x ... ok\nerror: test failed (signal: 6, SIGABRT)\n");
        assert_eq!(last.lost, 1);
    }

    #[test]
    fn nothing_is_held_by_a_test_that_was_not_run() {
        let report = Report::read("running 1 test\ntest n05_slow ... ignored\n");
        assert_eq!(
            report.show(false),
            "id     passed  failed\nN-5         0       0  (1 ignored)\nrequirements held: 0\n0 passed, 0 failed\n"
        );
    }
}
