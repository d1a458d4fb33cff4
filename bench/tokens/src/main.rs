//! A token of depth 1 to 8 verified together with its holder's proof and decided, beside Tenuo's crate doing the same with a
//! chain of warrants of that depth. Both in one process and one run, batch by batch in turn.

use lockgate_authority::{
    CanonicalPath, Caveat, Decision, Grant, Mint, Names, Point, PointKind, Principal, PrincipalKind, Request, Subject,
    Terms, Usage, Value, authorize,
};
use lockgate_token::{Claim, Head, Proof, ReplayCache, Roots, SecretKey, Seed, Token, Verifier};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tenuo::constraints::{ConstraintSet, ConstraintValue, Subpath};
use tenuo::crypto::SigningKey;
use tenuo::planes::Authorizer;
use tenuo::warrant::Warrant;
use tenuo::wire;

const ROUNDS: usize = 41;
/// Iterations of each side in a round.
const BATCH: usize = 60;
const WARM_UP: Duration = Duration::from_secs(1);

fn main() {
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    println!(
        "| depth | case | Lockgate µs, median (p10 to p90) | Tenuo µs, median (p10 to p90) | Tenuo / Lockgate, median of rounds (p10 to p90) |"
    );
    println!("|---|---|---|---|---|");
    for depth in 1..=8 {
        for case in [Case::Attenuated, Case::HandedOn] {
            let (ours, mut theirs) = (Ours::new(depth, case), Theirs::new(depth));
            let mut measured = Measured::default();
            warm(&ours, &theirs);
            for _ in 0..rounds {
                theirs.sign();
                measured.round(&ours, &theirs);
            }
            println!(
                "| {depth} | {} | {} | {} | {} |",
                case.name(),
                shown(&mut measured.ours),
                shown(&mut measured.theirs),
                ratio(&mut measured.ratios)
            );
        }
    }
}

#[derive(Clone, Copy)]
enum Case {
    /// Every further block only adds caveats: one signature each.
    Attenuated,
    /// Every further block hands the token to another holder: two signatures each.
    HandedOn,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Case::Attenuated => "attenuated",
            Case::HandedOn => "handed on each time",
        }
    }
}

#[derive(Default)]
struct Measured {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    ratios: Vec<f64>,
}

impl Measured {
    fn round(&mut self, ours: &Ours, theirs: &Theirs) {
        let mut left = batch(|| ours.once());
        let mut right = batch(|| theirs.once());
        self.ratios.push(quantile(&mut right, 0.5) / quantile(&mut left, 0.5));
        self.ours.extend(left);
        self.theirs.extend(right);
    }
}

fn batch(once: impl Fn()) -> Vec<f64> {
    let one = |_| {
        let begun = Instant::now();
        once();
        begun.elapsed().as_secs_f64() * 1e6
    };
    (0..BATCH).map(one).collect()
}

fn warm(ours: &Ours, theirs: &Theirs) {
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        ours.once();
        theirs.once();
    }
}

/// What a gate does with a token's text and a proof: read, verify, admit, make the grant, decide.
struct Ours {
    text: String,
    proof: String,
    point: Point,
    args: Value,
    path: CanonicalPath,
    gate: lockgate_token::PublicKey,
    roots: Roots,
}

impl Ours {
    fn new(depth: usize, case: Case) -> Ours {
        let key = |number: u8| SecretKey::from_seed(Seed::from_random([number; 32]));
        let fresh = |number: usize| Seed::from_random([100 + u8::try_from(number).expect("small"); 32]);
        let under = |ops: Option<Names>| {
            let path = CanonicalPath::parse("data").expect("a path");
            Terms::new(PointKind::Fs, ops, vec![Caveat::Under([path].into())]).expect("terms")
        };
        let (root, gate) = (key(1), key(2));
        let point = Point::new(PointKind::Fs, "files");
        let head = Head {
            point: point.clone(),
            issuer: Principal::new(PrincipalKind::Operator, "root"),
            holder: key(10).public(),
            not_before_ms: None,
            terms: under(Some(Names::only(["read"]))),
        };
        let mut token = Token::create(&root, head, fresh(0)).expect("a token");
        let mut holder = key(10);
        for block in 1..depth {
            token = match case {
                Case::Attenuated => token.attenuate(under(None), fresh(block)).expect("a block"),
                Case::HandedOn => {
                    let next = key(10 + u8::try_from(block).expect("small"));
                    let made = token.hand_on(&holder, next.public(), under(None), fresh(block)).expect("a block");
                    holder = next;
                    made
                }
            };
        }
        let args = Value::map([("path", Value::text("data/q3.pdf"))]);
        let claim = Claim { point: &point, op: "read", args: &args, audience: gate.public() };
        let proof = Proof::make(&holder, &token, &claim, now_ms(), [7; 16]).to_text();
        let path = CanonicalPath::parse("data/q3.pdf").expect("a path");
        Ours {
            text: token.to_text(),
            proof,
            point,
            args,
            path,
            gate: gate.public(),
            roots: Roots::new([root.public()]),
        }
    }

    fn once(&self) {
        let token = Token::from_text(black_box(&self.text)).expect("a token");
        let proof = Proof::from_text(black_box(&self.proof)).expect("a proof");
        let claim = Claim { point: &self.point, op: "read", args: &self.args, audience: self.gate };
        let verifier = Verifier { roots: &self.roots, now_ms: now_ms(), skew_ms: 3_600_000, is_revoked: &|_| false };
        let presented = verifier.admit(token, &proof, &claim, &mut ReplayCache::new(8)).expect("it is good");
        let mut mint = Mint::new();
        let offered = Grant::root(&mut mint, self.point.clone(), Names::All, Vec::new());
        let grant = presented.under(&mut mint, &offered).expect("a grant").grant;
        let request = Request {
            kind: PointKind::Fs,
            name: "files",
            op: "read",
            subject: Subject::Path(&self.path),
            args: &self.args,
            bytes: 0,
            now_ms: now_ms(),
            seen: None,
            approved: None,
        };
        assert!(matches!(authorize([&grant], &request, &Usage::new()), Decision::Allow(_)));
    }
}

/// What Tenuo's authorizer does with the bytes of a chain and a signature: decode, verify the chain, check the leaf and the
/// proof of possession.
struct Theirs {
    stack: Vec<u8>,
    args: HashMap<String, ConstraintValue>,
    leaf: Warrant,
    holder: SigningKey,
    signature: tenuo::crypto::Signature,
    authorizer: Authorizer,
}

impl Theirs {
    /// As their own benchmark builds one: every link signed by another key, which is what a chain of holders looks like.
    fn new(depth: usize) -> Theirs {
        let keys: Vec<SigningKey> = (0..=depth).map(|_| SigningKey::generate()).collect();
        let under = || ConstraintSet::from_iter([("path".to_owned(), Subpath::new("/data").expect("a path").into())]);
        let mut chain: Vec<Warrant> = vec![
            Warrant::builder()
                .capability("read_file", under())
                .ttl(Duration::from_secs(3600))
                .holder(keys[1].public_key())
                .build(&keys[0])
                .expect("a warrant"),
        ];
        for link in 1..depth {
            let next = chain[link - 1]
                .attenuate()
                .capability("read_file", under())
                .holder(keys[link + 1].public_key())
                .build(&keys[link])
                .expect("a warrant");
            chain.push(next);
        }
        let args = HashMap::from([("path".to_owned(), ConstraintValue::String("/data/q3.pdf".to_owned()))]);
        let (leaf, holder) = (chain[depth - 1].clone(), keys[depth].clone());
        let signature = leaf.sign(&holder, "read_file", &args).expect("a signature");
        let stack = wire::encode_stack(&wire::WarrantStack(chain)).expect("bytes");
        let authorizer = Authorizer::new().with_trusted_root(keys[0].public_key());
        Theirs { stack, args, leaf, holder, signature, authorizer }
    }

    /// A signature counts for a window of 30 s; one from the window before would cost a second try.
    fn sign(&mut self) {
        self.signature = self.leaf.sign(&self.holder, "read_file", &self.args).expect("a signature");
    }

    fn once(&self) {
        let stack = wire::decode_stack(black_box(&self.stack)).expect("a chain");
        self.authorizer.check_chain(&stack.0, "read_file", &self.args, Some(&self.signature), &[]).expect("it is good");
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("it fits")
}

fn quantile(values: &mut [f64], which: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * which).round() as usize]
}

fn shown(values: &mut [f64]) -> String {
    format!("{:.0} ({:.0} to {:.0})", quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9))
}

fn ratio(values: &mut [f64]) -> String {
    format!("{:.2} ({:.2} to {:.2})", quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9))
}
