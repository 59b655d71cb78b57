use std::time::Duration;

use serde::Serializer;

/// How reports write down how long something took: in seconds.
pub(crate) fn as_seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}
