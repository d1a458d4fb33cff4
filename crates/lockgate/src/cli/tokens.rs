//! Flags by which a command is given tokens, and what it presents to the gate.

use super::agents;
use super::grant::{read_token, roots};
use super::key::secret_key;
use super::output::Trouble;
use lockgate_authority::{Manifest, ReasonCode};
use lockgate_host::{Gate, Opening, Presentation};
use lockgate_token::{Agents, PublicKey, Roots, SecretKey, Token};
use std::path::PathBuf;

/// Flags of every command that opens a session.
#[derive(clap::Args, Default)]
pub(crate) struct Tokens {
    /// A token (`lockgate grant create`) from which the grant over its point comes, never more than the manifest offers
    #[arg(long, value_name = "FILE", requires = "holder_key")]
    grant: Vec<PathBuf>,
    /// The private key of the tokens' holder, whose session it is
    #[arg(long, value_name = "FILE", requires = "grant")]
    holder_key: Option<PathBuf>,
    /// A key whose tokens are accepted, besides the manifest's `[tokens] roots`: a public key's file, or `ed25519/…`
    #[arg(long, value_name = "FILE|KEY", requires = "grant")]
    root: Vec<String>,
    /// A signed statement that another key follows one of them (`lockgate key rotate`)
    #[arg(long, value_name = "FILE", requires = "grant")]
    statement: Vec<PathBuf>,
    /// The operator's signed list of agents, by which the holder is named
    #[arg(long, value_name = "FILE", requires = "grant")]
    agents: Option<PathBuf>,
    /// The gate's own key; `gate.key` beside the journal unless given
    #[arg(long, value_name = "FILE")]
    pub(crate) gate_key: Option<PathBuf>,
}

/// Tokens that were read, with their holder's key.
pub(crate) struct Loaded {
    tokens: Vec<Token>,
    holder: SecretKey,
    roots: Vec<PublicKey>,
    agents: Option<Agents>,
}

impl Tokens {
    /// Reads them, before anything is started; `None` where there are none.
    pub(crate) fn load(&self, manifest: &Manifest) -> Result<Option<Loaded>, Trouble> {
        let Some(holder) = self.holder_key.as_deref().filter(|_| !self.grant.is_empty()) else { return Ok(None) };
        let tokens = self.grant.iter().map(|path| read_token(path)).collect::<Result<Vec<_>, _>>()?;
        let holder = secret_key(holder)?;
        if let Some((path, token)) = self.grant.iter().zip(&tokens).find(|(_, token)| token.holder() != holder.public())
        {
            let (found, wanted) = (holder.public().fingerprint(), token.holder().fingerprint());
            return Err(Trouble {
                code: ReasonCode::HolderUnproven.as_str().to_owned(),
                ..Trouble::usage(format!("`{}`: its holder is {wanted}, the key given is {found}", path.display()))
            }
            .hint("give the holder's key with `--holder-key FILE`"));
        }
        let keys: Vec<String> = manifest.tokens().roots.iter().chain(&self.root).cloned().collect();
        let roots = roots(&keys, &self.statement)?;
        let agents = self.agents.as_deref().map(|path| agents::signed(path, &roots)).transpose()?;
        Ok(Some(Loaded { tokens, holder, roots, agents: agents.map(|(agents, _)| agents) }))
    }
}

impl Loaded {
    /// Signs each token's use at this gate.
    pub(crate) fn present(self, opening: Opening, gate: &Gate) -> Result<Presentation, Trouble> {
        let key = gate.key()?;
        let prove = |token: Token| {
            let proof = opening.prove(&token, &self.holder, key)?;
            Ok::<_, Trouble>((token, proof))
        };
        let tokens = self.tokens.into_iter().map(prove).collect::<Result<_, _>>()?;
        Ok(Presentation { opening, tokens, roots: Roots::new(self.roots), agents: self.agents })
    }
}
