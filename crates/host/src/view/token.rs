//! The tokens behind a session's grants, as its start tells them.

use super::body::Fields;
use lockgate_authority::{HeldGrants, Mint, PointKind, Terms, Value};

/// A token behind a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBehind {
    /// The point.
    pub point: String,
    /// Who issued it, as its first block says.
    pub issuer: String,
    /// The root key that signed it.
    pub root: String,
    /// The key that used it.
    pub holder: String,
    /// The id of each block, from the first, and the number of the grant that it became.
    pub blocks: Vec<(String, u64)>,
}

/// Derives the grants of a session's tokens again, in the places that they had; `None` where the entry does not tell.
pub(super) fn retold(fields: &Fields, roots: HeldGrants, mint: &mut Mint) -> Option<(HeldGrants, Vec<TokenBehind>)> {
    let Some(tokens) = fields.get("tokens") else { return Some((roots, Vec::new())) };
    let (mut roots, mut behind) = (roots, Vec::new());
    for token in tokens.as_list()? {
        let found = read(token)?;
        let kind = PointKind::from_name(found.point.split('.').next()?)?;
        let terms = |block: &Value| Terms::from_value(kind, block.get("terms")?).ok();
        let chain: Vec<Terms> = token.get("blocks")?.as_list()?.iter().map(terms).collect::<Option<_>>()?;
        let offered = roots.all().iter().find(|grant| grant.point().to_string() == found.point)?;
        let (grant, _) = Terms::narrow(&chain, offered, mint).ok()?;
        if Some(grant.id().get()) != token.get("grant")?.as_u64() {
            return None;
        }
        roots = roots.replacing(grant);
        behind.push(found);
    }
    Some((roots, behind))
}

fn read(token: &Value) -> Option<TokenBehind> {
    let text = |key: &str| token.get(key).and_then(Value::as_text).map(str::to_owned);
    let block = |block: &Value| Some((block.get("id")?.as_text()?.to_owned(), block.get("grant")?.as_u64()?));
    Some(TokenBehind {
        point: text("point")?,
        issuer: text("issuer")?,
        root: text("root")?,
        holder: text("holder")?,
        blocks: token.get("blocks")?.as_list()?.iter().map(block).collect::<Option<_>>()?,
    })
}
