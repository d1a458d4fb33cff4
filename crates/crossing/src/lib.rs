//! The one path from a cell to an effect: resolve, decode, authorize, record, act, settle.
