//! Writes the parts of a window as its lines come.
//!
//! Does not: sort, or commit: a part that no manifest names is no part of the archive.

use std::sync::Arc;

use vmrewind_model::Digest;

use crate::{
    Archive, ArchiveError,
    format::{
        bundle::{Cut, Draft, Encoded, Leaves, Point, Writer},
        fault::Fault,
        footer::Kind,
        line::Line,
    },
    manifest::{PartRef, Rolled, Unknown},
    paths,
};

/// Lines are handed to the writer in batches of this many bytes.
const BATCH: usize = 4 << 20;

pub(super) struct Sink<'a> {
    archive: &'a Archive,
    draft: Arc<Draft>,
    /// Taken out while it works.
    writer: Option<Writer>,
    batch: Vec<Line>,
    bytes: usize,
    parts: Vec<PartRef>,
    /// Event root of the last part.
    root: Digest,
}

fn wrong(reason: &str) -> ArchiveError {
    ArchiveError::Bug(format!("a window cannot be written: {reason}"))
}

impl<'a> Sink<'a> {
    pub(super) fn new(archive: &'a Archive, draft: Arc<Draft>, cut: Cut) -> Result<Self, ArchiveError> {
        let writer = Some(Writer::new(Arc::clone(&draft), cut).map_err(|reason| wrong(&reason))?);
        let (batch, parts) = (Vec::new(), Vec::new());
        Ok(Self { archive, draft, writer, batch, bytes: 0, parts, root: Digest([0; 32]) })
    }

    /// Takes the next line in order.
    pub(super) async fn push(&mut self, line: Line) -> Result<(), ArchiveError> {
        self.bytes += line.text.len();
        self.batch.push(line);
        if self.bytes >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Returns the window once all of it is durable; `leaves` are those of all lines.
    pub(super) async fn finish(mut self, mut leaves: Leaves) -> Result<Rolled, ArchiveError> {
        self.flush().await?;
        let Some(writer) = self.writer.take() else { return Err(wrong("its writer failed")) };
        let last = self.archive.cpu.run(move || writer.finish()).await?.map_err(|reason| wrong(&reason))?;
        self.store(last).await?;
        let window = self.draft.window.clone();
        let point = self.draft.point.clone();
        let records: u64 = self.parts.iter().map(|part| part.records).sum();
        if point.is_none() && records != window.records() {
            return Err(wrong("records are missing"));
        }
        let alone = (self.parts.len() == 1).then_some(self.root);
        let home = self.archive.home();
        let root = self.archive.cpu.run(move || {
            leaves.check()?;
            alone.map_or_else(|| home.root(leaves.root()), Ok)
        });
        let root = root.await?.map_err(|fault: Fault| wrong(&fault.detail))?;
        Ok(Rolled { window, point, root, parts: self.parts, stale: false, unknown: Unknown::new() })
    }

    fn kind(&self) -> Kind {
        Point::kind(self.draft.point.as_ref())
    }

    async fn flush(&mut self) -> Result<(), ArchiveError> {
        let (batch, writer) = (std::mem::take(&mut self.batch), self.writer.take());
        self.bytes = 0;
        let Some(mut writer) = writer else { return Err(wrong("its writer failed")) };
        let work = move || {
            let mut parts = Vec::new();
            for line in &batch {
                parts.extend(writer.push(line)?);
            }
            Ok((writer, parts))
        };
        let (writer, parts) = self.archive.cpu.run(work).await?.map_err(|reason: String| wrong(&reason))?;
        self.writer = Some(writer);
        for part in parts {
            self.store(part).await?;
        }
        Ok(())
    }

    async fn store(&mut self, part: Encoded) -> Result<(), ArchiveError> {
        let name = paths::bundle(self.kind(), &part.digest);
        if self.archive.store.settle(&name, &part.bytes).await?.is_some() {
            let detail = "something else stands under the name of its hash";
            let fault = Fault::new(crate::Code::Name, detail);
            return Err(fault.in_object(name, None).into());
        }
        self.root = part.root;
        let size = part.bytes.len() as u64;
        let (kind, unknown) = (self.kind(), Unknown::new());
        self.parts.push(PartRef { kind, digest: part.digest, size, records: part.records, unknown });
        Ok(())
    }
}
