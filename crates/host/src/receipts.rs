//! Receipts that endorsements have left in the journal, by the bytes that they name.

use lockgate_authority::{ReasonCode, Value};
use lockgate_crossing::Failed;
use lockgate_decode::{Budget, decode_value};
use lockgate_journal::{Kind, MAX_BODY, Query, Reader};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// A receipt that an endorsement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The point through which the bytes were endorsed.
    pub(crate) point: Box<str>,
    /// SHA-256 of the manifest under which they were.
    pub(crate) manifest: [u8; 32],
}

/// What the journal holds of them, up to some row. Each row is read once.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    row: u64,
    /// By the digest of the bytes, in hexadecimal digits: the point and the digest of the manifest.
    by_content: HashMap<String, Vec<(String, String)>>,
}

impl Receipts {
    /// Whether there is a receipt for these bytes in the journal's file. Takes as long as reading what was recorded since
    /// the last time.
    pub(crate) fn has(&mut self, journal: &Path, needed: &Needed, content: &[u8]) -> Result<bool, Failed> {
        self.read(journal).map_err(|_| {
            Failed::new(ReasonCode::JournalUnavailable, "the journal could not be searched for a receipt")
        })?;
        let manifest = hex::encode(needed.manifest);
        let of_content = self.by_content.get(&hex::encode(Sha256::digest(content)));
        let is_it = |(point, under): &(String, String)| **point == *needed.point && *under == manifest;
        Ok(of_content.is_some_and(|receipts| receipts.iter().any(is_it)))
    }

    fn read(&mut self, journal: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let reader = Reader::open(journal)?;
        for entry in reader.entries(Query::after_row(self.row)) {
            let entry = entry?;
            self.row = entry.row;
            if entry.kind == Kind::Receipt {
                self.take(&entry.body);
            }
        }
        Ok(())
    }

    /// A receipt that does not say what a receipt says is none.
    fn take(&mut self, body: &[u8]) {
        let budget = Budget { bytes: MAX_BODY, text: MAX_BODY, ..Budget::ARGUMENT };
        let Ok(body) = decode_value(body, &budget) else { return };
        let text = |key: &str| body.get(key).and_then(Value::as_text).map(str::to_owned);
        if let (Some(content), Some(point), Some(manifest)) = (text("sha256"), text("point"), text("manifest_sha256")) {
            self.by_content.entry(content).or_default().push((point, manifest));
        }
    }
}
