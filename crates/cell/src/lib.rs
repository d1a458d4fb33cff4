//! WebAssembly cells, the jailed worker process that holds them, and its protocol.
