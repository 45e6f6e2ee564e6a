//! JSON that two readers cannot read differently: no member twice, and, in heads of lines, only one way to write it.
//!
//! Does not: build values; `serde_json` does, which of a member that is there twice may take either.

use std::borrow::Cow;

/// Deepest nesting of what is not an archived object.
const DEPTH: usize = 128;

/// How much freedom the text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any JSON without members that are there twice.
    Any,
    /// As [`Form::Any`], without whitespace between tokens, and with the shortest escapes.
    Compact,
}

/// Tells whether `text` is one JSON object of this form, with nothing before or after it.
pub(crate) fn is_object(text: &str, form: Form) -> bool {
    let mut scan = Scan { text: text.as_bytes(), at: 0, form };
    text.starts_with('{') && scan.value(1).is_some() && scan.at == text.len()
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    form: Form,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        if self.form == Form::Any {
            while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                self.at += 1;
            }
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(|_| ()),
            _ => self.plain(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.take(b'{').filter(|()| depth <= DEPTH)?;
        let mut names: Vec<Cow<'a, str>> = Vec::new();
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            self.peek()?;
            let raw = std::str::from_utf8(self.string()?).ok()?;
            let name = match raw.contains('\\') {
                true => Cow::Owned(serde_json::from_str::<String>(&format!("\"{raw}\"")).ok()?),
                false => Cow::Borrowed(raw),
            };
            if names.contains(&name) {
                return None;
            }
            names.push(name);
            self.take(b':')?;
            self.value(depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b'}'),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.take(b'[').filter(|()| depth <= DEPTH)?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            self.value(depth + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b']'),
            }
        }
    }

    /// Returns what stands between the quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match *self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at - 1)
    }

    fn escape(&mut self) -> Option<()> {
        let shortest = match self.text.get(self.at + 1)? {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let code = self.text.get(self.at + 2..self.at + 6)?;
                // What has a shorter escape, or needs none, is not written like this.
                let control = code.starts_with(b"00")
                    && matches!(code[2], b'0' | b'1')
                    && matches!(code[3], b'0'..=b'9' | b'a'..=b'f')
                    && !(code[2] == b'0' && matches!(code[3], b'8' | b'9' | b'a' | b'c' | b'd'));
                if !control && self.form == Form::Compact {
                    return None;
                }
                6
            }
            b'/' if self.form == Form::Any => 2,
            _ => return None,
        };
        self.at += shortest;
        Some(())
    }

    /// A number or a word; `serde_json` judges whether it is one.
    fn plain(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))
            .unwrap_or(rest.len());
        self.at += length;
        (length > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_members_that_are_there_twice_however_they_are_written() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":[{"c":1,"c":2}]}}"#, r#"{"a":1,"\u0061":1}"#] {
            assert!(!is_object(text, Form::Any), "{text}");
        }
        for text in [r#"{}"#, r#"{"a":{"a":[{"a":1},{"a":2}]}}"#, " {\"a\" : [ ] , \"b\":\"\\u0061\\/\"}".trim()] {
            assert!(is_object(text, Form::Any), "{text}");
        }
    }

    #[test]
    fn a_head_can_be_written_in_one_way_only() {
        for text in [
            r#"{ "a":1}"#,
            r#"{"a" :1}"#,
            r#"{"a":1 }"#,
            r#"{"a":[1, 2]}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":1},"#,
            r#"[1]"#,
            "",
        ] {
            assert!(!is_object(text, Form::Compact), "{text}");
        }
        assert!(is_object(r#"{"a":[1,"\n\u001f\u0000é"],"b":{"c":-1.5e3,"d":null}}"#, Form::Compact));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_object(&nested(127), Form::Any));
        assert!(!is_object(&nested(128), Form::Any) && !is_object(&nested(100_000), Form::Any));
    }
}
