//! The gate: puts the parts together and performs the effects.
