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
    let is_spec = spec.len() <= MOST_SPEC && digits <= 3 && spec.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{');
    is_name(name) && is_spec
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
        && !name.starts_with("__")
}

/// Names may have parts; none of them may be one of Python's own.
fn is_plain_mustache(template: &str) -> bool {
    let mut rest = template;
    while let Some((_, tag)) = rest.split_once("{{") {
        let Some((name, after)) = tag.split_once("}}") else { return false };
        if name.contains("__") || name.starts_with('>') || name.starts_with('=') {
            return false;
        }
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d05_templates_only_put_values_into_a_text() {
        for plain in ["", "a {x} b {y_2}", "{{literal}} {x}", "{{{x}}}", "{x:.2f}", "{é}", "{n:>10}"] {
            assert!(is_plain(plain, "f-string"), "{plain}");
        }
        for other in ["{x.__class__}", "{x[0]}", "{x.y}", "{x!r}", "{0}", "{}", "{__x}", "{x:{y}}", "{x:9999}", "{x", "x}"] {
            assert!(!is_plain(other, "f-string"), "{other}");
        }
        assert!(is_plain("{{x}} {{#list}}{{.}}{{/list}}", "mustache"));
        assert!(!is_plain("{{x.__class__}}", "mustache") && !is_plain("{{> file}}", "mustache"));
        assert!(!is_plain("x", "jinja2") && !is_plain("x", "JINJA2") && !is_plain("x", ""));
    }
}
