//! The event root: an RFC 6962 Merkle tree over the records of a segment.
//!
//! Does not: keep the leaves; it can take any number of them.

use sha2::{Digest as _, Sha256};
use vmrewind_model::Digest;

/// Computes an RFC 6962 root from leaves that come one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    count: u64,
    /// Roots of complete subtrees, the largest first: one per bit that is set in `count`.
    subtrees: Vec<[u8; 32]>,
}

/// Returns the leaf of a record from the head of its line and, if it has an object, the object's content id.
pub(crate) fn leaf(head: &[u8], content_id: Option<&Digest>) -> [u8; 32] {
    let hash = Sha256::new().chain_update([0]).chain_update(head);
    match content_id {
        Some(Digest(id)) => hash.chain_update([0]).chain_update(id).finalize().into(),
        None => hash.finalize().into(),
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

impl Tree {
    /// Adds the next leaf.
    pub(crate) fn push(&mut self, leaf: [u8; 32]) {
        let mut subtree = leaf;
        for _ in 0..self.count.trailing_ones() {
            let left = self.subtrees.pop().expect("one subtree per bit of the count");
            subtree = node(&left, &subtree);
        }
        self.subtrees.push(subtree);
        self.count += 1;
    }

    /// Returns the root over all leaves so far.
    pub(crate) fn root(&self) -> Digest {
        let mut subtrees = self.subtrees.iter().rev();
        match subtrees.next() {
            None => Digest::of(b""),
            Some(last) => Digest(subtrees.fold(*last, |right, left| node(left, &right))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Digest::of(b"").0,
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn equals_the_definition_of_rfc_6962_for_every_size() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        assert_eq!(tree.root().0, defined(&leaves));
        for n in 0_u32..70 {
            leaves.push(leaf(&n.to_le_bytes(), None));
            tree.push(leaves[n as usize]);
            assert_eq!(tree.root().0, defined(&leaves), "{n}");
        }
    }

    #[test]
    fn the_root_of_one_leaf_is_the_published_hash_of_the_empty_leaf() {
        let mut tree = Tree::default();
        tree.push(leaf(b"", None));
        let published = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(tree.root().hex(), published);
    }

    #[test]
    fn a_record_with_an_object_has_another_leaf_than_one_without() {
        let id = Digest::of(b"{}");
        assert_ne!(leaf(b"x", None), leaf(b"x", Some(&id)));
        assert_ne!(leaf(b"x", Some(&id)), leaf(b"x", Some(&Digest::of(b"[]"))));
    }
}
