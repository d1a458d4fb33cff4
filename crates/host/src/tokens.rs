//! Tokens at a gate: what a session is opened with, who holds it, and which token stands behind which grant.

use crate::gate::OpenError;
use crate::keys::{KeyFileError, now_ms, random};
use crate::program::Program;
use lockgate_authority::{Grant, GrantId, HeldGrants, Manifest, Mint, Names, Point, Principal, ReasonCode, Value};
use lockgate_control::{Control, Remembered, Revoked};
use lockgate_crossing::body::MAX_INLINE;
use lockgate_token::{
    Agents, BlockId, Claim, Presented, Proof, PublicKey, Replays, Roots, SecretKey, Token, Unproven, Verifier,
    digest_of,
};
use sha2::{Digest, Sha256};

/// How far the clock of a holder may be from the gate's, in milliseconds.
const SKEW_MS: u64 = 60_000;
/// The operation that a holder signs to open a session.
const OPEN: &str = "session";

/// What a session is opened for, as its holder signs it: the manifest, and the program with its input or the caller with
/// its prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    manifest: [u8; 32],
    what: Value,
}

impl Opening {
    /// To run this program with this input.
    pub fn of_program(manifest: &Manifest, program: &Program, input: &Value) -> Opening {
        Opening { manifest: Sha256::digest(manifest.to_toml().as_bytes()).into(), what: running(program, input) }
    }

    /// To let somebody outside the process call tools.
    pub fn of_caller(manifest: &Manifest, caller: &Principal, prompt: &str) -> Opening {
        Opening { manifest: Sha256::digest(manifest.to_toml().as_bytes()).into(), what: calling(caller, prompt) }
    }

    /// The holder's signature to open a session at the gate with this key, now.
    pub fn prove(&self, token: &Token, holder: &SecretKey, gate: PublicKey) -> Result<Proof, KeyFileError> {
        let (point, args) = (&token.head().point, self.args());
        let claim = Claim { point, op: OPEN, args: &args, audience: gate };
        Ok(Proof::make(holder, token, &claim, now_ms(), random()?))
    }

    pub(crate) fn is_program(&self, program: &Program, input: &Value) -> bool {
        self.what == running(program, input)
    }

    pub(crate) fn is_caller(&self, caller: &Principal, prompt: &str) -> bool {
        self.what == calling(caller, prompt)
    }

    fn is_of(&self, manifest: &Manifest) -> bool {
        self.manifest == <[u8; 32]>::from(Sha256::digest(manifest.to_toml().as_bytes()))
    }

    fn args(&self) -> Value {
        Value::map([("manifest", Value::Bytes(self.manifest.to_vec())), ("what", self.what.clone())])
    }
}

fn running(program: &Program, input: &Value) -> Value {
    let digest = |(name, digest): &(String, [u8; 32])| (name.clone(), Value::Bytes(digest.to_vec()));
    Value::map([
        ("entry", Value::text(program.entry.as_str())),
        ("modules", Value::map(program.digests.iter().map(digest))),
        ("input", Value::Bytes(digest_of(input).to_vec())),
    ])
}

fn calling(caller: &Principal, prompt: &str) -> Value {
    Value::map([
        ("caller", Value::text(caller.to_string())),
        ("prompt", Value::Bytes(Sha256::digest(prompt.as_bytes()).to_vec())),
    ])
}

/// Tokens, each with its holder's proof, and what they are judged by.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// What the session is opened for. It runs nothing else.
    pub opening: Opening,
    /// The tokens, at most one for each point, all of one holder.
    pub tokens: Vec<(Token, Proof)>,
    /// The root keys that may have issued them.
    pub roots: Roots,
    /// The names of agents' keys, where the operator signed a list.
    pub agents: Option<Agents>,
}

/// What a session holds by tokens.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) opening: Opening,
    pub(crate) holder: PublicKey,
    pub(crate) behind: Vec<Behind>,
}

/// A token behind a grant.
#[derive(Debug)]
pub(crate) struct Behind {
    presented: Presented,
    proof: Proof,
    grant: GrantId,
    /// What each block became: what to revoke when it is.
    pub(crate) layers: Vec<(BlockId, GrantId)>,
}

/// A gate's tokens are judged by what its operator revoked and by which proofs were used, both of which survive it.
pub(crate) struct Judge<'a> {
    pub(crate) control: &'a Control,
    pub(crate) key: PublicKey,
}

impl OpenError {
    pub(crate) fn token(code: ReasonCode, message: impl Into<String>, hint: impl Into<String>) -> OpenError {
        OpenError::Token { code, message: message.into(), hint: hint.into() }
    }
}

impl From<Unproven> for OpenError {
    fn from(error: Unproven) -> OpenError {
        OpenError::token(error.code(), error.to_string(), error.hint())
    }
}

/// The manifest must be the one that was signed for, and every point that it holds by token alone must have one.
pub(crate) fn check_required(manifest: &Manifest, presented: Option<&Presentation>) -> Result<(), OpenError> {
    if presented.is_some_and(|presented| !presented.opening.is_of(manifest)) {
        return Err(Unproven::AlteredArguments.into());
    }
    let tokens = presented.map_or(&[][..], |presented| &presented.tokens);
    let is_missing = |point: &&Point| !tokens.iter().any(|(token, _)| token.head().point == **point);
    match manifest.tokens().required.iter().find(is_missing) {
        None => Ok(()),
        Some(point) => Err(OpenError::token(
            ReasonCode::PointNotGranted,
            format!("`{point}` is held by a token only, and none is presented"),
            "give it with `--grant FILE` and its holder's key with `--holder-key FILE`",
        )),
    }
}

/// Whose session it is: the agent that the operator's list names for the holder's key, else the manifest's.
pub(crate) fn agent(manifest: &Manifest, presented: Option<&Presentation>) -> Result<String, OpenError> {
    let named = || manifest.agent().unwrap_or("agent").to_owned();
    let listed = presented.and_then(|presented| Some((presented.agents.as_ref()?, presented.tokens.first()?)));
    let Some((agents, (token, _))) = listed else { return Ok(named()) };
    let holder = token.holder();
    let Some(name) = agents.name_of(holder) else {
        return Err(OpenError::token(
            ReasonCode::HolderUnproven,
            format!("the list of agents has no name for the holder's key {}", holder.fingerprint()),
            "add the key to the list and sign it again with `lockgate agents sign`",
        ));
    };
    match manifest.agent() {
        Some(other) if other != name => Err(OpenError::token(
            ReasonCode::HolderUnproven,
            format!("the manifest is for the agent `{other}`, the token's holder is `{name}`"),
            "use the manifest of that agent, or leave `agent` away",
        )),
        _ => Ok(name.to_owned()),
    }
}

impl Judge<'_> {
    /// Verifies each token with its proof and puts what it grants in the place of the manifest's grant over its point.
    pub(crate) fn open(
        &self,
        presented: Presentation,
        held: HeldGrants,
        mint: &mut Mint,
    ) -> Result<(HeldGrants, Option<Opened>), OpenError> {
        let Presentation { opening, tokens, roots, .. } = presented;
        let Some(holder) = tokens.first().map(|(token, _)| token.holder()) else { return Ok((held, None)) };
        if roots.is_empty() {
            return Err(OpenError::token(
                ReasonCode::TokenUntrusted,
                "no root key is trusted here, so no token is",
                "name its issuer's public key in the manifest's `[tokens] roots`, or with `--root FILE`",
            ));
        }
        check_alike(&tokens, holder)?;
        let (mut held, mut behind) = (held, Vec::new());
        for (token, proof) in tokens {
            let presented = self.admit(token, &proof, &opening, &roots)?;
            let (grant, layers) = issue(&presented, &held, mint)?;
            behind.push(Behind { presented, proof, grant: grant.id(), layers });
            held = held.replacing(grant);
        }
        Ok((held, Some(Opened { opening, holder, behind })))
    }

    fn admit(&self, token: Token, proof: &Proof, opening: &Opening, roots: &Roots) -> Result<Presented, OpenError> {
        let point = token.head().point.clone();
        let args = opening.args();
        let claim = Claim { point: &point, op: OPEN, args: &args, audience: self.key };
        // What cannot be read may hold a revocation.
        let is_revoked = |id: BlockId| {
            self.control.revocation(Revoked::Block(*id.as_bytes())).map_or(true, |revocation| revocation.is_some())
        };
        let verifier = Verifier { roots, now_ms: now_ms(), skew_ms: SKEW_MS, is_revoked: &is_revoked };
        Ok(verifier.admit(token, proof, &claim, &mut UsedProofs(self.control))?)
    }
}

/// Proofs that were used, in the file that outlives the gate.
struct UsedProofs<'a>(&'a Control);

impl Replays for UsedProofs<'_> {
    fn admit(&mut self, name: [u8; 32], ends_ms: u64, now_ms: u64) -> Result<(), Unproven> {
        match self.0.remember_proof(name, ends_ms, now_ms) {
            Ok(Remembered::New) => Ok(()),
            Ok(Remembered::Known) => Err(Unproven::Replayed),
            Ok(Remembered::Full) | Err(_) => Err(Unproven::Busy),
        }
    }
}

/// One holder, and one token for each point: of two, which one counts would be a matter of luck.
fn check_alike(tokens: &[(Token, Proof)], holder: PublicKey) -> Result<(), OpenError> {
    for (index, (token, _)) in tokens.iter().enumerate() {
        if token.holder() != holder {
            return Err(OpenError::token(
                ReasonCode::HolderUnproven,
                format!("the tokens have two holders, {} and {}", holder.fingerprint(), token.holder().fingerprint()),
                "a session has one holder: give its tokens alone",
            ));
        }
        let point = &token.head().point;
        if tokens.iter().take(index).any(|(other, _)| other.head().point == *point) {
            return Err(OpenError::token(
                ReasonCode::Misconfigured,
                format!("there are two tokens for `{point}`"),
                "give one token for each point",
            ));
        }
    }
    Ok(())
}

/// What the token grants here: no more than the manifest offers.
fn issue(
    presented: &Presented,
    held: &HeldGrants,
    mint: &mut Mint,
) -> Result<(Grant, Vec<(BlockId, GrantId)>), OpenError> {
    let point = &presented.token().head().point;
    let offered = held.all().iter().find(|grant| grant.point() == point).ok_or_else(|| {
        OpenError::token(
            ReasonCode::PointNotGranted,
            format!("the token is about `{point}`, which the manifest does not offer"),
            format!("add the section `[{point}]` to the manifest: a token opens only what is there"),
        )
    })?;
    let issued = presented
        .under(mint, offered)
        .map_err(|error| OpenError::token(ReasonCode::Misconfigured, error.to_string(), "ask for a shorter token"))?;
    if issued.grant.operations() == Names::Only([].into()) {
        return Err(OpenError::token(
            ReasonCode::Misconfigured,
            format!("the manifest and the token have no operation on `{point}` in common"),
            "compare the section with what `lockgate grant show` prints",
        ));
    }
    Ok((issued.grant, issued.layers))
}

impl Opened {
    /// Which grant each block of each token became.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (BlockId, GrantId)> {
        self.behind.iter().flat_map(|behind| behind.layers.iter().copied())
    }

    /// `{holder, tokens}` for a session's start; an error where it is more than an entry holds.
    pub(crate) fn recorded(&self) -> Result<Vec<(&'static str, Value)>, OpenError> {
        let tokens: Vec<Value> = self.behind.iter().map(Behind::recorded).collect();
        let tokens = Value::List(tokens);
        if tokens.weight() > MAX_INLINE as u64 {
            return Err(OpenError::token(
                ReasonCode::TooLarge,
                format!("what the tokens say is more than the {MAX_INLINE} bytes that an entry holds"),
                "ask for tokens that were derived less often",
            ));
        }
        Ok(vec![("holder", Value::text(self.holder.fingerprint().to_string())), ("tokens", tokens)])
    }
}

impl Behind {
    /// `{point, issuer, root, holder, sha256, grant, blocks, proof}`; of each block `{id, grant, terms}`, and `holder` where it
    /// hands the token on.
    fn recorded(&self) -> Value {
        let token = self.presented.token();
        let holders = std::iter::once(None).chain(token.links().iter().map(|link| link.holder));
        let blocks = self.layers.iter().zip(token.terms()).zip(holders).map(|(((id, grant), terms), holder)| {
            let holder = holder.map(|holder| ("holder", Value::text(holder.to_string())));
            Value::map(
                [
                    ("id", Value::text(id.to_string())),
                    ("grant", number(grant.get())),
                    ("terms", Value::from_json(terms.to_json())),
                ]
                .into_iter()
                .chain(holder),
            )
        });
        Value::map([
            ("point", Value::text(token.head().point.to_string())),
            ("issuer", Value::text(token.head().issuer.to_string())),
            ("root", Value::text(self.presented.root().to_string())),
            ("holder", Value::text(token.holder().to_string())),
            ("sha256", Value::Bytes(token.digest().to_vec())),
            ("grant", number(self.grant.get())),
            ("blocks", Value::List(blocks.collect())),
            ("proof", Value::text(self.proof.to_text())),
        ])
    }
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
