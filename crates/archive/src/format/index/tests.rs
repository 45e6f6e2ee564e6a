//! A second decoder, by hand from the table of the specification, must always agree.

use proptest::prelude::*;

use super::*;

/// Reads the fields of the table of `spec/format.md`, section 5, one by one.
struct Hand<'a>(&'a [u8]);

impl<'a> Hand<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.u64()?).ok()?;
        Some(self.take(length)?.to_vec())
    }

    fn frame(&mut self) -> Option<FrameEntry> {
        Some(FrameEntry {
            offset: self.u64()?,
            length: self.u32()?,
            content: self.u32()?,
            members: self.u32()?,
            records: self.u32()?,
            first_seq: self.u64()?,
            last_seq: self.u64()?,
            first_time: self.i64()?,
            last_time: self.i64()?,
            sha256: self.take(32)?.try_into().ok()?,
            first_key: self.bytes()?,
            last_key: self.bytes()?,
        })
    }

    fn index(&mut self) -> Option<Index> {
        let magic: [u8; 8] = self.take(8)?.try_into().ok()?;
        let (members, records) = (self.u64()?, self.u64()?);
        let (filter_probes, filter_bits, filter) = (self.take(1)?[0], self.u64()?, self.bytes()?);
        let count = self.u64()?;
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(self.frame()?);
        }
        let done = self.0.is_empty() && magic == MAGIC;
        done.then_some(Index { magic, members, records, filter_probes, filter_bits, filter, frames })
    }
}

fn frames() -> impl Strategy<Value = FrameEntry> {
    let numbers = (any::<u64>(), any::<[u32; 4]>(), any::<[u64; 2]>(), any::<[i64; 2]>());
    let keys = (any::<[u8; 32]>(), any::<Vec<u8>>(), any::<Vec<u8>>());
    (numbers, keys).prop_map(|((offset, small, seqs, times), (sha256, first_key, last_key))| FrameEntry {
        offset,
        length: small[0],
        content: small[1],
        members: small[2],
        records: small[3],
        first_seq: seqs[0],
        last_seq: seqs[1],
        first_time: times[0],
        last_time: times[1],
        sha256,
        first_key,
        last_key,
    })
}

fn indexes() -> impl Strategy<Value = Index> {
    let head = (any::<u64>(), any::<u64>(), any::<u8>(), any::<u64>(), any::<Vec<u8>>());
    (head, prop::collection::vec(frames(), 0..4)).prop_map(|(head, frames)| {
        let (members, records, filter_probes, filter_bits, filter) = head;
        Index { magic: MAGIC, members, records, filter_probes, filter_bits, filter, frames }
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding_and_both_decoders_agree(index in indexes()) {
        let bytes = encode(&index).expect("small");
        prop_assert_eq!(decode(&bytes).expect("valid"), index.clone());
        prop_assert_eq!(Hand(&bytes).index(), Some(index));
    }

    #[test]
    fn both_decoders_agree_on_damaged_bytes(index in indexes(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index, longer: bool) {
        let mut bytes = encode(&index).expect("small");
        let place = at.index(bytes.len());
        bytes[place] = byte;
        prop_assert_eq!(decode(&bytes).ok(), Hand(&bytes).index());
        if longer { bytes.push(byte) } else { bytes.truncate(cut.index(bytes.len())) }
        prop_assert_eq!(decode(&bytes).ok(), Hand(&bytes).index());
    }
}

#[test]
fn refuses_lengths_and_counts_that_cannot_fit_without_taking_memory() {
    let index = Index {
        magic: MAGIC,
        members: 1,
        records: 0,
        filter_probes: 0,
        filter_bits: 0,
        filter: vec![],
        frames: vec![],
    };
    let good = encode(&index).expect("small");
    let fields = [33, good.len() - 8]; // length of the filter, number of frames
    for at in fields {
        for number in [1, 1 << 31, 1 << 63, u64::MAX] {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
            assert_eq!(decode(&bytes).expect_err("a lie").code, Code::Index);
        }
    }
}
