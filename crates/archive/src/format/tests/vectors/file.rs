//! The text form of a vector: header lines, an empty line, base64.

use bytes::Bytes;

/// A vector.
pub(super) struct Vector {
    headers: Vec<(String, String)>,
    pub(super) object: Bytes,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Vector {
    pub(super) fn new(headers: &[(&str, &str)], object: Bytes) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { headers, object }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).expect("the header is there and a number")
    }

    pub(super) fn to_text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let base64 = encode(&self.object);
        let lines = base64.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII"));
        let body: String = lines.flat_map(|line| [line, "\n"]).collect();
        format!("{headers}\n{body}")
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (headers, body) = text.split_once("\n\n").ok_or("there is no empty line")?;
        let headers = headers
            .lines()
            .map(|line| {
                let (name, value) = line.split_once(": ").ok_or_else(|| format!("{line:?} is no header"))?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect::<Result<_, String>>()?;
        let digits: String = body.lines().collect();
        Ok(Self { headers, object: decode(&digits).ok_or("the body is not base64")?.into() })
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_usize, |group, n| group << 8 | usize::from(*chunk.get(n).unwrap_or(&0)));
        for n in 0..4 {
            let digit = char::from(ALPHABET[group >> (18 - 6 * n) & 63]);
            text.push(if n <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0_usize, 0);
    for digit in digits.bytes() {
        group = group << 6 | ALPHABET.iter().position(|known| *known == digit)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(group >> bits & 0xFF).ok()?);
        }
    }
    text.len().is_multiple_of(4).then_some(bytes)
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(encode(plain.as_bytes()), text);
        assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
    }
}
