use std::fmt;
use std::ops::Range;

/// Where in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The place of byte `offset` in `text`.
    pub fn of(text: &str, offset: usize) -> Place {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or("").chars().count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX - 1).saturating_add(1);
        Place { line: number(line), column: number(column) }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, from the outermost: `fs.data.allow[1]`; empty for the whole.
    pub key: String,
    /// Where it stands; `None` for what was not read from a text.
    pub place: Option<Place>,
    /// What was found and what is expected.
    pub message: String,
    /// The next step, such as the name that was probably meant.
    pub hint: Option<String>,
    /// Bytes in the text, until the place is known.
    pub(super) span: Option<Range<usize>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.key, self.message) }
    }
}

/// Most problems that are kept; a hostile ask cannot make the list long.
const MAX_PROBLEMS: usize = 100;

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(
        &mut self,
        key: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(Problem { key: key.to_owned(), place: None, message: message.into(), hint, span });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list, in the order of the text where they came from one.
    pub(crate) fn into_list(mut self, text: Option<&str>) -> Vec<Problem> {
        for problem in &mut self.0 {
            problem.place = text.zip(problem.span.as_ref()).map(|(text, span)| Place::of(text, span.start));
        }
        self.0.sort_by_key(|problem| problem.place);
        self.0
    }
}

/// Of `known`, the name that `name` was probably meant to be.
pub(crate) fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// A hint that names the similar name, or the names that there are.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> Option<String> {
    if name.len() <= 64
        && let Some(similar) = similar(name, known.iter().copied())
    {
        return Some(format!("did you mean `{similar}`?"));
    }
    let list: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    (!list.is_empty()).then(|| format!("known are {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "a = 1\nñö = 2\n";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of(text, text.find('=').unwrap()), Place { line: 1, column: 3 });
        assert_eq!(Place::of(text, text.rfind('=').unwrap()), Place { line: 2, column: 4 });
        assert_eq!(Place::of(text, 10_000), Place { line: 3, column: 1 });
    }

    #[test]
    fn suggestions_name_what_was_probably_meant() {
        assert_eq!(suggestion("hsots", &["hosts", "ports"]).as_deref(), Some("did you mean `hosts`?"));
        assert_eq!(suggestion("Allow", &["allow"]).as_deref(), Some("did you mean `allow`?"));
        assert_eq!(suggestion("zzz", &["allow", "under"]).as_deref(), Some("known are `allow`, `under`"));
    }
}
