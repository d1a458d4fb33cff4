//! The one documented list of reasons why something was refused or ended.

use std::borrow::Cow;
use std::fmt;

macro_rules! reasons {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// Why a crossing was refused, an effect failed or a cell was ended.
        ///
        /// The names are stable: they appear in journals, in `--json` output and as `.code` of the guest's
        /// `LockgateError`. A code is added when needed and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $(#[doc = $doc] $variant,)*
        }

        impl ReasonCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [ReasonCode] = &[$(ReasonCode::$variant,)*];

            /// The stable name, `snake_case`.
            pub const fn as_str(self) -> &'static str {
                match self { $(ReasonCode::$variant => $name,)* }
            }

            /// One line that says what the code means.
            pub const fn description(self) -> &'static str {
                match self { $(ReasonCode::$variant => $doc,)* }
            }
        }
    };
}

reasons! {
    // Which grant.
    UnknownHandle = "unknown_handle", "The handle was never given to this cell.";
    Revoked = "revoked", "The grant, or one it was derived from, was revoked.";
    PointNotGranted = "point_not_granted", "No grant of this principal covers the point.";
    UnknownOperation = "unknown_operation", "The point has no operation of this name.";
    OpNotGranted = "op_not_granted", "The point is granted, this operation on it is not.";

    // Which token, and whose.
    TokenInvalid = "token_invalid", "The token or statement is truncated, changed, reordered or holds foreign Datalog.";
    TokenUntrusted = "token_untrusted", "No key that is trusted here signed the token or statement.";
    NotYetValid = "not_yet_valid", "The token is valid from a time that has not come.";
    HolderUnproven = "holder_unproven", "The use of a token is not signed by its holder, or signed for another use.";
    Replayed = "replayed", "The same proof of a holder was used before.";

    // What the request looks like.
    Malformed = "malformed", "The request, its arguments or a configuration do not have the expected shape.";
    TooLarge = "too_large", "A value, a list or a text is larger than allowed.";
    TooDeep = "too_deep", "A value is nested deeper than allowed.";
    DuplicateKey = "duplicate_key", "A map has the same key twice.";
    KeyRefused = "key_refused", "A key means something to whoever reads it next, or has no place here.";
    NumberNotExact = "number_not_exact", "A number that no double holds: too large, too precise or not finite.";
    TextNotUnicode = "text_not_unicode", "A text is not UTF-8, or holds half of a surrogate pair.";

    // What a document of another program would become.
    EnvelopeInvalid = "envelope_invalid", "A map is marked as an object of another program and is none.";
    TypeUnknown = "type_unknown", "An object's type is not in the closed list of types.";
    TypeNotAllowed = "type_not_allowed", "An object's type is known, and not among those that are allowed here.";
    FieldRefused = "field_refused", "An object's field is missing, unknown or of another kind than declared.";
    SecretRefused = "secret_refused", "A document asks for a secret, and no vault holds it for this principal.";
    CodeRefused = "code_refused", "Reading it as its maker does would run code that it brings or names.";
    FormatRefused = "format_refused", "A format, or a part of one, that is recognised and not read.";

    // What is sealed where it lies.
    NotSealed = "not_sealed", "Plain bytes lie where a seal is demanded.";
    SealForeign = "seal_foreign", "The seal is not this gate's, or of an agent whose seals are not opened here.";
    SealNotForReader = "seal_not_for_reader", "The seal does not name this agent among those who may open it.";
    SealMisplaced = "seal_misplaced", "The seal was made for another path or key.";
    SealRolledBack = "seal_rolled_back", "The seal is older than the last one known there, or it is gone.";
    SealBroken = "seal_broken", "What is sealed was cut or changed.";
    SealVersion = "seal_version", "The seal has a version that is not known.";

    // What it is about.
    PathNotGranted = "path_not_granted", "The path is not canonical or lies outside what is granted.";
    KeyNotGranted = "key_not_granted", "The key lies outside the granted prefix.";
    UrlRefused = "url_refused", "The URL is not one that can be granted: scheme, user info, host or path are refused.";
    SchemeNotGranted = "scheme_not_granted", "The URL's scheme is not granted.";
    HostNotGranted = "host_not_granted", "The host is not granted.";
    PortNotGranted = "port_not_granted", "The port is not granted on this host.";
    PrivateAddress = "private_address", "The host is, or resolves to, an address that is not public.";
    MethodNotGranted = "method_not_granted", "The HTTP method is not granted on this host.";
    UrlPathNotGranted = "url_path_not_granted", "The path of the URL lies outside the granted prefixes.";
    RedirectRefused = "redirect_refused", "The server redirected to somewhere that is not granted.";
    ArgumentsMismatch = "arguments_mismatch", "The arguments are not what the point's schema says.";
    ArgumentRefused = "argument_refused", "An argument does not satisfy the caveat on it.";
    ProvenanceRefused = "provenance_refused", "An argument does not come from a source that the grant accepts.";
    NotAsked = "not_asked", "The prompt does not ask for this operation.";

    // How often, how much, until when, with whose approval.
    Expired = "expired", "The grant was valid until a time that has passed.";
    BudgetCalls = "budget_calls", "The grant's budget of calls is spent.";
    BudgetBytes = "budget_bytes", "The grant's budget of bytes is spent, or what is left does not suffice.";
    RateExceeded = "rate_exceeded", "The grant allows fewer calls in this span of time.";
    ApprovalRequired = "approval_required", "The crossing needs an approval and nobody can give one.";
    ApprovalDenied = "approval_denied", "The crossing needed an approval, and the approver said no.";
    ApprovalTimedOut = "approval_timed_out", "The crossing needed an approval, and nobody answered in time.";
    ApprovalDrift = "approval_drift", "What was approved is not what would be done.";
    QuestionClosed = "question_closed", "The question of an approval was answered before, ran out or was given up.";
    NotAnApprover = "not_an_approver", "Only an operator approves: never an agent, a cell or a client.";

    // The operator's rules.
    RuleForbids = "rule_forbids", "A rule of the operator forbids it, as things stand in the session.";
    RuleUnclear = "rule_unclear", "A rule of the operator concerns it and cannot be evaluated.";

    // Which labels may flow where.
    UntrustedData = "untrusted_data", "What is sent could have been written by someone whom the point does not trust.";
    ConfidentialData = "confidential_data", "Someone who may not read what is sent would read it there.";
    BeyondClearance = "beyond_clearance", "What is read lies beyond the cell's clearance.";

    UnknownSealed = "unknown_sealed", "The number names no sealed value of this cell, or no such part of it.";
    SealedFailure = "sealed_failure", "What was kept sealed is no value: the crossing that should have brought it failed.";
    NoReceipt = "no_receipt", "Nobody left the receipt for these bytes that an endorsement needs.";

    // Child cells.
    SpawnRefused = "spawn_refused", "The cell may not start another child: depth or number is used up.";
    Amplification = "amplification", "A child was to be given something that its parent does not hold.";
    UnknownChild = "unknown_child", "The number names no child of this cell.";
    ChildFailed = "child_failed", "The child ended without a result: it threw, was stopped or hit a limit.";
    PeerGone = "peer_gone", "The cell at the other end of the message channel has ended.";

    // Limits; the first group refuses a crossing, the second ends the cell.
    LimitInFlight = "limit_in_flight", "Too many crossings of this cell are in flight.";
    LimitHandles = "limit_handles", "The cell holds too many open streams and children.";
    LimitBuffers = "limit_buffers", "The host holds as many bytes for the cell as it may.";
    LimitChildren = "limit_children", "The cell has as many live children as it may.";
    LimitDepth = "limit_depth", "The cell is nested as deep as cells may be.";
    LimitCrossings = "limit_crossings", "The cell used all its crossings.";
    LimitOutput = "limit_output", "The cell produced more output than it may.";
    LimitWall = "limit_wall", "The cell ran for longer than it may, waiting included.";
    LimitCpu = "limit_cpu", "The cell used more processor time than it may.";
    LimitMemory = "limit_memory", "The cell needed more memory than it may.";
    LimitTable = "limit_table", "The cell needed more Wasm table elements than it may.";
    LimitStack = "limit_stack", "The cell recursed deeper than its stack allows.";

    // Effects.
    EffectFailed = "effect_failed", "The effect was allowed and tried, and failed.";
    ToolError = "tool_error", "The tool ran and reported an error.";
    ToolUnavailable = "tool_unavailable", "The tool server could not be started or reached, or has ended.";
    ToolUnusable = "tool_unusable", "The tool's own schema cannot be used, so it cannot be called.";
    ToolPending = "tool_pending", "The tool server or its tools are not what was approved, and wait for the operator's yes.";
    ToolAsksBack = "tool_asks_back", "The tool wants an answer first, which no tool server is given here.";
    ResultMismatch = "result_mismatch", "The effect happened, and its result is not what the point's schema says.";
    NotFound = "not_found", "There is nothing under this name.";
    AlreadyExists = "already_exists", "There is already something under this name.";
    NotADirectory = "not_a_directory", "The path, or a part of it, is not a directory.";
    IsADirectory = "is_a_directory", "The path is a directory where a file is needed.";
    NotEmpty = "not_empty", "The directory is not empty.";
    StorageFull = "storage_full", "There is no room left to write to.";
    NameNotResolved = "name_not_resolved", "The host name has no address.";
    ConnectFailed = "connect_failed", "No connection to the host could be made, or it broke.";
    TimedOut = "timed_out", "The effect took longer than it may.";
    UnknownStream = "unknown_stream", "The number names no open stream of this cell.";
    Cancelled = "cancelled", "The crossing was given up before it was done.";

    // The gate itself.
    CellEnded = "cell_ended", "The cell ended before the crossing was done.";
    ProgramFailed = "program_failed", "The program threw, or could not be read.";
    Deadlock = "deadlock", "The program waits for something that can never happen.";
    WorkerLost = "worker_lost", "The worker process that held the cell ended.";
    WallUnavailable = "wall_unavailable", "The machine lacks a wall that the configuration demands.";
    JournalUnavailable = "journal_unavailable", "The intent could not be recorded, so nothing was done.";
    ReplayDiverged = "replay_diverged", "The replayed program did something else than the recorded one.";
    Misconfigured = "misconfigured", "The manifest, a flag or a limit is not acceptable.";
    NotTrusted = "not_trusted", "The operator has not approved the manifest as it is now.";
    PinDrift = "pin_drift", "What was pinned when a point was approved is not what is there now.";
    Internal = "internal", "The gate met a state that it should never be in.";
}

impl ReasonCode {
    /// The code of a stable name, for reading journals back.
    pub fn from_name(name: &str) -> Option<ReasonCode> {
        ReasonCode::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The whole list as a Markdown table with a heading row, sorted as [`ReasonCode::ALL`].
    pub fn markdown_table() -> String {
        let mut out = String::from("| code | meaning |\n|---|---|\n");
        for code in ReasonCode::ALL {
            out.push_str(&format!("| `{}` | {} |\n", code.as_str(), code.description()));
        }
        out
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for ReasonCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A refusal: a code from the documented list, a message and, apart from it, the next step.
///
/// Both texts name only what the refused principal sent or holds itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// The documented reason.
    pub code: ReasonCode,
    /// What was refused, lower case, no full stop.
    pub message: Cow<'static, str>,
    /// What would help, if anything would.
    pub hint: Option<Cow<'static, str>>,
}

impl Denial {
    /// A denial without a hint.
    pub fn new(code: ReasonCode, message: impl Into<Cow<'static, str>>) -> Self {
        Denial { code, message: message.into(), hint: None }
    }

    /// The same denial with a next step.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Denial { hint: Some(hint.into()), ..self }
    }
}

/// Longest piece of a guest's own text that is repeated back in a message, in characters.
const QUOTED: usize = 80;

/// `text` in backticks for a message: control characters escaped, cut after 80 characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(4 * QUOTED) + 2);
    out.push('`');
    for (count, next) in text.chars().enumerate() {
        if count == QUOTED {
            out.push('…');
            break;
        }
        if next.is_control() {
            out.extend(next.escape_default());
        } else {
            out.push(next);
        }
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a06_codes_are_unique_snake_case_and_documented() {
        let mut seen = HashSet::new();
        for code in ReasonCode::ALL {
            let name = code.as_str();
            assert!(seen.insert(name), "{name} is listed twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(code.description().ends_with('.') && code.description().len() < 100, "{name}");
            assert_eq!(ReasonCode::from_name(name), Some(*code));
            assert!(ReasonCode::markdown_table().contains(&format!("| `{name}` | ")));
        }
        assert_eq!(ReasonCode::from_name("permitted"), None);
    }

    #[test]
    fn a06_quoted_text_is_bounded_and_has_no_control_characters() {
        assert_eq!(quoted("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), QUOTED + 3);
    }
}
