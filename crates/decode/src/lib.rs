//! Bytes from a cell to a bounded value, or a refusal with its place.
