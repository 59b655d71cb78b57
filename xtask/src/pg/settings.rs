//! How a server runs.

/// The settings of every server that is started here, as arguments of `postgres`.
#[must_use]
pub fn settings(fsync: bool) -> Vec<&'static str> {
    let mut settings = vec!["-c", "max_connections=300", "-c", "maintenance_work_mem=256MB"];
    if !fsync {
        // SIGKILL of the server loses nothing by this: the system still has the pages.
        settings.extend(["-c", "fsync=off", "-c", "full_page_writes=off"]);
    } else {
        // A server to measure: 100,000 memories take 400 MB, and 128 would be the default.
        settings.extend(["-c", "shared_buffers=1GB"]);
    }
    settings
}
