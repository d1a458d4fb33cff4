//! What a program left behind, as text that a model can act on.

use super::words::{plain, visible_lines};
use super::written::as_written;
use crate::results::{Kept, Results};
use lockgate_authority::Value;
use lockgate_host::{Finished, RunError};
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a result that are told; the rest is kept, to be read by reference.
const MOST_RESULT: usize = 24 << 10;
/// Bytes of a result that are told where it is kept.
const MOST_SHOWN: usize = 2 << 10;
/// Bytes of what a program prints.
const MOST_PRINTED: usize = 8 << 10;
/// Bytes of an error's message.
const MOST_MESSAGE: usize = 4 << 10;
/// Texts in base64 that are kept apart are at least so long.
const LEAST_APART: usize = 256;
/// Levels of a result that are searched for them.
const MOST_LEVELS: u32 = 16;

/// What a program prints, as far as it is kept.
#[derive(Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    text: String,
    left_out: u64,
    of_children: u64,
}

impl Printed {
    pub(crate) fn add(&self, level: &str, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = if matches!(level, "log" | "info" | "debug") { String::new() } else { format!("[{level}] ") };
        if lines.text.len() + mark.len() + text.len() + 1 > MOST_PRINTED {
            lines.left_out += 1;
            return;
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(lines.text, "{mark}{text}");
    }

    /// Something was printed that its client is not shown.
    pub(crate) fn leave_out(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).of_children += 1;
    }

    fn told(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = lines.text.trim_end().to_owned();
        if lines.left_out > 0 {
            let _ = write!(out, "\n({} more left out: print less, or return it)", lines.left_out);
        }
        if lines.of_children > 0 {
            let _ =
                write!(out, "\n({} of child cells not shown: what a child is to tell, it returns)", lines.of_children);
        }
        out.trim_start().to_owned()
    }
}

/// The answer to a program that has ended, the first line of which was moved by so many columns.
pub(crate) fn finished(finished: &Finished, shift: u32, printed: &Printed, results: &Results) -> CallToolResult {
    let (mut text, mut links) = (String::new(), Vec::new());
    match &finished.result {
        Ok(Value::Undefined) => text.push_str("result: nothing; `export default` or `return` a value to see one"),
        Ok(value) => {
            text.push_str("result:\n");
            text.push_str(&told(value, results, &mut links));
        }
        Err(error) => text.push_str(&failed(&as_written(error, shift))),
    }
    let printed = printed.told();
    if !printed.is_empty() {
        let _ = write!(text, "\n\nprinted:\n{printed}");
    }
    if finished.refusals > 0 {
        let (count, were) = (finished.refusals, if finished.refusals == 1 { "was" } else { "were" });
        let _ = write!(text, "\n\n{count} of {} calls {were} refused", finished.crossings);
    }
    let mut content = vec![ContentBlock::text(text)];
    content.extend(links.into_iter().map(ContentBlock::resource_link));
    if finished.result.is_ok() { CallToolResult::success(content) } else { CallToolResult::error(content) }
}

/// The answer to a program that was not started.
pub(crate) fn not_started(why: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!("not started, and nothing was done:\n{why}"))])
}

/// An error with its place, its reason and the next step.
pub(crate) fn failed(error: &RunError) -> String {
    let bounded = |text: &str| visible_lines(text.get(..text.floor_char_boundary(MOST_MESSAGE)).unwrap_or(text));
    let mut out = String::from("failed");
    if let (Some(line), Some(column)) = (error.line, error.column) {
        let _ = write!(out, " at {line}:{column}");
    }
    let name = if error.name.is_empty() { String::new() } else { format!("{}: ", plain(&error.name, 80)) };
    let _ = write!(out, ": {name}{} ({})", bounded(&error.message), error.code);
    if let Some(hint) = &error.hint {
        let _ = write!(out, "\nnext step: {}", bounded(hint));
    }
    let frames: Vec<&str> = error.stack.trim_end().lines().take(8).collect();
    if !frames.is_empty() {
        let _ = write!(out, "\n{}", bounded(&frames.join("\n")));
    }
    out
}

fn told(value: &Value, results: &Results, links: &mut Vec<Resource>) -> String {
    if let Value::Text(text) = value {
        return bounded(text.clone(), results, links);
    }
    let mut json = value.to_display_json();
    keep_apart(&mut json, results, links, MOST_LEVELS);
    bounded(json.to_string(), results, links)
}

/// A text, or where it is long its beginning and a reference to the whole.
fn bounded(text: String, results: &Results, links: &mut Vec<Resource>) -> String {
    if text.len() <= MOST_RESULT {
        return text;
    }
    let bytes = text.len();
    let mut shown = text.get(..text.floor_char_boundary(MOST_SHOWN)).unwrap_or_default().to_owned();
    let _ = match results.keep(Kept::Text(text)) {
        Some(kept) => {
            let told = write!(shown, "…\n({bytes} bytes in all: read `{}`, or return less)", kept.uri);
            links.push(kept);
            told
        }
        None => write!(shown, "…\n({bytes} bytes in all, more than is kept: return less)"),
    };
    shown
}

/// Puts references in the place of images and other content in base64.
fn keep_apart(json: &mut Json, results: &Results, links: &mut Vec<Resource>, levels: u32) {
    if levels == 0 {
        return;
    }
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| keep_apart(item, results, links, levels - 1)),
        Json::Object(object) => {
            let kind = object.get("type").and_then(Json::as_str);
            let key = match kind {
                Some("image" | "audio") => Some("data"),
                _ if object.contains_key("blob") && object.contains_key("uri") => Some("blob"),
                _ => None,
            };
            let mime = object.get("mimeType").and_then(Json::as_str).map(|mime| plain(mime, 100));
            if let (Some(key), Some(mime)) = (key, mime)
                && let Some(Json::String(base64)) =
                    object.get_mut(key).filter(|data| data.as_str().is_some_and(|data| data.len() >= LEAST_APART))
                && let Some(kept) = results.keep(Kept::Blob { mime, base64: std::mem::take(base64) })
            {
                object.remove(key);
                object.insert("kept".to_owned(), Json::String(kept.uri.clone()));
                links.push(kept);
                return;
            }
            object.values_mut().for_each(|item| keep_apart(item, results, links, levels - 1));
        }
        _ => {}
    }
}
