//! Templates: the languages that can only put values into a text, and what their texts may hold.

/// The languages that are taken. What else there is runs code.
pub(super) const FORMATS: &[&str] = &["f-string", "mustache"];

/// Longest instruction on how to show a value, such as `>10.2f`.
const MOST_SPEC: usize = 8;

/// Whether a template puts values into a text and does nothing else: no attributes, no items, no nested fields.
pub(super) fn is_plain(template: &str, format: &str) -> bool {
    match format {
        "f-string" => is_plain_f_string(template),
        "mustache" => is_plain_mustache(template),
        _ => false,
    }
}

fn is_plain_f_string(template: &str) -> bool {
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let brace = rest.get(at..).unwrap_or_default();
        if brace.starts_with("{{") || brace.starts_with("}}") {
            rest = brace.get(2..).unwrap_or_default();
            continue;
        }
        let Some((field, after)) = brace.strip_prefix('{').and_then(|field| field.split_once('}')) else {
            return false;
        };
        if !is_plain_field(field) {
            return false;
        }
        rest = after;
    }
    true
}

fn is_plain_field(field: &str) -> bool {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let digits = spec.split(|character: char| !character.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    let is_spec =
        spec.len() <= MOST_SPEC && digits <= 3 && spec.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{');
    is_name(name) && is_spec
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
        && !name.starts_with("__")
}

/// Values and sections, every section closed. No partial templates, comments or other delimiters.
fn is_plain_mustache(template: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = template;
    while let Some((_, tag)) = rest.split_once("{{") {
        let (close, tag) = match tag.strip_prefix('{') {
            Some(tag) => ("}}}", tag),
            None => ("}}", tag),
        };
        let Some((tag, after)) = tag.split_once(close) else { return false };
        let name = tag.strip_prefix(['#', '^', '/', '&']).unwrap_or(tag).trim();
        let is_closed = match tag.chars().next() {
            Some('#' | '^' | '/') if close == "}}}" => false,
            Some('#' | '^') => {
                open.push(name);
                true
            }
            Some('/') => open.pop() == Some(name),
            _ => true,
        };
        if !is_path(name) || !is_closed {
            return false;
        }
        rest = after;
    }
    open.is_empty()
}

/// `.`, or names with points between them, none of which is one of Python's own.
fn is_path(path: &str) -> bool {
    path == "." || path.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d05_templates_only_put_values_into_a_text() {
        for plain in ["", "a {x} b {y_2}", "{{literal}} {x}", "{{{x}}}", "{x:.2f}", "{é}", "{n:>10}"] {
            assert!(is_plain(plain, "f-string"), "{plain}");
        }
        for other in
            ["{x.__class__}", "{x[0]}", "{x.y}", "{x!r}", "{0}", "{}", "{__x}", "{x:{y}}", "{x:9999}", "{x", "x}"]
        {
            assert!(!is_plain(other, "f-string"), "{other}");
        }
        assert!(is_plain("{{x}} {{#list}}{{.}}{{/list}}", "mustache"));
        assert!(!is_plain("{{x.__class__}}", "mustache") && !is_plain("{{> file}}", "mustache"));
        for other in
            ["{{}}", "{{}}}", "{{{x}}", "{{x", "{{#a}}", "{{/a}}", "{{#a}}{{/b}}", "{{x y}}", "{{=< >=}}", "{{!x}}"]
        {
            assert!(!is_plain(other, "mustache"), "{other}");
        }
        assert!(is_plain("{{{x}}} {{& y }} {{a.b}} {\"a\": {\"b\": {{x}}}}", "mustache"));
        assert!(!is_plain("x", "jinja2") && !is_plain("x", "JINJA2") && !is_plain("x", ""));
    }
}
