//! What each room may know of the others, of other people's crates, and of the world. Defaults to nothing.

use crate::doors::Door;

/// Where a room stands and what it may depend on of ours.
pub struct Room {
    /// The crate.
    pub name: &'static str,
    /// A room depends only on rooms of a lower floor.
    pub floor: u8,
    /// Rooms it may depend on.
    pub may_use: &'static [&'static str],
}

/// Every crate of the workspace.
pub const ROOMS: &[Room] = &[
    Room { name: "lockgate-authority", floor: 0, may_use: &[] },
    Room { name: "lockgate-journal", floor: 1, may_use: &[] },
    Room { name: "lockgate-syntax", floor: 1, may_use: &[] },
    Room { name: "lockgate-wall", floor: 1, may_use: &[] },
    Room { name: "lockgate-decode", floor: 1, may_use: &["lockgate-authority"] },
    Room { name: "lockgate-token", floor: 1, may_use: &["lockgate-authority"] },
    Room { name: "lockgate-rules", floor: 1, may_use: &["lockgate-authority"] },
    Room { name: "lockgate-control", floor: 1, may_use: &["lockgate-authority"] },
    Room { name: "lockgate-cell", floor: 2, may_use: &["lockgate-wall"] },
    Room { name: "lockgate-effects", floor: 2, may_use: &["lockgate-authority", "lockgate-decode", "lockgate-wall"] },
    Room { name: "lockgate-trust", floor: 2, may_use: &["lockgate-authority", "lockgate-decode", "lockgate-token"] },
    Room {
        name: "lockgate-crossing",
        floor: 2,
        may_use: &["lockgate-authority", "lockgate-decode", "lockgate-journal", "lockgate-rules"],
    },
    Room {
        name: "lockgate-host",
        floor: 3,
        may_use: &[
            "lockgate-authority",
            "lockgate-cell",
            "lockgate-control",
            "lockgate-crossing",
            "lockgate-decode",
            "lockgate-effects",
            "lockgate-journal",
            "lockgate-rules",
            "lockgate-syntax",
            "lockgate-token",
            "lockgate-trust",
            "lockgate-wall",
        ],
    },
    Room { name: "lockgate-mcp", floor: 4, may_use: &["lockgate-authority", "lockgate-decode", "lockgate-host"] },
    Room {
        name: "lockgate",
        floor: 5,
        may_use: &[
            "lockgate-authority",
            "lockgate-cell",
            "lockgate-control",
            "lockgate-decode",
            "lockgate-host",
            "lockgate-journal",
            "lockgate-mcp",
            "lockgate-rules",
            "lockgate-token",
            "lockgate-trust",
            "lockgate-wall",
        ],
    },
    // The model beside the code; never shipped.
    Room { name: "lockgate-sim", floor: 4, may_use: &["lockgate-authority"] },
    // Runs on the machine of who builds, and is never shipped: its doors are its business.
    Room { name: "xtask", floor: 4, may_use: &["lockgate-authority", "lockgate-decode"] },
];

/// Rooms whose sources are not looked at.
pub const OUTSIDE: &[&str] = &["xtask"];

/// A crate written by others, and which rooms may depend on it.
pub struct External {
    /// Its name.
    pub name: &'static str,
    /// The rooms.
    pub rooms: &'static [&'static str],
    /// With these features at most and without its default ones; `None` where any are fine.
    pub features: Option<&'static [&'static str]>,
    /// Whether for building them only.
    pub building: bool,
}

const fn at(name: &'static str, rooms: &'static [&'static str]) -> External {
    External { name, rooms, features: None, building: false }
}

const fn to_build(name: &'static str, rooms: &'static [&'static str]) -> External {
    External { name, rooms, features: None, building: true }
}

/// Crates that can do something to the world or for the world, each with the rooms that exist for it.
pub const EXTERNAL: &[External] = &[
    // HTTP, connections and asynchronous effects.
    at("futures-util", &["lockgate-effects"]),
    at("http", &["lockgate-effects", "lockgate-mcp"]),
    at("http-body-util", &["lockgate-effects", "lockgate-mcp"]),
    at("hyper", &["lockgate-effects", "lockgate-mcp"]),
    at("hyper-util", &["lockgate-effects", "lockgate-mcp"]),
    at("rmcp", &["lockgate-effects", "lockgate-mcp"]),
    at("sse-stream", &["lockgate-effects"]),
    at("tokio", &["lockgate-effects", "lockgate-host", "lockgate-mcp"]),
    at("tokio-rustls", &["lockgate-effects"]),
    at("webpki-roots", &["lockgate-effects"]),
    // A database file: the journal, and the stores of `kv`.
    at("rusqlite", &["lockgate-journal", "lockgate-effects", "lockgate-control"]),
    // The engine: what runs hostile code cannot make machine code, only the build can.
    External {
        name: "wasmtime",
        rooms: &["lockgate-cell"],
        features: Some(&["runtime", "std", "pooling-allocator"]),
        building: false,
    },
    to_build("wasmtime", &["lockgate-cell"]),
    to_build("wasmtime-wizer", &["lockgate-cell"]),
    to_build("wat", &["lockgate-cell"]),
    to_build("syn", &["lockgate-cell"]),
    // The kernel.
    at("landlock", &["lockgate-wall"]),
    at("libc", &["lockgate-cell", "lockgate-wall", "lockgate-effects"]),
    at("rustix", &["lockgate-wall", "lockgate-effects", "lockgate-trust"]),
    at("seccompiler", &["lockgate-wall"]),
    at("tempfile", &["lockgate-wall"]),
    // Seeds of cells and keys, names of sessions.
    at("getrandom", &["lockgate-host", "lockgate-mcp"]),
    // Tokens: `biscuit-auth` could draw keys by itself; only the calls that are given them are made.
    External { name: "biscuit-auth", rooms: &["lockgate-token"], features: Some(&["datalog-macro"]), building: false },
    at("ed25519-dalek", &["lockgate-token"]),
    // Tokens of other issuers, by public keys that lie in a file.
    External { name: "jsonwebtoken", rooms: &["lockgate-mcp"], features: Some(&["rust_crypto"]), building: false },
    // Schemas of others: nothing is fetched, so none of the features that could.
    External { name: "jsonschema", rooms: &["lockgate-decode"], features: Some(&[]), building: false },
    External { name: "chacha20poly1305", rooms: &["lockgate-decode"], features: Some(&["alloc"]), building: false },
    // The operator's rules.
    at("cedar-policy", &["lockgate-rules"]),
    at("prost", &["lockgate-token"]),
    // The command line.
    at("clap", &["lockgate"]),
    at("clap_complete", &["lockgate"]),
    // Calendar arithmetic: the machine's clock and time zone only where they are shown to a person.
    External { name: "jiff", rooms: &["lockgate-authority"], features: Some(&["alloc"]), building: false },
    at("jiff", &["lockgate"]),
];

/// Crates that only compute: any room may depend on them.
pub const HARMLESS: &[&str] = &[
    "base64",
    "bytes",
    "hex",
    "minicbor",
    "oxc_allocator",
    "oxc_ast",
    "oxc_ast_visit",
    "oxc_ecmascript",
    "oxc_parser",
    "oxc_span",
    "oxc_syntax",
    "rustc-hash",
    "ryu-js",
    "serde",
    "serde_json",
    "sha2",
    "shlex",
    "similar",
    "strsim",
    "thiserror",
    "toml",
    "unicode-normalization",
    "url",
];

/// Doors that a room has, where in it, and why.
pub struct Allowed {
    /// The crate.
    pub room: &'static str,
    /// Files, or with `/` at their end directories, of the crate.
    pub places: &'static [&'static str],
    /// The doors.
    pub doors: &'static [Door],
    /// Why this room has them.
    #[expect(dead_code, reason = "read by people")]
    pub why: &'static str,
}

/// Every door of every room. What is not here is absent: `authority`, `decode` and `crossing` have none.
pub const ALLOWED: &[Allowed] = &[
    // journal: one database file, and the thread that writes it.
    Allowed {
        room: "lockgate-journal",
        places: &["src/store.rs"],
        doors: &[Door::Files, Door::Clock],
        why: "creates and opens the file; waits for other processes' locks",
    },
    Allowed {
        room: "lockgate-journal",
        places: &["src/journal.rs", "src/verify.rs"],
        doors: &[Door::Threads],
        why: "the one writer; the check of the file's structure beside that of its entries",
    },
    Allowed {
        room: "lockgate-journal",
        places: &["src/queue.rs", "src/read.rs"],
        doors: &[Door::Clock],
        why: "how long a commit may be put off and a reader waits; the time of an entry is always passed in",
    },
    Allowed {
        room: "lockgate-journal",
        places: &["src/error.rs"],
        doors: &[Door::Unsafe],
        why: "asks SQLite for the system's own error number, which its safe interface does not give",
    },
    // control: one database file.
    Allowed {
        room: "lockgate-control",
        places: &["src/store.rs"],
        doors: &[Door::Files],
        why: "creates and opens the file",
    },
    // trust: a manifest as it lies there, and the operator's store.
    Allowed {
        room: "lockgate-trust",
        places: &["src/place.rs", "src/files.rs", "src/store.rs"],
        doors: &[Door::Files],
        why: "opens a manifest once, hashes what it leads to, keeps what the operator approved",
    },
    Allowed {
        room: "lockgate-trust",
        places: &["src/store.rs"],
        doors: &[Door::Processes],
        why: "whose the store has to be",
    },
    // syntax
    Allowed {
        room: "lockgate-syntax",
        places: &["src/stack.rs"],
        doors: &[Door::Threads],
        why: "parses on a stack that is large enough for the text at hand",
    },
    // wall: is about the kernel, and tries every door to see that it is shut.
    Allowed {
        room: "lockgate-wall",
        places: &["src/"],
        doors: &[
            Door::Network,
            Door::LocalSockets,
            Door::Files,
            Door::Processes,
            Door::Environment,
            Door::Clock,
            Door::Threads,
            Door::Streams,
            Door::System,
            Door::Unsafe,
        ],
        why: "forks and jails workers, and probes what a jailed process can still do",
    },
    // cell: an engine, and one local socket between gate and worker.
    Allowed {
        room: "lockgate-cell",
        places: &["build/"],
        doors: &[Door::Files, Door::Environment, Door::Threads, Door::Streams, Door::Unsafe],
        why: "compiles the image, for several kinds of processor at once, when the crate is built",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/cpu.rs", "src/instance.rs", "src/link.rs", "src/ticker.rs"],
        doors: &[Door::Clock],
        why: "measures and bounds the time a cell takes; the guest's clock is passed in",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/connection.rs", "src/in_process.rs", "src/link.rs", "src/worker.rs"],
        doors: &[Door::LocalSockets],
        why: "the socket between gate and worker, which it is given",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/connection.rs", "src/in_process.rs", "src/ticker.rs", "src/worker.rs"],
        doors: &[Door::Threads],
        why: "reads the socket, runs cells and advances the epoch beside each other",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/cpu.rs", "src/executor.rs", "src/link.rs"],
        doors: &[Door::System, Door::Unsafe],
        why: "a thread's processor time and stack, and reading a socket without waiting, are not in the standard library",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/engine.rs", "src/instance.rs"],
        doors: &[Door::Unsafe],
        why: "loads the machine code of this build, and calls exports whose types were checked once",
    },
    Allowed {
        room: "lockgate-cell",
        places: &["src/workers.rs"],
        doors: &[Door::Streams],
        why: "a worker has no other way to say why it could not start",
    },
    // effects: each kind of effect in its own file, behind its own door.
    Allowed { room: "lockgate-effects", places: &["src/fs.rs"], doors: &[Door::Files], why: "granted directories" },
    Allowed {
        room: "lockgate-effects",
        places: &["src/kv.rs"],
        doors: &[Door::Files],
        why: "one database file for each store",
    },
    Allowed {
        room: "lockgate-effects",
        places: &["src/http/address.rs", "src/http/connect.rs"],
        doors: &[Door::Network, Door::Threads],
        why: "resolves names and opens connections; a thread for the system's resolver, a task for each connection",
    },
    Allowed {
        room: "lockgate-effects",
        places: &["src/http.rs", "src/http/"],
        doors: &[Door::Clock],
        why: "limits of time on requests and connections",
    },
    Allowed {
        room: "lockgate-effects",
        places: &["src/tool.rs", "src/tool/"],
        doors: &[Door::Network, Door::LocalSockets, Door::Clock],
        why: "speaks with tool servers over HTTP and pipes, within limits of time",
    },
    Allowed {
        room: "lockgate-effects",
        places: &["src/tool/process.rs"],
        doors: &[Door::Files, Door::Processes, Door::Threads, Door::System, Door::Unsafe],
        why: "starts tool servers as processes of their own, and ends them",
    },
    Allowed {
        room: "lockgate-effects",
        places: &["src/tool/watch.rs"],
        doors: &[Door::Threads],
        why: "a task for each tool server looks at its list of tools when that is said to have changed",
    },
    // host: the gate. The clock and the seeds of the whole product come from here.
    Allowed {
        room: "lockgate-host",
        places: &["src/"],
        doors: &[Door::Clock, Door::Randomness],
        why: "times of entries, deadlines of sessions; seeds of cells, names of sessions",
    },
    Allowed {
        room: "lockgate-host",
        places: &["src/gate.rs", "src/workers.rs"],
        doors: &[Door::Threads],
        why: "the runtime that performs effects; a thread that listens to each worker",
    },
    Allowed {
        room: "lockgate-host",
        places: &["src/keys.rs"],
        doors: &[Door::Files],
        why: "reads and makes key files",
    },
    Allowed {
        room: "lockgate-host",
        places: &["src/seals.rs", "src/gate.rs"],
        doors: &[Door::Files],
        why: "the lock by which sealed operations take turns; where directories and stores lie, links resolved",
    },
    Allowed {
        room: "lockgate-host",
        places: &["src/rules.rs", "src/schemas.rs"],
        doors: &[Door::Files],
        why: "reads the files of rules and schemas that a manifest names",
    },
    Allowed {
        room: "lockgate-host",
        places: &["src/program.rs"],
        doors: &[Door::Files],
        why: "reads the program and the modules it imports",
    },
    // mcp: clients on the standard streams or at its port.
    Allowed {
        room: "lockgate-mcp",
        places: &["src/lib.rs", "src/strict.rs", "src/client.rs", "src/elicit.rs", "src/front.rs"],
        doors: &[Door::Network, Door::Threads, Door::Clock],
        why: "speaks with its clients on a runtime of its own; says now and then that a call waits",
    },
    Allowed {
        room: "lockgate-mcp",
        places: &["src/lib.rs"],
        doors: &[Door::Processes],
        why: "hears that the process is asked to end",
    },
    Allowed {
        room: "lockgate-mcp",
        places: &["src/http.rs", "src/http/guard.rs"],
        doors: &[Door::Network, Door::Threads, Door::Clock],
        why: "listens for clients, each connection a task with its time",
    },
    Allowed {
        room: "lockgate-mcp",
        places: &["src/http/auth.rs"],
        doors: &[Door::Files, Door::Clock, Door::Randomness],
        why: "reads and writes who may connect, makes tokens, knows when they end",
    },
    Allowed {
        room: "lockgate-mcp",
        places: &["src/client.rs"],
        doors: &[Door::Randomness],
        why: "the key that seals what a client keeps between two requests",
    },
    // lockgate: the command, where the environment enters.
    Allowed {
        room: "lockgate",
        places: &["src/"],
        doors: &[Door::Files, Door::Environment, Door::Streams],
        why: "reads arguments, variables, manifest and input; prints results",
    },
    Allowed {
        room: "lockgate",
        places: &["src/cli/streams.rs"],
        doors: &[Door::Threads],
        why: "console output is written by a thread of its own, so that a slow reader holds up no cell",
    },
    Allowed {
        room: "lockgate",
        places: &["src/cli/explain.rs", "src/cli/inspect.rs"],
        doors: &[Door::Clock],
        why: "decides as of now",
    },
    Allowed {
        room: "lockgate",
        places: &["src/cli/approvals.rs"],
        doors: &[Door::Clock],
        why: "what is open now; waits between two looks of `watch`",
    },
];
