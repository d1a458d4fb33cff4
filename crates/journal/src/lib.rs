//! The append-only, hash-linked record of every crossing.
