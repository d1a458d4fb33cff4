//! The points of a session, as rules speak of them.

use crate::shape::{Field, Shape};
use lockgate_authority::{Manifest, Names, PointKind, Value};
use std::collections::BTreeMap;

/// The tools of each server that was asked, by the server's name.
pub type Tools = BTreeMap<String, Vec<ToolArguments>>;

/// One tool and what it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolArguments {
    /// The tool.
    pub name: String,
    /// JSON Schema of its arguments, as its server announced it.
    pub schema: Value,
}

/// The operations that rules of one manifest may concern.
///
/// A handle is named as a program names it: `fs.inbox`, `tool.mail`, `cell`; `http` is one handle for all points of that
/// kind, and rules tell hosts apart. An operation is named by its handle and itself: `fs.inbox.read`.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    pub(crate) handles: Vec<HandleOf>,
    /// Points of kinds that share a handle, such as `http.weather`.
    pub(crate) sections: Vec<Section>,
    /// Servers whose tools are known only as far as the manifest names them.
    pub(crate) unasked: Vec<String>,
    /// On whose behalf sessions under the manifest run.
    pub(crate) agent: String,
    /// The parties that the manifest names, and the built-in ones.
    pub(crate) parties: Vec<String>,
}

/// A point of a kind that shares a handle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    pub(crate) kind: PointKind,
    pub(crate) name: Box<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HandleOf {
    pub(crate) kind: PointKind,
    pub(crate) name: Box<str>,
    pub(crate) operations: Vec<OperationOf>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OperationOf {
    pub(crate) name: Box<str>,
    /// Of a tool whose server was asked.
    pub(crate) arguments: Option<Vec<Field>>,
}

/// Longest name of a tool that rules can speak of, in bytes.
const MAX_TOOL: usize = 256;

impl Points {
    /// The points of a manifest. `tools` holds what the tool servers announced; of a server that is not in it only the
    /// tools that the manifest names are known, and not their arguments.
    pub fn of(manifest: &Manifest, tools: &Tools) -> Points {
        let mut points = Points {
            handles: Vec::new(),
            sections: Vec::new(),
            unasked: Vec::new(),
            agent: manifest.agent().unwrap_or("agent").to_owned(),
            parties: manifest.parties().all().map(str::to_owned).collect(),
        };
        for kind in PointKind::ALL.iter().filter(|kind| !kind.is_named() || kind.shares_handle()) {
            points.handles.push(HandleOf::known(*kind, kind.as_str()));
        }
        for grant in manifest.grants() {
            let (kind, name) = (grant.point.kind, &*grant.point.name);
            if kind.shares_handle() {
                points.sections.push(Section { kind, name: name.into() });
            } else if kind == PointKind::Tool {
                let known = tools.get(name);
                if known.is_none() {
                    points.unasked.push(name.to_owned());
                }
                points.handles.push(HandleOf::of_tools(name, &grant.ops, known.map(Vec::as_slice)));
            } else if kind.is_named() {
                points.handles.push(HandleOf::known(kind, name));
            }
        }
        points
    }
}

impl HandleOf {
    fn known(kind: PointKind, name: &str) -> HandleOf {
        let names = kind.operations().unwrap_or_default();
        let operations = names.iter().map(|name| OperationOf { name: (*name).into(), arguments: None }).collect();
        HandleOf { kind, name: name.into(), operations }
    }

    fn of_tools(name: &str, granted: &Names, known: Option<&[ToolArguments]>) -> HandleOf {
        let mut operations: Vec<OperationOf> = match (known, granted) {
            (Some(tools), _) => tools
                .iter()
                .map(|tool| OperationOf {
                    name: tool.name.as_str().into(),
                    arguments: Some(Shape::of_arguments(&tool.schema)),
                })
                .collect(),
            (None, Names::Only(names)) => {
                names.iter().map(|name| OperationOf { name: name.clone(), arguments: None }).collect()
            }
            (None, Names::All) => Vec::new(),
        };
        operations.retain(|tool| tool.name.len() <= MAX_TOOL && !tool.name.chars().any(char::is_control));
        HandleOf { kind: PointKind::Tool, name: name.into(), operations }
    }

    /// `fs.inbox`, `http`, `cell`: a group of the operations, and the point.
    pub(crate) fn shown(&self) -> String {
        shown(self.kind, &self.name)
    }
}

impl Section {
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }
}

fn shown(kind: PointKind, name: &str) -> String {
    if kind.is_named() && !kind.shares_handle() { format!("{kind}.{name}") } else { kind.as_str().to_owned() }
}
