//! Sessions that are opened with tokens, in a gate in this process.

use lockgate_authority::{Manifest, Point, PointKind, Principal, PrincipalKind, Terms, Value};
use lockgate_control::{Control, Revocation, Revoked};
use lockgate_host::{
    Gate, GateOptions, OpenError, Opening, Placement, Presentation, Program, Walling, fresh_seed, new_key,
};
use lockgate_token::{Head, Roots, SecretKey, Token};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MANIFEST: &str = "isolation = \"trusted\"\n[fs.data]\npath = \".\"\nallow = [\"read\"]\n";

fn gate(directory: &Path) -> Gate {
    let options = GateOptions {
        journal: directory.join("journal.sqlite"),
        stores: directory.join("stores.sqlite"),
        control: directory.join("control.sqlite"),
        key: directory.join("gate.key"),
        walling: Walling::InProcessWeaker,
        minimum: Default::default(),
        workers: 1,
        placement: Placement::Anywhere,
    };
    Gate::open(&options).expect("the gate opens")
}

struct Given {
    root: SecretKey,
    holder: SecretKey,
    token: Token,
    manifest: Manifest,
    program: Program,
}

fn given() -> Given {
    let (root, holder) = (new_key().unwrap(), new_key().unwrap());
    let head = Head {
        point: Point::new(PointKind::Fs, "data"),
        issuer: Principal::new(PrincipalKind::Operator, "alice"),
        holder: holder.public(),
        not_before_ms: None,
        terms: Terms::from_settings(PointKind::Fs, "allow = [\"read\"]").unwrap(),
    };
    let token = Token::create(&root, head, fresh_seed().unwrap()).unwrap();
    let manifest = Manifest::parse(MANIFEST, "lockgate.toml").unwrap();
    Given { root, holder, token, manifest, program: Program::script("one.js", "1") }
}

impl Given {
    fn presented(&self, gate: &Gate) -> Presentation {
        let opening = Opening::of_program(&self.manifest, &self.program, &Value::Null);
        let proof = opening.prove(&self.token, &self.holder, gate.key().unwrap()).unwrap();
        let roots = Roots::new([self.root.public()]);
        Presentation { opening, tokens: vec![(self.token.clone(), proof)], roots, agents: None }
    }

    fn open(&self, gate: &Gate, base: &Path, presented: Presentation) -> Result<lockgate_host::Session, OpenError> {
        gate.session_with(&self.manifest, base, Some(presented), Arc::new(|_, _, _| {}))
    }
}

fn code<T>(result: Result<T, OpenError>) -> &'static str {
    match result {
        Err(OpenError::Token { code, .. }) => code.as_str(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}

#[test]
fn a02_a_proof_opens_one_session_at_one_gate_also_after_a_restart() {
    let (_kept, path) = place();
    let (_other_kept, elsewhere) = place();
    let given = given();
    let first = gate(&path);
    let presented = given.presented(&first);
    let session = given.open(&first, &path, presented.clone()).unwrap();
    let finished = session.run(&given.program, &Value::Null, false);
    assert_eq!(finished.result, Ok(Value::Int(1)));
    session.close().unwrap();
    assert_eq!(code(given.open(&first, &path, presented.clone())), "replayed");
    drop(first);
    let again = gate(&path);
    assert_eq!(code(given.open(&again, &path, presented.clone())), "replayed");
    assert_eq!(code(given.open(&gate(&elsewhere), &elsewhere, presented)), "holder_unproven");
    given.open(&again, &path, given.presented(&again)).unwrap();
}

#[test]
fn a02_a_session_runs_what_its_holder_signed_for_and_nothing_else() {
    let (_kept, path) = place();
    let (given, gate) = (given(), gate(&path));
    let session = given.open(&gate, &path, given.presented(&gate)).unwrap();
    let refused = |program: &Program, input: &Value| {
        session.run(program, input, false).result.clone().expect_err("it was not signed for").code.as_str()
    };
    assert_eq!(refused(&Program::script("one.js", "2"), &Value::Null), "holder_unproven");
    assert_eq!(refused(&given.program, &Value::Int(1)), "holder_unproven");
    let caller = Principal::new(PrincipalKind::External, "somebody");
    assert_eq!(session.caller(caller, "").err().expect("it was not signed for").code.as_str(), "holder_unproven");
    assert_eq!(session.run(&given.program, &Value::Null, false).result, Ok(Value::Int(1)));
    // Another manifest than the one that was signed for.
    let wider = Manifest::parse(&MANIFEST.replace("\"read\"", "\"read\", \"write\""), "lockgate.toml").unwrap();
    let opened = gate.session_with(&wider, &path, Some(given.presented(&gate)), Arc::new(|_, _, _| {}));
    assert_eq!(code(opened), "holder_unproven");
}

/// A grant that nobody can take back is not used.
#[test]
fn a05_where_no_revocation_can_be_heard_everything_is_revoked() {
    let (_kept, path) = place();
    let (given, gate) = (given(), gate(&path));
    let source = "(async () => { for (;;) { try { await lockgate.fs.data.stat('.'); } catch (error) { return error.code; } } })()";
    let program = Program::script("until.js", source);
    let base = path.clone();
    let session = gate.session(&given.manifest, &path, Arc::new(|_, _, _| {})).unwrap();
    let spoil = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let file = rusqlite::Connection::open(path.join("control.sqlite")).unwrap();
        file.execute_batch("DROP TABLE revocations").unwrap();
        std::time::Instant::now()
    });
    let finished = session.run(&program, &Value::Null, false);
    let late = spoil.join().unwrap().elapsed();
    assert_eq!(finished.result, Ok(Value::text("revoked")));
    assert!(late.as_millis() <= 1000, "{late:?}");
    // Nor does a session begin.
    let begun = gate.session(&given.manifest, &base, Arc::new(|_, _, _| {}));
    assert!(matches!(begun, Err(OpenError::Control(_))));
}

#[test]
fn a05_a_token_that_was_revoked_opens_nothing() {
    let (_kept, path) = place();
    let (given, gate) = (given(), gate(&path));
    given.open(&gate, &path, given.presented(&gate)).unwrap();
    let control = Control::open(&path.join("control.sqlite")).unwrap();
    let what = Revoked::Block(*given.token.id().as_bytes());
    control.revoke(&Revocation { what, by: "operator".to_owned(), time_ms: 1 }).unwrap();
    assert_eq!(code(given.open(&gate, &path, given.presented(&gate))), "revoked");
}
