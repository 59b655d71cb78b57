//! What only the author of a backend needs.

mod page_start;

pub use self::page_start::PageStart;
