//! The JavaScript guest.
