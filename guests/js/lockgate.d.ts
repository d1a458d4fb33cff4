// What a program in a Lockgate JavaScript cell sees beside the language itself.
//
// What was not granted does not exist: a property or global named here under a grant is absent without it, not
// present and failing. Every method that returns a promise is one crossing; a refused crossing rejects with a
// `LockgateError` that carries the reason's code.

/** A value that can cross the boundary of a cell. In an array `undefined` becomes null; in an object it is left out. */
export type Value =
  | null | boolean | number | string | Uint8Array | ArrayBuffer | Sealed
  | Value[] | { [key: string]: Value | undefined } | { toJSON(): Value };

/** A crossing that was refused, or that failed outside. */
export interface LockgateError extends Error {
  readonly name: 'LockgateError';
  /** The reason, from the documented list. */
  readonly code: string;
  /** What to do next, where there is something. */
  readonly hint?: string;
}

/**
 * A result that stays with the gate, unread: it has no content here, and it raises nobody's label. Wherever a value is handed
 * over (a file's data, a tool's argument, a request's body, a child's source, input or message, the program's result) it can
 * stand for the whole or a part; the gate puts its content there, with the label that it has.
 *
 * Whether there is any is a part of the content. What failed is sealed too, and looks the same until it is opened; where it, or
 * a part that is not there, is handed over, nothing is, and the program is not told: a child that cannot be started is one whose
 * result fails, and a file is not written.
 */
export interface Sealed {
  /** The content; rejects if what should have brought it failed. From then on the cell has read that. */
  open(): Promise<any>;
  /** A part, by key, index or JSON Pointer. */
  at(name: string | number): Sealed;
  /** The same bytes as UTF-8 text. */
  text(): Sealed;
  /** Gives it up: what a cell holds sealed counts against its `handles` and `buffers`. */
  drop(): Promise<null>;
}

/** Who sent a message, as the gate knows it. Nothing that a sender writes can change it. */
export interface From { kind: 'agent' | 'cell'; name: string }

/** A granted directory. Paths are relative to it and separated by `/`. */
export interface Directory {
  read(path: string): Promise<Uint8Array>;
  /** The file as UTF-8 text; malformed bytes become U+FFFD. */
  readText(path: string): Promise<string>;
  write(path: string, data: string | ArrayBuffer | ArrayBufferView | Sealed, options?: { append?: boolean }): Promise<null>;
  /** Without a path: the directory itself. */
  list(path?: string): Promise<Entry[]>;
  stat(path: string): Promise<{ kind: Kind; size: number; modified_ms: number }>;
  remove(path: string): Promise<null>;
  mkdir(path: string): Promise<null>;
}
export type Kind = 'file' | 'directory' | 'symlink' | 'other';
export interface Entry { name: string; kind: Kind; size: number }

/** A granted key-value store. */
export interface Store {
  get(key: string): Promise<any>;
  set(key: string, value: Value): Promise<null>;
  /** Whether there was one. */
  delete(key: string): Promise<boolean>;
  list(prefix?: string): Promise<string[]>;
}

/** The granted tools of one server. A call takes one object of arguments. */
export interface Tools { [tool: string]: (args?: { [name: string]: Value | undefined }) => Promise<any> }

/** What a child cell may be given: never more than the parent holds. */
export interface SpawnOptions {
  name?: string;
  /** What the child's exported function is called with. */
  input?: Value;
  grants?: { [key: string]: Value }[];
  limits?: { [key: string]: Value };
  /** Lowers the ceiling of what the child may read: only what these wrote, only what these may read. */
  clearance?: { written_by?: string[]; readable_by?: string[] };
}

export interface Child {
  /**
   * The same, unread. A result is always there: where the child failed, that is sealed. That a message came, or none will, is
   * the child's word: it counts as reading what the child had read.
   */
  readonly sealed: { result(): Promise<Sealed>; receive(): Promise<Sealed> };
  /** The child's result; rejects if it failed or a limit ended it. */
  result(): Promise<any>;
  send(message: Value): Promise<null>;
  receive(): Promise<any>;
  /** A message with who sent it. It has no authority of its sender's: it is a value as any other. */
  receiveFrom(): Promise<{ from: From; message: any }>;
  stop(): Promise<null>;
}

export interface SealedDirectory {
  read(path: string): Promise<Sealed>;
  readText(path: string): Promise<Sealed>;
  list(path?: string): Promise<Sealed>;
  stat(path: string): Promise<Sealed>;
}

export interface Lockgate {
  /** With a grant of a directory: one property for each. */
  readonly fs?: { readonly [name: string]: Directory };
  /** With a grant of a store: one property for each. */
  readonly kv?: { readonly [name: string]: Store };
  /** With a grant of tools: one property for each server. */
  readonly tools?: { readonly [server: string]: Tools };
  /** With the grant to spawn: starts a child cell. */
  readonly spawn?: (source: string | Sealed, options?: SpawnOptions) => Promise<Child>;
  /** In a child cell whose parent allows messages. */
  readonly parent?: {
    send(message: Value): Promise<null>;
    receive(): Promise<any>;
    receiveFrom(): Promise<{ from: From; message: any }>;
  };
  /** With a grant to endorse: for each, a sealed value's bytes with other writers. The cell's own label stays. */
  readonly endorse?: { readonly [name: string]: (value: Sealed) => Promise<Sealed> };
  /** With a grant to declassify: for each, a sealed value's bytes with further readers. */
  readonly declassify?: { readonly [name: string]: (value: Sealed) => Promise<Sealed> };
  /**
   * What reads, under the same names; every result is sealed, and so is that there is none. `fetch` gives the whole response:
   * `{ status, status_text, url, headers, body }`.
   */
  readonly sealed: {
    readonly fs?: { readonly [name: string]: SealedDirectory };
    readonly kv?: { readonly [name: string]: { get(key: string): Promise<Sealed>; list(prefix?: string): Promise<Sealed> } };
    readonly tools?: { readonly [server: string]: { [tool: string]: (args?: { [name: string]: Value | undefined }) => Promise<Sealed> } };
    readonly parent?: { receive(): Promise<Sealed> };
    readonly fetch?: (input: string | URL | Request, init?: RequestInit) => Promise<Sealed>;
  };
  /** With the grant of the clock. `now` is a crossing, and so recorded; `Date.now()` is the time of the last one. */
  readonly clock?: { now(): Promise<number>; sleep(ms: number): Promise<null> };
  /** With the grant of randomness from outside. `crypto` and `Math.random` need no grant: they come from the seed. */
  readonly random?: { bytes(n: number): Promise<Uint8Array> };
}

/** The module `lockgate` has the same as its default export, and each grant by name. */
declare module 'lockgate' {
  const lockgate: Lockgate;
  export default lockgate;
  export const fs: NonNullable<Lockgate['fs']>;
  export const kv: NonNullable<Lockgate['kv']>;
  export const tools: NonNullable<Lockgate['tools']>;
  export const spawn: NonNullable<Lockgate['spawn']>;
  export const parent: NonNullable<Lockgate['parent']>;
  export const clock: NonNullable<Lockgate['clock']>;
  export const random: NonNullable<Lockgate['random']>;
  export const endorse: NonNullable<Lockgate['endorse']>;
  export const declassify: NonNullable<Lockgate['declassify']>;
  export const sealed: Lockgate['sealed'];
}

/**
 * With a grant of a directory, also as `fs/promises`: Node's names over the granted directories. A path is
 * `/<name of the directory>/…`. Without an encoding `readFile` gives a `Uint8Array`.
 */
declare module 'node:fs/promises' {
  type Path = string | URL;
  type Data = string | ArrayBuffer | ArrayBufferView;
  export function readFile(path: Path): Promise<Uint8Array>;
  export function readFile(path: Path, encoding: string | { encoding: string }): Promise<string>;
  export function writeFile(path: Path, data: Data, options?: string | { flag?: 'w' | 'a' }): Promise<void>;
  export function appendFile(path: Path, data: Data): Promise<void>;
  export function readdir(path: Path): Promise<string[]>;
  export function readdir(path: Path, options: { withFileTypes: true }): Promise<DirectoryEntry[]>;
  export function stat(path: Path): Promise<Stats>;
  export function access(path: Path): Promise<void>;
  export function mkdir(path: Path, options?: { recursive?: boolean }): Promise<void>;
  export function rm(path: Path, options?: { recursive?: boolean; force?: boolean }): Promise<void>;
  export function unlink(path: Path): Promise<void>;
  interface Is { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }
  interface DirectoryEntry extends Is { name: string; parentPath: string }
  interface Stats extends Is { size: number; mtimeMs: number; mtime: Date }
}
declare module 'fs/promises' { export * from 'node:fs/promises'; }

declare global {
  const lockgate: Lockgate;
  const LockgateError: {
    new (message: string, options?: { code?: string; hint?: string; cause?: unknown }): LockgateError;
    readonly prototype: LockgateError;
  };

  // Always: URL, URLSearchParams, TextEncoder, TextDecoder (utf-8, utf-16le, utf-16be, windows-1252 by all its labels,
  // `latin1` among them), structuredClone, atob, btoa, queueMicrotask, Event, CustomEvent, EventTarget,
  // AbortController, AbortSignal (`abort`, `any`), DOMException, Blob, File, FormData, Headers, Request, Response,
  // `performance` (`now`, `timeOrigin`), and `crypto` (`getRandomValues`, `randomUUID`, `subtle.digest` with SHA-1,
  // SHA-256, SHA-384 and SHA-512).
  //
  // With the grant of the log: `console` (`debug`, `info`, `log`, `warn`, `error`, `trace`, `dir`, `assert`, `table`,
  // `count`, `countReset`, `time`, `timeLog`, `timeEnd`, `group`, `groupCollapsed`, `groupEnd`).
  //
  // With the grant of the clock: setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate,
  // and AbortSignal.timeout. A timer's id is a number.
  //
  // With a grant of HTTP: fetch. `response.body` can be iterated (`for await`), read by `getReader()` and cancelled; it
  // is no general ReadableStream, which does not exist as a global.
  //
  // In a CommonJS module: require (`resolve`, `main`, `cache`), module, exports, __filename, __dirname. In an ES
  // module: import.meta.url (`file:///<name of the module>`), import.meta.filename (that name), import.meta.main.
}
