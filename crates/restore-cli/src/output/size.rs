//! Numbers of bytes.
//!
//! Does not: round up.

/// Writes a number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!([0, 1023, 1536, 5 << 20].map(size), ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 MiB"]);
    }
}
