//! Named policies: each gives defaults and refuses what is weaker than it.

use crate::canonical::{HostPattern, Scheme};
use crate::caveat::{Caveat, Names};
use crate::limits::{Limit, Limits, PartialLimits};
use crate::point::PointKind;
use std::fmt;

/// How much a program is trusted; later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Isolation {
    /// The operator's own code.
    Trusted,
    /// Code that someone vouches for.
    Constrained,
    /// Code that nobody vouches for, such as a model's. The default.
    #[default]
    Isolated,
    /// Code that is expected to attack.
    Untrusted,
}

impl Isolation {
    /// Every policy, the least strict first.
    pub const ALL: &'static [Isolation] =
        &[Isolation::Trusted, Isolation::Constrained, Isolation::Isolated, Isolation::Untrusted];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Isolation::Trusted => "trusted",
            Isolation::Constrained => "constrained",
            Isolation::Isolated => "isolated",
            Isolation::Untrusted => "untrusted",
        }
    }

    /// The policy of a stable name.
    pub fn from_name(name: &str) -> Option<Isolation> {
        Isolation::ALL.iter().copied().find(|policy| policy.as_str() == name)
    }

    /// The limits used where a manifest sets none; `None` where it must set all.
    pub const fn defaults(self) -> Option<&'static Limits> {
        match self {
            Isolation::Trusted => Some(&TRUSTED.0),
            Isolation::Constrained => Some(&CONSTRAINED.0),
            Isolation::Isolated => Some(&ISOLATED.0),
            Isolation::Untrusted => None,
        }
    }

    /// The largest limits that can be set.
    pub const fn ceilings(self) -> &'static Limits {
        match self {
            Isolation::Trusted => &TRUSTED.1,
            Isolation::Constrained => &CONSTRAINED.1,
            Isolation::Isolated => &ISOLATED.1,
            Isolation::Untrusted => &UNTRUSTED,
        }
    }

    /// The walls without which the gate does not start.
    pub const fn walls(self) -> &'static [Wall] {
        match self {
            Isolation::Trusted => &[],
            Isolation::Constrained => &[Wall::NoNewPrivileges, Wall::Seccomp],
            Isolation::Isolated | Isolation::Untrusted => &[Wall::NoNewPrivileges, Wall::Seccomp, Wall::Landlock],
        }
    }

    /// Completes `set` by the defaults; every limit that is missing, too large or too small is reported.
    pub fn resolve(self, set: &PartialLimits) -> Result<Limits, Vec<LimitProblem>> {
        let problems: Vec<_> = Limit::ALL.iter().filter_map(|limit| self.check(*limit, set.get(*limit))).collect();
        if problems.is_empty() { Ok(set.or(self.defaults().unwrap_or(self.ceilings()))) } else { Err(problems) }
    }

    fn check(self, limit: Limit, value: Option<u64>) -> Option<LimitProblem> {
        let ceiling = self.ceilings().get(limit);
        match value {
            None if self.defaults().is_none() => Some(LimitProblem::Missing { limit, isolation: self }),
            Some(value) if value > ceiling => {
                Some(LimitProblem::AboveCeiling { limit, value, ceiling, isolation: self })
            }
            Some(value) if value < limit.least() => Some(LimitProblem::BelowLeast { limit, value }),
            _ => None,
        }
    }

    /// Defaults, ceilings and least values of all limits as a Markdown table with a heading row.
    pub fn markdown_table() -> String {
        let mut out = String::from("| limit | least |");
        for policy in Isolation::ALL {
            out.push_str(&format!(" {policy}: default / ceiling |"));
        }
        out.push_str("\n|---|---|---|---|---|---|\n");
        for limit in Limit::ALL {
            out.push_str(&format!("| `{}` | {} |", limit.key(), limit.display(limit.least())));
            for policy in Isolation::ALL {
                let default =
                    policy.defaults().map_or("must be set".to_owned(), |limits| limit.display(limits.get(*limit)));
                out.push_str(&format!(" {default} / {} |", limit.display(policy.ceilings().get(*limit))));
            }
            out.push('\n');
        }
        out
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The stack that the JavaScript image is built for; more could overflow the Wasm stack below it.
const STACK: u64 = 192 * KIB;
/// One cell's table; the image needs a few thousand elements.
const TABLE: u64 = 16_384;

/// Defaults and ceilings.
const TRUSTED: (Limits, Limits) = (
    Limits {
        wall_ms: 10 * MINUTE,
        cpu_ms: MINUTE,
        memory_bytes: 256 * MIB,
        table_elements: TABLE,
        stack_bytes: STACK,
        output_bytes: 16 * MIB,
        handles: 1024,
        crossings: 1_000_000,
        in_flight: 256,
        buffer_bytes: 64 * MIB,
        children: 64,
        depth: 8,
    },
    Limits {
        wall_ms: 7 * 24 * HOUR,
        cpu_ms: 24 * HOUR,
        memory_bytes: 4 * GIB,
        table_elements: 64 * TABLE,
        stack_bytes: STACK,
        output_bytes: GIB,
        handles: 65_536,
        crossings: 1_000_000_000,
        in_flight: 4096,
        buffer_bytes: GIB,
        children: 1024,
        depth: 32,
    },
);

const CONSTRAINED: (Limits, Limits) = (
    Limits {
        wall_ms: 2 * MINUTE,
        cpu_ms: 20 * SECOND,
        memory_bytes: 128 * MIB,
        table_elements: TABLE,
        stack_bytes: STACK,
        output_bytes: 4 * MIB,
        handles: 256,
        crossings: 100_000,
        in_flight: 64,
        buffer_bytes: 32 * MIB,
        children: 16,
        depth: 4,
    },
    Limits {
        wall_ms: 24 * HOUR,
        cpu_ms: HOUR,
        memory_bytes: GIB,
        table_elements: 16 * TABLE,
        stack_bytes: STACK,
        output_bytes: 256 * MIB,
        handles: 4096,
        crossings: 100_000_000,
        in_flight: 1024,
        buffer_bytes: 256 * MIB,
        children: 256,
        depth: 16,
    },
);

const ISOLATED: (Limits, Limits) = (
    Limits {
        wall_ms: 30 * SECOND,
        cpu_ms: 5 * SECOND,
        memory_bytes: 64 * MIB,
        table_elements: TABLE,
        stack_bytes: STACK,
        output_bytes: MIB,
        handles: 64,
        crossings: 10_000,
        in_flight: 32,
        buffer_bytes: 16 * MIB,
        children: 8,
        depth: 3,
    },
    Limits {
        wall_ms: HOUR,
        cpu_ms: 10 * MINUTE,
        memory_bytes: 512 * MIB,
        table_elements: 4 * TABLE,
        stack_bytes: STACK,
        output_bytes: 64 * MIB,
        handles: 1024,
        crossings: 10_000_000,
        in_flight: 256,
        buffer_bytes: 128 * MIB,
        children: 64,
        depth: 8,
    },
);

/// Ceilings only: every limit must be set.
const UNTRUSTED: Limits = Limits {
    wall_ms: 5 * MINUTE,
    cpu_ms: MINUTE,
    memory_bytes: 256 * MIB,
    table_elements: TABLE,
    stack_bytes: STACK,
    output_bytes: 16 * MIB,
    handles: 256,
    crossings: 100_000,
    in_flight: 64,
    buffer_bytes: 32 * MIB,
    children: 16,
    depth: 4,
};

/// A part of the wall around the worker process that a manifest can demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wall {
    /// The process cannot gain privileges by executing a file.
    NoNewPrivileges,
    /// System calls are filtered.
    Seccomp,
    /// Files cannot be opened by path.
    Landlock,
    /// User, mount, network and process namespaces of its own.
    Namespaces,
}

impl Wall {
    /// Every part.
    pub const ALL: &'static [Wall] = &[Wall::NoNewPrivileges, Wall::Seccomp, Wall::Landlock, Wall::Namespaces];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Wall::NoNewPrivileges => "no-new-privileges",
            Wall::Seccomp => "seccomp",
            Wall::Landlock => "landlock",
            Wall::Namespaces => "namespaces",
        }
    }

    /// The part of a stable name.
    pub fn from_name(name: &str) -> Option<Wall> {
        Wall::ALL.iter().copied().find(|wall| wall.as_str() == name)
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a limit is not acceptable under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitProblem {
    /// The policy has no defaults.
    #[error("the limit `{}` must be set where isolation is `{isolation}`", limit.key())]
    Missing {
        /// Which limit.
        limit: Limit,
        /// The policy.
        isolation: Isolation,
    },
    /// More than the policy allows.
    #[error(
        "the limit `{}` is {}, but isolation `{isolation}` allows at most {}",
        limit.key(), limit.display(*value), limit.display(*ceiling)
    )]
    AboveCeiling {
        /// Which limit.
        limit: Limit,
        /// What was set.
        value: u64,
        /// The most that can be set.
        ceiling: u64,
        /// The policy.
        isolation: Isolation,
    },
    /// Less than any cell needs.
    #[error("the limit `{}` is {}, but a cell needs at least {}", limit.key(), limit.display(*value), limit.display(limit.least()))]
    BelowLeast {
        /// Which limit.
        limit: Limit,
        /// What was set.
        value: u64,
    },
}

impl LimitProblem {
    /// The limit that it is about.
    pub const fn limit(&self) -> Limit {
        match self {
            LimitProblem::Missing { limit, .. }
            | LimitProblem::AboveCeiling { limit, .. }
            | LimitProblem::BelowLeast { limit, .. } => *limit,
        }
    }
}

/// Something a grant may not be from some policy on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantRule {
    /// `hosts = ["*"]`.
    AnyHost,
    /// `http` to hosts that are not private.
    PlainHttp,
    /// `tools = "*"`.
    AnyTool,
    /// `private = true`.
    PrivateAddresses,
    /// `hosts` with a `*.suffix`.
    HostWildcard,
    /// `http` or `tool` without a budget of calls.
    NoCallBudget,
    /// `http`, or writing to `fs` or `kv`, without a budget of bytes.
    NoByteBudget,
    /// `wall = "none"`.
    NoServerWall,
}

impl GrantRule {
    /// Every rule.
    pub const ALL: &'static [GrantRule] = &[
        GrantRule::AnyHost,
        GrantRule::PlainHttp,
        GrantRule::AnyTool,
        GrantRule::PrivateAddresses,
        GrantRule::HostWildcard,
        GrantRule::NoCallBudget,
        GrantRule::NoByteBudget,
        GrantRule::NoServerWall,
    ];

    /// The least strict policy that refuses it.
    pub const fn refused_from(self) -> Isolation {
        match self {
            GrantRule::AnyHost | GrantRule::NoServerWall => Isolation::Constrained,
            GrantRule::PlainHttp | GrantRule::AnyTool => Isolation::Isolated,
            _ => Isolation::Untrusted,
        }
    }

    /// What is refused.
    pub const fn description(self) -> &'static str {
        match self {
            GrantRule::AnyHost => "every host by `*`",
            GrantRule::PlainHttp => "unencrypted `http` to hosts that are not private",
            GrantRule::AnyTool => "every tool by `*`",
            GrantRule::PrivateAddresses => "private addresses",
            GrantRule::HostWildcard => "hosts by a `*.suffix`",
            GrantRule::NoCallBudget => "requests and tool calls without a budget `calls`",
            GrantRule::NoByteBudget => "requests and writes without a budget `bytes`",
            GrantRule::NoServerWall => "a tool server without a wall around it",
        }
    }

    /// What to write instead.
    pub const fn hint(self) -> &'static str {
        match self {
            GrantRule::AnyHost | GrantRule::HostWildcard => "list the hosts by name",
            GrantRule::PlainHttp => "use `https`",
            GrantRule::AnyTool => "list the tools by name",
            GrantRule::PrivateAddresses => "remove `private`",
            GrantRule::NoCallBudget => "add `calls`, such as `calls = 100`",
            GrantRule::NoByteBudget => "add `bytes`, such as `bytes = \"10MiB\"`",
            GrantRule::NoServerWall => {
                "remove `wall`, and say with `reads`, `writes` and `network` what the server needs"
            }
        }
    }

    /// The manifest's key that it is about.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            GrantRule::AnyHost | GrantRule::HostWildcard => "hosts",
            GrantRule::PlainHttp => "schemes",
            GrantRule::AnyTool => "tools",
            GrantRule::PrivateAddresses => "private",
            GrantRule::NoCallBudget => "calls",
            GrantRule::NoByteBudget => "bytes",
            GrantRule::NoServerWall => "wall",
        }
    }

    /// Whether a grant of these operations and caveats over a point of this kind is what the rule refuses.
    pub fn is_broken_by(self, kind: PointKind, ops: &Names, caveats: &[Caveat]) -> bool {
        let any = |test: &dyn Fn(&Caveat) -> bool| caveats.iter().any(test);
        let has_host = |wanted: fn(&HostPattern) -> bool| {
            any(&|caveat| matches!(caveat, Caveat::Hosts(hosts) if hosts.iter().any(wanted)))
        };
        let private = any(&|caveat| *caveat == Caveat::Private(true));
        let writes = match kind {
            PointKind::Fs => ops.contains("write"),
            PointKind::Kv => ops.contains("set"),
            PointKind::Http => true,
            _ => false,
        };
        match self {
            GrantRule::AnyHost => has_host(|host| *host == HostPattern::Any),
            GrantRule::PlainHttp => {
                any(&|caveat| matches!(caveat, Caveat::Schemes(schemes) if schemes.contains(&Scheme::Http))) && !private
            }
            GrantRule::AnyTool => kind == PointKind::Tool && *ops == Names::All,
            GrantRule::PrivateAddresses => private,
            GrantRule::HostWildcard => has_host(|host| matches!(host, HostPattern::Below(_))),
            GrantRule::NoCallBudget => {
                matches!(kind, PointKind::Http | PointKind::Tool) && !any(&|caveat| matches!(caveat, Caveat::Calls(_)))
            }
            GrantRule::NoByteBudget => writes && !any(&|caveat| matches!(caveat, Caveat::Bytes(_))),
            // What stands behind a point is no part of a grant.
            GrantRule::NoServerWall => false,
        }
    }

    /// The rules as a Markdown table with a heading row.
    pub fn markdown_table() -> String {
        let mut out = String::from("| refused in a manifest | from |\n|---|---|\n");
        for rule in GrantRule::ALL {
            out.push_str(&format!("| {} | `{}` |\n", rule.description(), rule.refused_from()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_presets_are_ordered_and_defaults_fit_their_ceilings() {
        for pair in Isolation::ALL.windows(2) {
            let (looser, stricter) = (pair[0], pair[1]);
            assert!(looser < stricter);
            assert!(stricter.walls().starts_with(looser.walls()));
            for limit in Limit::ALL {
                assert!(stricter.ceilings().get(*limit) <= looser.ceilings().get(*limit), "{limit:?} {stricter}");
            }
        }
        for policy in Isolation::ALL {
            if let Some(defaults) = policy.defaults() {
                assert_eq!(policy.resolve(&(*defaults).into()), Ok(*defaults), "{policy}");
                assert_eq!(policy.resolve(&PartialLimits::default()), Ok(*defaults), "{policy}");
            }
        }
    }

    #[test]
    fn g01_an_override_beyond_the_preset_is_refused_naming_both_values() {
        let set = PartialLimits { memory_bytes: Some(1 << 30), wall_ms: Some(5000), ..Default::default() };
        let problems = Isolation::Isolated.resolve(&set).expect_err("too much memory");
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["the limit `memory` is 1GiB, but isolation `isolated` allows at most 512MiB"]
        );
        let tighter = PartialLimits { memory_bytes: Some(8 << 20), ..Default::default() };
        assert_eq!(Isolation::Isolated.resolve(&tighter).expect("tighter is fine").memory_bytes, 8 << 20);
    }

    #[test]
    fn g02_untrusted_names_every_missing_limit_at_once() {
        let problems = Isolation::Untrusted.resolve(&PartialLimits::default()).expect_err("nothing is set");
        assert_eq!(problems.iter().map(LimitProblem::limit).collect::<Vec<_>>(), Limit::ALL);
        let mut all = PartialLimits::from(*Isolation::Untrusted.ceilings());
        assert!(Isolation::Untrusted.resolve(&all).is_ok());
        all.cpu_ms = None;
        let problems = Isolation::Untrusted.resolve(&all).expect_err("one is missing");
        assert_eq!(problems, [LimitProblem::Missing { limit: Limit::Cpu, isolation: Isolation::Untrusted }]);
    }

    #[test]
    fn n05_a_limit_that_no_cell_can_live_with_is_refused() {
        let set = PartialLimits { memory_bytes: Some(1000), ..Default::default() };
        let problems = Isolation::Trusted.resolve(&set).expect_err("too little memory");
        assert_eq!(problems[0].to_string(), "the limit `memory` is 1000B, but a cell needs at least 1MiB");
    }
}
