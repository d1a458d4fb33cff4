//! Text of others as an operator is shown it: nothing of it is unseen, and there is an end to it.

use lockgate_decode::is_unseen;
use similar::{ChangeTag, TextDiff};

/// Most lines of one difference.
const MAX_LINES: usize = 1_000;
/// Most lines of one field of it.
const MAX_FIELD: usize = 200;
/// Longest line, in bytes; a longer one is broken.
const MAX_LINE: usize = 160;
/// Most lines of each of two texts that are held beside each other.
const MAX_COMPARED: usize = 2_000;
/// Lines around those that differ.
const AROUND: usize = 3;

/// Every character that a reader would not see, or that commands a terminal, written out; so is a backslash where it would
/// look like that.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' if matches!(rest.peek(), Some('u' | 'n' | 'r' | 't' | '\\')) => out.push_str("\\\\"),
            hidden if is_hidden(hidden) => out.extend(hidden.escape_unicode()),
            seen => out.push(seen),
        }
    }
    out
}

/// A name in backticks; one with other letters than those of English also as what they are.
pub(crate) fn named(name: &str) -> String {
    let cut = &name[..name.floor_char_boundary(MAX_LINE)];
    let more = if cut.len() < name.len() { "…" } else { "" };
    let shown = visible(cut);
    if name.is_ascii() {
        format!("`{shown}{more}`")
    } else {
        let plain: String = cut
            .chars()
            .map(|next| if next.is_ascii_graphic() { next.to_string() } else { next.escape_unicode().to_string() })
            .collect();
        format!("`{shown}{more}` ({plain}{more})")
    }
}

/// What is not seen as what it is, spaces of other widths among it.
fn is_hidden(next: char) -> bool {
    is_unseen(next) || (next.is_whitespace() && next != ' ')
}

/// Lines of a difference, as many as a reader can take; the others are counted.
#[derive(Default)]
pub(crate) struct Difference {
    lines: Vec<String>,
    more: usize,
}

impl Difference {
    pub(crate) fn head(&mut self, line: String) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    /// What differs of two texts, each line with a sign before it.
    pub(crate) fn lines(&mut self, field: &str, before: &str, after: &str) {
        if self.lines.len() >= MAX_LINES {
            self.more += 1;
            return;
        }
        if before.is_empty() && field != "description" {
            self.head(format!("    {}:", visible(field)));
        }
        let (before, after) = (broken(before), broken(after));
        if before.len().max(after.len()) == MAX_COMPARED {
            self.head(format!("    (only the first {MAX_COMPARED} lines are shown)"));
        }
        let (before, after): (Vec<&str>, Vec<&str>) =
            (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
        let difference = TextDiff::from_slices(&before, &after);
        let mut told = 0;
        for (index, group) in difference.grouped_ops(AROUND).iter().enumerate() {
            if index > 0 && told < MAX_FIELD {
                self.head("     …".to_owned());
            }
            for change in group.iter().flat_map(|op| difference.iter_changes(op)) {
                told += 1;
                if told > MAX_FIELD {
                    self.more += 1;
                    continue;
                }
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                self.head(format!("    {sign}{}", change.value()));
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("… and {} more lines", self.more));
        }
        self.lines
    }
}

/// Lines with nothing unseen, none too long.
fn broken(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.split('\n').filter(|_| !text.is_empty()) {
        let mut rest = line;
        while rest.len() > MAX_LINE {
            let (part, others) = rest.split_at(rest.floor_char_boundary(MAX_LINE));
            out.push(visible(part));
            rest = others;
        }
        out.push(visible(rest));
        if out.len() >= MAX_COMPARED {
            break;
        }
    }
    out.truncate(MAX_COMPARED);
    out
}
