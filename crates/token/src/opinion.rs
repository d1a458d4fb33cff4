//! What Biscuit's own authorizer says about a request, beside the decision that counts.
//!
//! Others who hold the public key decide with Datalog; here it is asked in tests and by `lockgate grant verify`. Which
//! facts a verifier states is in TOKENS.md.

use crate::datalog::stated;
use crate::key::PublicKey;
use crate::token::Token;
use biscuit_auth::builder::{AuthorizerBuilder, Fact, Term, fact, string};
use biscuit_auth::{AuthorizerLimits, Biscuit};
use lockgate_authority::{Caveat, Decision, Grant, Mint, Names, PointKind, Request, Subject, Terms, Usage, authorize};
use std::time::Duration;

/// What Datalog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// Every check holds.
    Allows,
    /// One does not, or the token is none that `root` signed.
    Refuses,
    /// The limits on its work were reached first.
    Undecided,
}

/// Bounds on the work of Datalog. The library's own are 1 ms by the clock on the wall, which a busy machine exceeds.
const LIMITS: AuthorizerLimits =
    AuthorizerLimits { max_facts: 10_000, max_iterations: 100, max_time: Duration::from_secs(5) };

/// Asks Biscuit's own implementation, signatures included. Nothing counts as spent yet.
///
/// Milliseconds rather than microseconds: for tests and people.
pub fn second_opinion(token: &Token, root: PublicKey, request: &Request<'_>) -> Opinion {
    match ask(token, root, request) {
        Ok(_) => Opinion::Allows,
        Err(biscuit_auth::error::Token::RunLimit(_)) => Opinion::Undecided,
        Err(_) => Opinion::Refuses,
    }
}

fn ask(token: &Token, root: PublicKey, request: &Request<'_>) -> Result<usize, biscuit_auth::error::Token> {
    let root = biscuit_auth::PublicKey::from_bytes(root.as_bytes(), biscuit_auth::Algorithm::Ed25519)?;
    let biscuit = Biscuit::from(token.as_bytes(), root)?;
    let mut authorizer = AuthorizerBuilder::new().set_limits(LIMITS).policy("allow if true")?;
    for fact in facts(request).into_iter().chain(cleared(token, request)) {
        authorizer = authorizer.fact(fact)?;
    }
    authorizer.build(&biscuit)?.authorize_with_limits(LIMITS)
}

/// What is so about a request.
fn facts(request: &Request<'_>) -> Vec<Fact> {
    let number = |number: u64| Term::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let mut facts = vec![
        fact("request", &[string(request.kind.as_str()), string(request.name)]),
        stated("operation", string(request.op)),
        stated("time_ms", number(request.now_ms)),
        stated("starts_child", Term::Bool(request.spend().children > 0)),
    ];
    let mut private = false;
    match request.subject {
        Subject::None => {}
        Subject::Path(path) => facts.push(stated("path", string(path.as_str()))),
        Subject::Key(key) => facts.push(stated("key", string(key))),
        Subject::Url { url, method } => {
            private = url.host().is_known_private();
            facts.push(stated("scheme", string(url.scheme().as_str())));
            facts.push(stated("host", string(&url.host().to_string())));
            facts.push(stated("port", number(u64::from(url.port()))));
            facts.push(stated("url_path", string(url.path())));
            facts.push(stated("method", string(method)));
        }
        Subject::Child { depth } => facts.push(stated("depth", number(depth))),
        Subject::Continued => facts.push(stated("continued", Term::Bool(true))),
    }
    facts.push(stated("private", Term::Bool(private)));
    facts
}

/// The settings that a verifier looks at itself, as far as they clear.
fn cleared(token: &Token, request: &Request<'_>) -> Vec<Fact> {
    let clears = |caveat: &&Caveat| {
        let mut caveats = vec![(*caveat).clone()];
        if request.kind == PointKind::Http {
            caveats.push(Caveat::Private(true));
        }
        let alone = Grant::root(&mut Mint::new(), token.head().point.clone(), Names::All, caveats);
        matches!(authorize([&alone], request, &Usage::new()), Decision::Allow(_))
    };
    let caveats = token.terms().flat_map(Terms::caveats);
    caveats.filter(clears).map(|caveat| stated("clears", string(&Terms::setting(caveat)))).collect()
}
