//! What a server says of itself: its name and the whole definitions of its tools.

use super::{ToolInfo, ToolLimits, result, strict};
use rmcp::model::{ErrorCode, PaginatedRequestParams, Tool};
use rmcp::service::Peer;
use rmcp::{RoleClient, ServiceError};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use unicode_normalization::UnicodeNormalization as _;

/// Longest name of a tool that can be called, in bytes.
const MAX_NAME: usize = 128;
/// Longest name and version of a server that are kept, in bytes.
const MAX_IDENTITY: usize = 256;

/// A server as it describes itself. Nothing in it is to be trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// What it calls itself, if it says so.
    pub name: Option<String>,
    /// Its version, if it says so.
    pub version: Option<String>,
    /// The definition of each tool, as it was sent: an object with a `name` that no other has.
    pub tools: Vec<Json>,
}

/// Asks for the whole list.
pub(super) async fn describe(peer: &Peer<RoleClient>, limits: &ToolLimits) -> Result<Described, String> {
    let tools = list(peer, limits).await?;
    let unreadable = |error: serde_json::Error| format!("a tool of it cannot be read: {error}");
    let tools: Vec<Json> =
        tools.iter().map(|tool| serde_json::to_value(tool).map_err(unreadable)).collect::<Result<_, _>>()?;
    let info = peer.peer_info();
    let identity = info.as_ref().and_then(|info| info.server_info.as_ref());
    let kept = |text: &str| text[..text.floor_char_boundary(MAX_IDENTITY)].to_owned();
    Ok(Described {
        name: identity.map(|identity| kept(&identity.name)),
        version: identity.map(|identity| kept(&identity.version)),
        tools,
    })
}

/// The tools that can be told to callers, with those of a name that nobody could read marked as unusable.
pub(super) fn infos(described: &Described) -> Vec<ToolInfo> {
    let tools = described.tools.iter().filter_map(|tool| serde_json::from_value::<Tool>(tool.clone()).ok());
    let mut infos: Vec<ToolInfo> = tools.map(result::tool_info).collect();
    let mut alike: HashMap<String, usize> = HashMap::new();
    for info in &infos {
        *alike.entry(folded(&info.name)).or_default() += 1;
    }
    for info in &mut infos {
        let why = bad_name(&info.name).or_else(|| {
            let count = alike.get(&folded(&info.name)).copied().unwrap_or_default();
            (count > 1).then_some("another tool of the server has a name that looks the same")
        });
        if let Some(why) = why {
            info.types = Err(why.to_owned());
        }
    }
    infos
}

/// What two names have in common that a reader takes for one.
fn folded(name: &str) -> String {
    name.nfkc().flat_map(char::to_lowercase).collect()
}

/// Why a tool of this name cannot be called.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Some("its name is empty or longer than 128 bytes");
    }
    if !name.chars().all(|next| next.is_alphanumeric() || "_-./:@#+".contains(next)) || !name.nfkc().eq(name.chars()) {
        return Some("its name has other characters than letters, digits and `_-./:@#+`");
    }
    let has_ascii = name.chars().any(|next| next.is_ascii_alphabetic());
    let has_other = name.chars().any(|next| next.is_alphabetic() && !next.is_ascii());
    (has_ascii && has_other).then_some("its name mixes letters of English with others")
}

/// All pages of the list. A server may not have more tools than the limit, nor more text, nor two tools of one name.
async fn list(peer: &Peer<RoleClient>, limits: &ToolLimits) -> Result<Vec<Tool>, String> {
    let mut tools = Vec::new();
    let mut names = HashSet::new();
    let mut bytes = 0;
    let mut params: Option<PaginatedRequestParams> = None;
    // A page may be empty, so pages are counted too.
    for _ in 0..=limits.tools {
        let page = match peer.list_tools(params).await {
            Ok(page) => page,
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => return Ok(tools),
            Err(error) => {
                if let ServiceError::McpError(error) = &error
                    && let Some((_, found)) = strict::refusal(error)
                {
                    return Err(format!("its list of tools is refused: {found}"));
                }
                return Err(format!("it did not list its tools: {error}"));
            }
        };
        for tool in page.tools {
            if tools.len() == limits.tools {
                return Err(format!("it has more than {} tools", limits.tools));
            }
            if !names.insert(tool.name.to_string()) {
                return Err("it lists two tools of one name".to_owned());
            }
            bytes += serde_json::to_vec(&tool).map_or(usize::MAX, |text| text.len());
            if bytes > limits.list_bytes {
                return Err(format!("what it says of its tools has more than {} bytes", limits.list_bytes));
            }
            tools.push(tool);
        }
        match page.next_cursor {
            Some(cursor) => params = Some(PaginatedRequestParams::default().with_cursor(Some(cursor))),
            None => return Ok(tools),
        }
    }
    Err("its list of tools does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn m05_names_that_deceive_a_reader_cannot_be_called() {
        let named = |names: &[&str]| {
            let tools = names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
            let infos = infos(&Described { tools, ..Described::default() });
            infos.iter().map(|info| info.types.is_ok()).collect::<Vec<_>>()
        };
        for good in ["pay", "get_user", "files/read", "a.b-c:d", "查询", "оплата", &"x".repeat(128)] {
            assert_eq!(named(&[good]), [true], "{good}");
        }
        let bad = [
            "",
            "a b",
            "a\nb",
            "a\u{1b}[31m",
            "pay\u{202e}",
            "pa\u{200b}y",
            "p\u{430}y",
            "\u{ff50}ay",
            &"x".repeat(129),
        ];
        for bad in bad {
            assert_eq!(named(&[bad]), [false], "{bad:?}");
        }
        assert_eq!(named(&["Pay", "pay", "other"]), [false, false, true]);
    }
}
