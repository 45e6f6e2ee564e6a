//! What the fields of a footer may hold.

use vmrewind_model::Digest;

use super::{Footer, Kind, LEN, flag};
use crate::format::{
    Code, age,
    fault::{Checked, demand, time},
    limits,
};

impl Footer {
    /// Tells whether a flag is set.
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Checks that this program knows all that is needed to read the object.
    pub(super) fn check_known(&self, kind: Kind) -> Checked<()> {
        let known = kind.version();
        let version = format!("the format version is {}, this program reads {known}", self.version);
        demand(self.version == known, Code::Version, &version)?;
        let half = self.has(flag::ENCRYPTED) != (self.encryption_header != 0);
        let features = self.features != 0 || self.has(flag::SIGNED) || half || self.signer != 0;
        demand(!features, Code::Feature, "it needs a feature that this program does not have")?;
        let reserved =
            self.flags & !flag::KNOWN != 0 || kind == Kind::Log && self.level != 0 || self.signature != [0; 64];
        demand(!reserved, Code::Reserved, "something reserved is not zero")
    }

    /// Returns the length of the content of the body: that of its frames.
    pub(crate) fn content(&self) -> u64 {
        self.index_offset + u64::from(self.index_length)
    }

    /// Returns how many bytes a body with so much content takes as it is stored.
    pub(crate) fn stored(&self, content: u64) -> u64 {
        match self.encryption_header {
            0 => content,
            header => u64::from(header) + 16 + age::sealed(content),
        }
    }

    /// Checks that the fields of a segment fit each other and an object of `size` bytes.
    pub(crate) fn check_segment(&self, size: u64) -> Checked<()> {
        field(self.kind == Kind::Log.number(), "it is no log segment")?;
        field(self.slots[0] == self.slots[1], "its slots are wrong")?;
        let [first, last] = self.seqs;
        self.check_common(size)?;
        field(
            last.checked_add(1).and_then(|end| end.checked_sub(first)) == Some(self.records),
            "its seqs and records differ",
        )?;
        let fence = self.has(flag::FENCE);
        field(fence == (self.records == 0), "only a fence has no records")?;
        field(!fence || self.has(flag::COMPLETE), "the resume map of a fence is complete")?;
        field(if fence { self.members == 1 } else { self.members > 1 }, "its members are wrong")?;
        let [first, last] = self.times;
        field(!fence || first == last, "its times are wrong")
    }

    /// Checks that the fields of a history bundle, or of a part of a checkpoint, fit each other and an object of `size` bytes.
    pub(crate) fn check_bundle(&self, kind: Kind, size: u64) -> Checked<()> {
        field(self.kind == kind.number(), "it is a bundle of another kind")?;
        match kind {
            Kind::Log | Kind::History => field((1..=4).contains(&self.level), "its level is wrong")?,
            Kind::Checkpoint => {
                field(self.level == 0, "its level is wrong")?;
                let all = self.slots[0] == 1 && self.seqs[0] == 1 && self.prev == Digest([0; 32]);
                field(all, "it does not stand for everything from the beginning")?;
            }
        }
        field(self.slots[0] <= self.slots[1], "its slots are wrong")?;
        self.check_common(size)?;
        let [first, last] = self.seqs;
        let held = last.checked_add(1).and_then(|end| end.checked_sub(first));
        field(self.records > 0 && held >= Some(self.records), "its seqs and records differ")?;
        field(self.has(flag::COMPLETE) && !self.has(flag::FENCE), "its flags are not those of a bundle")?;
        field(self.members > 1, "its members are wrong")
    }

    /// Checks what is the same in all kinds.
    fn check_common(&self, size: u64) -> Checked<()> {
        let number = |number: u64| number <= limits::NUMBER;
        field(self.shard == 0, "its shard is not 0")?;
        field(self.slots[0] > 0 && number(self.slots[1]), "its slots are wrong")?;
        field(self.epoch > 0 && number(self.epoch), "its epoch is wrong")?;
        let [first, last] = self.seqs;
        field(first > 0 && number(first) && number(last), "its seqs are wrong")?;
        let [first, last] = self.times;
        time(first, Code::FooterField)?;
        time(last, Code::FooterField)?;
        field(first <= last, "its times are wrong")?;
        let body = self.index_offset.checked_add(u64::from(self.index_length)).filter(|body| *body <= size);
        field(self.index_offset > 0 && self.index_length > 0, "it has no frames")?;
        field(body.map(|body| self.stored(body)) == Some(self.body_length), "its lengths differ")?;
        field(self.body_length <= size.saturating_sub(LEN as u64), "it is shorter than its parts")
    }
}

fn field(holds: bool, detail: &str) -> Checked<()> {
    demand(holds, Code::FooterField, detail)
}
