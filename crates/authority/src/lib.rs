//! Who may do what: principals, grants, caveats, limits and the one pure function that decides.
//!
//! What is absent: I/O, the clock (every function that depends on time takes it as an argument, in milliseconds since
//! the Unix epoch), the environment, async, unsafe code and panics.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice)
)]

mod approval;
mod candidates;
mod canonical;
mod caveat;
mod config;
mod content;
mod decide;
mod explain;
mod grant;
mod isolation;
mod label;
mod limits;
mod manifest;
mod point;
mod predicate;
mod provenance;
mod reason;
mod spawn;
mod terms;
mod usage;
pub mod value;

pub use approval::{ActionDigest, Approved, Approver, Asking, Question};
pub use candidates::Candidates;
pub use canonical::{
    ArgumentPath, CanonicalPath, CanonicalUrl, Host, HostError, HostPattern, PathError, Scheme, UrlError,
    UrlPathPrefix, is_private,
};
pub use caveat::{ArgumentCaveat, ArgumentNames, AskedCaveat, Caveat, FromCaveat, Names, Phrases, Rate};
pub use config::{Place, Problem};
pub use content::{Classes, Format, Seal};
pub use decide::{Decision, Flowed, Request, Subject, authorize, authorize_flow};
pub use explain::{Addition, CandidateReport, CaveatReport, Change, Explanation, LayerReport, explain};
pub use grant::{Grant, GrantId, HeldGrants, Layer, Mint, TooManyLayers};
pub use isolation::{GrantRule, Isolation, LimitProblem, Wall};
pub use label::{
    Blocked, Flow, Flowing, Label, LabelCaveat, LabelRule, Parties, PartyNames, Regrade, Sink, TooManyParties,
};
pub use limits::{Limit, Limits, PartialLimits, Unit};
pub use manifest::{
    Call, ClockMode, KeyDifference, Manifest, ManifestErrors, ManifestGrant, Past, RandomMode, Remark, SectionChange,
    SectionDifference, ServerNetwork, ServerWall, Source, Tightened, TokenRules, ToolCommand, Used,
};
pub use point::{Point, PointKind, Principal, PrincipalKind};
pub use predicate::Predicate;
pub use provenance::{
    Compared, Confined, Each, Extreme, FieldLabel, FieldPattern, FieldTrust, Known, KnownServers, Origin, Part,
    ReadRoster, Roster, Seen, Sources, Traced, read_rosters,
};
pub use reason::{Denial, ReasonCode};
pub use spawn::{GrantRequest, SpawnAsk, SpawnError};
pub use terms::{Terms, TermsError};
pub use usage::{Reservation, Spend, Usage};
pub use value::{Value, digest_of};
