use chrono::TimeDelta;

/// The exponent of the forgetting curve: FSRS-6's default parameter w20.
pub const FSRS_DECAY: f64 = 0.1542;
pub(crate) const DAY_MICROS: f64 = 86_400e6;

/// The FSRS-6 forgetting curve: `R(t, S) = (1 + factor · t/S)^(-w20)` with
/// `factor = 0.9^(-1/w20) - 1`, so that `R(S, S) = 0.9`.
///
/// `elapsed` before 0 counts as 0; `stability` is in days. Source: "The
/// Algorithm", FSRS-6, in the wiki of the free-spaced-repetition-scheduler project.
pub fn retrievability(elapsed: TimeDelta, stability: f64) -> f64 {
    let days = days(elapsed).max(0.0);
    (1.0 + factor() * days / stability).powf(-FSRS_DECAY)
}

/// The other way round: for how many multiples of the stability retrievability stays at `minimum` or above.
///
/// `retrievability(t, S) >= minimum` exactly while `t <= S · elapsed_stabilities(minimum)`, which a
/// database can evaluate without a power function. Infinite for a `minimum` of 0, or so near to it
/// that the product with a stability could overflow.
pub fn elapsed_stabilities(minimum: f64) -> f64 {
    let stabilities = (minimum.powf(-1.0 / FSRS_DECAY) - 1.0) / factor();
    if stabilities > 1e300 { f64::INFINITY } else { stabilities }
}

fn factor() -> f64 {
    0.9_f64.powf(-1.0 / FSRS_DECAY) - 1.0
}

pub(crate) fn days(delta: TimeDelta) -> f64 {
    delta.num_microseconds().map_or(f64::MAX, |micros| micros as f64) / DAY_MICROS
}
