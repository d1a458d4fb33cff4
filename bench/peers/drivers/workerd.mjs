import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeSync, closeSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { callsProgram, openAuditFile, serve, versionOf } from "./lib.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = join(HERE, "../node_modules/@cloudflare/workerd-linux-64/bin/workerd");

await serve(import.meta.url, async () => {
  const audit = await openAudit();
  const { child, port } = await start(audit.port);
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const ask = (path, body) => post(agent, port, path, body);
  return {
    name: "workerd",
    version: versionOf("workerd"),
    runtime: `workerd ${versionOf("workerd")}, driven by node ${process.versions.node}`,
    notes:
      "a dynamic worker through `workerLoader.load` each time (a new isolate in one process), asked over a kept-alive loopback HTTP " +
      "connection: every figure holds that round trip, and case `roundtrip` measures it alone; hostcall is an RPC to the parent worker, " +
      "which looks among 64 grants and appends an intent and an outcome line, sent to an audit file in blocks of 64 KiB; disposal is workerd's own",
    fresh: () => ask("/fresh", "1+1"),
    syncCalls: false,
    calls: (count) => ask("/fresh", callsProgram(count)),
    async warm() {
      let id;
      return {
        async define(source) {
          ({ id } = await ask("/keep", `(globalThis.program ??= (${source}\n))()`));
        },
        run: async () => (await ask(`/keep?id=${id}`, "")).value,
        close() {},
      };
    },
    async idle() {
      await ask("/keep", "1+1");
      return { close() {} };
    },
    pids: () => [child.pid],
    parallel: "tasks",
    extra: { roundtrip: () => ask("/roundtrip", "") },
    async close() {
      child.kill("SIGTERM");
      agent.destroy();
      await audit.close();
    },
  };
});

/** Starts workerd on a free port that it names on its control descriptor. */
async function start(auditPort) {
  const child = spawn(
    BINARY,
    ["serve", join(HERE, "workerd/config.capnp"), "--experimental", "--control-fd=3", "--socket-addr", "http=127.0.0.1:0", "--external-addr", `audit=127.0.0.1:${auditPort}`],
    { stdio: ["ignore", "ignore", "inherit", "pipe"] },
  );
  process.on("exit", () => child.kill("SIGKILL"));
  for await (const line of lines(child.stdio[3])) {
    const event = JSON.parse(line);
    if (event.event === "listen" && event.socket === "http") return { child, port: event.port };
  }
  throw new Error("workerd ended before it listened");
}

async function* lines(stream) {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

/** The file behind the parent worker's records. */
async function openAudit() {
  const file = openAuditFile();
  const server = createServer((incoming, outgoing) => {
    incoming.on("data", (chunk) => writeSync(file, chunk));
    incoming.on("end", () => outgoing.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      closeSync(file);
    },
  };
}

function post(agent, port, path, body) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, port, path, host: "127.0.0.1", method: "POST" }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      incoming.on("end", () => (incoming.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
