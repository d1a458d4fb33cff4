//! Python's pickle: recognised by its opcodes, and the names that it would import. Nothing is put together from it.

use super::Found;
use crate::budget::Refused;
use crate::capability::Capabilities;
use lockgate_authority::ReasonCode;
use std::collections::BTreeMap;

/// Opcodes that are looked at.
const MOST_OPCODES: usize = 1_000_000;
/// Texts that are remembered for names that come later.
const MOST_REMEMBERED: usize = 10_000;
/// Longest text that can be part of a name.
const MOST_NAME: usize = 200;

/// `None` where the bytes are no pickle. What declares itself is one, however broken; the old form, which does not, is one where
/// every opcode is known up to the end and a name is among them.
pub(super) fn look(bytes: &[u8]) -> Option<Found> {
    let is_declared = matches!(bytes, [0x80, 1..=5, ..]);
    if !is_declared && !matches!(bytes, [b'(' | b'c' | b'}' | b']' | b'l' | b'd', ..]) {
        return None;
    }
    let mut walk = Walk { rest: bytes, length: bytes.len(), ..Walk::default() };
    let mut is_whole = false;
    for _ in 0..MOST_OPCODES {
        match walk.step() {
            Some(Step::Next) => {}
            Some(Step::End) => {
                is_whole = true;
                break;
            }
            None => break,
        }
    }
    let is_one = is_declared || is_whole && !walk.can.code.is_empty();
    is_one.then(|| walk.found())
}

enum Step {
    Next,
    End,
}

#[derive(Default)]
struct Walk<'b> {
    rest: &'b [u8],
    length: usize,
    /// The last two texts, from which a name is made.
    texts: [Option<&'b str>; 2],
    /// What the last opcode pushed, if it was a text.
    top: Option<&'b str>,
    remembered: BTreeMap<u64, &'b str>,
    memorized: u64,
    calls: usize,
    can: Capabilities,
}

impl<'b> Walk<'b> {
    fn found(self) -> Found {
        let mut refused =
            vec![Refused::new(ReasonCode::CodeRefused, "a pickle, which runs what it names when it is read")];
        if self.calls > 0 {
            refused.push(Refused::new(ReasonCode::CodeRefused, "calls of what it names"));
        }
        Found { can: self.can, refused }
    }

    fn take(&mut self, length: u64) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// A number in so many bytes, the lowest first.
    fn number(&mut self, width: u64) -> Option<u64> {
        Some(self.take(width)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Option<&'b str> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end as u64)?;
        self.take(1)?;
        std::str::from_utf8(line).ok()
    }

    fn push(&mut self, text: Option<&'b str>) {
        let text = text.filter(|text| text.len() <= MOST_NAME);
        self.texts = [self.texts[1], text];
        self.top = text;
    }

    fn remember(&mut self, at: u64) {
        if let Some(text) = self.top
            && self.remembered.len() < MOST_REMEMBERED
        {
            self.remembered.insert(at, text);
        }
    }

    fn name(&mut self, module: &str, name: &str) {
        let at = format!("byte {}", self.length - self.rest.len());
        self.can.add(|can| &mut can.code, &at, &format!("{module}.{name}"));
    }

    fn step(&mut self) -> Option<Step> {
        let [opcode] = *self.take(1)? else { return None };
        let pushed = std::mem::take(&mut self.top);
        match opcode {
            b'.' => return Some(Step::End),
            b'c' | b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name);
                self.calls += usize::from(opcode == b'i');
            }
            0x93 => {
                let [module, name] = self.texts;
                self.name(module.unwrap_or("?"), name.unwrap_or("?"));
            }
            b'R' | b'o' | b'b' | 0x81 | 0x92 => self.calls += 1,
            b'S' | b'V' => {
                let text = self.line()?;
                self.push(Some(text.trim_matches(['\'', '"'])));
            }
            b'X' | b'T' | 0x8c | b'U' | 0x8d => {
                let width = match opcode {
                    b'X' | b'T' => 4,
                    0x8d => 8,
                    _ => 1,
                };
                let length = self.number(width)?;
                let text = std::str::from_utf8(self.take(length)?).ok();
                self.push(text);
            }
            0x94 => {
                self.top = pushed;
                self.remember(self.memorized);
                self.memorized += 1;
            }
            b'q' | b'r' | b'p' => {
                self.top = pushed;
                let at = match opcode {
                    b'q' => self.number(1)?,
                    b'r' => self.number(4)?,
                    _ => self.line()?.parse().ok()?,
                };
                self.remember(at);
            }
            b'h' | b'j' | b'g' => {
                let at = match opcode {
                    b'h' => self.number(1)?,
                    b'j' => self.number(4)?,
                    _ => self.line()?.parse().ok()?,
                };
                if let Some(text) = self.remembered.get(&at).copied() {
                    self.push(Some(text));
                }
            }
            b'F' | b'I' | b'L' | b'P' => {
                self.line()?;
            }
            b'K' | 0x80 | 0x82 => {
                self.take(1)?;
            }
            b'M' | 0x83 => {
                self.take(2)?;
            }
            b'J' | 0x84 => {
                self.take(4)?;
            }
            b'G' | 0x95 => {
                self.take(8)?;
            }
            b'C' | 0x8a => {
                let length = self.number(1)?;
                self.take(length)?;
            }
            b'B' | 0x8b => {
                let length = self.number(4)?;
                self.take(length)?;
            }
            0x8e | 0x96 => {
                let length = self.number(8)?;
                self.take(length)?;
            }
            b'('
            | b'0'
            | b'1'
            | b'2'
            | b'N'
            | b'Q'
            | b'a'
            | b'd'
            | b'}'
            | b'e'
            | b'l'
            | b']'
            | b's'
            | b't'
            | b')'
            | b'u'
            | 0x85..=0x89
            | 0x8f..=0x91
            | 0x97
            | 0x98 => {}
            _ => return None,
        }
        Some(Step::Next)
    }
}
