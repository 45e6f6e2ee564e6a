//! Age files: what the tool `age` reads and writes, ranges, and every way to break one.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32])
}

fn drawn(recipients: usize) -> Drawn {
    let ephemeral = (0..recipients).map(|n| Zeroizing::new([100 + u8::try_from(n).expect("few"); 32])).collect();
    Drawn { file_key: Zeroizing::new([3; 16]), nonce: [4; 16], ephemeral }
}

fn file(content: &[u8]) -> Vec<u8> {
    let to = [secret(1).recipient(), secret(2).recipient()];
    seal(content, &to, &drawn(2)).expect("two recipients").0
}

fn code(file: &[u8], key: &SecretKey) -> Code {
    open_file(file, std::slice::from_ref(key)).expect_err("broken").code
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_range_can_be_opened_by_itself(length in 0_usize..200_000, a in 0_u64..200_000, b in 0_u64..200_000) {
        let content: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).expect("small")).collect();
        let (file, header) = seal(&content, &[secret(1).recipient()], &drawn(1)).expect("sealed");
        prop_assert_eq!(file.len() as u64, u64::from(header) + 16 + sealed(length as u64));
        prop_assert_eq!(&*open_file(&file, &[secret(9), secret(1)]).expect("opened"), &content);
        let at = |offset: u64| usize::try_from(offset).expect("small");
        let (from, to) = (a.min(b).min(length as u64), a.max(b).min(length as u64));
        let opener = super::open(&file, header, length as u64, &[secret(1)]).expect("opened");
        let stored = opener.stored(from..to);
        let range = opener.open(from..to, &file[at(stored.start)..at(stored.end)]).expect("opened");
        prop_assert_eq!(&range, &content[at(from)..at(to)]);
        prop_assert!(stored.end - stored.start <= (to - from).div_ceil(1 << 16).max(1) * 65_552 + 65_552);
    }
}

#[test]
fn each_recipient_opens_it_and_nobody_else() {
    let file = file(b"body");
    for n in [1, 2] {
        assert_eq!(**open_file(&file, &[secret(n)]).expect("opened"), *b"body");
    }
    assert_eq!(code(&file, &secret(3)), Code::NoKey);
    assert_eq!(open_file(&file, &[]).expect_err("no key").code, Code::NoKey);
}

#[test]
fn every_bit_that_is_changed_and_every_cut_is_found() {
    let good = file(b"a body of some bytes");
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(open_file(&bad, &[secret(1)]).is_err(), "bit {bit} of byte {at}");
        }
        assert!(open_file(&good[..at], &[secret(1)]).is_err(), "cut at {at}");
    }
    assert!(open_file(&[&good[..], b"x"].concat(), &[secret(1)]).is_err(), "a byte more");
}

#[test]
fn chunks_that_were_dropped_doubled_or_put_in_another_order_are_found() {
    let content: Vec<u8> = (0..3 * 65_536_u32).map(|n| u8::try_from(n / 65_536).expect("small")).collect();
    let good = file(&content);
    let start = good.len() - 3 * 65_552;
    let chunk = |n: usize| &good[start + n * 65_552..start + (n + 1) * 65_552];
    let with = |chunks: &[usize]| {
        [&good[..start], &chunks.iter().flat_map(|n| chunk(*n)).copied().collect::<Vec<_>>()].concat()
    };
    assert!(open_file(&with(&[0, 1, 2]), &[secret(1)]).is_ok());
    for chunks in [&[0, 1][..], &[1, 2], &[0, 2], &[0, 0, 2], &[1, 0, 2], &[0, 2, 1], &[0, 1, 2, 2], &[0, 1, 1, 2], &[]]
    {
        assert_eq!(code(&with(chunks), &secret(1)), Code::Age, "{chunks:?}");
    }
}

#[test]
fn a_header_that_age_would_not_write_is_refused() {
    let good = file(b"");
    let text = String::from_utf8_lossy(&good).into_owned();
    let header = &text[..text.find("\n---").expect("a header")];
    let changed = |change: &dyn Fn(&str) -> String| {
        let rest = &good[header.len()..];
        code(&[change(header).as_bytes(), rest].concat(), &secret(1))
    };
    assert_eq!(changed(&|header| header.replace("v1", "v2")), Code::Age);
    assert_eq!(changed(&|header| header.replace("-> X25519", "-> scrypt")), Code::Age);
    assert_eq!(changed(&|header| format!("{header}\n-> ssh-ed25519 AAAA\nAAAA")), Code::Age, "the MAC covers it");
    assert_eq!(changed(&|header| format!("{header}\n-> other\n{}", "A".repeat(65))), Code::Age);
    assert_eq!(changed(&|header| header.replace('\n', "\r\n")), Code::Age);
    assert_eq!(changed(&|header| header.replacen("\n", "=\n", 3).replacen("=\n", "\n", 1)), Code::Age);
    assert_eq!(changed(&|_| "age-encryption.org/v1".to_owned()), Code::Age, "no recipients");
    let stanza = &header[header.find("-> ").expect("a stanza")..];
    let crowd = |n: usize| changed(&|header| format!("{header}{}", format!("\n{stanza}").repeat(n)));
    assert_eq!(crowd(7), Code::Age, "16 recipients, but another check");
    assert_eq!(crowd(8), Code::Age, "18 recipients");
    assert_eq!(crowd(100_000), Code::Age, "a header without end is not read");
    let to: Vec<Recipient> = (1..18).map(|n| secret(n).recipient()).collect();
    assert!(seal(b"", &to, &drawn(17)).is_err() && seal(b"", &[], &drawn(0)).is_err());
    let (most, header) = seal(b"", &to[..16], &drawn(16)).expect("16 recipients");
    assert!(header as usize <= limits::AGE_HEADER && open_file(&most, &[secret(16)]).is_ok());
}

#[test]
fn keys_are_written_as_age_keygen_writes_them() {
    // Of the README of age.
    let text = "# created: 2021-01-02T15:30:45+01:00\n# public key: age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z\n\
                AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9\n";
    let keys = SecretKey::read_file(text).expect("a key");
    let recipient = keys[0].recipient();
    assert_eq!(recipient.to_string(), "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z");
    assert_eq!(recipient.to_string().parse(), Ok(recipient));
    assert_eq!(*keys[0].reveal(), "AGE-SECRET-KEY-1N9JEPW6DWJ0ZQUDX63F5A03GX8QUW7PXDE39N8UYF82VZ9PC8UFS3M7XA9");
    assert!(!format!("{:?}", keys[0]).contains("SECRET-KEY-"));
}

#[test]
fn keys_of_other_kinds_are_refused_by_name_and_slips_are_found() {
    let recipient = |text: &str| text.parse::<Recipient>().expect_err(text).to_string();
    for (text, word) in [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGp", "SSH"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugin"),
        ("age1pq1abc", "post-quantum"),
    ] {
        assert!(recipient(text).contains(word), "{text}: {}", recipient(text));
    }
    let good = secret(1).recipient().to_string();
    for bad in [good.to_uppercase(), good.replace('l', "p"), format!("{good}q"), good[..40].to_owned(), String::new()] {
        assert_eq!(bad.parse::<Recipient>(), Err(KeyError::Recipient), "{bad}");
    }
    assert_eq!("age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqwdfgnv".parse::<Recipient>().ok(), None);
    let zero = Recipient([0; 32]).to_string();
    assert_eq!(zero.parse::<Recipient>(), Err(KeyError::Recipient), "a point that hides nothing");
    for (text, word) in [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "SSH"),
        ("-----BEGIN AGE ENCRYPTED FILE-----", "passphrase"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", "plugin"),
        ("# nothing\n", "no age secret key"),
        ("x", "no age secret key"),
    ] {
        let error = SecretKey::read_file(text).expect_err(text).to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}
