//! Canonical forms: paths, hosts, URLs and addresses are compared by parsed structure, never as raw text.
//!
//! Each type can only be made by a parser that refuses what has more than one reading, so that two values that mean
//! the same are equal and a prefix cannot be dodged by spelling.

mod address;
mod host;
mod path;
mod url;

pub use address::is_private;
pub use host::{Host, HostError, HostPattern};
pub use path::{ArgumentPath, CanonicalPath, PathError};
pub use url::{CanonicalUrl, Scheme, UrlError, UrlPathPrefix};
