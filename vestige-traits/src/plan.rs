//! How a store would search.

use serde::{Deserialize, Serialize};

/// How a store would answer a question: one line for each step, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// The steps, in the order in which they run.
    pub steps: Vec<PlanStep>,
}

/// One step of a [`SearchPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What it is for: `filter`, `keyword`, `vector`, `fusion`, `dates` or `sessions`.
    pub stage: String,
    /// How it is done and why so, such as `exact scan of 1,204 filtered vectors`.
    pub method: String,
}
