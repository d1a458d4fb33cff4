//! Cedar's schema of a session's points.

use crate::names::quoted;
use crate::points::{HandleOf, OperationOf, Points};
use crate::shape::record;
use lockgate_authority::PointKind;
use std::collections::BTreeSet;
use std::fmt::Write;

impl Points {
    /// The schema against which rules are checked, in Cedar's own form.
    pub fn schema(&self) -> String {
        self.schema_where(|_| true)
    }

    /// The same in which only these operations, by number, can be asked for; the others are names.
    pub(crate) fn schema_where(&self, applies: impl Fn(usize) -> bool) -> String {
        let mut numbers = 0..;
        let mut out = String::from(PRINCIPALS);
        let points: Vec<String> = self.point_names().iter().map(|name| quoted(name)).collect();
        let operations: Vec<String> = self.operation_names().iter().map(|name| quoted(name)).collect();
        // Writing to a `String` cannot fail, here and below.
        let _ = write!(
            out,
            "// What crosses a boundary, and what may be done there.\nentity Point enum [{}];\nentity Operation enum [{}];\n\n",
            points.join(", "),
            operations.join(", ")
        );
        let counts = self.handles.iter().flat_map(|handle| {
            std::iter::once(handle.shown()).chain(handle.operations.iter().map(|operation| handle.id(operation)))
        });
        let counts: Vec<String> = counts.map(|id| format!("{}: Long", quoted(&id))).collect();
        let _ = write!(
            out,
            "// Crossings of the session, by point and by operation.\nentity Count = {{ {} }};\n\n{TYPES}\n",
            counts.join(", ")
        );
        let kinds: BTreeSet<PointKind> = PointKind::ALL.iter().copied().collect();
        for kind in kinds {
            let _ = writeln!(out, "action {};", quoted(kind.as_str()));
        }
        for handle in &self.handles {
            let _ = writeln!(out);
            if handle.kind.is_named() && !handle.kind.shares_handle() {
                let _ = writeln!(out, "action {} in [{}];", quoted(&handle.shown()), quoted(handle.kind.as_str()));
            }
            for (operation, number) in handle.operations.iter().zip(&mut numbers) {
                out.push_str(&action(handle, operation, applies(number)));
            }
        }
        out
    }

    /// Names of points, in an order that [`History`](crate::History) counts by.
    pub(crate) fn point_names(&self) -> Vec<String> {
        let handles = self.handles.iter().map(HandleOf::shown);
        handles.chain(self.sections.iter().map(crate::points::Section::shown)).collect()
    }

    /// Names of operations, in an order that [`History`](crate::History) counts by.
    pub(crate) fn operation_names(&self) -> Vec<String> {
        let of = |handle: &HandleOf| -> Vec<String> {
            handle.operations.iter().map(|operation| handle.id(operation)).collect()
        };
        self.handles.iter().flat_map(of).collect()
    }
}

impl HandleOf {
    /// `fs.inbox.read`.
    pub(crate) fn id(&self, operation: &OperationOf) -> String {
        format!("{}.{}", self.shown(), operation.name)
    }
}

fn action(handle: &HandleOf, operation: &OperationOf, applies: bool) -> String {
    if !applies {
        return format!("action {} in [{}];\n", quoted(&handle.id(operation)), quoted(&handle.shown()));
    }
    let own = match (handle.kind, &*operation.name) {
        (PointKind::Fs, _) => "  path: String,\n".to_owned(),
        (PointKind::Kv, _) => "  key: String,\n".to_owned(),
        (PointKind::Http, "request") => HTTP.to_owned(),
        (PointKind::Cell, "spawn") => "  child: { name: String, depth: Long, asks: Set<Point> },\n".to_owned(),
        (PointKind::Tool, _) => match &operation.arguments {
            Some(fields) => format!("  args: {},\n", record(fields)),
            None => String::new(),
        },
        _ => String::new(),
    };
    format!(
        "action {} in [{}] appliesTo {{ principal: [Operator, Agent, Cell, External], resource: [Point], context: {{\n{own}{COMMON}}} }};\n",
        quoted(&handle.id(operation)),
        quoted(&handle.shown()),
    )
}

const PRINCIPALS: &str = "\
// Who asks. A child cell lies below the cell that started it and below its agent: `principal in Agent::\"name\"`.
entity Operator;
entity Agent;
entity Cell in [Agent, Cell];
entity External;

";

const TYPES: &str = "\
// What was done before in the session, by all its cells. A crossing counts from when it is allowed.
type Session = {
  read: Set<Point>,        // what something was read from
  sent: Set<Point>,        // what something was sent to
  done: Set<Operation>,
  count: Count,
  calls: Long,             // crossings in all
  refusals: Long,
};
// What is sent depends on this: who could have written it, who may read it (nobody is named where everybody may).
type Label = { writers: Set<String>, readers: Set<String>, public: Bool };
// The gate's clock, UTC. Monday is 1, Sunday 7; a day is like \"2026-11-28\".
type Time = { at: datetime, hour: Long, weekday: Long, day: String };
";

const COMMON: &str = "\
  agent: String,
  depth: Long,
  bytes: Long,
  label: Label,
  session: Session,
  time: Time,
";

const HTTP: &str = "\
  method: String,
  url: String,
  scheme: String,
  host: String,
  port: Long,
  path: String,
  query?: String,
  redirected: Bool,
";
