//! What is wrapped in texts: data URLs, and the bytes in base64 that messages carry.

use super::{Kind, MOST_REFUSED, Report, inspect_within};
use crate::budget::Refused;
use crate::capability::Capabilities;
use crate::envelope::Accept;
use crate::place::Place;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lockgate_authority::{ReasonCode, Value};

/// Texts of one document whose content is told.
const MOST_WITHIN: usize = 100;
/// As browsers read it: padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Keys beside `data` that say of what kind it is.
const KINDS: [&str; 3] = ["mimeType", "mime_type", "media_type"];

/// What is wrapped in a text of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    /// JSON Pointer of the text.
    pub at: String,
    /// What is in it. Bytes of no kind that is known, as of an image, are not refused there.
    pub report: Report,
}

impl Within {
    pub(super) fn to_value(&self) -> Value {
        Value::map([("at", Value::from(self.at.as_str())), ("report", self.report.content())])
    }
}

/// Looks into every text that is a data URL as a whole, and into bytes in base64 as MCP and the interfaces of models have them:
/// `blob`, and `data` beside its kind.
pub(super) fn look(value: &Value, accept: &Accept<'_>, wrapped: usize, refused: &mut Vec<Refused>) -> Vec<Within> {
    let mut looking = Looking { accept, wrapped, refused, found: Vec::new(), place: Place::default() };
    looking.value(value, false);
    looking.found
}

struct Looking<'a> {
    accept: &'a Accept<'a>,
    wrapped: usize,
    refused: &'a mut Vec<Refused>,
    found: Vec<Within>,
    place: Place,
}

impl Looking<'_> {
    fn value(&mut self, value: &Value, is_base64: bool) {
        match value {
            Value::Text(text) => self.text(text, is_base64),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let here = self.place.enter_index(index);
                    self.value(item, false);
                    self.place.leave(here);
                }
            }
            Value::Map(entries) => {
                let says_kind = entries.iter().any(|(key, _)| KINDS.contains(&key.as_str()));
                for (key, item) in entries {
                    let here = self.place.enter(key);
                    self.value(item, key == "blob" || key == "data" && says_kind);
                    self.place.leave(here);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, is_base64: bool) {
        let url = text.trim();
        if !is_base64 && !is_data_url(url) {
            return;
        }
        if self.found.len() == MOST_WITHIN {
            return self.refuse(ReasonCode::TooLarge, "more content in texts than is looked into");
        }
        let Some(left) = self.wrapped.checked_sub(1) else {
            return self.refuse(ReasonCode::TooDeep, TOO_DEEP);
        };
        let report = if is_data_url(url) {
            let mut report = data_url(text.as_bytes(), url, self.accept, self.wrapped);
            report.inner.iter_mut().for_each(|inner| take_unknown(inner));
            report
        } else {
            let Some(bytes) = base64_decoded(text.as_bytes()) else {
                return self.refuse(ReasonCode::Malformed, "bytes that are not written in base64");
            };
            let mut report = inspect_within(&bytes, self.accept, left);
            take_unknown(&mut report);
            report
        };
        self.found.push(Within { at: self.place.pointer().to_owned(), report });
    }

    fn refuse(&mut self, code: ReasonCode, found: &'static str) {
        if self.refused.len() < MOST_REFUSED {
            self.refused.push(Refused { code, pointer: self.place.pointer().to_owned(), found });
        }
    }
}

/// An image, a sound or a text is nothing that is known here, and a message may carry it.
fn take_unknown(report: &mut Report) {
    if report.kind == Kind::Unknown {
        report.refused.retain(|refused| refused.code != ReasonCode::FormatRefused);
    }
}

const TOO_DEEP: &str = "data URLs nested deeper than allowed";

/// Whether a text is a data URL: what it says of itself holds no space but before a parameter, so that prose is none.
pub(super) fn is_data_url(text: &str) -> bool {
    let is_named = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let head = text.get(5..).and_then(|rest| rest.split_once(',')).map(|(head, _)| head);
    is_named && head.is_some_and(|head| head.replace("; ", ";").bytes().all(|byte| byte.is_ascii_graphic()))
}

/// What is in a data URL, `bytes` being all of it.
pub(super) fn data_url(bytes: &[u8], url: &str, accept: &Accept<'_>, wrapped: usize) -> Report {
    let outer = |refused: Vec<Refused>| Report::of(Kind::DataUrl, bytes, Capabilities::default(), refused);
    let Some((head, content)) = url.split_once(',') else {
        return outer(vec![Refused::malformed("a data URL without content")]);
    };
    let Some(wrapped) = wrapped.checked_sub(1) else {
        return outer(vec![Refused::new(ReasonCode::TooDeep, TOO_DEEP)]);
    };
    let content = percent_decoded(content.trim_end());
    let last = head.rsplit(';').next().unwrap_or_default();
    let is_base64 = head.contains(';') && last.trim().eq_ignore_ascii_case("base64");
    let Some(decoded) = (if is_base64 { base64_decoded(&content) } else { Some(content) }) else {
        return outer(vec![Refused::malformed("content of a data URL that cannot be read")]);
    };
    Report { inner: Some(Box::new(inspect_within(&decoded, accept, wrapped))), ..outer(Vec::new()) }
}

/// Of either alphabet, with or without white space.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let text: Vec<u8> = text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    BASE64.decode(text).ok()
}

/// What is no escape stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if let (b'%', [high, low, after @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*byte);
        }
    }
    out
}
