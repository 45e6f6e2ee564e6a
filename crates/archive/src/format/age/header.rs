//! The header: the file key, wrapped for each recipient, and a check over all of it.
//!
//! Does not: accept any form but the one that there is.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{FileKey, Recipient, SecretKey, derive};
use crate::format::{
    Code,
    fault::{Checked, Fault, demand},
    limits,
};

const VERSION: &str = "age-encryption.org/v1\n";
const STANZA: &str = "-> ";
const KIND: &str = "X25519";
const END: &str = "---";
const WRAP: &[u8] = b"age-encryption.org/v1/X25519";

/// The longest line of a stanza's body; the last one is shorter.
const COLUMNS: usize = 64;

/// Writes a header. Each recipient takes one of the `ephemeral` secrets.
pub(super) fn write(
    file_key: &FileKey,
    recipients: &[Recipient],
    ephemeral: &[Zeroizing<[u8; 32]>],
) -> Result<Vec<u8>, String> {
    let mut text = VERSION.to_owned();
    for (n, recipient) in recipients.iter().enumerate() {
        let secret = ephemeral.get(n).ok_or("there is too little randomness for the recipients")?;
        let secret = StaticSecret::from(**secret);
        let share = PublicKey::from(&secret).to_bytes();
        let shared = secret.diffie_hellman(&PublicKey::from(recipient.0));
        if !shared.was_contributory() {
            return Err(format!("{recipient} hides nothing"));
        }
        let key = wrap_key(shared.as_bytes(), &share, recipient);
        let body = ChaCha20Poly1305::new((&*key).into())
            .encrypt(&[0; 12].into(), file_key.as_slice())
            .map_err(|_| "a file key cannot be wrapped".to_owned())?;
        text += &format!("{STANZA}{KIND} {}\n{}\n", BASE64.encode(share), BASE64.encode(body));
    }
    text += END;
    let mac = check(file_key, text.as_bytes()).finalize().into_bytes();
    text += &format!(" {}\n", BASE64.encode(mac));
    Ok(text.into_bytes())
}

/// Returns the length of the header at the beginning of an age file.
pub(super) fn length(file: &[u8]) -> Checked<u32> {
    let front = &file[..file.len().min(limits::AGE_HEADER)];
    let end = front.windows(5).position(|five| five == b"\n--- ");
    let rest = end.map(|end| (end + 1, &front[end + 1..]));
    let line = rest.and_then(|(at, rest)| rest.iter().position(|byte| *byte == b'\n').map(|end| at + end + 1));
    line.and_then(|end| u32::try_from(end).ok()).ok_or_else(|| broken("it is no age file"))
}

/// Reads a header and returns the file key, if one of the keys opens it.
pub(super) fn read(header: &[u8], keys: &[SecretKey]) -> Checked<FileKey> {
    let text = std::str::from_utf8(header).map_err(|_| broken("the age header is no text"))?;
    let mut rest = text.strip_prefix(VERSION).ok_or_else(|| broken("it is no age file of version 1"))?;
    let (mut stanzas, mut count) = (Vec::new(), 0);
    while let Some(stanza) = rest.strip_prefix(STANZA) {
        let (words, behind) = line(stanza)?;
        let (body, behind) = body(behind)?;
        let words: Vec<&str> = words.split(' ').collect();
        let plain = words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()));
        demand(plain, Code::Age, "the words of a stanza are not as they should be")?;
        match words[..] {
            [KIND, share] => {
                let share = bytes::<32>(share)?;
                // With a point of small order every key has the same secret, whichever is asked.
                let probe = StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(share));
                demand(probe.was_contributory(), Code::Age, "the share of a stanza hides nothing")?;
                stanzas.push((share, exactly::<32>(&body)?));
            }
            [KIND, ..] => return Err(broken("a stanza has more words than its kind has")),
            ["scrypt", ..] => return Err(broken("a passphrase opens it, which this version does not know")),
            // Others are there for other readers.
            _ => {}
        }
        count += 1;
        demand(count <= limits::RECIPIENTS, Code::Age, "the age header has too many recipients")?;
        rest = behind;
    }
    let mac = rest.strip_prefix(END).and_then(|rest| rest.strip_prefix(' '));
    let mac = mac.ok_or_else(|| broken("the age header has no end"))?;
    let (mac, behind) = line(mac)?;
    demand(behind.is_empty() && count > 0, Code::Age, "the age header does not end where it should")?;
    let mac = bytes::<32>(mac)?;
    let covered = &header[..text.len() - rest.len() + END.len()];
    let mut opened = stanzas.iter().flat_map(|stanza| keys.iter().map(move |key| (stanza, key)));
    let file_key = opened.find_map(|((share, body), key)| unwrap(key, share, body));
    let file_key = file_key.ok_or_else(|| Fault::new(Code::NoKey, "no identity that was given opens it"))?;
    let same = check(&file_key, covered).verify_slice(&mac).is_ok();
    demand(same, Code::Age, "the age header was changed")?;
    Ok(file_key)
}

fn unwrap(key: &SecretKey, share: &[u8; 32], body: &[u8; 32]) -> Option<FileKey> {
    let shared = key.0.diffie_hellman(&PublicKey::from(*share));
    let wrap = wrap_key(shared.as_bytes(), share, &key.recipient());
    let opened = ChaCha20Poly1305::new((&*wrap).into()).decrypt(&[0; 12].into(), body.as_slice()).ok();
    let opened = Zeroizing::new(opened?);
    opened.as_slice().try_into().ok().map(Zeroizing::new)
}

fn wrap_key(shared: &[u8; 32], share: &[u8; 32], Recipient(recipient): &Recipient) -> Zeroizing<[u8; 32]> {
    derive(shared, &[*share, *recipient].concat(), WRAP)
}

fn check(file_key: &FileKey, covered: &[u8]) -> Hmac<Sha256> {
    let key = derive(&**file_key, &[], b"header");
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*key).expect("HMAC takes keys of every length");
    mac.update(covered);
    mac
}

fn broken(detail: &str) -> Fault {
    Fault::new(Code::Age, detail)
}

/// Splits off a line, without its end.
fn line(text: &str) -> Checked<(&str, &str)> {
    text.split_once('\n').ok_or_else(|| broken("the age header is cut"))
}

/// Splits off the body of a stanza: lines of 64 digits, and a shorter one.
fn body(text: &str) -> Checked<(Vec<u8>, &str)> {
    let (mut digits, mut rest) = (String::new(), text);
    loop {
        let (line, behind) = line(rest)?;
        demand(line.len() <= COLUMNS, Code::Age, "a line of a stanza is too long")?;
        digits += line;
        rest = behind;
        if line.len() < COLUMNS {
            let body = BASE64.decode(&digits).map_err(|_| broken("the body of a stanza is no base64"))?;
            return Ok((body, rest));
        }
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Checked<[u8; N]> {
    bytes.try_into().map_err(|_| broken("the body of a stanza has another length than its kind has"))
}

/// Reads base64 without padding; the one way to write these bytes, and exactly so many.
fn bytes<const N: usize>(text: &str) -> Checked<[u8; N]> {
    let decoded = BASE64.decode(text).ok().and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
    decoded.ok_or_else(|| broken("the age header holds something that is no base64"))
}
