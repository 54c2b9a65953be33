//! What a run found: comparisons with the kernel as a table and as JSON, and the progress of long work.

mod comparison;
mod environment;
mod progress;
mod table;

pub use comparison::{Better, Comparison, Report, Samples, Series, Unit};
pub use environment::Environment;
pub use progress::{Progress, ProgressStyle};
pub use table::to_table;
