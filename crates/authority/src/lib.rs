//! Who may do what: principals, grants, caveats, limits and the one pure function that decides.
//!
//! What is absent: I/O, the clock (every function that depends on time takes it as an argument, in milliseconds since
//! the Unix epoch), the environment, async, unsafe code and panics.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)
)]

mod canonical;
mod reason;
pub mod value;

pub use canonical::{
    ArgumentPath, CanonicalPath, CanonicalUrl, Host, HostError, HostPattern, PathError, Scheme, UrlError,
    UrlPathPrefix, is_private,
};
pub use reason::{Denial, ReasonCode};
pub use value::Value;
