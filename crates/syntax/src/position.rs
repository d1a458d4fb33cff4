//! From byte offsets to the lines and columns a person reads.

use crate::error::{Refused, SyntaxError};
use crate::strip::FoundImport;
use crate::text::line_terminator_len;
use crate::uses::FoundUse;
use crate::{Import, ToolUse};

/// A named source text whose places can be told.
pub(crate) struct Lines<'a> {
    name: &'a str,
    source: &'a str,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(name: &'a str, source: &'a str) -> Self {
        Self { name, source }
    }

    /// Gives a refusal its file, line and column. Reads the text up to it once.
    pub(crate) fn error(&self, refused: Refused) -> SyntaxError {
        let mut cursor = Cursor::new(self.source);
        cursor.advance_to(refused.offset as usize);
        SyntaxError {
            code: refused.code,
            file: self.name.to_owned(),
            line: cursor.line,
            column: cursor.column,
            message: refused.message,
            hint: refused.hint.map(|hint| hint.into_owned()),
        }
    }

    /// Gives imports their lines and columns, in the order of the text. Reads the text once.
    pub(crate) fn imports(&self, mut found: Vec<FoundImport>) -> Vec<Import> {
        found.sort_by_key(|import| import.offset);
        let mut cursor = Cursor::new(self.source);
        found
            .into_iter()
            .map(|import| {
                cursor.advance_to(import.offset as usize);
                Import {
                    specifier: import.specifier,
                    line: cursor.line,
                    column: cursor.column,
                    dynamic: import.dynamic,
                    kind: import.kind,
                }
            })
            .collect()
    }

    /// The same for the tools that a program names.
    pub(crate) fn tools(&self, mut found: Vec<FoundUse>) -> Vec<ToolUse> {
        found.sort_by_key(|found| found.offset);
        let mut cursor = Cursor::new(self.source);
        found
            .into_iter()
            .map(|FoundUse { server, tool, argument, offset }| {
                cursor.advance_to(offset as usize);
                ToolUse { server, tool, argument, line: cursor.line, column: cursor.column }
            })
            .collect()
    }
}

/// Walks forward through a text, counting.
struct Cursor<'a> {
    source: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, offset: 0, line: 1, column: 1 }
    }

    /// Moves to `offset`, or to the character it lies in, or to the end of the text. Never moves back.
    fn advance_to(&mut self, offset: usize) {
        let mut rest = self.source.get(self.offset..).unwrap_or("");
        while let Some(next) = rest.chars().next() {
            let line_end = line_terminator_len(rest.as_bytes());
            let step = if line_end > 0 { line_end } else { next.len_utf8() };
            if self.offset + step > offset {
                return;
            }
            if line_end > 0 {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += next.len_utf16() as u32;
            }
            self.offset += step;
            rest = rest.get(step..).unwrap_or("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &str, offset: usize) -> (u32, u32) {
        let mut cursor = Cursor::new(source);
        cursor.advance_to(offset);
        (cursor.line, cursor.column)
    }

    #[test]
    fn n20_lines_end_as_ecmascript_says_and_columns_count_utf16() {
        let source = "a\r\nbc\rd\u{2028}e\n😀f";
        let at = |needle: char| place(source, source.find(needle).expect("it is there"));
        assert_eq!(at('a'), (1, 1));
        assert_eq!(at('c'), (2, 2));
        assert_eq!(at('d'), (3, 1));
        assert_eq!(at('e'), (4, 1));
        assert_eq!(at('f'), (5, 3));
        assert_eq!(place(source, 10_000), (5, 4));
    }
}
