//! Names of Cedar entities.

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use lockgate_authority::{Principal, PrincipalKind};
use std::str::FromStr;

/// The types of entities that rules speak of.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    action: EntityTypeName,
    point: EntityTypeName,
    operation: EntityTypeName,
    count: EntityTypeName,
    operator: EntityTypeName,
    agent: EntityTypeName,
    cell: EntityTypeName,
    external: EntityTypeName,
}

impl Types {
    /// `None` where Cedar does not take one of our names, which a test excludes.
    pub(crate) fn new() -> Option<Types> {
        let of = |name: &str| EntityTypeName::from_str(name).ok();
        Some(Types {
            action: of("Action")?,
            point: of("Point")?,
            operation: of("Operation")?,
            count: of("Count")?,
            operator: of("Operator")?,
            agent: of("Agent")?,
            cell: of("Cell")?,
            external: of("External")?,
        })
    }

    pub(crate) fn action(&self, id: &str) -> EntityUid {
        uid(&self.action, id)
    }

    pub(crate) fn point(&self, id: &str) -> EntityUid {
        uid(&self.point, id)
    }

    pub(crate) fn operation(&self, id: &str) -> EntityUid {
        uid(&self.operation, id)
    }

    /// The counts of the session.
    pub(crate) fn count(&self) -> EntityUid {
        uid(&self.count, "session")
    }

    pub(crate) fn principal(&self, principal: &Principal) -> EntityUid {
        let kind = match principal.kind {
            PrincipalKind::Operator => &self.operator,
            PrincipalKind::Agent => &self.agent,
            PrincipalKind::Cell => &self.cell,
            PrincipalKind::External => &self.external,
        };
        uid(kind, &principal.name)
    }

    /// A cell and what lies above it, nearest first: `agent/a/b` lies below the cell `agent/a` and the agent `agent`.
    pub(crate) fn lineage(&self, principal: &Principal) -> Vec<EntityUid> {
        let mut lineage = vec![self.principal(principal)];
        let mut name: &str = &principal.name;
        while let (PrincipalKind::Cell, Some((above, _))) = (principal.kind, name.rsplit_once('/')) {
            let kind = if above.contains('/') { &self.cell } else { &self.agent };
            lineage.push(uid(kind, above));
            name = above;
        }
        lineage
    }

    /// Whether the entity is an agent.
    pub(crate) fn is_agent(&self, kind: &EntityTypeName) -> bool {
        *kind == self.agent
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// A text as Cedar writes it, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            other if other.is_control() => out.extend(other.escape_default()),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
