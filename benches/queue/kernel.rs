//! What the kernel tells of a process.

use std::path::Path;

/// The number that a line of `/proc`'s `status` begins with, `VmRSS` in KiB for example; `None` where there is none.
pub(crate) fn status(file: impl AsRef<Path>, line: &str) -> Option<u64> {
    let status = std::fs::read_to_string(file).ok()?;
    let found = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'))?;
    found.split_whitespace().next()?.parse().ok()
}

/// As [`status`], of this process.
pub(crate) fn own(line: &str) -> Option<u64> {
    status("/proc/self/status", line)
}
