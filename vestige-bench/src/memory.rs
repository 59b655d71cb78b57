//! What a process holds in memory, as Linux counts it.

/// The bytes of this process's own memory: mapped files, which the system may take back, are not in it.
pub fn private() -> u64 {
    status("RssAnon:")
}

/// All bytes of this process that are in memory, mapped files with them.
pub fn resident() -> u64 {
    status("VmRSS:")
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}
