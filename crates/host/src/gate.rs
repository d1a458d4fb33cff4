//! The trusted process: journal, workers, and the cells that are alive.

use crate::approvals::OpenQuestions;
use crate::entries;
use crate::error::RunError;
use crate::keys::{KeyFileError, own_key};
use crate::live::Live;
use crate::pending::{self, PendingServer, Waits, next_step, pin};
use crate::processor::Dropped;
use crate::program::Prepare;
use crate::receipts::{Needed, Receipts};
use crate::rules::{arguments, session_rules};
use crate::schemas::session_schemas;
use crate::seals::Seals;
use crate::session::{OnLog, Session, SessionInner};
use crate::tokens::{self, Judge, Opened, Presentation};
use crate::workers::{Event, Link, Links};
use lockgate_authority::{
    Caveat, Classes, Format, HeldGrants, Manifest, ManifestGrant, Mint, Point, PointKind, Principal, PrincipalKind,
    ReasonCode, ServerNetwork, ServerWall, Source, Value, Wall,
};
use lockgate_control::{BEAT_MS, Control, ControlError};
use lockgate_crossing::{Failed, Floating, Recorder, Ruling, SessionBook, Types};
use lockgate_decode::{Group, classes};
use lockgate_effects::EffectError;
use lockgate_effects::fs::Directory;
use lockgate_effects::http::{HttpClient, Reach};
use lockgate_effects::kv::KeyValueFile;
use lockgate_effects::tool::{StartError, ToolLimits, ToolServer, ToolServerSpec, ToolServers, ToolTransport};
use lockgate_journal::{Journal, Options, SessionId};
use lockgate_rules::{Points, RuleErrors, Rules, Tools};
use lockgate_token::PublicKey;
use lockgate_trust::{Drift, Granted, Pins};
use lockgate_wall::{Network, ProgramWall};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Handle, Runtime};

/// How often deadlines are looked at; a cell may live this much longer than its wall time.
const DEADLINE_TICK: Duration = Duration::from_millis(10);

/// How often it is looked whether the operator has said something.
const CONTROL_TICK: Duration = Duration::from_millis(100);

/// Looks between two signs of life, while there are open questions.
const TICKS_A_BEAT: u32 = (BEAT_MS / 100) as u32;

/// Where cells run.
#[derive(Clone, Debug)]
pub enum Walling {
    /// In jailed worker processes, forked from a zygote that `exe` becomes when it is started with `args`.
    Workers {
        /// A program whose `main` hands over to `lockgate_cell::worker::zygote_main` for these arguments.
        exe: PathBuf,
        /// Its arguments.
        args: Vec<String>,
    },
    /// In this process: WebAssembly is the only wall. For measuring, and for embedding where processes cannot be had.
    InProcessWeaker,
}

/// Which processors workers run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Wherever the operating system puts them: for a program that runs once, beside others like it.
    #[default]
    Anywhere,
    /// Each worker, together with the thread that answers it, on a processor of its own while there are enough, for a
    /// gate that has the machine: a crossing then wakes nobody on another processor. While cells work, the processors are
    /// kept from halting. Not in process, where the cells' thread is like any other.
    OwnProcessor,
}

/// How a gate is opened.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// The journal's file; made where there is none.
    pub journal: PathBuf,
    /// The file of the key-value stores; made at first use.
    pub stores: PathBuf,
    /// The file in which the operator revokes grants and answers approvals while the gate runs; made where there is none.
    pub control: PathBuf,
    /// The file of the gate's own key, by which holders of tokens name it; made at first use.
    pub key: PathBuf,
    /// Where cells run.
    pub walling: Walling,
    /// The walls without which the gate does not start.
    pub minimum: BTreeSet<Wall>,
    /// How many workers, each with its own thread.
    pub workers: usize,
    /// Which processors they run on.
    pub placement: Placement,
}

/// Why a gate does not open, or a session does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] lockgate_journal::OpenError),
    /// A wall is missing or the workers cannot be started.
    #[error("{message}")]
    Walls {
        /// What is missing.
        message: String,
        /// The next step.
        hint: String,
    },
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Its error.
        source: std::io::Error,
    },
    /// What a manifest's section names cannot be opened.
    #[error("`[{section}]`: {message}")]
    Point {
        /// The section.
        section: String,
        /// What is wrong.
        message: String,
        /// The next step.
        hint: String,
    },
    /// The session's start could not be recorded.
    #[error("the journal could not be written: {0}")]
    Unrecorded(String),
    /// A file of rules cannot be read.
    #[error("{message}")]
    RuleFile {
        /// Which, and why.
        message: String,
    },
    /// The operator's rules are wrong.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// What the operator revokes or answers could not be seen.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A token gives nothing here.
    #[error("{message}")]
    Token {
        /// The documented reason.
        code: ReasonCode,
        /// One sentence.
        message: String,
        /// The next step.
        hint: String,
    },
    /// The gate's own key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What was pinned when a point was approved is not what is there now.
    #[error(transparent)]
    Drift(#[from] Drift),
}

impl OpenError {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            OpenError::Journal(error) => Some(error.hint().to_owned()),
            OpenError::Walls { hint, .. } | OpenError::Point { hint, .. } | OpenError::Token { hint, .. } => {
                Some(hint.clone())
            }
            OpenError::Key(error) => Some(error.hint()),
            OpenError::Drift(_) => Some(
                "`lockgate trust diff` shows it beside the rest; `lockgate trust approve` if you mean it".to_owned(),
            ),
            OpenError::Io { .. } => None,
            OpenError::RuleFile { .. } => {
                Some("`rules` in the manifest is relative to it; `--rules` is not".to_owned())
            }
            OpenError::Rules(errors) => errors.0.first().and_then(|error| error.hint.clone()),
            OpenError::Control(_) => {
                Some("it lies beside the journal: choose another place with `--journal`".to_owned())
            }
            OpenError::Unrecorded(_) => {
                Some("make room on the disk or choose another place with `--journal`".to_owned())
            }
        }
    }
}

/// The trusted process. Clones are the same gate; cells end when the last clone and session is dropped.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) journal: Journal,
    pub(crate) http: HttpClient,
    pub(crate) control: Control,
    pub(crate) seals: Seals,
    key: PathBuf,
    /// What the control file knows this gate by.
    pub(crate) id: [u8; 16],
    sessions: Mutex<Vec<Weak<SessionInner>>>,
    stores_path: PathBuf,
    stores: OnceLock<Result<KeyValueFile, EffectError>>,
    receipts: Mutex<Receipts>,
    runtime: Option<Runtime>,
    links: OnceLock<Links>,
    next_link: AtomicUsize,
    cells: Mutex<HashMap<u32, Arc<Live>>>,
    pub(crate) dropped: Dropped,
    next_cell: AtomicU32,
}

impl Gate {
    /// Opens the journal, raises the walls and starts the workers.
    pub fn open(options: &GateOptions) -> Result<Gate, OpenError> {
        let journal = Journal::open(&options.journal, &Options::new().create(true))?;
        let runtime = start_runtime()?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| OpenError::Io {
            doing: "drawing the gate's number".to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        let control = Control::open(&options.control)?;
        let inner = Arc::new(Inner {
            journal,
            http: HttpClient::new(),
            control,
            seals: Seals::beside(&options.control),
            id,
            key: options.key.clone(),
            sessions: Mutex::new(Vec::new()),
            stores_path: options.stores.clone(),
            stores: OnceLock::new(),
            receipts: Mutex::default(),
            runtime: Some(runtime),
            links: OnceLock::new(),
            next_link: AtomicUsize::new(0),
            cells: Mutex::new(HashMap::new()),
            dropped: Dropped::default(),
            next_cell: AtomicU32::new(1),
        });
        let weak = Arc::downgrade(&inner);
        let links = Links::start(options, Arc::new(move |event| dispatch(&weak, event)))?;
        // Of gates that are gone; who lists or answers does the same.
        inner.control.tidy_questions(inner.now_us() / 1000)?;
        // Just made: nobody else has set it.
        let _ = inner.links.set(links);
        watch_deadlines(&inner);
        watch_control(&inner);
        Ok(Gate(inner))
    }

    /// Begins a session with what the manifest grants. Relative paths in it are below `base`.
    pub fn session(&self, manifest: &Manifest, base: &Path, on_log: OnLog) -> Result<Session, OpenError> {
        self.session_with(manifest, base, None, on_log)
    }

    /// Begins a session whose grants over some points are those of tokens: what both the token and the manifest allow.
    pub fn session_with(
        &self,
        manifest: &Manifest,
        base: &Path,
        presented: Option<Presentation>,
        on_log: OnLog,
    ) -> Result<Session, OpenError> {
        self.begin(manifest, base, presented, (&Pins::default(), None), on_log)
    }

    /// Begins a session with what an operator grants, and refuses it where what was pinned is no longer so.
    pub fn session_granted(
        &self,
        granted: &Granted,
        presented: Option<Presentation>,
        on_log: OnLog,
    ) -> Result<Session, OpenError> {
        let trust = (granted.pins(), granted.recorded());
        self.begin(granted.manifest(), granted.base(), presented, trust, on_log)
    }

    fn begin(
        &self,
        manifest: &Manifest,
        base: &Path,
        presented: Option<Presentation>,
        (pins, trust): (&Pins, Option<Value>),
        on_log: OnLog,
    ) -> Result<Session, OpenError> {
        let gate = &self.0;
        tokens::check_required(manifest, presented.as_ref())?;
        let agent = tokens::agent(manifest, presented.as_ref())?;
        let mut mint = Mint::new();
        let principal = Principal::new(PrincipalKind::Agent, agent.as_str());
        let held = manifest.hold(principal, &mut mint);
        let (held, opened) = self.open_tokens(presented, held, &mut mint)?;
        let mut directories = HashMap::new();
        let mut tools = HashMap::new();
        let mut waits = Vec::new();
        let mut receipts = HashMap::new();
        let mut lies_at = HashMap::new();
        for grant in manifest.grants() {
            let name = grant.point.name.to_string();
            let failed = |message: String, hint: &str| OpenError::Point {
                section: grant.point.to_string(),
                message,
                hint: hint.to_owned(),
            };
            match &grant.source {
                Source::Directory(path) => {
                    pins.check_files(grant, base)?;
                    let pinned = pins.directory(&grant.point.to_string());
                    let opened = match pinned {
                        Some(real) => Directory::open_real(real),
                        None => Directory::open(&base.join(path)),
                    };
                    let directory = opened.map_err(|error| {
                        failed(
                            format!("cannot open the directory `{path}`: {error}"),
                            "make the directory, or correct `path`, which is relative to the manifest",
                        )
                    })?;
                    let at = pinned.map_or_else(|| std::fs::canonicalize(base.join(path)), |real| Ok(real.to_owned()));
                    let at = at.map_err(|error| {
                        failed(format!("cannot find the directory `{path}`: {error}"), "correct `path`")
                    })?;
                    lies_at.insert(name.clone(), at);
                    directories.insert(name, Arc::new(directory));
                }
                Source::Command(_) | Source::Url(_) => {
                    // A server that is not what was approved stops no other: it is not started, or ended again. Neither does
                    // one that was there before and cannot be started now.
                    if let Err(drift) = pins.check_files(grant, base) {
                        waits.push(waits_for_yes(grant, drift, pins));
                        continue;
                    }
                    let server = match connect(gate.runtime(), &gate.http, grant, base, manifest.walls(), pins) {
                        Ok(server) => server,
                        Err(error) if pins.server(&grant.point.to_string()).is_some() => {
                            waits.push(not_there(grant, &error, pins));
                            continue;
                        }
                        Err(error) => return Err(not_connected(grant, &error)),
                    };
                    if let Err(drift) = pins.check_server(&grant.point.to_string(), pin(server.described())) {
                        waits.push(waits_for_yes(grant, drift, pins));
                        continue;
                    }
                    check_tools(&server, grant).map_err(|(message, hint)| failed(message, &hint))?;
                    tools.insert(name, Arc::new(server));
                }
                Source::Receipt { point, manifest } => {
                    receipts.insert(name, Needed { point: point.clone(), manifest: *manifest });
                }
                Source::Name => {}
            }
        }
        check_types(manifest)?;
        if manifest.grants().iter().any(is_sealed) {
            gate.seals.keys()?;
        }
        let rules = session_rules(manifest, base, &tools, &waits, pins)?;
        let schemas = session_schemas(manifest, base, pins)?;
        let unrecorded = |error: String| OpenError::Unrecorded(error);
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| unrecorded(error.to_string()))?;
        let manifest_text = manifest.to_toml();
        let body = entries::start(
            &agent,
            manifest,
            &manifest_text,
            opened.as_ref().map_or(Ok(Vec::new()), Opened::recorded)?,
            trust,
            rules.as_ref().map_or(&[], Rules::texts),
        );
        let id = SessionId::from_bytes(id);
        let key = gate.journal.begin(id, gate.now_us(), &body).map_err(|error| unrecorded(error.to_string()))?;
        let ruling = rules.map(|rules| Ruling::new(rules, &agent));
        let session = Arc::new(SessionInner {
            gate: Arc::clone(gate),
            id,
            book: Arc::new(
                SessionBook::new(key)
                    .typed(types(&tools, manifest.grants()))
                    .shaped(schemas)
                    .asking(manifest.asking())
                    .ruled(ruling)
                    .under(Sha256::digest(&manifest_text).into()),
            ),
            agent,
            held: Arc::new(held),
            limits: *manifest.limits(),
            mint: Mutex::new(mint),
            clock: manifest.clock(),
            random: manifest.random(),
            directories,
            remarks: remarks(manifest.grants(), &tools),
            tools,
            approved_tools: waits.iter().map(approved_tools).collect(),
            waiting: Mutex::new(SessionInner::begin_waiting(&waits)),
            receipts,
            lies_at,
            known: manifest.known(),
            on_log,
            cells: AtomicU32::new(0),
            floating: Arc::new(Floating::of_program(manifest.program_label())),
            clearance: manifest.clearance(),
            opened,
            unheard: Mutex::new(None),
            questions: OpenQuestions::default(),
            on_ask: OnceLock::new(),
        });
        for waits in &waits {
            match waits.told.absent {
                true => session.book.lack(&waits.server),
                false => session.book.pend(&waits.server, next_step(true)),
            }
            pending::record(gate, session.book.key(), &waits.told);
        }
        for (name, server) in &session.tools {
            session.watch(name, server.changes(), pin(server.described()), pins.clone());
        }
        gate.enlist(&session);
        // What was revoked since the tokens were looked at was perhaps told to nobody.
        session.hear_revocations()?;
        Ok(Session(session))
    }

    fn open_tokens(
        &self,
        presented: Option<Presentation>,
        held: HeldGrants,
        mint: &mut Mint,
    ) -> Result<(HeldGrants, Option<Opened>), OpenError> {
        match presented {
            None => Ok((held, None)),
            Some(presented) => Judge { control: &self.0.control, key: self.key()? }.open(presented, held, mint),
        }
    }

    /// The public half of the gate's own key, which a holder's proof names; made at first use.
    pub fn key(&self) -> Result<PublicKey, KeyFileError> {
        Ok(own_key(&self.0.key, "a gate")?.public())
    }

    /// What prepares programs: a worker, since it parses hostile text.
    pub fn prepare(&self) -> Result<Arc<impl Prepare + use<>>, RunError> {
        self.0.pick_link()
    }

    /// The threads on which effects happen. What waits for them does so without a change of thread if it runs there too; it
    /// must not block them.
    pub fn runtime(&self) -> &Handle {
        self.0.runtime()
    }

    /// Where everything is recorded.
    pub fn journal(&self) -> &Path {
        self.0.journal.path()
    }

    /// Which walls hold around the workers, in words; `None` in process.
    pub fn walls(&self) -> Option<String> {
        self.0.links().walls()
    }

    /// Process ids of the workers; empty in process.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.0.links().pids()
    }
}

/// Whether what lies at a section's point is sealed.
fn is_sealed(grant: &ManifestGrant) -> bool {
    grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::Seal(_)))
}

/// Every type that a manifest names must be one that can be named: one with a slip in it would silently be refused.
fn check_types(manifest: &Manifest) -> Result<(), OpenError> {
    let nameable = |name: &str| classes().any(|class| class.name == name && class.group != Group::Plain);
    for grant in manifest.grants() {
        let named = grant.caveats.iter().filter_map(|caveat| match caveat {
            Caveat::Format(format) => match &**format {
                Format::Lc(Classes::Only(names)) => Some(names),
                _ => None,
            },
            _ => None,
        });
        if let Some(unknown) = named.flat_map(|names| names.iter()).find(|name| !nameable(name)) {
            return Err(OpenError::Point {
                section: grant.point.to_string(),
                message: format!("`format` names the type `{unknown}`, which is not in the list of types"),
                hint: "`lockgate inspect FILE --allow NAME` says which types there are".to_owned(),
            });
        }
    }
    Ok(())
}

/// The points of a manifest as rules speak of them. Starts its tool servers to ask what their tools take, and ends them
/// again; so it takes what an operator grants, and not any manifest.
pub fn rule_points(granted: &Granted) -> Result<Points, OpenError> {
    let (manifest, base, pins) = (granted.manifest(), granted.base(), granted.pins());
    let (runtime, http) = (start_runtime()?, HttpClient::new());
    let mut tools = Tools::new();
    for grant in manifest.grants().iter().filter(|grant| matches!(grant.source, Source::Command(_) | Source::Url(_))) {
        let name = grant.point.name.to_string();
        pins.check_files(grant, base)?;
        let server = connect(runtime.handle(), &http, grant, base, manifest.walls(), pins)
            .map_err(|error| not_connected(grant, &error))?;
        pins.check_server(&grant.point.to_string(), pin(server.described()))?;
        tools.insert(name, arguments(&server));
    }
    Ok(Points::of(manifest, &tools))
}

fn start_runtime() -> Result<Runtime, OpenError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lockgate-effects")
        .enable_all()
        .build()
        .map_err(|source| OpenError::Io { doing: "starting the effects' threads".to_owned(), source })
}

/// Starts or connects to the tool server of a section. What was pinned is found by its real path, and not looked for anew.
fn connect(
    runtime: &Handle,
    http: &HttpClient,
    grant: &ManifestGrant,
    base: &Path,
    walls: &BTreeSet<Wall>,
    pins: &Pins,
) -> Result<ToolServer, StartError> {
    let transport = match &grant.source {
        // The operator named it, wherever it is.
        Source::Url(url) => ToolTransport::Http { url: url.clone(), reach: Reach::PrivateToo, headers: Vec::new() },
        Source::Command(command) => ToolTransport::Stdio {
            command: command.command.clone(),
            env: command.env.clone(),
            directory: match pins.directory(&grant.point.to_string()) {
                Some(real) => real.to_owned(),
                None => base.join(command.directory.as_deref().unwrap_or(".")),
            },
            wall: command.wall.as_ref().map(|wall| program_wall(&grant.point, wall, base, walls, pins)).transpose()?,
        },
        Source::Directory(_) | Source::Receipt { .. } | Source::Name => unreachable!("only tools are connected to"),
    };
    let spec = ToolServerSpec { name: grant.point.name.to_string(), transport };
    runtime.block_on(ToolServers::new(http.clone()).connect(spec, ToolLimits::default()))
}

/// The wall around a tool server, its paths those that were pinned, else made whole; of the manifest's walls those that a
/// program of others can have.
fn program_wall(
    point: &Point,
    wall: &ServerWall,
    base: &Path,
    walls: &BTreeSet<Wall>,
    pins: &Pins,
) -> Result<ProgramWall, StartError> {
    let failed = |detail: String| StartError {
        error: EffectError::new(
            ReasonCode::ToolUnavailable,
            format!("the tool server `{}` could not be started", point.name),
        ),
        detail,
    };
    let section = point.to_string();
    let whole = |key: &str, paths: &[String]| -> Result<Vec<PathBuf>, StartError> {
        let one = |(index, path): (usize, &String)| {
            if let Some(real) = pins.wall_path(&section, key, index) {
                return Ok(real.to_owned());
            }
            base.join(path).canonicalize().map_err(|error| {
                failed(format!(
                    "its `{key}` has `{path}`: {error}; make it, or correct it: it is relative to the manifest"
                ))
            })
        };
        paths.iter().enumerate().map(one).collect()
    };
    let writes = whole("writes", &wall.writes)?;
    let own = base.canonicalize().map_err(|error| failed(format!("`{}`: {error}", base.display())))?;
    if let Some(path) = writes.iter().find(|path| own.starts_with(path)) {
        let message = "its `writes` has the manifest's own directory";
        let hint = "it could change what is granted; name a directory below it, or keep the manifest elsewhere";
        return Err(failed(format!("{message}, `{}`: {hint}", path.display())));
    }
    let needed = |wall: &Wall| match wall {
        Wall::NoNewPrivileges => Some(lockgate_wall::Wall::NoNewPrivileges),
        Wall::Seccomp => Some(lockgate_wall::Wall::Seccomp),
        Wall::Landlock => Some(lockgate_wall::Wall::Landlock),
        // Of workers only.
        Wall::Namespaces => None,
    };
    Ok(ProgramWall {
        reads: whole("reads", &wall.reads)?,
        writes,
        network: match &wall.network {
            ServerNetwork::None => Network::None,
            ServerNetwork::Ports(ports) => Network::Ports(ports.clone()),
            ServerNetwork::Any => Network::Any,
        },
        scratch: wall.scratch,
        minimum: walls.iter().filter_map(needed).collect(),
    })
}

/// What the operator should know of the servers of a session that has begun.
fn remarks(grants: &[lockgate_authority::ManifestGrant], servers: &HashMap<String, Arc<ToolServer>>) -> Vec<String> {
    let mut out = Vec::new();
    for grant in grants {
        let Some(server) = servers.get(&*grant.point.name).filter(|_| grant.point.kind == PointKind::Tool) else {
            continue;
        };
        let point = &grant.point;
        if matches!(&grant.source, Source::Command(command) if command.wall.is_none()) {
            out.push(format!("`{point}` runs without a wall: it reaches all that you do (`wall = \"none\"`)"));
        }
        out.extend(server.lacks().iter().map(|lack| format!("the wall around `{point}` is not whole here: {lack}")));
        for tool in server.tools().iter().filter(|tool| grant.ops.contains(&tool.name)) {
            if let Err(why) = &tool.types {
                out.push(format!("the tool {:?} of `{point}` cannot be called: {why}", tool.name));
            }
        }
    }
    out
}

fn not_connected(grant: &lockgate_authority::ManifestGrant, error: &StartError) -> OpenError {
    OpenError::Point {
        section: grant.point.to_string(),
        message: format!("{}{}", error.error.message, indented(&error.detail)),
        hint: "correct `command`, or what its wall lets it reach (`reads`, `writes`, `connect`); a server that `npx` or `uvx` would \
               fetch is installed first and named by its script"
            .to_owned(),
    }
}

/// What the tools of the servers take.
fn types(servers: &HashMap<String, Arc<ToolServer>>, grants: &[ManifestGrant]) -> Types {
    let mut types = Types::default();
    for (name, server) in servers {
        let of = |tool: &lockgate_effects::tool::ToolInfo| {
            (tool.name.clone(), tool.types.as_ref().map(|types| Arc::clone(&types.input)).map_err(String::clone))
        };
        types.add(name.clone(), server.tools().iter().map(of));
    }
    for grant in grants.iter().filter(|grant| grant.point.kind == PointKind::Tool) {
        types.read_only(&*grant.point.name, grant.known.read_only.iter().map(|op| op.to_string()));
    }
    types
}

/// What only the operator may see, below the message.
fn indented(detail: &str) -> String {
    detail.lines().map(|line| format!("\n    {line}")).collect()
}

/// A server that is not what was approved.
fn waits_for_yes(grant: &ManifestGrant, drift: Drift, pins: &Pins) -> Waits {
    let told = PendingServer { point: drift.point, absent: false, what: drift.what, from_start: true };
    let approved = pins.server(&told.point).cloned();
    Waits { server: grant.point.name.to_string(), told, approved }
}

fn not_there(grant: &ManifestGrant, error: &StartError, pins: &Pins) -> Waits {
    let point = grant.point.to_string();
    let what = [error.error.message.as_str()].into_iter().chain(error.detail.lines()).map(str::to_owned).collect();
    let approved = pins.server(&point).cloned();
    let told = PendingServer { point, absent: true, what, from_start: true };
    Waits { server: grant.point.name.to_string(), told, approved }
}

/// The tools that a server had when it was approved.
fn approved_tools(waits: &Waits) -> (String, Vec<String>) {
    let names = waits.approved.iter().flat_map(|server| &server.tools).map(|tool| tool.name.clone());
    (waits.server.clone(), names.collect())
}

/// Every tool that a manifest names must be there: a name with a slip in it would silently grant nothing.
fn check_tools(server: &ToolServer, grant: &ManifestGrant) -> Result<(), (String, String)> {
    let writes = |name: &str| server.tools().iter().any(|tool| tool.name == name && tool.says_it_writes);
    if let Some(name) = grant.known.read_only.iter().find(|name| writes(name)) {
        let hint = "take it out of `read_only`: its calls are then on the disk before they happen".to_owned();
        return Err((format!("the server says of its tool `{name}` that it changes something"), hint));
    }
    let lockgate_authority::Names::Only(wanted) = &grant.ops else { return Ok(()) };
    let known: Vec<&str> = server.tools().iter().map(|tool| tool.name.as_str()).collect();
    match wanted.iter().find(|name| !known.contains(&&***name)) {
        None => Ok(()),
        Some(missing) => Err((format!("the server has no tool `{missing}`"), format!("it has: {}", listed(&known)))),
    }
}

/// The first of many names, none longer than a line takes.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 100;
    const LONGEST: usize = 128;
    let shown: Vec<&str> = names.iter().take(MOST).map(|name| &name[..name.floor_char_boundary(LONGEST)]).collect();
    let more = names.len().saturating_sub(MOST);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

impl Inner {
    pub(crate) fn now_us(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
    }

    /// Whether the journal holds the receipt that an endorsement of these bytes needs. Blocks on the journal's file.
    pub(crate) fn has_receipt(&self, needed: &Needed, content: &[u8]) -> Result<bool, Failed> {
        let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.has(self.journal.path(), needed, content)
    }

    pub(crate) fn recorder(&self) -> &dyn Recorder {
        &self.journal
    }

    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.as_ref().expect("taken only when the gate is dropped").handle()
    }

    fn links(&self) -> &Links {
        self.links.get().expect("set before the gate is handed out")
    }

    pub(crate) fn stores(&self) -> Result<&KeyValueFile, EffectError> {
        let open = || {
            KeyValueFile::open(&self.stores_path)
                .map_err(|_| EffectError::new(ReasonCode::EffectFailed, "the file of the stores cannot be opened"))
        };
        self.stores.get_or_init(open).as_ref().map_err(EffectError::clone)
    }

    /// Where the stores lie, whatever links lead there.
    pub(crate) fn stores_at(&self) -> PathBuf {
        std::fs::canonicalize(&self.stores_path).unwrap_or_else(|_| self.stores_path.clone())
    }

    pub(crate) fn next_cell(&self) -> u32 {
        self.next_cell.fetch_add(1, Ordering::Relaxed)
    }

    /// Workers take turns; one that is gone is passed over, and replaced where that can be done.
    pub(crate) fn pick_link(&self) -> Result<Arc<Link>, RunError> {
        self.links().pick(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    /// For a caller that waits: the worker beside it, else the one whose turn it is.
    pub(crate) fn pick_near_link(&self) -> Result<Arc<Link>, RunError> {
        self.links().pick_near().unwrap_or_else(|| self.pick_link())
    }

    /// Lets a session hear what the operator says from here on.
    fn enlist(&self, session: &Arc<SessionInner>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|known| known.strong_count() > 0);
        sessions.push(Arc::downgrade(session));
    }

    /// Every open session.
    fn sessions(&self) -> Vec<Arc<SessionInner>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn remember(&self, live: &Arc<Live>) {
        self.lock_cells().insert(live.id, Arc::clone(live));
    }

    pub(crate) fn forget(&self, cell: u32) {
        self.lock_cells().remove(&cell);
    }

    fn find(&self, cell: u32) -> Option<Arc<Live>> {
        self.lock_cells().get(&cell).cloned()
    }

    fn lock_cells(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Live>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last owner may be a thread of the runtime itself, which must not wait for itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes what a worker said to the cell it speaks of. A worker can only speak of cells that it was given.
fn dispatch(gate: &Weak<Inner>, event: Event<'_>) {
    let Some(gate) = gate.upgrade() else { return };
    match event {
        Event::Turn { link, cell, usage, bytes } => match gate.find(cell).filter(|live| live.link.is(link)) {
            Some(live) => live.on_turn(usage, bytes),
            None => gate.dropped.settle(cell, usage.cpu_us),
        },
        Event::Ended { link, cell, reason, usage } => match gate.find(cell).filter(|live| live.link.is(link)) {
            Some(live) => live.on_ended(reason, usage),
            None => gate.dropped.settle(cell, usage.cpu_us),
        },
        Event::Unheard { cell, usage } => gate.dropped.settle(cell, usage.cpu_us),
    }
}

/// Hears what the operator says while the gate runs: a revocation or an answer is taken up within two ticks.
fn watch_control(gate: &Arc<Inner>) {
    let weak = Arc::downgrade(gate);
    gate.runtime().spawn(async move {
        let mut unheard = false;
        let mut ticks = 0_u32;
        loop {
            tokio::time::sleep(CONTROL_TICK).await;
            let Some(gate) = weak.upgrade() else { return };
            ticks = (ticks + 1) % TICKS_A_BEAT;
            if ticks == 0 && gate.sessions().iter().any(|session| !session.questions.is_empty()) {
                let beats = Arc::clone(&gate);
                drop(gate.runtime().spawn_blocking(move || beats.control.beat(&beats.id, beats.now_us() / 1000)));
            }
            // What cannot be read may hold a revocation: every session acts as if there were news.
            if gate.control.changed().unwrap_or(true) || unheard {
                unheard = gate.sessions().iter().filter(|session| !session.on_control()).count() > 0;
            }
        }
    });
}

/// Ends cells whose wall time is over while they wait; one that computes is ended by its worker.
fn watch_deadlines(gate: &Arc<Inner>) {
    let weak = Arc::downgrade(gate);
    gate.runtime().spawn(async move {
        loop {
            tokio::time::sleep(DEADLINE_TICK).await;
            let Some(gate) = weak.upgrade() else { return };
            let now = Instant::now();
            let late: Vec<Arc<Live>> =
                gate.lock_cells().values().filter(|live| live.wall.is_over(now)).cloned().collect();
            for live in late {
                live.on_deadline();
            }
        }
    });
}
