// What every JavaScript driver shares: the line protocol, timing, the host function and memory readings.
// One JSON request a line on stdin, one JSON answer a line on stdout; see ../README.md.
import { readFileSync, openSync, writeSync, closeSync, rmSync, mkdtempSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const PEERS = join(dirname(fileURLToPath(import.meta.url)), "..");
const GRANTS = 64;
const AUDIT_BUFFER_BYTES = 64 * 1024;
const READY_TIMEOUT_MS = 30_000;

/** The note of every peer whose `hostcall` is `Host.call`. */
export const HOST_NOTE =
  "hostcall: a Map lookup among 64 grants, then an intent and an outcome line appended to a file through a 64 KiB buffer; " +
  "the peer itself neither authorizes nor records";

/** The version of an installed npm package. */
export const versionOf = (name) => JSON.parse(readFileSync(join(PEERS, "node_modules", name, "package.json"), "utf8")).version;

/** The program a guest runs to make `count` host calls, one awaited after the other; its value is the sum of their results. */
export const callsProgram = (count) =>
  `(async () => { let sum = 0; for (let i = 0; i < ${count}; i++) sum += await hostcall(i); return sum; })()`;

/** What `callsProgram(count)` must come to. */
export const callsResult = (count) => (count * (count + 1)) / 2;

/** The host's side of `hostcall`: authorize, record the intent, act, record the outcome. */
export class Host {
  constructor() {
    this.grants = new Map();
    for (let i = 0; i < GRANTS; i++) this.grants.set(`point-${i}`, { op: "call", max: 1_000_000 });
    this.file = openAuditFile();
    this.pending = "";
    this.serial = 0;
  }

  call(i) {
    const point = `point-${i % GRANTS}`;
    const grant = this.grants.get(point);
    if (grant === undefined || grant.op !== "call" || i > grant.max) throw new Error(`\`${point}\` is not granted`);
    this.append({ serial: ++this.serial, kind: "intent", point, op: "call", args: [i] });
    const result = i + 1;
    this.append({ serial: ++this.serial, kind: "outcome", of: this.serial - 1, result });
    return result;
  }

  append(entry) {
    this.pending += JSON.stringify(entry) + "\n";
    if (this.pending.length >= AUDIT_BUFFER_BYTES) this.flush();
  }

  flush() {
    writeSync(this.file, this.pending);
    this.pending = "";
  }

  close() {
    this.flush();
    closeSync(this.file);
  }
}

/** A descriptor of a file on disk that is gone from its folder at once, so that nothing stays behind. */
export function openAuditFile() {
  const folder = mkdtempSync(join(tmpdir(), "peer-audit-"));
  const file = openSync(join(folder, "audit.jsonl"), "a");
  rmSync(folder, { recursive: true });
  return file;
}

/**
 * Serves one peer. `open()` yields:
 *   name, version, runtime, notes   strings for `info`
 *   fresh()                         fresh cell, `1+1`, dispose → 2
 *   calls(count, sync)              fresh cell, `count` host calls, dispose → their sum; absent: unsupported
 *   syncCalls                       false where the peer has no synchronous host function
 *   warm()                          { define(source), run(), close() }: one cell kept for a compute program
 *   idle()                          { close() }: a cell that has evaluated `1+1` and waits
 *   maxIdle                         the most idle cells worth keeping (a process each), fewer than asked for
 *   pids()                          processes besides this one that hold cells
 *   parallel                        "threads" (default), "tasks" or "none"
 *   extra                           { name: fn }: further timed cases
 *   close()                         ends what the peer started
 */
export async function serve(url, open) {
  console.log = console.info = console.error;
  if (!isMainThread) return serveThread(await open());
  const peer = await open();
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    const request = JSON.parse(line);
    if (request.case === "quit") break;
    process.stdout.write(JSON.stringify(await answer(peer, request, url)) + "\n");
  }
  await peer.close?.();
  process.exit(0);
}

async function answer(peer, request, url) {
  const name = request.case;
  try {
    if (name === "info") return info(peer);
    if (name === "memory") return { case: name, ...(await memory(peer, request.count)) };
    if (name === "throughput") return { case: name, ...(await throughput(peer, request, url)) };
    if (name.startsWith("compute:")) return { case: name, n: request.n, ...(await compute(peer, name.slice(8), request.n)) };
    return { case: name, n: request.n, ns: await time(request.n, ...work(peer, name)) };
  } catch (error) {
    const unsupported = error instanceof Unsupported;
    return { case: name, error: unsupported ? error.message : String(error?.stack ?? error).slice(0, 2000), unsupported };
  }
}

class Unsupported extends Error {}

const info = (peer) => ({ name: peer.name, version: peer.version, runtime: peer.runtime ?? `node ${process.versions.node}`, notes: peer.notes ?? "" });

/** The function that does one iteration of a case, and the value it must come to. */
function work(peer, name) {
  if (name === "fresh") return [() => peer.fresh(), 2];
  const calls = /^fresh(\d+)(-sync)?$/.exec(name);
  if (calls && peer.calls) {
    const [count, sync] = [Number(calls[1]), calls[2] !== undefined];
    if (sync && peer.syncCalls === false) throw new Unsupported("the peer has no synchronous host function");
    return [() => peer.calls(count, sync), callsResult(count)];
  }
  if (peer.extra?.[name]) return [peer.extra[name], undefined];
  throw new Unsupported(`case \`${name}\` is not supported`);
}

async function time(count, run, expected) {
  const durations = new Array(count);
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    const result = await run();
    durations[i] = Number(process.hrtime.bigint() - start);
    if (expected !== undefined && result !== expected) throw new Error(`result is ${result}, not ${expected}`);
  }
  return durations;
}

async function compute(peer, program, count) {
  if (!peer.warm) throw new Unsupported("the peer runs no compute program");
  const cell = await peer.warm();
  try {
    await cell.define(readFileSync(join(PEERS, "programs", `${program}.js`), "utf8"));
    let check;
    const ns = await time(count, async () => (check = await cell.run()));
    return { ns, check };
  } finally {
    await cell.close();
  }
}

async function memory(peer, wanted) {
  if (!peer.idle) throw new Unsupported("the peer keeps no idle cell");
  const count = Math.min(wanted, peer.maxIdle ?? wanted);
  const cells = [await peer.idle(), await peer.idle()];
  await settle();
  const before = reading(peer);
  for (let i = 0; i < count; i++) cells.push(await peer.idle());
  await settle();
  const after = reading(peer);
  for (const cell of cells) await cell.close();
  return {
    count,
    resident_per_cell: Math.round((after.resident - before.resident) / count),
    private_per_cell: Math.round((after.private - before.private) / count),
    processes: after.processes,
  };
}

/** Lets queued work end and collects garbage, so that a reading shows what the cells hold. */
async function settle() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((done) => setTimeout(done, 50));
  }
}

function reading(peer) {
  const sum = { resident: 0, private: 0, processes: 0 };
  for (const pid of ["self", ...(peer.pids?.() ?? [])]) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const bytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)[1]) * 1024;
    sum.resident += bytes("Rss");
    sum.private += bytes("Private_Clean") + bytes("Private_Dirty");
    sum.processes += 1;
  }
  return sum;
}

async function throughput(peer, request, url) {
  const { seconds, workers = 2, work: name = "fresh" } = request;
  const parallel = peer.parallel ?? "threads";
  if (parallel === "none") throw new Unsupported("the peer does not run cells in parallel");
  const run = parallel === "tasks" ? tasks(peer, name) : threads(url, name, peer);
  const counts = await run(seconds, workers);
  const cells = counts.reduce((sum, count) => sum + count, 0);
  return { work: name, seconds, workers, parallel, cells, per_second: cells / seconds };
}

/** Counts the iterations that ended within `seconds`. */
async function countFor(seconds, [run, expected]) {
  const end = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
  let count = 0;
  for (;;) {
    const result = await run();
    if (expected !== undefined && result !== expected) throw new Error(`result is ${result}, not ${expected}`);
    if (process.hrtime.bigint() > end) return count;
    count += 1;
  }
}

const tasks = (peer, name) => (seconds, workers) =>
  Promise.all(Array.from({ length: workers }, () => countFor(seconds, work(peer, name))));

const threads = (url, name, peer) => async (seconds, workers) => {
  work(peer, name);
  const started = Array.from({ length: workers }, () => new Worker(new URL(url), { workerData: { name, seconds } }));
  try {
    await Promise.all(started.map(message));
    for (const thread of started) thread.postMessage("go");
    return await Promise.all(started.map(message));
  } finally {
    await Promise.all(started.map((thread) => thread.terminate()));
  }
};

function message(thread) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a worker thread did not answer in time")), READY_TIMEOUT_MS);
    const settled = (then) => (value) => {
      clearTimeout(timer);
      then(value);
    };
    thread.once("message", settled(resolve));
    thread.once("error", settled(reject));
    thread.once("exit", settled(() => reject(new Error("a worker thread ended early"))));
  });
}

async function serveThread(peer) {
  const { name, seconds } = workerData;
  const todo = work(peer, name);
  for (let i = 0; i < 3; i++) await todo[0]();
  parentPort.postMessage("ready");
  await new Promise((go) => parentPort.once("message", go));
  const count = await countFor(seconds, todo);
  await peer.close?.();
  parentPort.postMessage(count);
}
