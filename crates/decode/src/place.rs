use std::fmt::Write;

/// Where in a document one is, as a JSON Pointer (RFC 6901).
#[derive(Debug, Default)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn pointer(&self) -> &str {
        &self.0
    }

    /// Goes into an entry of a map; [`Place::leave`] takes back what it gives.
    pub(crate) fn enter(&mut self, key: &str) -> usize {
        let here = self.0.len();
        self.0.push('/');
        for character in key.chars() {
            match character {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                other => self.0.push(other),
            }
        }
        here
    }

    /// Goes into an item of a list; [`Place::leave`] takes back what it gives.
    pub(crate) fn enter_index(&mut self, index: usize) -> usize {
        let here = self.0.len();
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "/{index}");
        here
    }

    pub(crate) fn leave(&mut self, here: usize) {
        self.0.truncate(here);
    }
}
