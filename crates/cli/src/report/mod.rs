//! Reports: comparisons with the kernel as a table and as JSON.

mod comparison;
mod environment;
mod table;

pub use crate::progress::{Progress, ProgressStyle};
pub use comparison::{Better, Comparison, Report, Samples, Series, Unit};
pub use environment::Environment;
pub use table::to_table;
