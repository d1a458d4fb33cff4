//! Which name belongs to which key.

use crate::key::PublicKey;
use lockgate_authority::Point;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The names of agents' keys, as an operator wrote them down:
///
/// ```toml
/// [agents.bob]
/// key = "ed25519/…"
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agents(BTreeMap<String, PublicKey>);

/// Why a list of agents cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentsError {
    /// It is not TOML of this shape.
    #[error("{0}")]
    Shape(String),
    /// A name that no agent has.
    #[error("`{0}` is not a name: a letter, then letters, digits, `_` or `-`")]
    Name(String),
    /// A key that is none.
    #[error("the key of `{0}`: {1}")]
    Key(String, crate::KeyError),
    /// One key under two names.
    #[error("`{0}` and `{1}` have the same key")]
    Shared(String, String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    agents: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: String,
}

impl Agents {
    /// Reads the list. Whether its operator wrote it is said by a [`Statement`](crate::Statement) about the file.
    pub fn parse(text: &str) -> Result<Agents, AgentsError> {
        let file: File = toml::from_str(text).map_err(|error| AgentsError::Shape(error.to_string()))?;
        let mut agents = Agents::default();
        for (name, entry) in file.agents {
            if !Point::is_name(&name) {
                return Err(AgentsError::Name(name));
            }
            let key: PublicKey = entry.key.parse().map_err(|error| AgentsError::Key(name.clone(), error))?;
            if let Some(other) = agents.name_of(key) {
                return Err(AgentsError::Shared(other.to_owned(), name));
            }
            agents.0.insert(name, key);
        }
        Ok(agents)
    }

    /// The name of a key.
    pub fn name_of(&self, key: PublicKey) -> Option<&str> {
        self.0.iter().find(|(_, known)| **known == key).map(|(name, _)| name.as_str())
    }

    /// Every name and its key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, PublicKey)> {
        self.0.iter().map(|(name, key)| (name.as_str(), *key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{SecretKey, Seed};

    fn key(byte: u8) -> PublicKey {
        SecretKey::from_seed(Seed::from_random([byte; 32])).public()
    }

    #[test]
    fn a02_a_key_has_one_name() {
        let agents = Agents::parse(&format!("[agents.bob]\nkey = \"{}\"\n", key(1))).unwrap();
        assert_eq!((agents.name_of(key(1)), agents.name_of(key(2))), (Some("bob"), None));
        let twice = format!("[agents]\na.key = \"{}\"\nb.key = \"{}\"\n", key(1), key(1));
        assert_eq!(Agents::parse(&twice).unwrap_err(), AgentsError::Shared("a".into(), "b".into()));
    }

    #[test]
    fn a02_what_is_no_list_of_agents_is_refused() {
        assert!(matches!(Agents::parse("[agents.bob]\nkye = 1"), Err(AgentsError::Shape(_))));
        assert!(matches!(Agents::parse("[agent.bob]\nkey = \"\""), Err(AgentsError::Shape(_))));
        assert!(matches!(Agents::parse("[agents.bob]\nkey = \"x\""), Err(AgentsError::Key(..))));
        let name = format!("[agents.\"b b\"]\nkey = \"{}\"", key(1));
        assert!(matches!(Agents::parse(&name), Err(AgentsError::Name(_))));
    }
}
