//! `tool`.
