import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Host, HOST_NOTE, serve, versionOf } from "./lib.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = join(HERE, "../node_modules/@deno/linux-x64-glibc/deno");
const MAX_IDLE_PROCESSES = 10;

await serve(import.meta.url, () => {
  const host = new Host();
  const cache = mkdtempSync(join(tmpdir(), "peer-deno-"));
  const env = { PATH: process.env.PATH, DENO_DIR: cache, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const running = new Set();
  const start = (file, ...args) => {
    const child = spawn(BINARY, ["run", "--no-prompt", "--no-config", "--no-lock", "--no-remote", join(HERE, "deno", file), ...args], {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    running.add(child);
    const ended = once(child, "exit").then(() => running.delete(child));
    const output = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, ended, line: async () => (await output.next()).value, send: (text) => child.stdin.write(text + "\n") };
  };
  return {
    name: "deno",
    version: versionOf("deno"),
    runtime: `deno ${versionOf("deno")}, started by node ${process.versions.node}`,
    notes: `a new process without grants each time, from spawn to exit; the host function is asked in lines over its pipes; ${HOST_NOTE}`,
    async fresh() {
      const deno = start("one.js");
      const result = Number(await deno.line());
      await deno.ended;
      return result;
    },
    syncCalls: false,
    async calls(count) {
      const deno = start("guest.js", "calls", String(count));
      for (;;) {
        const line = await deno.line();
        if (line === undefined) throw new Error("the process ended without a result");
        if (line.startsWith("= ")) {
          await stop(deno);
          return Number(line.slice(2));
        }
        deno.send(String(host.call(Number(line))));
      }
    },
    warm() {
      const deno = start("guest.js", "compute");
      return {
        async define(source) {
          deno.send(JSON.stringify(`(${source}\n)`));
          await deno.line();
        },
        async run() {
          deno.send("run");
          return Number(await deno.line());
        },
        close: () => stop(deno),
      };
    },
    async idle() {
      const deno = start("guest.js", "compute");
      deno.send(JSON.stringify("() => 1+1"));
      await deno.line();
      return { close: () => stop(deno) };
    },
    maxIdle: MAX_IDLE_PROCESSES,
    pids: () => [...running].map((child) => child.pid),
    parallel: "tasks",
    close() {
      host.close();
      rmSync(cache, { recursive: true, force: true });
    },
  };
});

async function stop(deno) {
  deno.child.stdin.end();
  await deno.ended;
}
