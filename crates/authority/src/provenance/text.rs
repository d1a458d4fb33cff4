//! Texts in the one form in which they are compared.

use unicode_normalization::UnicodeNormalization;

/// NFKC, lower case, every run of white space and control characters one space, none at the ends; characters that show
/// nothing, such as zero-width joiners and soft hyphens, are dropped.
pub(super) fn canonical(text: &str) -> String {
    plain(text.nfkc().flat_map(char::to_lowercase), text.len())
}

/// The same with its capitals.
pub(super) fn written(text: &str) -> String {
    plain(text.nfkc(), text.len())
}

fn plain(text: impl Iterator<Item = char>, bytes: usize) -> String {
    let mut out = String::with_capacity(bytes);
    let mut space = false;
    for next in text {
        if is_invisible(next) {
            continue;
        }
        if next.is_whitespace() || next.is_control() {
            space = !out.is_empty();
        } else {
            if std::mem::take(&mut space) {
                out.push(' ');
            }
            out.push(next);
        }
    }
    out
}

fn is_invisible(next: char) -> bool {
    matches!(next, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `part` stands in `text` as words of its own, both canonical. `Ann` stands in `ask Ann, please` and in
/// `Ann's`, not in `Annual`, `mary-ann` or `ann@example.com`.
pub(super) fn holds_words(text: &str, part: &str) -> bool {
    stand_alone(text, part).next().is_some()
}

/// Whether a name stands in a text, both with their capitals, as the name of somebody: whole, beginning with a capital, and
/// not where a sentence begins, since there every word has one.
pub(super) fn holds_name(text: &str, name: &str) -> bool {
    let begins_sentence = |before: &str| {
        let before =
            before.trim_end_matches(|next: char| next.is_whitespace() || matches!(next, '\'' | '"' | '(' | '“' | '‘'));
        before.is_empty() || before.ends_with(['.', '!', '?', ':', '\n', '-', '*'])
    };
    name.chars().count() >= 3
        && name.starts_with(char::is_uppercase)
        && stand_alone(text, name).any(|before| !begins_sentence(before))
}

/// What stands before each place of `text` where `part` stands as words of its own.
fn stand_alone<'t>(text: &'t str, part: &'t str) -> impl Iterator<Item = &'t str> {
    let places = (!part.is_empty()).then(|| text.match_indices(part)).into_iter().flatten();
    places.filter_map(move |(at, found)| {
        let before = text.get(..at)?;
        let after = text.get(at + found.len()..)?;
        let alone = (!starts_in_word(part) || !ends_joined(before)) && (!ends_in_word(part) || !starts_joined(after));
        alone.then_some(before)
    })
}

fn starts_in_word(part: &str) -> bool {
    part.starts_with(char::is_alphanumeric)
}

fn ends_in_word(part: &str) -> bool {
    part.ends_with(char::is_alphanumeric)
}

/// Whether what stands before a word is joined to it.
fn ends_joined(before: &str) -> bool {
    let mut back = before.chars().rev();
    match back.next() {
        None => false,
        Some(next) if next.is_alphanumeric() || matches!(next, '@' | '_' | '-') => true,
        Some('.' | '/' | ':') => back.next().is_some_and(char::is_alphanumeric),
        Some(_) => false,
    }
}

/// Whether what stands after a word is joined to it: a full stop ends a sentence unless a word follows at once.
fn starts_joined(after: &str) -> bool {
    let mut next = after.chars();
    match next.next() {
        None => false,
        Some(first) if first.is_alphanumeric() || matches!(first, '@' | '_') => true,
        Some('-' | '.' | '/' | ':') => next.next().is_some_and(char::is_alphanumeric),
        Some(_) => false,
    }
}

/// Whether the prompt, canonical, holds one of the phrases. In a phrase a word that ends with `*` stands for every word
/// that begins so: `schedul*` for `schedule` and `scheduling`.
pub(crate) fn asks(prompt: &str, phrases: &[Box<str>]) -> bool {
    let words: Vec<&str> = words(prompt).collect();
    phrases.iter().any(|phrase| {
        let phrase = canonical(phrase);
        let wanted = wanted(&phrase);
        !wanted.is_empty() && words.windows(wanted.len()).any(|words| words.iter().zip(&wanted).all(is_meant))
    })
}

/// The words that follow one of the phrases in the prompt, canonical; where several phrases end at different words after the
/// same beginning, the longest counts.
pub(super) fn after<'p>(prompt: &'p str, phrases: &[Box<str>]) -> Vec<&'p str> {
    let words: Vec<&str> = words(prompt).collect();
    let phrases: Vec<String> = phrases.iter().map(|phrase| canonical(phrase)).collect();
    let phrases: Vec<Vec<&str>> = phrases.iter().map(|phrase| wanted(phrase)).collect();
    let from = |at: usize| {
        let rest = words.get(at..)?;
        let fits = |phrase: &&Vec<&str>| {
            !phrase.is_empty() && phrase.len() <= rest.len() && rest.iter().zip(phrase.iter()).all(is_meant)
        };
        rest.get(phrases.iter().filter(fits).map(Vec::len).max()?).copied()
    };
    (0..words.len()).filter_map(from).collect()
}

/// The words of a phrase.
fn wanted(phrase: &str) -> Vec<&str> {
    phrase.split(' ').filter(|word| !word.is_empty()).collect()
}

fn is_meant((word, wanted): (&&str, &&str)) -> bool {
    match wanted.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == wanted,
    }
}

/// The words of a canonical text: letters, digits and what joins them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|next: char| !(next.is_alphanumeric() || matches!(next, '-' | '_'))).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a17_canonical_texts_do_not_depend_on_case_width_or_space() {
        assert_eq!(canonical("  Hello\n\t WORLD "), "hello world");
        assert_eq!(canonical("Ｆｕｌｌ ﬁle"), "full file");
        assert_eq!(canonical("a\u{200b}b\u{ad}c"), "abc");
        assert_eq!(canonical("e\u{301}"), "é");
        assert_eq!(canonical("\u{0}x\u{0}"), "x");
    }

    #[test]
    fn a17_words_are_found_as_words() {
        for text in ["ask ann, please", "ann", "ann's", "(ann)", "to ann.", "#ann", "dear ann: hi"] {
            assert!(holds_words(text, "ann"), "{text}");
        }
        for text in ["annual", "mary-ann", "ann@example.com", "joe@ann", "ann.lee", "x.ann", "ann_1", "an", ""] {
            assert!(!holds_words(text, "ann"), "{text}");
        }
        assert!(holds_words("the team meeting at noon", "team meeting"));
        assert!(!holds_words("anything", ""));
    }

    #[test]
    fn a17_a_name_is_no_plain_word_and_not_what_begins_a_sentence() {
        for text in ["do what Ann Lee says", "Please ask Ann Lee.", "as \"Ann Lee\" wrote", "follow Ann Lee's steps"] {
            assert!(holds_name(text, "Ann Lee"), "{text}");
        }
        for (text, name) in [
            ("Please do it", "Please"),
            ("It is late. Please do it", "Please"),
            ("please do it", "please"),
            ("do what Ann Leed says", "Ann Lee"),
            ("do what ann lee says", "Ann Lee"),
            ("ask Al", "Al"),
            ("ask Ann", ""),
        ] {
            assert!(!holds_name(text, name), "{text}: {name}");
        }
    }

    #[test]
    fn a17_a_prompt_asks_by_whole_words_or_stems() {
        let phrases = |list: &[&str]| list.iter().map(|text| Box::from(*text)).collect::<Vec<Box<str>>>();
        let prompt = canonical("Please re-schedule the Dentist, then send an e-mail.");
        assert!(asks(&prompt, &phrases(&["delete", "re-schedul*"])));
        assert!(asks(&prompt, &phrases(&["Send an"])));
        assert!(asks(&prompt, &phrases(&["e-mail"])));
        assert!(!asks(&prompt, &phrases(&["schedul*", "dent", "mail"])));
        assert!(!asks(&prompt, &phrases(&["", " ", "an send"])));
        assert!(!asks(&prompt, &[]));
    }

    #[test]
    fn a17_the_word_after_a_phrase_is_found() {
        let phrases = |list: &[&str]| list.iter().map(|text| Box::from(*text)).collect::<Vec<Box<str>>>();
        let prompt =
            canonical("To channels starting with 'Ext', and ones that start with the word Team. Starting with");
        assert_eq!(after(&prompt, &phrases(&["start* with", "start* with the word"])), ["ext", "team"]);
        assert!(after(&prompt, &phrases(&["ending with", ""])).is_empty());
    }
}
