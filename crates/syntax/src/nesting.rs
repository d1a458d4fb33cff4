//! A quick look at how deep a text nests, before the parser sees it.
//!
//! It exists for two reasons: text that no engine would run is refused with its place, and the parser never sees the
//! forms for which it needs time out of proportion. Those are two: great depth, where its time grows with the square or
//! the cube, and in TypeScript places that it must read twice to know what they are, inside of one another, where its time
//! doubles with each: expressions inside of what may be type arguments (`a<(b = a<(b = …`), and named rest elements inside
//! of what may be parameters (`([...a: ([...a: …`).
//!
//! Strings, comments, templates and regular expressions are told from code as editors do, by the token before. Text made
//! to deceive this costs time, not safety: that rests on [`stack`](crate::stack).

use crate::error::{ErrorCode, Refused};
use crate::text::line_terminator_len;

/// The deepest nesting that is read: open brackets and templates, and in each of them the arrows, conditionals and `<` of
/// one unfinished expression. The deepest of 17,000 files of published packages has 30.
pub const MAX_NESTING: u32 = 128;

/// How many places that the parser of TypeScript may have to read twice may lie inside of one another. The most in those
/// files is 2.
const MAX_REREADS: u32 = 4;

/// Words after which a `/` begins a regular expression and not a division.
const WORDS_BEFORE_A_VALUE: &[&[u8]] = &[
    b"return",
    b"typeof",
    b"instanceof",
    b"in",
    b"of",
    b"new",
    b"delete",
    b"void",
    b"throw",
    b"case",
    b"do",
    b"else",
    b"yield",
    b"await",
];

/// Words whose parentheses are followed by a statement, not by an operator.
const WORDS_BEFORE_A_CONDITION: &[&[u8]] = &[b"if", b"while", b"for", b"with"];

/// Refuses text that nests too deep, at the first place where it does.
pub(crate) fn check(source: &str, typescript: bool) -> Result<(), Refused> {
    let mut scan = Scan::new(source);
    while scan.at < scan.text.len() {
        scan.token();
        let message = if scan.depth > MAX_NESTING {
            format!("the source is nested more than {MAX_NESTING} levels deep")
        } else if typescript && scan.rereads > MAX_REREADS {
            format!("what may be types or values is nested more than {MAX_REREADS} levels deep")
        } else {
            continue;
        };
        return Err(Refused {
            code: ErrorCode::TooDeep,
            offset: u32::try_from(scan.at.saturating_sub(1)).unwrap_or(u32::MAX),
            message,
            hint: Some("give inner parts a name of their own".into()),
        });
    }
    Ok(())
}

/// What the last token was, as far as the next one's meaning depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A value ended: `/` divides.
    Operand,
    /// A block (or an object) ended.
    Brace,
    /// A value must follow: `/` begins a regular expression.
    Operator,
    /// As `Operand`, and `(` opens a condition.
    ConditionWord,
}

/// One open bracket, or the text itself.
#[derive(Default)]
struct Frame {
    closer: u8,
    condition: bool,
    /// Arrows and `?` since the expression began.
    nested: u32,
    /// `<` that no `>` has answered.
    angles: u32,
    /// Shifts, which in TypeScript may be two `<`.
    shifts: u32,
    /// An element of it began with `...`.
    spread: bool,
    /// How many of `Scan::rereads` began here.
    rereads: u32,
    /// `Scan::angles_counted` before this bracket.
    angles_counted_outside: u32,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    /// The sum over `frames` of 1 (but for the first), `nested` and `angles`.
    depth: u32,
    /// The sum of `angles` and `shifts` over `frames`.
    angles: u32,
    /// How many places that may be read twice the text is inside of.
    rereads: u32,
    /// `angles` outside of the innermost expression in possible type arguments.
    angles_counted: u32,
    before: Before,
    /// The last byte of the last token.
    last: u8,
    /// How many more bytes may be looked at for the ends of regular expressions, so that the scan stays linear.
    steps_to_waste: usize,
}

impl<'a> Scan<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            text: source.as_bytes(),
            at: 0,
            frames: vec![Frame::default()],
            depth: 0,
            angles: 0,
            rereads: 0,
            angles_counted: 0,
            before: Before::Operator,
            last: 0,
            steps_to_waste: source.len().saturating_mul(4),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Reads one token, or one stretch of white space. Always moves on.
    fn token(&mut self) {
        if self.frames.last().is_some_and(|frame| frame.closer == b'`') {
            return self.template_text();
        }
        let (byte, next) = (self.peek(0), self.peek(1));
        match byte {
            b' ' | b'\t' => self.at += 1,
            b'\n' | b'\r' => self.line_end(),
            b'"' | b'\'' => self.string(byte),
            b'`' => self.open(b'`', false),
            b'(' => {
                let condition = self.before == Before::ConditionWord;
                let import = self.text[..self.at].trim_ascii_end().ends_with(b"import");
                self.open(b')', condition);
                if import {
                    self.expression_begins();
                }
            }
            b'[' => {
                if self.at_member_name() {
                    self.expression_begins();
                }
                self.open(b']', false);
            }
            b'{' => self.open(b'}', false),
            b')' | b']' | b'}' => self.close(byte),
            b'/' => self.slash(),
            _ if is_word(byte) => self.word(),
            _ => self.punctuation(byte, next),
        }
        if !byte.is_ascii_whitespace() && !matches!((byte, next), (b'/', b'/' | b'*')) {
            self.last = self.text.get(self.at - 1).copied().unwrap_or(0);
        }
    }

    fn open(&mut self, closer: u8, condition: bool) {
        self.at += 1;
        self.frames.push(Frame { closer, condition, angles_counted_outside: self.angles_counted, ..Frame::default() });
        self.depth += 1;
        self.before = Before::Operator;
    }

    /// Closes the innermost bracket if `byte` is its closer; else leaves the complaint to the parser.
    fn close(&mut self, byte: u8) {
        self.at += 1;
        self.before = if byte == b'}' { Before::Brace } else { Before::Operand };
        if let Some(frame) = self.frames.pop_if(|frame| frame.closer == byte) {
            self.depth -= 1 + frame.nested + frame.angles;
            self.angles -= frame.angles + frame.shifts;
            self.rereads -= frame.rereads;
            self.angles_counted = frame.angles_counted_outside;
            if frame.condition {
                self.before = Before::Operator;
            }
        }
    }

    /// Forgets the unfinished expression of the innermost bracket.
    fn end_expression(&mut self, angles_too: bool) {
        if let Some(frame) = self.frames.last_mut() {
            self.depth -= std::mem::take(&mut frame.nested);
        }
        if angles_too {
            self.forget_angles();
        }
    }

    /// Forgets what no longer can be type arguments in the innermost bracket.
    fn forget_angles(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            let angles = std::mem::take(&mut frame.angles);
            self.depth -= angles;
            self.angles -= angles + std::mem::take(&mut frame.shifts);
        }
    }

    /// Counts an expression that begins in a bracket, if since the last one that was counted a `<` outside of the bracket
    /// may have begun type arguments.
    fn expression_begins(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        let outside = self.angles - frame.angles - frame.shifts;
        if outside > self.angles_counted {
            self.angles_counted = outside;
            self.read_twice();
        }
    }

    /// Counts a place that may be read twice, until its bracket closes.
    fn read_twice(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.rereads += 1;
            self.rereads += 1;
        }
    }

    /// Whether a `[` here may stand for the name of a member: not where the brackets of a value or type begin.
    fn at_member_name(&self) -> bool {
        let begins_value = matches!(self.last, b':' | b'|' | b'&' | b'=' | b'<' | b'(' | b'[' | b'?' | b'.');
        !begins_value && self.frames.last().is_some_and(|frame| frame.closer == b'}')
    }

    /// A line end after a value and before a word ends the statement.
    fn line_end(&mut self) {
        self.at += 1;
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        if self.before == Before::Operand && (is_word(self.peek(0)) || matches!(self.peek(0), b'"' | b'\'')) {
            self.end_expression(true);
        }
    }

    fn string(&mut self, quote: u8) {
        self.at += 1;
        loop {
            match self.peek(0) {
                b'\\' => self.at += 2,
                0 if self.at >= self.text.len() => break,
                b'\n' | b'\r' => break,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        self.before = Before::Operand;
    }

    fn template_text(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'\\', _) => self.at += 2,
                (0, _) if self.at >= self.text.len() => return,
                (b'$', b'{') => {
                    self.at += 1;
                    return self.open(b'}', false);
                }
                (b'`', _) => return self.close(b'`'),
                _ => self.at += 1,
            }
        }
    }

    fn slash(&mut self) {
        match self.peek(1) {
            b'/' => {
                let rest = &self.text[self.at..];
                let is_end = |at: &usize| line_terminator_len(&rest[*at..]) > 0;
                self.at += (0..rest.len()).find(is_end).unwrap_or(rest.len());
            }
            b'*' => {
                let body = self.text.get(self.at + 2..).unwrap_or(&[]);
                let end = body.windows(2).position(|pair| pair == b"*/");
                self.at += 2 + end.map_or(body.len(), |end| end + 2);
            }
            _ => match self.regular_expression() {
                Some(length) if matches!(self.before, Before::Operator | Before::Brace) => {
                    self.at += length;
                    self.before = Before::Operand;
                }
                _ => {
                    self.at += 1;
                    self.before = Before::Operator;
                }
            },
        }
    }

    /// The length of the regular expression that would begin here, if one ends on this line.
    fn regular_expression(&mut self) -> Option<usize> {
        if self.before == Before::Operand {
            return None;
        }
        let mut in_class = false;
        let mut escaped = false;
        for (length, &byte) in self.text[self.at..].iter().enumerate().skip(1) {
            if self.steps_to_waste == 0 {
                return None;
            }
            self.steps_to_waste -= 1;
            match byte {
                b'\n' | b'\r' => return None,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => return Some(length + 1),
                _ => {}
            }
        }
        None
    }

    fn word(&mut self) {
        if self.before == Before::Brace {
            self.end_expression(true);
        }
        let is_property = self.at > 0 && matches!(self.text[self.at - 1], b'.' | b'#');
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        self.before = if is_property {
            Before::Operand
        } else if WORDS_BEFORE_A_VALUE.contains(&word) {
            // `for await (…)` opens a condition as `for (…)` does.
            if word == b"await" && self.before == Before::ConditionWord { self.before } else { Before::Operator }
        } else if WORDS_BEFORE_A_CONDITION.contains(&word) {
            Before::ConditionWord
        } else {
            Before::Operand
        };
    }

    fn punctuation(&mut self, byte: u8, next: u8) {
        let (length, before) = match (byte, next) {
            (b'=', b'>') => (2, self.deeper(|frame| &mut frame.nested)),
            (b'?', b'.' | b'?') => (2, Before::Operator),
            (b'?', _) => (1, self.deeper(|frame| &mut frame.nested)),
            (b'=' | b'!', b'=') => (if self.peek(2) == b'=' { 3 } else { 2 }, Before::Operator),
            (b'=' | b'@', _) => {
                self.expression_begins();
                (1, Before::Operator)
            }
            (b'<', b'=') => (2, Before::Operator),
            (b'<', b'<') => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.shifts += 2;
                    self.angles += 2;
                }
                (2, Before::Operator)
            }
            (b'.', b'.') => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.spread = true;
                }
                (2, Before::Operator)
            }
            (b':', _) => {
                if self.frames.last().is_some_and(|frame| frame.spread && frame.closer == b']') {
                    self.read_twice();
                }
                (1, Before::Operator)
            }
            (b'<', _) => {
                self.angles += 1;
                (1, self.deeper(|frame| &mut frame.angles))
            }
            (b'>', _) => (1, self.answer_angle()),
            (b'&', b'&') | (b'|', b'|') => {
                self.forget_angles();
                (2, Before::Operator)
            }
            (b';', _) => {
                self.end_expression(true);
                (1, Before::Operator)
            }
            (b',', _) => {
                self.end_expression(false);
                if let Some(frame) = self.frames.last_mut() {
                    frame.spread = false;
                }
                (1, Before::Operator)
            }
            // Before or after a value, these leave what they stand beside.
            (b'+', b'+') | (b'-', b'-') => (2, self.before),
            (b'!', _) => (1, self.before),
            _ => (1, Before::Operator),
        };
        self.at += length;
        self.before = before;
    }

    fn deeper(&mut self, counter: impl FnOnce(&mut Frame) -> &mut u32) -> Before {
        if let Some(frame) = self.frames.last_mut() {
            *counter(frame) += 1;
            self.depth += 1;
        }
        Before::Operator
    }

    fn answer_angle(&mut self) -> Before {
        if let Some(frame) = self.frames.last_mut()
            && frame.angles > 0
        {
            frame.angles -= 1;
            self.angles -= 1;
            self.depth -= 1;
        }
        Before::Operator
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'\\') || byte >= 0x80
}
