//! The text being changed, byte for byte in place.

use std::collections::HashMap;

use crate::error::{ErrorCode, Refused};

/// A copy of the source in which parts become white space of the same length.
pub(super) struct Canvas<'a> {
    source: &'a str,
    /// Always as long as `source`.
    bytes: Vec<u8>,
    /// From the end of each part that was made white space to its start.
    blanks: HashMap<u32, u32>,
    /// Single characters to be written into what was made white space.
    marks: Vec<(u32, u8)>,
    /// Text that pushes what follows on its line to the right.
    insertions: Vec<(u32, String)>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            bytes: source.as_bytes().to_vec(),
            blanks: HashMap::new(),
            marks: Vec::new(),
            insertions: Vec::new(),
        }
    }

    /// Makes the text from `start` to `end` white space of the same length; line ends stay.
    pub(super) fn blank(&mut self, start: u32, end: u32) {
        let Some(text) = self.source.get(start as usize..end as usize) else { return };
        if text.is_empty() {
            return;
        }
        self.blanks.insert(end, start);
        for (offset, character) in text.char_indices() {
            let at = start as usize + offset;
            self.bytes[at..at + character.len_utf8()].copy_from_slice(white_space_for(character));
        }
    }

    /// Writes one ASCII character over the character at `offset`. It stays even if the place is made white space later.
    pub(super) fn mark(&mut self, offset: u32, character: u8) {
        self.marks.push((offset, character));
    }

    /// Writes over the characters from `start` on, which must be ASCII and at least as many.
    pub(super) fn overwrite(&mut self, start: u32, text: &str) {
        for (offset, character) in (start..).zip(text.bytes()) {
            self.mark(offset, character);
        }
    }

    /// Inserts text before `offset`; what follows on the line moves to the right.
    pub(super) fn insert(&mut self, offset: u32, text: String) {
        self.insertions.push((offset, text));
    }

    /// The start of the part that was made white space and ends at `end`, if there is one.
    pub(super) fn blank_ending_at(&self, end: u32) -> Option<u32> {
        self.blanks.get(&end).copied()
    }

    /// The finished text.
    pub(super) fn finish(mut self) -> Result<String, Refused> {
        for (offset, mark) in std::mem::take(&mut self.marks) {
            self.write(offset as usize, mark);
        }
        let text = String::from_utf8(self.bytes).map_err(|_| Refused {
            code: ErrorCode::Internal,
            offset: 0,
            message: "a type was not removed along characters".to_owned(),
            hint: None,
        })?;
        if self.insertions.is_empty() {
            return Ok(text);
        }
        self.insertions.sort_by_key(|insertion| insertion.0);
        let mut widened = String::with_capacity(text.len() + 64 * self.insertions.len());
        let mut copied = 0;
        for (offset, insertion) in &self.insertions {
            widened.push_str(text.get(copied..*offset as usize).unwrap_or(""));
            widened.push_str(insertion);
            copied = *offset as usize;
        }
        widened.push_str(text.get(copied..).unwrap_or(""));
        Ok(widened)
    }

    /// Replaces the character that holds byte `at`; its other bytes become spaces.
    fn write(&mut self, at: usize, mark: u8) {
        if at >= self.bytes.len() {
            return;
        }
        let start = (0..=at).rev().find(|&start| self.source.is_char_boundary(start)).unwrap_or(0);
        let end = (at + 1..=self.source.len()).find(|&end| self.source.is_char_boundary(end)).unwrap_or(at + 1);
        self.bytes[start..end].fill(b' ');
        self.bytes[start] = mark;
    }
}

/// White space with as many bytes as `character`, and as many UTF-16 code units.
fn white_space_for(character: char) -> &'static [u8] {
    match character {
        '\n' => b"\n",
        '\r' => b"\r",
        '\u{2028}' => "\u{2028}".as_bytes(),
        '\u{2029}' => "\u{2029}".as_bytes(),
        _ => match character.len_utf8() {
            1 => b" ",
            2 => "\u{A0}".as_bytes(),
            3 => "\u{3000}".as_bytes(),
            _ => "\u{A0}\u{A0}".as_bytes(),
        },
    }
}
