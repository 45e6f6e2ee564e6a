//! What the fields of a footer may hold.

use super::{Footer, LEN, LOG, flag};
use crate::format::{
    Code, VERSION,
    fault::{Checked, demand, time},
    limits,
};

impl Footer {
    /// Tells whether a flag is set.
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Checks that this program knows all that is needed to read the object.
    pub(super) fn check_known(&self) -> Checked<()> {
        let version = format!("the format version is {}, this program reads {VERSION}", self.version);
        demand(self.version == VERSION, Code::Version, &version)?;
        let features = self.features != 0
            || self.has(flag::ENCRYPTED | flag::SIGNED)
            || self.encryption_header != 0
            || self.signer != 0;
        demand(!features, Code::Feature, "it needs a feature that this program does not have")?;
        let reserved = self.flags & !flag::KNOWN != 0 || self.level != 0 || self.signature != [0; 64];
        demand(!reserved, Code::Reserved, "something reserved is not zero")
    }

    /// Checks that the fields fit each other and an object of `size` bytes.
    pub(crate) fn check_fields(&self, size: u64) -> Checked<()> {
        let field = |holds: bool, detail: &str| demand(holds, Code::FooterField, detail);
        let number = |number: u64| number <= limits::NUMBER;
        field(self.kind == LOG, "it is no log segment")?;
        field(self.shard == 0, "its shard is not 0")?;
        field(self.slots[0] == self.slots[1] && self.slots[0] > 0 && number(self.slots[0]), "its slots are wrong")?;
        field(self.epoch > 0 && number(self.epoch), "its epoch is wrong")?;
        let [first, last] = self.seqs;
        field(first > 0 && number(first) && number(last), "its seqs are wrong")?;
        field(
            last.checked_add(1).and_then(|end| end.checked_sub(first)) == Some(self.records),
            "its seqs and records differ",
        )?;
        let fence = self.has(flag::FENCE);
        field(fence == (self.records == 0), "only a fence has no records")?;
        field(!fence || self.has(flag::COMPLETE), "the resume map of a fence is complete")?;
        field(if fence { self.members == 1 } else { self.members > 1 }, "its members are wrong")?;
        let [first, last] = self.times;
        time(first, Code::FooterField)?;
        time(last, Code::FooterField)?;
        field(first <= last && (!fence || first == last), "its times are wrong")?;
        let body = self.index_offset.checked_add(u64::from(self.index_length));
        field(self.index_offset > 0 && self.index_length > 0, "it has no frames")?;
        field(body == Some(self.body_length), "its lengths differ")?;
        field(self.body_length <= size.saturating_sub(LEN as u64), "it is shorter than its parts")
    }
}
