//! What one grant, or one derivation of it, permits, as JSON in the words of a manifest: the form in which it travels.

use crate::caveat::{Caveat, Names};
use crate::config::Problem;
use crate::config::grant::{Form, Terms as Read, keys, read_terms};
use crate::config::node::Node;
use crate::config::problem::Problems;
use crate::config::read::Item;
use crate::config::render::{exact_settings, setting};
use crate::grant::{Grant, GrantId, Mint, TooManyLayers};
use crate::manifest::{ManifestErrors, ManifestGrant};
use crate::point::PointKind;
use crate::spawn::GrantRequest;
use crate::value::Value;
use serde_json::Value as Json;
use toml::de::DeTable;

/// Operations and caveats on one kind of point that can be written and read back without loss.
///
/// Equal terms have the same [`Terms::to_json`]; a reader that wants one spelling alone compares with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    kind: PointKind,
    ops: Option<Names>,
    caveats: Vec<Caveat>,
}

/// Why something cannot be written as terms or is not how terms are written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Two caveats of one sort on the same thing, or a number that no manifest can write.
    #[error("these caveats have no written form that reads back to them")]
    Unwritable,
    /// The text is not what terms look like.
    #[error("{}", list(.0))]
    Malformed(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Terms {
    /// These operations, all of the kind's where there is `None`, under these caveats, in any order.
    pub fn new(kind: PointKind, ops: Option<Names>, caveats: Vec<Caveat>) -> Result<Terms, TermsError> {
        let wanted = Terms { kind, ops: written_ops(kind, ops), caveats: sorted(caveats) };
        // What is read back decides: whatever this form cannot say comes back different.
        match read(kind, wanted.to_json()) {
            Ok(found) if sorted(found.caveats.clone()) == wanted.caveats && found.ops == wanted.ops => Ok(found),
            Ok(_) => Err(TermsError::Unwritable),
            Err(problems) => Err(TermsError::Malformed(problems)),
        }
    }

    /// Reads terms, in whatever spelling. Unknown keys are refused. Linear in the text.
    pub fn parse(kind: PointKind, json: Json) -> Result<Terms, TermsError> {
        Terms::from_value(kind, &Value::from_json(json))
    }

    /// Reads terms from an entry of the journal; as [`Terms::parse`].
    pub fn from_value(kind: PointKind, value: &Value) -> Result<Terms, TermsError> {
        read_value(kind, value).map_err(TermsError::Malformed)
    }

    /// Reads the lines that a manifest's section of this kind would have, as a person writes them: `calls = 10`. None is
    /// needed, and none has a default.
    pub fn from_settings(kind: PointKind, text: &str) -> Result<Terms, ManifestErrors> {
        let failed = |problems: Problems| ManifestErrors {
            file: "settings".to_owned(),
            problems: problems.into_list(Some(text)),
        };
        let mut problems = Problems::default();
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            problems.add("", error.span(), error.message().to_owned(), None);
        }
        let node = Node::from_toml_table(table.get_ref(), None);
        let section = Item::root(&node, "").section(&keys(kind, Form::Exact), &mut problems);
        let terms = section.map(|section| read_terms(kind, &section, Form::Ask, &mut problems));
        refuse_labels(terms.as_ref(), &mut problems);
        let terms = terms.filter(|_| problems.is_empty()).map(|terms| Terms::new(kind, terms.ops, terms.caveats));
        match terms {
            Some(Ok(terms)) => Ok(terms),
            Some(Err(error)) => {
                problems.add("", None, error.to_string(), Some("give each sort of caveat once".to_owned()));
                Err(failed(problems))
            }
            None => Err(failed(problems)),
        }
    }

    /// The keys that a manifest has for this kind of point, in the order of the documentation, nothing left to a
    /// default.
    pub fn to_json(&self) -> Json {
        let settings = exact_settings(self.kind, self.ops.as_ref(), &self.caveats);
        Json::Object(settings.into_iter().map(|(key, value)| (key, json(value))).collect())
    }

    /// The kind of point that they are about.
    pub fn kind(&self) -> PointKind {
        self.kind
    }

    /// The operations; `None` for all that the kind has, or that what they are added to permits.
    pub fn ops(&self) -> Option<&Names> {
        self.ops.as_ref()
    }

    /// The caveats, without that on operations.
    pub fn caveats(&self) -> &[Caveat] {
        &self.caveats
    }

    /// Operations and caveats as one list, as [`Grant::attenuate`](crate::Grant::attenuate) takes it.
    pub fn into_caveats(self) -> Vec<Caveat> {
        self.ops.into_iter().map(Caveat::Ops).chain(self.caveats).collect()
    }

    /// `offered` under a chain of derivations, from the first, and the layer that each became.
    ///
    /// Of hosts: where the first says nothing of private addresses it allows none, whatever is offered.
    pub fn narrow<'t>(
        chain: impl IntoIterator<Item = &'t Terms>,
        offered: &Grant,
        mint: &mut Mint,
    ) -> Result<(Grant, Vec<GrantId>), TooManyLayers> {
        let (mut grant, mut layers, mut public_only) = (offered.clone(), Vec::new(), false);
        for terms in chain {
            let silent = layers.is_empty() && terms.kind == PointKind::Http;
            public_only |= silent && !terms.caveats.contains(&Caveat::Private(true));
            grant = grant.attenuate(mint, terms.clone().into_caveats())?;
            layers.push(grant.id());
        }
        if public_only {
            grant = grant.attenuate(mint, vec![Caveat::Private(false)])?;
        }
        Ok((grant, layers))
    }

    /// One caveat as a manifest's setting, `{"calls":3}`.
    pub fn setting(caveat: &Caveat) -> String {
        let (key, value) = setting(caveat);
        Json::Object([(key, json(value))].into_iter().collect()).to_string()
    }
}

impl TryFrom<&ManifestGrant> for Terms {
    type Error = TermsError;

    fn try_from(grant: &ManifestGrant) -> Result<Terms, TermsError> {
        Terms::new(grant.point.kind, Some(grant.ops.clone()), grant.caveats.clone())
    }
}

impl TryFrom<GrantRequest> for Terms {
    type Error = TermsError;

    fn try_from(request: GrantRequest) -> Result<Terms, TermsError> {
        Terms::new(request.kind, request.ops, request.caveats)
    }
}

fn read(kind: PointKind, json: Json) -> Result<Terms, Vec<Problem>> {
    read_value(kind, &Value::from_json(json))
}

fn read_value(kind: PointKind, value: &Value) -> Result<Terms, Vec<Problem>> {
    let mut problems = Problems::default();
    let node = Node::from_value(value);
    let found = Item::root(&node, "").section(&keys(kind, Form::Exact), &mut problems);
    let terms = found.map(|section| read_terms(kind, &section, Form::Exact, &mut problems));
    refuse_labels(terms.as_ref(), &mut problems);
    match terms {
        Some(terms) if problems.is_empty() => Ok(Terms { kind, ops: terms.ops, caveats: terms.caveats }),
        _ => Err(problems.into_list(None)),
    }
}

/// Parties are one gate's: elsewhere the same name may be another's.
fn refuse_labels(terms: Option<&Read>, problems: &mut Problems) {
    for label in terms.iter().flat_map(|terms| &terms.labels) {
        let hint = Some("what is read and sent through the point is labelled by the manifest of the gate".to_owned());
        problems.add(&label.key, label.span.clone(), "labels do not travel with a grant", hint);
    }
}

/// Where a kind's operations are not a matter of choice, naming all of them is saying nothing.
fn written_ops(kind: PointKind, ops: Option<Names>) -> Option<Names> {
    let all = Names::only(kind.operations().unwrap_or_default());
    match (kind, ops) {
        (PointKind::Fs | PointKind::Kv, Some(Names::All)) => Some(all),
        (PointKind::Fs | PointKind::Kv | PointKind::Tool, ops) => ops,
        (_, Some(ops)) if ops == all || ops == Names::All => None,
        (_, ops) => ops,
    }
}

fn sorted(mut caveats: Vec<Caveat>) -> Vec<Caveat> {
    // Of one rank there are several only for arguments, which the setting tells apart.
    caveats.sort_by_cached_key(|caveat| (caveat.rank(), Terms::setting(caveat)));
    caveats
}

fn json(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => Json::String(text),
        toml::Value::Integer(number) => Json::from(number),
        toml::Value::Float(number) => Json::from(number),
        toml::Value::Boolean(flag) => Json::Bool(flag),
        toml::Value::Datetime(time) => Json::String(time.to_string()),
        toml::Value::Array(items) => Json::Array(items.into_iter().map(json).collect()),
        toml::Value::Table(table) => Json::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}
