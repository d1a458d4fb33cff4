//! Results that are too large to be told, kept for a while and read by reference.

use rmcp::model::{ReadResourceResult, Resource, ResourceContents};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Bytes that are kept for one client; what is oldest goes first.
const MOST_KEPT: usize = 32 << 20;
/// Bytes that are read at once.
const MOST_READ: usize = 4 << 20;
const SCHEME: &str = "lockgate://result/";

/// How a part of a result is asked for.
pub(crate) const TEMPLATE: &str = "lockgate://result/{id}?from={from}&bytes={bytes}";

#[derive(Clone)]
pub(crate) enum Kept {
    Text(String),
    /// In base64, as it came.
    Blob {
        mime: String,
        base64: String,
    },
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Kept::Text(text) => text.len(),
            Kept::Blob { base64, .. } => base64.len(),
        }
    }

    fn mime(&self) -> &str {
        match self {
            Kept::Text(_) => "text/plain",
            Kept::Blob { mime, .. } => mime,
        }
    }
}

#[derive(Default)]
pub(crate) struct Results(Mutex<Store>);

#[derive(Default)]
struct Store {
    next: u64,
    bytes: usize,
    kept: BTreeMap<u64, Kept>,
}

impl Results {
    /// Keeps a result; gives what refers to it. `None` where it is larger than all that is kept.
    pub(crate) fn keep(&self, kept: Kept) -> Option<Resource> {
        let size = kept.len();
        if size > MOST_KEPT {
            return None;
        }
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.next += 1;
        let id = store.next;
        while store.bytes + size > MOST_KEPT
            && let Some((_, oldest)) = store.kept.pop_first()
        {
            store.bytes -= oldest.len();
        }
        let resource = resource(id, &kept);
        store.bytes += size;
        store.kept.insert(id, kept);
        Some(resource)
    }

    pub(crate) fn list(&self) -> Vec<Resource> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.kept.iter().map(|(id, kept)| resource(*id, kept)).collect()
    }

    /// What a reference means, or a part of it: `?from=BYTES&bytes=BYTES`.
    pub(crate) fn read(&self, uri: &str) -> Result<ReadResourceResult, NotRead> {
        let (id, part) = uri.strip_prefix(SCHEME).and_then(parse).ok_or(NotRead::Unknown)?;
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = store.kept.get(&id).ok_or(NotRead::Unknown)?;
        let whole = part.is_none();
        let (from, bytes) = part.unwrap_or((0, kept.len()));
        if whole && kept.len() > MOST_READ {
            return Err(NotRead::TooLarge { bytes: kept.len() });
        }
        let contents = match kept {
            Kept::Text(text) => {
                let from = text.floor_char_boundary(from.min(text.len()));
                let to = text.floor_char_boundary(from.saturating_add(bytes.min(MOST_READ)).min(text.len()));
                ResourceContents::text(text.get(from..to).unwrap_or_default(), uri)
            }
            Kept::Blob { mime, base64 } if whole => {
                ResourceContents::blob(base64.clone(), uri).with_mime_type(mime.clone())
            }
            Kept::Blob { mime, base64 } => {
                // Whole groups of four, which are text by themselves.
                let from = (from / 4 * 4).min(base64.len());
                let to = from.saturating_add((bytes.min(MOST_READ) / 4 * 4).max(4)).min(base64.len());
                ResourceContents::blob(base64.get(from..to).unwrap_or_default(), uri).with_mime_type(mime.clone())
            }
        };
        Ok(ReadResourceResult::new(vec![contents]))
    }
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("there is no such result; results are kept for a while and go with their client")]
    Unknown,
    #[error("the result has {bytes} bytes, of which {MOST_READ} can be read at once: add `?from=0&bytes={MOST_READ}`")]
    TooLarge { bytes: usize },
}

fn parse(rest: &str) -> Option<(u64, Option<(usize, usize)>)> {
    let (id, query) = match rest.split_once('?') {
        Some((id, query)) => (id, Some(query)),
        None => (rest, None),
    };
    let id = id.parse().ok()?;
    let Some(query) = query else { return Some((id, None)) };
    let (mut from, mut bytes) = (0, MOST_READ);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        match name {
            "from" => from = value.parse().ok()?,
            "bytes" => bytes = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((id, Some((from, bytes))))
}

fn resource(id: u64, kept: &Kept) -> Resource {
    Resource::new(format!("{SCHEME}{id}"), format!("result {id}"))
        .with_mime_type(kept.mime())
        .with_size(kept.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(read: &ReadResourceResult) -> &str {
        match &read.contents[..] {
            [ResourceContents::TextResourceContents { text, .. }] => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn f02_a_large_result_is_read_in_parts_that_cut_no_character() {
        let results = Results::default();
        let uri = results.keep(Kept::Text("aé".repeat(3 << 20))).expect("there is room").uri;
        assert_eq!(results.read(&uri), Err(NotRead::TooLarge { bytes: 9 << 20 }));
        let read = results.read(&format!("{uri}?from=2&bytes=5")).expect("a part");
        assert_eq!(text(&read), "éaé");
        assert_eq!(text(&results.read(&format!("{uri}?from=99999999&bytes=1")).expect("nothing there")), "");
        for bad in ["lockgate://result/9", "lockgate://result/x", "file:///etc/passwd", "lockgate://result/1?to=3"] {
            assert_eq!(results.read(bad), Err(NotRead::Unknown), "{bad}");
        }
    }

    #[test]
    fn f02_what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let results = Results::default();
        for _ in 0..5 {
            results.keep(Kept::Text("x".repeat(8 << 20))).expect("there is room");
        }
        let left: Vec<String> = results.list().into_iter().map(|resource| resource.uri).collect();
        assert_eq!(left, ["lockgate://result/2", "lockgate://result/3", "lockgate://result/4", "lockgate://result/5"]);
        assert!(results.keep(Kept::Text("x".repeat(MOST_KEPT + 1))).is_none());
    }
}
