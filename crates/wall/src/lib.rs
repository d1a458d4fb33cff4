//! The walls around a worker process.
