//! Reading of configuration: a manifest's TOML, a child's ask and a flag become one tree, which one strict reader reads.

pub(crate) mod content;
pub(crate) mod from;
pub(crate) mod grant;
pub(crate) mod known;
pub(crate) mod labels;
pub(crate) mod node;
pub(crate) mod problem;
pub(crate) mod read;
pub(crate) mod render;
pub(crate) mod units;
pub(crate) mod r#where;

pub use problem::{Place, Problem};
