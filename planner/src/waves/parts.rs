//! Cuts a wave that is too large into parts: each a stretch of it in the order of its imports.

use schemas::ids::VmKey;
use schemas::wave::WAVE_JSON_BYTES_MAX;

use super::group::{Wave, Weight};
use super::{WAVE_IMPORTS_MAX, json_bytes};

/// Cuts a wave into parts that may be written; each part's VMs are sorted by key.
///
/// `own` parts are written down, and `was` says in which of them a VM is: the cuts are those that
/// leave most VMs where they are, and a part may come out empty. A wave that is new is filled part by
/// part. One that names more prerequisites than fit stays too large; the API server would take it,
/// and only client-side apply would not.
pub(super) fn split(
    wave: &Wave,
    weight: &Weight,
    own: usize,
    was: impl Fn(&VmKey) -> Option<usize>,
) -> Vec<Vec<VmKey>> {
    let is_small = weight.frame <= WAVE_JSON_BYTES_MAX && wave.vms.len() <= WAVE_IMPORTS_MAX;
    let ends = if is_small && own < 2 {
        vec![wave.vms.len()]
    } else {
        let loads = Loads::of(weight);
        let filled = loads.filled();
        if own == 0 {
            filled
        } else {
            let was: Vec<Option<usize>> = wave.vms.iter().map(was).collect();
            loads.near(&was, own.max(filled.len()))
        }
    };
    let mut begin = 0;
    ends.into_iter()
        .map(|end| {
            let mut part = wave.vms[begin..end].to_vec();
            part.sort();
            begin = end;
            part
        })
        .collect()
}

/// What each import adds to the part that it is in.
struct Loads {
    /// Bytes of a part without imports and sources.
    frame: usize,
    /// By import: its bytes, and its source.
    imports: Vec<(usize, usize)>,
    /// Bytes of each source, which every part names again.
    sources: Vec<usize>,
}

/// A part that is being filled.
struct Part {
    bytes: usize,
    imports: usize,
    named: Vec<usize>,
}

impl Loads {
    fn of(weight: &Weight) -> Self {
        let spec = &weight.spec;
        let sources: Vec<usize> = spec
            .sources
            .iter()
            .map(|source| json_bytes(source) + 1)
            .collect();
        // In the order of the wave's VMs.
        let imports: Vec<(usize, usize)> = spec
            .imports
            .iter()
            .map(|import| {
                let source = spec.sources.iter().position(|it| it.name == import.from);
                let source = source.expect("a wave has the sources of its imports");
                (json_bytes(import) + 1, source)
            })
            .collect();
        let lists = sources.iter().sum::<usize>();
        let lists = lists + imports.iter().map(|(bytes, _)| bytes).sum::<usize>();
        Self {
            frame: weight.frame.saturating_sub(lists),
            imports,
            sources,
        }
    }

    fn empty(&self) -> Part {
        Part {
            bytes: self.frame,
            imports: 0,
            named: Vec::new(),
        }
    }

    /// Puts an import into a part, if it fits. One alone always does.
    fn put(&self, part: &mut Part, at: usize) -> bool {
        let (bytes, source) = self.imports[at];
        let is_named = part.named.contains(&source);
        let grown = part.bytes + bytes + if is_named { 0 } else { self.sources[source] };
        let fits = grown <= WAVE_JSON_BYTES_MAX && part.imports < WAVE_IMPORTS_MAX;
        if !fits && part.imports > 0 {
            return false;
        }
        if !is_named {
            part.named.push(source);
        }
        part.bytes = grown;
        part.imports += 1;
        true
    }

    /// Where each part ends, if each takes what it can.
    fn filled(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut part = self.empty();
        for at in 0..self.imports.len() {
            if !self.put(&mut part, at) {
                ends.push(at);
                part = self.empty();
                self.put(&mut part, at);
            }
        }
        ends.push(self.imports.len());
        ends
    }

    /// Where each of so many parts ends, so that most imports are where they were.
    fn near(&self, was: &[Option<usize>], parts: usize) -> Vec<usize> {
        let imports = self.imports.len();
        // By end: where the longest part that ends there begins.
        let first: Vec<usize> = (0..=imports)
            .map(|end| {
                let mut part = self.empty();
                let back = (0..end).rev().take_while(|at| self.put(&mut part, *at));
                end - back.count()
            })
            .collect();
        // By end: how many are where they were, in the best cuts up to there; none: there are no
        // such cuts. Where equal, a cut as early as can be.
        let mut best: Vec<Option<usize>> = vec![None; imports + 1];
        best[0] = Some(0);
        let mut begins = Vec::with_capacity(parts);
        for part in 0..parts {
            let mut here: Vec<usize> = vec![0; imports + 1];
            for at in 0..imports {
                here[at + 1] = here[at] + usize::from(was[at] == Some(part));
            }
            let mut next = vec![None; imports + 1];
            let mut begin = vec![0; imports + 1];
            for end in 0..=imports {
                for from in first[end]..=end {
                    let stay = best[from].map(|stay| stay + here[end] - here[from]);
                    if stay > next[end] {
                        (next[end], begin[end]) = (stay, from);
                    }
                }
            }
            best = next;
            begins.push(begin);
        }
        let mut ends = vec![imports];
        for begin in begins.iter().skip(1).rev() {
            ends.push(begin[ends[ends.len() - 1]]);
        }
        ends.reverse();
        ends
    }
}
