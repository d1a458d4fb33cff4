//! A crash at each point of a change, by a place that fails before or after it did what it was asked.

use super::*;
use std::cell::{Cell, RefCell};

/// What lies in one place, and an attacker's hand on it.
#[derive(Default)]
struct Place {
    bytes: RefCell<Option<Vec<u8>>>,
    crash: Cell<Crash>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Crash {
    #[default]
    Never,
    /// Before the effect.
    Before,
    /// After it, and before anything was told.
    After,
}

fn crashed() -> Failed {
    Failed::new(ReasonCode::EffectFailed, "crash")
}

impl Place {
    fn change(&self, bytes: Option<Vec<u8>>) -> Result<(), Failed> {
        if self.crash.get() == Crash::Before {
            return Err(crashed());
        }
        *self.bytes.borrow_mut() = bytes;
        if self.crash.get() == Crash::After { Err(crashed()) } else { Ok(()) }
    }

    fn now(&self) -> Option<Vec<u8>> {
        self.bytes.borrow().clone()
    }

    fn set(&self, bytes: Option<Vec<u8>>) {
        *self.bytes.borrow_mut() = bytes;
    }
}

impl Slot for Place {
    fn read(&self, _: u64) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.now())
    }

    fn put(&self, bytes: Vec<u8>) -> Result<(), Failed> {
        self.change(Some(bytes))
    }

    fn remove(&self) -> Result<Value, Failed> {
        self.change(None).map(|()| Value::Null)
    }
}

struct Operator {
    directory: tempfile::TempDir,
    seal: Seal,
}

impl Operator {
    fn new() -> Operator {
        Operator { directory: tempfile::tempdir().unwrap(), seal: Seal::default() }
    }

    /// What a gate does that begins now: everything it knows is on the disk.
    fn gate<T>(&self, agent: &str, act: impl FnOnce(&Keeper<'_>) -> T) -> T {
        let path = self.directory.path().join("control.sqlite");
        let control = Control::open(&path).unwrap();
        let keeper = Keeper {
            control: &control,
            seals: &Seals::beside(&path),
            seal: &self.seal,
            agent,
            session: [1; 16],
            manifest: [2; 32],
            place: SealPlace([3; 32]),
            shown: "fs.state:run".to_owned(),
        };
        act(&keeper)
    }

    fn put(&self, place: &Place, content: &str) -> Result<(), Failed> {
        let label = Labelled { writers: Vec::new(), readers: None };
        self.gate("a", |gate| gate.put(place, content.as_bytes(), label)).map(drop)
    }

    fn open(&self, place: &Place) -> Result<Option<String>, ReasonCode> {
        let opened = self.gate("a", |gate| gate.open(place, 1000)).map_err(|failed| failed.code)?;
        Ok(opened.map(|(opened, _)| String::from_utf8(opened.content).unwrap()))
    }
}

fn some(text: &str) -> Result<Option<String>, ReasonCode> {
    Ok(Some(text.to_owned()))
}

#[test]
fn d10_a_crash_before_the_bytes_are_there_loses_nothing() {
    let (operator, place) = (Operator::new(), Place::default());
    operator.put(&place, "one").unwrap();
    let one = place.now();
    operator.put(&place, "two").unwrap();
    place.crash.set(Crash::Before);
    assert!(operator.put(&place, "three").is_err());
    place.crash.set(Crash::Never);
    assert_eq!(operator.open(&place), some("two"));
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
}

#[test]
fn d10_a_crash_after_the_bytes_are_there_accepts_them_and_nothing_older_than_was_told() {
    let (operator, place) = (Operator::new(), Place::default());
    operator.put(&place, "one").unwrap();
    let one = place.now();
    operator.put(&place, "two").unwrap();
    let two = place.now();
    place.crash.set(Crash::After);
    assert!(operator.put(&place, "three").is_err());
    place.crash.set(Crash::Never);
    let three = place.now();
    // What was told last is `two`, and `three` was told to nobody: until it is read, both are a state that is true.
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
    place.set(two.clone());
    assert_eq!(operator.open(&place), some("two"));
    place.set(three);
    assert_eq!(operator.open(&place), some("three"));
    place.set(two);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack), "once read, nothing older");
}

#[test]
fn d10_the_first_change_that_was_cut_off_is_there_or_not() {
    for (crash, expected) in [(Crash::Before, Ok(None)), (Crash::After, some("one"))] {
        let (operator, place) = (Operator::new(), Place::default());
        place.crash.set(crash);
        assert!(operator.put(&place, "one").is_err());
        place.crash.set(Crash::Never);
        assert_eq!(operator.open(&place), expected);
    }
}

#[test]
fn d10_what_was_removed_does_not_come_back_and_what_was_not_is_missed() {
    let (operator, place) = (Operator::new(), Place::default());
    operator.put(&place, "one").unwrap();
    let one = place.now();
    place.set(None);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack), "nobody removed it here");
    place.set(one.clone());
    operator.gate("a", |gate| gate.remove(&place)).unwrap();
    assert_eq!(operator.open(&place), Ok(None));
    place.set(one.clone());
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
    place.set(None);
    operator.put(&place, "two").unwrap();
    assert_eq!(operator.open(&place), some("two"));
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
}

#[test]
fn d10_a_removal_that_was_cut_off_took_place_or_not() {
    for (crash, expected) in [(Crash::Before, some("one")), (Crash::After, Ok(None))] {
        let (operator, place) = (Operator::new(), Place::default());
        operator.put(&place, "one").unwrap();
        place.crash.set(crash);
        assert!(operator.gate("a", |gate| gate.remove(&place)).is_err());
        place.crash.set(Crash::Never);
        assert_eq!(operator.open(&place), expected);
        operator.put(&place, "two").unwrap();
        assert_eq!(operator.open(&place), some("two"));
    }
}

#[test]
fn d10_writers_that_take_turns_leave_the_last_one_readable() {
    let operator = Operator::new();
    let directory = operator.directory.path().join("state");
    std::fs::create_dir(&directory).unwrap();
    let path = CanonicalPath::parse("run").unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (operator, directory, path) = (&operator, &directory, &path);
            scope.spawn(move || {
                let directory = Directory::open(directory).unwrap();
                let slot = InDirectory(&directory, path);
                for round in 0..8 {
                    let label = Labelled { writers: Vec::new(), readers: None };
                    let content = format!("{writer} {round}");
                    operator.gate("a", |gate| gate.put(&slot, content.as_bytes(), label)).map(drop).unwrap();
                    operator.gate("a", |gate| gate.open(&slot, 1000)).map(drop).unwrap();
                }
            });
        }
    });
    let directory = Directory::open(&directory).unwrap();
    let opened = operator.gate("a", |gate| gate.open(&InDirectory(&directory, &path), 1000)).unwrap().unwrap().0;
    assert_eq!(opened.header.counter, 32);
}

#[test]
fn d10_a_key_that_was_rotated_elsewhere_is_found_and_the_old_one_still_opens() {
    use std::os::unix::fs::PermissionsExt;
    let (operator, place) = (Operator::new(), Place::default());
    let path = operator.directory.path().join("control.sqlite");
    operator.gate("a", |gate| {
        let label = || Labelled { writers: Vec::new(), readers: None };
        gate.put(&place, b"old", label()).map(drop).unwrap();
        let mode = std::fs::metadata(seal_keys_path(&path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let (name, count) = rotate_seal_keys(&path).unwrap();
        assert_eq!(count, 2);
        assert_eq!(operator.open(&place), some("old"));
        operator.put(&place, "new").unwrap();
        assert_eq!(Sealed::read(place.now().unwrap()).unwrap().key().to_string(), name);
        // This gate began before the key was there.
        assert_eq!(gate.open(&place, 1000).unwrap().unwrap().0.content, b"new");
    });
    std::fs::set_permissions(seal_keys_path(&path), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Seals::beside(&path).keys(), Err(KeyFileError::Exposed { .. })));
}

#[test]
fn d10_a_party_that_a_session_does_not_know_is_anyone_as_a_writer_and_nobody_as_a_reader() {
    let mut parties = PartyNames::default();
    let web = parties.intern("web").unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let label = |writers: &[&str], readers: Option<&[&str]>| {
        label_of_names(&parties, &names(writers), readers.map(names).as_deref())
    };
    assert_eq!(label(&[], None), Label::BOTTOM);
    assert_eq!(label(&["web"], None).writers, web);
    assert_eq!(label(&["web", "stranger"], None).writers, web.union(Parties::OUTSIDE));
    assert_eq!(label(&[], Some(&["stranger"])).readers, Parties::NONE);
    assert_eq!(label(&[], Some(&["web", "operator"])).readers, web);
    for label in [Label::BOTTOM, Label::TOP, Label { writers: web, readers: web }] {
        let Labelled { writers, readers } = named(&parties, label);
        let again = label_of_names(&parties, &writers, readers.as_deref());
        assert!(label.is_within(again) || label == Label::TOP, "{again:?}");
    }
}

#[test]
fn d10_once_it_was_told_that_nothing_is_there_nothing_of_before_comes_back() {
    // A removal that was cut off after it took place.
    let (operator, place) = (Operator::new(), Place::default());
    operator.put(&place, "one").unwrap();
    let one = place.now();
    place.crash.set(Crash::After);
    assert!(operator.gate("a", |gate| gate.remove(&place)).is_err());
    assert_eq!(operator.open(&place), Ok(None));
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
    // A first change that was cut off, of which somebody kept the bytes.
    let (operator, place) = (Operator::new(), Place::default());
    place.crash.set(Crash::After);
    assert!(operator.put(&place, "one").is_err());
    let one = place.now();
    place.set(None);
    assert_eq!(operator.open(&place), Ok(None));
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
}

#[test]
fn d10_a_first_change_that_was_cut_off_and_then_removed_does_not_come_back() {
    let (operator, place) = (Operator::new(), Place::default());
    place.crash.set(Crash::After);
    assert!(operator.put(&place, "one").is_err());
    place.crash.set(Crash::Never);
    let one = place.now();
    operator.gate("a", |gate| gate.remove(&place)).unwrap();
    place.set(one);
    assert_eq!(operator.open(&place), Err(ReasonCode::SealRolledBack));
}
