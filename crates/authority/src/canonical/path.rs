use std::fmt;

/// Longest path accepted, in bytes; Linux's `PATH_MAX` without the terminator.
const MAX_PATH: usize = 4095;
/// Longest component accepted, in bytes; `NAME_MAX` of the common file systems.
const MAX_COMPONENT: usize = 255;

/// Why a path has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No text at all; the directory itself is `.`.
    #[error("the path is empty")]
    Empty,
    /// Starts with `/` where only relative paths have a meaning.
    #[error("the path is absolute")]
    Absolute,
    /// Has a component `..`.
    #[error("the path has a component `..`")]
    Parent,
    /// Holds a NUL.
    #[error("the path holds a NUL")]
    Nul,
    /// Holds a backslash, a separator elsewhere.
    #[error("the path holds a backslash")]
    Backslash,
    /// Longer than 4,095 bytes, or a component longer than 255.
    #[error("the path is too long")]
    TooLong,
}

impl PathError {
    /// What to write instead, where that is not plain from the message.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            PathError::Empty => Some("write `.` for the directory itself"),
            PathError::Absolute => Some("name the file relative to the granted directory, without a leading `/`"),
            PathError::Parent => Some("name the file from the granted directory downwards"),
            PathError::Backslash => Some("separate components by `/`"),
            PathError::Nul | PathError::TooLong => None,
        }
    }
}

/// A relative path below some directory: components joined by `/`, none of them empty, `.` or `..`.
///
/// Components are compared byte for byte: case matters, nothing is percent-decoded, no Unicode form is changed, and a
/// trailing dot or space belongs to the name. The directory itself is [`CanonicalPath::ROOT`], written `.`. Symbolic
/// links are the concern of whoever opens the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath(String);

impl CanonicalPath {
    /// The directory itself.
    pub const ROOT: CanonicalPath = CanonicalPath(String::new());

    /// Parses `text`; empty components and `.` are dropped, as the kernel would.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        components(text).map(CanonicalPath)
    }

    /// Whether the path is `prefix` or lies below it, by whole components.
    pub fn is_under(&self, prefix: &CanonicalPath) -> bool {
        is_under(&self.0, &prefix.0)
    }

    /// Whether this is the directory itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first; none for the directory itself.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The last component; `None` for the directory itself.
    pub fn name(&self) -> Option<&str> {
        self.components().last()
    }

    /// The canonical text, `.` for the directory itself.
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for CanonicalPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        CanonicalPath::parse(text)
    }
}

/// A path given to a tool as an argument: like [`CanonicalPath`], but absolute where it starts with `/`.
///
/// What a relative path is relative to is the tool's business, so absolute and relative paths are never below one
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentPath {
    absolute: bool,
    components: String,
}

impl ArgumentPath {
    /// Parses `text`; empty components and `.` are dropped, `..` is refused.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Ok(ArgumentPath { absolute: text.starts_with('/'), components: components(text)? })
    }

    /// Whether the path is `prefix` or lies below it, by whole components.
    pub fn is_under(&self, prefix: &ArgumentPath) -> bool {
        self.absolute == prefix.absolute && is_under(&self.components, &prefix.components)
    }

    /// Whether `text` is a path at or below this one. Allocates nothing where `text` is already canonical.
    pub fn holds(&self, text: &str) -> bool {
        if let Some(components) = already_canonical(text) {
            return self.absolute == text.starts_with('/') && is_under(components, &self.components);
        }
        ArgumentPath::parse(text).is_ok_and(|path| path.is_under(self))
    }
}

impl fmt::Display for ArgumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.absolute, self.components.is_empty()) {
            (true, _) => write!(f, "/{}", self.components),
            (false, true) => f.write_str("."),
            (false, false) => f.write_str(&self.components),
        }
    }
}

fn is_under(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// The components of `text` if it is spelled as its canonical form would be.
fn already_canonical(text: &str) -> Option<&str> {
    let relative = text.strip_prefix('/').unwrap_or(text);
    let plain = !text.is_empty()
        && text.len() <= MAX_PATH
        && !text.bytes().any(|byte| byte == 0 || byte == b'\\')
        && (relative.is_empty()
            || relative.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= MAX_COMPONENT));
    plain.then_some(relative)
}

fn components(text: &str) -> Result<String, PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    if text.contains('\0') {
        return Err(PathError::Nul);
    }
    if text.contains('\\') {
        return Err(PathError::Backslash);
    }
    let mut out = String::with_capacity(text.len());
    for component in text.split('/') {
        match component {
            "" | "." => continue,
            ".." => return Err(PathError::Parent),
            long if long.len() > MAX_COMPONENT => return Err(PathError::TooLong),
            _ => {}
        }
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(component);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).expect(text)
    }

    #[test]
    fn n06_paths_that_have_more_than_one_reading_are_refused() {
        for (text, error) in [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::Absolute),
            ("//host/share", PathError::Absolute),
            ("..", PathError::Parent),
            ("a/../../b", PathError::Parent),
            ("a/..", PathError::Parent),
            ("./..", PathError::Parent),
            ("a\0.txt", PathError::Nul),
            ("a\\..\\b", PathError::Backslash),
            ("..\\b", PathError::Backslash),
        ] {
            assert_eq!(CanonicalPath::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(CanonicalPath::parse(&"a/".repeat(2048)), Err(PathError::TooLong));
        assert_eq!(CanonicalPath::parse(&"a".repeat(256)), Err(PathError::TooLong));
    }

    #[test]
    fn n06_spellings_of_one_path_are_one_path() {
        for text in ["a/b", "./a/b", "a//b", "a/./b", "a/b/", "a/b/."] {
            assert_eq!(path(text), path("a/b"), "{text}");
        }
        for text in [".", "./", "./."] {
            assert_eq!(path(text), CanonicalPath::ROOT, "{text}");
        }
        assert_eq!(CanonicalPath::ROOT.as_str(), ".");
    }

    #[test]
    fn n06_path_prefix_matches_by_whole_components() {
        let prefix = path("data/2024");
        for inside in ["data/2024", "data/2024/", "data/2024/a.csv", "data//2024/./x/y"] {
            assert!(path(inside).is_under(&prefix), "{inside}");
        }
        for outside in [
            "data/2024-evil/a.csv", // prefix sibling
            "data/20245",
            "x/data/2024/a.csv", // substring
            "data",
            "DATA/2024/a.csv",  // case
            "data/2024./a.csv", // trailing dot
            "data/2024 /a.csv",
            "data%2F2024/a.csv", // percent-encoding is not decoded
            "data/%32024/a.csv",
        ] {
            assert!(!path(outside).is_under(&prefix), "{outside}");
        }
        assert!(path("anything").is_under(&CanonicalPath::ROOT));
        assert!(!CanonicalPath::ROOT.is_under(&prefix));
    }

    #[test]
    fn n06_argument_paths_keep_absolute_and_relative_apart() {
        let prefix = ArgumentPath::parse("/srv/out").expect("canonical");
        for inside in ["/srv/out", "/srv/out/a", "/srv//out/./a", "//srv/out/a"] {
            assert!(prefix.holds(inside), "{inside}");
        }
        for outside in
            ["srv/out/a", "/srv/outside", "/srv/out/../etc", "/srv", "/", "", "/srv/out\\..\\x", "/srv/out\0"]
        {
            assert!(!prefix.holds(outside), "{outside}");
        }
        assert!(ArgumentPath::parse("/").expect("canonical").holds("/etc"));
        assert!(!ArgumentPath::parse("/").expect("canonical").holds("etc"));
        assert!(!ArgumentPath::parse(".").expect("canonical").holds("/etc"));
        assert_eq!(prefix.to_string(), "/srv/out");
    }

    proptest! {
        /// The oracle resolves component by component on a stack, as a kernel without links would.
        #[test]
        fn n06_canonical_paths_agree_with_a_naive_resolver(text in r"[ab./\\%]{0,12}", prefix in "[ab./]{1,6}") {
            let naive = |text: &str| -> Option<Vec<String>> {
                let mut stack = Vec::new();
                if text.is_empty() || text.starts_with('/') || text.contains('\\') { return None; }
                for part in text.split('/') {
                    match part { "" | "." => {} ".." => return None, part => stack.push(part.to_owned()) }
                }
                Some(stack)
            };
            let parsed = CanonicalPath::parse(&text).ok();
            let expected = naive(&text);
            prop_assert_eq!(parsed.as_ref().map(|path| path.components().map(str::to_owned).collect()), expected.clone());
            if let (Some(path), Some(stack), Ok(prefix), Some(stem)) =
                (parsed, expected, CanonicalPath::parse(&prefix), naive(&prefix)) {
                prop_assert_eq!(path.is_under(&prefix), stack.starts_with(&stem));
                let argument = ArgumentPath::parse(prefix.as_str()).unwrap();
                prop_assert_eq!(argument.holds(&text), stack.starts_with(&stem));
            }
        }
    }
}
