//! Canonical JSON: one byte form per value, with nothing rounded and nothing removed.
//!
//! Members are sorted by the UTF-8 bytes of their names, there is no whitespace, number tokens are copied
//! verbatim (never through a float), and strings carry the shortest escapes: `\"`, `\\`, `\b`, `\f`, `\n`,
//! `\r`, `\t`, and `\u00xx` in lower case for the other control characters; everything else is plain UTF-8.
//!
//! Does not: know what an object is; see [`crate::RawObject`] for that.

use std::ops::Range;

/// No value may be nested deeper than this: objects and arrays inside each other.
pub const MAX_DEPTH: usize = 128;

/// No value may be larger than this, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Why bytes have no canonical form. Never quotes the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes are not JSON.
    #[error("not JSON: {what} at byte {at}")]
    Syntax {
        /// What was expected or is wrong.
        what: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// A member name occurs twice in one object, so the value is ambiguous.
    #[error("a member occurs twice in the object that ends at byte {at}")]
    DuplicateMember {
        /// Where the object ends, in bytes from the start.
        at: usize,
    },
    /// The value is nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// The value is larger than [`MAX_BYTES`].
    #[error("{len} bytes are more than the {MAX_BYTES} that fit into a record")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
}

/// Returns the canonical form of one JSON value.
///
/// # Errors
/// [`CanonicalError`] if the bytes are not one JSON value or break a limit.
pub fn canonicalize(input: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    canonicalize_with(input, &[])
}

/// As [`canonicalize`], for what is no record and may be larger: the caller has looked at its size.
///
/// # Errors
/// [`CanonicalError`] if the bytes are not one JSON value, or nested too deep.
pub fn canonicalize_of_any_size(input: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    canonical_form(input, &[])
}

/// Returns the canonical form of one JSON value; if it is an object, the string members `defaults` are added
/// where it lacks them.
///
/// # Errors
/// [`CanonicalError`] if the bytes are not one JSON value or break a limit.
pub fn canonicalize_with(input: &[u8], defaults: &[(&str, &str)]) -> Result<Vec<u8>, CanonicalError> {
    if input.len() > MAX_BYTES {
        return Err(CanonicalError::TooLarge { len: input.len() });
    }
    canonical_form(input, defaults)
}

fn canonical_form(input: &[u8], defaults: &[(&str, &str)]) -> Result<Vec<u8>, CanonicalError> {
    let mut parser = Parser { input, at: 0, out: Vec::with_capacity(input.len() + 64), depth: 0 };
    parser.whitespace();
    if parser.peek() == Some(b'{') {
        parser.object(defaults)?;
    } else {
        parser.value()?;
    }
    parser.whitespace();
    if parser.at != input.len() {
        return Err(parser.syntax("more bytes after the value"));
    }
    Ok(parser.out)
}

/// Reads `input` once from left to right and writes the canonical form to `out`.
struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    depth: usize,
}

impl Parser<'_> {
    fn syntax(&self, what: &'static str) -> CanonicalError {
        CanonicalError::Syntax { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), CanonicalError> {
        match self.peek() {
            Some(b'{') => self.object(&[]),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(|_| ()),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.syntax("a value is expected")),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), CanonicalError> {
        if !self.input[self.at..].starts_with(word) {
            return Err(self.syntax("a value is expected"));
        }
        self.at += word.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), CanonicalError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if start == self.at { Err(self.syntax("a digit is expected")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let token = start..self.at;
        self.out.extend_from_slice(&self.input[token]);
        Ok(())
    }

    fn enter(&mut self) -> Result<(), CanonicalError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(CanonicalError::TooDeep { at: self.at }) } else { Ok(()) }
    }

    fn array(&mut self) -> Result<(), CanonicalError> {
        self.enter()?;
        self.at += 1;
        self.out.push(b'[');
        self.whitespace();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.whitespace();
                self.value()?;
                self.whitespace();
                match self.peek() {
                    Some(b',') => self.out.push(b','),
                    Some(b']') => break self.at += 1,
                    _ => return Err(self.syntax("a comma or the end of the array is expected")),
                }
                self.at += 1;
            }
        }
        self.out.push(b']');
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, defaults: &[(&str, &str)]) -> Result<(), CanonicalError> {
        self.enter()?;
        self.at += 1;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(String, Range<usize>)> = Vec::new();
        self.whitespace();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.whitespace();
                if self.peek() != Some(b'"') {
                    return Err(self.syntax("a member name is expected"));
                }
                let from = self.out.len();
                let name = self.string()?;
                self.whitespace();
                if self.peek() != Some(b':') {
                    return Err(self.syntax("a colon is expected"));
                }
                self.at += 1;
                self.out.push(b':');
                self.whitespace();
                self.value()?;
                members.push((name, from..self.out.len()));
                self.whitespace();
                match self.peek() {
                    Some(b',') => self.out.push(b','),
                    Some(b'}') => break self.at += 1,
                    _ => return Err(self.syntax("a comma or the end of the object is expected")),
                }
                self.at += 1;
            }
        }
        for (name, text) in defaults {
            if members.iter().all(|(member, _)| member != name) {
                if !members.is_empty() {
                    self.out.push(b',');
                }
                let from = self.out.len();
                write_string(&mut self.out, name);
                self.out.push(b':');
                write_string(&mut self.out, text);
                members.push(((*name).to_owned(), from..self.out.len()));
            }
        }
        self.sort(start, members)?;
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// Puts the members written since `start` into the order of their names.
    fn sort(&mut self, start: usize, mut members: Vec<(String, Range<usize>)>) -> Result<(), CanonicalError> {
        if members.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Ok(());
        }
        members.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(CanonicalError::DuplicateMember { at: self.at });
        }
        let unsorted = self.out.split_off(start);
        for (index, (_, range)) in members.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&unsorted[range.start - start..range.end - start]);
        }
        Ok(())
    }

    /// Reads a string, writes its canonical form and returns what it says.
    fn string(&mut self) -> Result<String, CanonicalError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|c| c != b'"' && c != b'\\' && c >= 0x20) {
                self.at += 1;
            }
            match str::from_utf8(&self.input[start..self.at]) {
                Ok(plain) => text.push_str(plain),
                Err(error) => {
                    self.at = start + error.valid_up_to();
                    return Err(self.syntax("invalid UTF-8"));
                }
            }
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.syntax("a control character must be escaped")),
                None => return Err(self.syntax("the string does not end")),
            }
        }
        write_string(&mut self.out, &text);
        Ok(text)
    }

    fn escape(&mut self) -> Result<char, CanonicalError> {
        self.at += 1;
        let plain = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.syntax("unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads `u` and four hex digits, and the second half if that is half of a surrogate pair.
    fn unicode(&mut self) -> Result<char, CanonicalError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.input[self.at..].starts_with(b"\\u") {
                    return Err(self.syntax("lone surrogate"));
                }
                self.at += 1;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.syntax("lone surrogate"));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.syntax("lone surrogate"))
    }

    fn hex4(&mut self) -> Result<u32, CanonicalError> {
        let digits =
            self.input.get(self.at + 1..self.at + 5).ok_or_else(|| self.syntax("four hex digits are expected"))?;
        let mut code = 0;
        for digit in digits {
            let value = char::from(*digit).to_digit(16).ok_or_else(|| self.syntax("four hex digits are expected"))?;
            code = code * 16 + value;
        }
        self.at += 5;
        Ok(code)
    }
}

/// Writes `text` as a canonical JSON string.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x8 => b"\\b",
            0xc => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => &[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), HEX[usize::from(byte & 15)]],
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..at]);
        out.extend_from_slice(escape);
        start = at + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests;
