//! What an operator grants, as `lockgate.toml`.

mod difference;
mod flag;
mod narrow;
mod parse;
mod render;
mod tighten;
mod tokens;

pub use difference::{KeyDifference, SectionChange, SectionDifference};
pub(crate) use flag::name_of as name_of_host;
pub use narrow::Used;
pub use tighten::{Call, Past, Remark, Tightened};
pub use tokens::TokenRules;

use crate::approval::Asking;
use crate::canonical::CanonicalUrl;
use crate::caveat::{Caveat, Names};
use crate::config::Problem;
use crate::config::labels;
use crate::config::problem::{Problems, similar};
use crate::grant::{Grant, HeldGrants, Mint};
use crate::isolation::{GrantRule, Isolation, Wall};
use crate::label::{Label, LabelCaveat, PartyNames};
use crate::limits::{Limits, PartialLimits};
use crate::point::{Point, PointKind, Principal};
use crate::provenance::{Known, KnownServers};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the guest's clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// The host's time, moved at crossings.
    #[default]
    Host,
    /// Always this time, in milliseconds since the Unix epoch.
    Frozen {
        /// The time.
        at_ms: u64,
    },
}

/// Where the guest's random bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RandomMode {
    /// A fresh seed from the host for each cell.
    #[default]
    Host,
    /// This seed.
    Seeded {
        /// The seed.
        seed: [u8; 32],
    },
}

/// How a tool server is started. Nothing of the host's environment reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCommand {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The whole environment, in order.
    pub env: Vec<(String, String)>,
    /// The working directory, as written.
    pub directory: Option<String>,
    /// The wall around it; `None` where the manifest says that there is none, which only `trusted` isolation accepts.
    pub wall: Option<ServerWall>,
}

impl ToolCommand {
    /// `PATH` of a server whose environment sets none.
    pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

    /// Where a program that is started in `directory` with this environment may be, in the order in which it is looked
    /// for: with a `/` in its name in one place, else in those of `PATH`.
    pub fn places(program: &str, env: &[(String, String)], directory: &Path) -> Vec<PathBuf> {
        if program.contains('/') {
            return vec![directory.join(program)];
        }
        let set = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
        set.unwrap_or(Self::DEFAULT_PATH).split(':').map(|place| directory.join(place).join(program)).collect()
    }
}

/// What a tool server reaches besides its own program and the directories of the system from which programs run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerWall {
    /// Files and directories that it reads and whose programs it runs, as written, sorted, each once.
    pub reads: Vec<String>,
    /// Files and directories that it reads and changes, as written, sorted, each once.
    pub writes: Vec<String>,
    /// What it reaches over the network.
    pub network: ServerNetwork,
    /// Whether it has a directory for temporary files, which is made for it and removed after it.
    pub scratch: bool,
}

/// What a tool server reaches over the network.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ServerNetwork {
    /// Nothing, loopback included.
    #[default]
    None,
    /// These ports by TCP, sorted, each once, on any host.
    Ports(Vec<u16>),
    /// Anything by TCP and UDP; it can listen too.
    Any,
}

/// What the host must open to perform a point's effects. Paths are as written; the host resolves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory (`fs`).
    Directory(String),
    /// A tool server to start (`tool`).
    Command(ToolCommand),
    /// A tool server to connect to (`tool`).
    Url(CanonicalUrl),
    /// A receipt that somebody else must have left (`endorse`): of an endorsement of the same bytes.
    Receipt {
        /// Through which point: `endorse.NAME`.
        point: Box<str>,
        /// SHA-256 of the manifest that was in force there.
        manifest: [u8; 32],
    },
    /// Nothing but the point's name: `http`, `kv`, `cell`.
    Name,
}

/// One section of a manifest that grants a point.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestGrant {
    /// The point.
    pub point: Point,
    /// What stands behind it.
    pub source: Source,
    /// The operations.
    pub ops: Names,
    /// The caveats.
    pub caveats: Vec<Caveat>,
    /// What is said of a tool server's results.
    pub known: Known,
}

impl ManifestGrant {
    /// The section as TOML, with nothing left to the order or the spelling of a text: two sections are equal where this is.
    pub fn to_toml(&self) -> String {
        render::grant(self)
    }
}

/// A manifest that was read without a single problem and that its isolation policy accepts.
///
#[doc = include_str!("../MANIFEST.md")]
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    isolation: Isolation,
    agent: Option<String>,
    /// Files of the operator's rules, as written.
    rules: Vec<String>,
    set_limits: PartialLimits,
    limits: Limits,
    walls: BTreeSet<Wall>,
    clock: ClockMode,
    random: RandomMode,
    /// What is said of who wrote the program and may read it.
    program: Vec<LabelCaveat>,
    clearance: Vec<LabelCaveat>,
    /// How an approver is asked; none where nobody can approve.
    asking: Option<Asking>,
    parties: Arc<PartyNames>,
    tokens: TokenRules,
    grants: Vec<ManifestGrant>,
}

impl Manifest {
    /// Reads a manifest. `file` is only used in messages. All problems are reported, not just the first.
    pub fn parse(text: &str, file: &str) -> Result<Manifest, ManifestErrors> {
        parse::manifest(text).map_err(|problems| ManifestErrors { file: file.to_owned(), problems })
    }

    /// Reads one `--allow` expression and adds what it grants; see [`Manifest::ALLOW_HELP`].
    pub fn allow(&mut self, expression: &str) -> Result<(), ManifestErrors> {
        let failed = |problems: Problems| ManifestErrors {
            file: format!("--allow {}", crate::reason::quoted(expression)),
            problems: problems.into_list(None),
        };
        let mut problems = Problems::default();
        let Some(grant) = flag::read(expression, &mut problems) else { return Err(failed(problems)) };
        if self.grants.iter().any(|known| known.point == grant.point) {
            problems.add("", None, format!("`{}` is granted already", grant.point), None);
        }
        self.check_rules(&grant, None, &mut problems);
        if !problems.is_empty() {
            return Err(failed(problems));
        }
        self.grants.push(grant);
        Ok(())
    }

    /// What `--allow` takes, for a program's help.
    pub const ALLOW_HELP: &'static str = flag::HELP;

    /// Sets limits over those of the manifest; the policy's ceilings hold for them too.
    pub fn set_limits(&mut self, set: &PartialLimits) -> Result<(), ManifestErrors> {
        let mut merged = self.set_limits;
        for limit in crate::limits::Limit::ALL {
            if let Some(value) = set.get(*limit) {
                merged.set(*limit, value);
            }
        }
        let limits = self.isolation.resolve(&merged).map_err(|found| {
            let mut problems = Problems::default();
            for problem in found {
                problems.add(&format!("limits.{}", problem.limit().key()), None, problem.to_string(), None);
            }
            ManifestErrors { file: "limits".to_owned(), problems: problems.into_list(None) }
        })?;
        (self.set_limits, self.limits) = (merged, limits);
        Ok(())
    }

    /// The isolation policy.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The name of the principal on whose behalf the cells run.
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// The files of the operator's rules, as written; the host resolves them.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// Adds a file of rules. Rules only take away.
    pub fn add_rules(&mut self, file: impl Into<String>) {
        self.rules.push(file.into());
    }

    /// The limits of the first cell: what the manifest sets, and the policy's defaults.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits that the manifest itself sets.
    pub fn explicit_limits(&self) -> &PartialLimits {
        &self.set_limits
    }

    /// The walls without which the gate must not start.
    pub fn walls(&self) -> &BTreeSet<Wall> {
        &self.walls
    }

    /// What the guest's clock shows.
    pub fn clock(&self) -> ClockMode {
        self.clock
    }

    /// Where the guest's random bytes come from.
    pub fn random(&self) -> RandomMode {
        self.random
    }

    /// Who wrote the program and may read it.
    pub fn program_label(&self) -> Label {
        labels::label(&self.program)
    }

    /// The ceiling of what cells may read; [`Label::TOP`] where there is none.
    pub fn clearance(&self) -> Label {
        labels::clearance(&self.clearance)
    }

    /// How an approver is asked; `None` where nobody can approve.
    pub fn asking(&self) -> Option<Asking> {
        self.asking
    }

    /// The names of the parties, in the order of the text.
    pub fn parties(&self) -> &Arc<PartyNames> {
        &self.parties
    }

    /// Which root keys' tokens count, and what is held by token alone.
    pub fn tokens(&self) -> &TokenRules {
        &self.tokens
    }

    /// The sections that grant a point, in the manifest's order.
    pub fn grants(&self) -> &[ManifestGrant] {
        &self.grants
    }

    /// The section that grants this point.
    pub fn grant(&self, kind: PointKind, name: &str) -> Option<&ManifestGrant> {
        self.grants.iter().find(|grant| grant.point.kind == kind && &*grant.point.name == name)
    }

    /// What the operator says of tools' results, by tool server.
    pub fn known(&self) -> KnownServers {
        let said = self.grants.iter().filter(|grant| !grant.known.is_empty());
        said.map(|grant| (Box::from(&*grant.point.name), grant.known.clone())).collect()
    }

    /// Makes the root grants: one for each section, and the clock, random bytes, console output, which every cell has.
    pub fn hold(&self, principal: Principal, mint: &mut Mint) -> HeldGrants {
        let mut grants: Vec<Grant> = self
            .grants
            .iter()
            .map(|grant| Grant::root(mint, grant.point.clone(), grant.ops.clone(), grant.caveats.clone()))
            .collect();
        for kind in PointKind::ALWAYS {
            let ops = Names::only(kind.operations().unwrap_or_default());
            grants.push(Grant::root(mint, Point::only(*kind), ops, Vec::new()));
        }
        HeldGrants::new(principal, grants).with_parties(Arc::clone(&self.parties))
    }

    /// Parties that are named once and nearly as another is, or as a built-in one: `(found, probably meant)`. Each is a party
    /// of its own all the same.
    pub fn doubtful_parties(&self) -> Vec<(&str, &str)> {
        let of_grants = self.grants.iter().flat_map(|grant| &grant.caveats).filter_map(|caveat| match caveat {
            Caveat::Label(label) => Some(&**label),
            _ => None,
        });
        let mut uses: BTreeMap<&str, usize> = [(PartyNames::OPERATOR, 2), (PartyNames::OUTSIDE, 2)].into();
        for label in self.program.iter().chain(&self.clearance).chain(of_grants) {
            for name in label.names() {
                *uses.entry(&**name).or_default() += 1;
            }
        }
        let once = uses.iter().filter(|(_, uses)| **uses == 1).map(|(name, _)| *name);
        let meant = |name: &str| similar(name, uses.keys().copied().filter(|other| *other != name));
        once.filter_map(|name| Some((name, meant(name)?))).collect()
    }

    /// The manifest as TOML that [`Manifest::parse`] reads back to the same manifest.
    pub fn to_toml(&self) -> String {
        render::manifest(self)
    }

    /// All of it that grants no point, as TOML: isolation, agent, rules, limits, walls, clock, random bytes, labels, tokens,
    /// approvers.
    pub fn settings_to_toml(&self) -> String {
        render::frame(self)
    }

    /// Takes away the points that `keep` does not want, as if their sections were not there.
    pub fn keep_points(&mut self, keep: impl Fn(&ManifestGrant) -> bool) {
        self.grants.retain(keep);
        self.tokens.required.retain(|point| self.grants.iter().any(|grant| grant.point == *point));
    }

    /// The same with the parties and points that it still names and no others, as if it had been read so.
    fn with_fewest_parties(mut self) -> Manifest {
        self.tokens.required.retain(|point| self.grants.iter().any(|grant| grant.point == *point));
        let mut known = PartyNames::default();
        let own = self.program.iter_mut().chain(&mut self.clearance);
        let of_grants = self.grants.iter_mut().flat_map(|grant| {
            let caveats = grant.caveats.iter_mut().filter_map(|caveat| match caveat {
                Caveat::Label(label) => Some(&mut **label),
                _ => None,
            });
            caveats.chain(grant.known.parties_mut())
        });
        for label in own.chain(of_grants) {
            // They were few enough before.
            if let Ok(again) = LabelCaveat::intern(label.rule(), label.names(), &mut known) {
                *label = again;
            }
        }
        self.parties = Arc::new(known);
        self
    }

    /// Adds a problem for each rule of the policy that `grant` breaks.
    fn check_rules(
        &self,
        grant: &ManifestGrant,
        place: Option<&crate::config::read::Item<'_>>,
        problems: &mut Problems,
    ) {
        check_rules(self.isolation, grant, place, problems);
    }
}

impl Default for Manifest {
    /// The empty manifest: isolation `isolated`, its limits, and no grant.
    fn default() -> Self {
        let isolation = Isolation::default();
        let limits = *isolation.defaults().unwrap_or(isolation.ceilings());
        Manifest {
            isolation,
            agent: None,
            rules: Vec::new(),
            set_limits: PartialLimits::default(),
            limits,
            walls: isolation.walls().iter().copied().collect(),
            clock: ClockMode::default(),
            random: RandomMode::default(),
            program: Vec::new(),
            clearance: Vec::new(),
            asking: None,
            parties: Arc::default(),
            tokens: TokenRules::default(),
            grants: Vec::new(),
        }
    }
}

fn check_rules(
    isolation: Isolation,
    grant: &ManifestGrant,
    place: Option<&crate::config::read::Item<'_>>,
    problems: &mut Problems,
) {
    let broken = GrantRule::ALL.iter().filter(|rule| {
        let bare = matches!(&grant.source, Source::Command(command) if command.wall.is_none());
        isolation >= rule.refused_from()
            && (rule.is_broken_by(grant.point.kind, &grant.ops, &grant.caveats)
                || (**rule == GrantRule::NoServerWall && bare))
    });
    for rule in broken {
        let message = format!("isolation `{isolation}` refuses {}", rule.description());
        problems.add(
            &format!("{}.{}", grant.point, rule.key()),
            place.and_then(|item| item.node.span.clone()),
            message,
            Some(rule.hint().to_owned()),
        );
    }
}

/// Everything that is wrong with a manifest. Displayed a line each: file, line, column, key, message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestErrors {
    /// The file's name, or what else was read.
    pub file: String,
    /// The problems, in the order of the text; never empty.
    pub problems: Vec<Problem>,
}

impl ManifestErrors {
    /// The same lines with each hint on a line below its problem.
    pub fn with_hints(&self) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&self.line(problem));
            out.push('\n');
            if let Some(hint) = &problem.hint {
                out.push_str(&format!("  hint: {hint}\n"));
            }
        }
        out
    }

    fn line(&self, problem: &Problem) -> String {
        match problem.place {
            Some(place) => format!("{}:{}:{}: {problem}", self.file, place.line, place.column),
            None => format!("{}: {problem}", self.file),
        }
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(|problem| self.line(problem)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ManifestErrors {}
