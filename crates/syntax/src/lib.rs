//! TypeScript to JavaScript by removing types in place, and the imports a module names.
