//! Stable names of what can be wrong with the bytes of an archive.
//!
//! Does not: say where; see [`crate::Damage`].

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is wrong with an object of the archive. The text form is stable and listed in `spec/format.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the specification.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the text form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// A segment between others is not there.
    Missing = "E_MISSING",
    /// The object is shorter than its parts need.
    Truncated = "E_TRUNCATED",
    /// The object is larger than allowed.
    TooLarge = "E_TOO_LARGE",
    /// The last 384 bytes are no footer.
    FooterMagic = "E_FOOTER_MAGIC",
    /// The footer's own check does not match.
    FooterCheck = "E_FOOTER_CHECK",
    /// A field of the footer has a value that cannot be.
    FooterField = "E_FOOTER_FIELD",
    /// A reserved byte or bit is not zero.
    Reserved = "E_RESERVED",
    /// The format version is not known.
    Version = "E_VERSION",
    /// A feature that is needed to read is not known.
    Feature = "E_FEATURE",
    /// The object belongs to another archive.
    Archive = "E_ARCHIVE",
    /// The object stands under the name of another.
    Name = "E_NAME",
    /// The bytes before the footer do not match their hash.
    BodyHash = "E_BODY_HASH",
    /// A frame does not match its hash.
    FrameHash = "E_FRAME_HASH",
    /// The index frame does not match its hash.
    IndexHash = "E_INDEX_HASH",
    /// A zstd frame is not as the format demands, or does not decompress.
    Zstd = "E_ZSTD",
    /// The index is not as the format demands.
    Index = "E_INDEX",
    /// A tar member is not as the format demands.
    Tar = "E_TAR",
    /// `meta.json` is not as the format demands or says something else than the footer.
    Meta = "E_META",
    /// The public frame with the resume map is not as the format demands.
    Public = "E_PUBLIC",
    /// A line is not as the format demands.
    Line = "E_LINE",
    /// A line has an op that is not known.
    Op = "E_OP",
    /// A line's key and the identity inside its object differ.
    Key = "E_KEY",
    /// An object is not canonical JSON, or its resource version cannot be read.
    Object = "E_OBJECT",
    /// `seq` has a hole, repeats or lies outside of what the footer says.
    Seq = "E_SEQ",
    /// `t` does not increase or lies outside of what the footer says.
    Time = "E_TIME",
    /// A limit of the format is exceeded.
    Limit = "E_LIMIT",
    /// Counts in footer, index and content differ.
    Count = "E_COUNT",
    /// The flags of the footer differ from the content.
    Flags = "E_FLAGS",
    /// The event root does not match the records.
    Root = "E_ROOT",
    /// The segment does not name the one before it as its predecessor.
    Chain = "E_CHAIN",
    /// Epoch or nonce do not follow from the segment before.
    Epoch = "E_EPOCH",
    /// `archive.json` is not as the format demands.
    Identity = "E_IDENTITY",
    /// A manifest is not well-formed, or names windows that cannot be.
    Manifest = "E_MANIFEST",
    /// An object of an encrypted archive is not encrypted.
    Plain = "E_PLAIN",
    /// An object of an archive that is not encrypted is encrypted.
    Encrypted = "E_ENCRYPTED",
    /// An age file is not as the format demands, or was changed.
    Age = "E_AGE",
    /// None of the reader's identities opens an age file.
    NoKey = "E_NO_KEY",
    /// A file below `keys/` is not as the format demands, or was not written by who knows the root key.
    Keys = "E_KEYS",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
