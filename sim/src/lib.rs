//! The model beside the code.
//!
//! A [`World`] is driven by the same functions that decide in the gate: grants are made by `Grant::root`, derived by
//! `HeldGrants::derive_for_child`, decided by `authorize`, spent by `Usage::set_aside` and `settle`, revoked by
//! `Usage::revoke`. Beside them an [`oracle`] keeps plain lists and decides by brute force; it shares no code with them.
//!
//! [`explore`] visits every state of a small scope and [`walk`] goes at random through a large one. Both say which
//! [`Invariant`] a state breaks, and by which steps it is reached.
//!
//! Nothing here is a model checker of general use: the production types are neither hashed nor compared nor, on purpose,
//! copied (a copied mint would give out an id twice), so a state is the steps that lead to it and is rebuilt from them.

#![forbid(unsafe_code)]

mod explore;
mod flows;
pub mod oracle;
mod scope;
mod world;

pub use explore::{Explored, Found, System, explore, walk};
pub use flows::{FlowWorld, Flows, Move, Truth};
pub use scope::{Ask, Question, Rule, Scope};
pub use world::{Invariant, Step, Violation, World};
