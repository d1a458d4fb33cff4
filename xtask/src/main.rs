//! Builds the guest image.
fn main() {}
