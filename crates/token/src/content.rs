//! What the blocks of a token say, typed, and the one text of it.
//!
//! The text is each block's `context`. The Datalog of a block is a function of the typed content
//! ([`datalog`](crate::datalog)), so a block is read by parsing its context and comparing everything else with what
//! would have been written.

use crate::error::TokenError;
use crate::key::PublicKey;
use lockgate_authority::{Point, PointKind, Principal, PrincipalKind, Terms};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// The version of what is written here.
const FORMAT: u64 = 1;

/// The first block: a grant as its issuer gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What it is authority over.
    pub point: Point,
    /// Who gives it.
    pub issuer: Principal,
    /// Whose signature each use must carry.
    pub holder: PublicKey,
    /// Not valid before this time, in milliseconds since the Unix epoch.
    pub not_before_ms: Option<u64>,
    /// Operations, named where a kind leaves a choice, and caveats.
    pub terms: Terms,
}

/// A further block: what a derivation adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Who holds the token from here on; only the holder before can say so.
    pub holder: Option<PublicKey>,
    /// Operations and caveats that are added.
    pub terms: Terms,
}

impl Head {
    /// Refuses what cannot be granted by a token: points that every cell has or that are made with it, and names that
    /// no manifest could have.
    pub(crate) fn check(&self) -> Result<(), TokenError> {
        if !GRANTED.contains(&self.point.kind) {
            return Err(TokenError::Unwritable("a token grants `fs`, `http`, `kv`, `tool` or `cell`"));
        }
        if self.point.kind.is_named() && !Point::is_name(&self.point.name) {
            return Err(TokenError::Unwritable("the point's name is not one that a manifest could give"));
        }
        if !Point::is_name(&self.issuer.name) {
            return Err(TokenError::Unwritable("the issuer's name is not a letter, then letters, digits, `_` or `-`"));
        }
        if self.terms.kind() != self.point.kind {
            return Err(TokenError::OtherKind(self.point.to_string()));
        }
        let chosen = matches!(self.point.kind, PointKind::Fs | PointKind::Kv | PointKind::Tool);
        if chosen && self.terms.ops().is_none() {
            return Err(TokenError::Unwritable("a grant names the operations that it permits"));
        }
        Ok(())
    }
}

/// The kinds of points that a token can grant.
const GRANTED: &[PointKind] = &[PointKind::Fs, PointKind::Http, PointKind::Kv, PointKind::Tool, PointKind::Cell];

impl Head {
    /// The one text of it.
    pub(crate) fn to_text(&self) -> String {
        let mut map = Map::new();
        let mut put = |key: &str, value: Json| drop(map.insert(key.to_owned(), value));
        put("lockgate", FORMAT.into());
        put("point", self.point.to_string().into());
        put("issuer", self.issuer.to_string().into());
        put("holder", self.holder.to_string().into());
        if let Some(time) = self.not_before_ms {
            put("not_before_ms", time.into());
        }
        put("terms", self.terms.to_json());
        Json::Object(map).to_string()
    }

    /// Reads the first block's text.
    pub(crate) fn parse(text: &str) -> Result<Head, &'static str> {
        let wire: WireHead = serde_json::from_str(text).map_err(|_| "its context is not that of a grant")?;
        if wire.lockgate != FORMAT {
            return Err("its context is of another version");
        }
        let point = point(&wire.point).ok_or("its context names no point")?;
        let head = Head {
            issuer: principal(&wire.issuer).ok_or("its context names no issuer")?,
            holder: wire.holder.parse().map_err(|_| "its context names no holder")?,
            not_before_ms: wire.not_before_ms,
            terms: Terms::parse(point.kind, wire.terms).map_err(|_| "its terms are not those of a grant")?,
            point,
        };
        head.check().map_err(|_| "its context names what no token grants")?;
        if head.to_text() == text { Ok(head) } else { Err(OTHER_FORM) }
    }
}

impl Link {
    /// The one text of it.
    pub(crate) fn to_text(&self) -> String {
        let holder = self.holder.map(|holder| ("holder".to_owned(), holder.to_string().into()));
        let terms = ("terms".to_owned(), self.terms.to_json());
        Json::Object(holder.into_iter().chain([terms]).collect()).to_string()
    }

    /// Reads a further block's text.
    pub(crate) fn parse(text: &str, kind: PointKind) -> Result<Link, &'static str> {
        let wire: WireLink = serde_json::from_str(text).map_err(|_| "its context is not that of a derivation")?;
        let holder = wire.holder.map(|text| text.parse()).transpose().map_err(|_| "its context names no holder")?;
        let terms = Terms::parse(kind, wire.terms).map_err(|_| "its terms are not those of a derivation")?;
        let link = Link { holder, terms };
        if link.to_text() == text { Ok(link) } else { Err(OTHER_FORM) }
    }
}

const OTHER_FORM: &str = "its context is not in its one form";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHead {
    lockgate: u64,
    point: String,
    issuer: String,
    holder: String,
    not_before_ms: Option<u64>,
    terms: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLink {
    holder: Option<String>,
    terms: Json,
}

fn point(text: &str) -> Option<Point> {
    let (kind, name) = text.split_once('.').unwrap_or((text, text));
    Some(Point::new(PointKind::from_name(kind)?, name))
}

fn principal(text: &str) -> Option<Principal> {
    let (kind, name) = text.split_once(':')?;
    let kinds = [PrincipalKind::Operator, PrincipalKind::Agent, PrincipalKind::Cell, PrincipalKind::External];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind)?;
    Some(Principal::new(kind, name))
}
