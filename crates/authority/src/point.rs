//! Who acts, and on what.

use std::fmt;
use std::sync::Arc;

/// What kind of party a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// The person or program that runs the gate and wrote the manifest.
    Operator,
    /// A named agent on whose behalf cells run.
    Agent,
    /// One cell.
    Cell,
    /// A party outside the process.
    External,
}

impl PrincipalKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            PrincipalKind::Operator => "operator",
            PrincipalKind::Agent => "agent",
            PrincipalKind::Cell => "cell",
            PrincipalKind::External => "external",
        }
    }
}

/// One to whom acts are attributed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// What kind of party.
    pub kind: PrincipalKind,
    /// Its name, unique among its kind.
    pub name: Arc<str>,
}

impl Principal {
    /// A principal of this kind and name.
    pub fn new(kind: PrincipalKind, name: impl Into<Arc<str>>) -> Self {
        Principal { kind, name: name.into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

/// The kinds of interaction points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// A directory.
    Fs,
    /// Hosts reached by HTTP. A cell has one handle for all its `http` grants.
    Http,
    /// A durable key-value store.
    Kv,
    /// An MCP server; its operations are its tools.
    Tool,
    /// Starting child cells and talking to them.
    Cell,
    /// The message channel of a child cell to its parent.
    Parent,
    /// The clock and timers.
    Clock,
    /// Random bytes.
    Random,
    /// Console output.
    Log,
    /// Saying of exact bytes that they count as written by others.
    Endorse,
    /// Letting others read exact bytes.
    Declassify,
    /// Reading, or giving up, values that the gate keeps unread.
    Sealed,
}

impl PointKind {
    /// Every kind.
    pub const ALL: &'static [PointKind] = &[
        PointKind::Fs,
        PointKind::Http,
        PointKind::Kv,
        PointKind::Tool,
        PointKind::Cell,
        PointKind::Parent,
        PointKind::Clock,
        PointKind::Random,
        PointKind::Log,
        PointKind::Endorse,
        PointKind::Declassify,
        PointKind::Sealed,
    ];

    /// What every cell has without asking, as far as its parent has it.
    pub const ALWAYS: &'static [PointKind] = &[PointKind::Clock, PointKind::Random, PointKind::Log, PointKind::Sealed];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            PointKind::Fs => "fs",
            PointKind::Http => "http",
            PointKind::Kv => "kv",
            PointKind::Tool => "tool",
            PointKind::Cell => "cell",
            PointKind::Parent => "parent",
            PointKind::Clock => "clock",
            PointKind::Random => "random",
            PointKind::Log => "log",
            PointKind::Endorse => "endorse",
            PointKind::Declassify => "declassify",
            PointKind::Sealed => "sealed",
        }
    }

    /// The kind of a stable name.
    pub fn from_name(name: &str) -> Option<PointKind> {
        PointKind::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// The operations of every point of this kind, sorted; `None` for tools, whose operations are their own.
    pub const fn operations(self) -> Option<&'static [&'static str]> {
        match self {
            PointKind::Fs => Some(&["list", "mkdir", "read", "remove", "stat", "write"]),
            PointKind::Http => Some(&["body", "cancel", "request"]),
            PointKind::Kv => Some(&["delete", "get", "list", "set"]),
            PointKind::Tool => None,
            PointKind::Cell => Some(&["receive", "result", "send", "spawn", "stop"]),
            PointKind::Parent => Some(&["receive", "send"]),
            PointKind::Clock => Some(&["now", "sleep"]),
            PointKind::Random => Some(&["bytes"]),
            PointKind::Log => Some(&["debug", "error", "info", "log", "warn"]),
            PointKind::Endorse => Some(&["endorse"]),
            PointKind::Declassify => Some(&["declassify"]),
            PointKind::Sealed => Some(&["drop", "open"]),
        }
    }

    /// Whether there are several points of this kind, told apart by their names.
    pub const fn is_named(self) -> bool {
        matches!(
            self,
            PointKind::Fs
                | PointKind::Http
                | PointKind::Kv
                | PointKind::Tool
                | PointKind::Endorse
                | PointKind::Declassify
        )
    }

    /// Whether what is read there comes from outside the gate, and what is sent there leaves it.
    pub const fn is_outside(self) -> bool {
        matches!(self, PointKind::Fs | PointKind::Http | PointKind::Kv | PointKind::Tool)
    }

    /// Whether what is sent there comes back as a sealed value with another label.
    pub const fn regrades(self) -> bool {
        matches!(self, PointKind::Endorse | PointKind::Declassify)
    }

    /// The argument that holds what an operation puts where it can be read again.
    pub fn content_argument(self, op: &str) -> Option<&'static str> {
        match (self, op) {
            (PointKind::Fs, "write") => Some("data"),
            (PointKind::Kv, "set") => Some("value"),
            _ => None,
        }
    }

    /// Whether the result of an operation is what was put there.
    pub fn gives_content(self, op: &str) -> bool {
        matches!((self, op), (PointKind::Fs, "read") | (PointKind::Kv, "get"))
    }

    /// Whether one handle stands for all points of this kind that a cell holds.
    pub const fn shares_handle(self) -> bool {
        matches!(self, PointKind::Http)
    }
}

impl fmt::Display for PointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A named interaction point on a boundary: a directory, a set of hosts, a store, a tool server, …
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// What kind.
    pub kind: PointKind,
    /// Its name; the kind's own name where [`PointKind::is_named`] is false.
    pub name: Arc<str>,
}

impl Point {
    /// The point of this kind and name.
    pub fn new(kind: PointKind, name: impl Into<Arc<str>>) -> Self {
        Point { kind, name: name.into() }
    }

    /// The only point of a kind that has just one.
    pub fn only(kind: PointKind) -> Self {
        Point::new(kind, kind.as_str())
    }

    /// Whether a handle of `kind` and `name` stands for this point.
    pub fn is_meant_by(&self, kind: PointKind, name: &str) -> bool {
        self.kind == kind && (kind.shares_handle() || &*self.name == name)
    }

    /// Whether `name` can name a point: a letter, then up to 62 letters, digits, `_` or `-`.
    ///
    /// Names become properties of an object in the guest, so those that JavaScript gives a meaning are refused.
    pub fn is_name(name: &str) -> bool {
        let reserved = ["constructor", "prototype", "hasOwnProperty", "toString", "valueOf", "then"];
        name.len() <= 63
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            && !reserved.contains(&name)
    }
}

impl serde::Serialize for Point {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_named() { write!(f, "{}.{}", self.kind, self.name) } else { self.kind.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_sorted_and_kinds_have_names() {
        for kind in PointKind::ALL {
            assert_eq!(PointKind::from_name(kind.as_str()), Some(*kind));
            assert!(kind.operations().is_none_or(<[_]>::is_sorted), "{kind}");
        }
    }

    #[test]
    fn n06_names_of_points_are_plain() {
        for name in ["data", "a", "out-2", "Data_1"] {
            assert!(Point::is_name(name), "{name}");
        }
        for name in ["", "_x", "__proto__", "constructor", "2x", "a.b", "a b", "then", "a\0", "é"] {
            assert!(!Point::is_name(name), "{name}");
        }
        assert!(!Point::is_name(&"a".repeat(64)));
    }
}
