import { NodeExecutionDriver, NodeRuntime, createNodeDriver } from "secure-exec";
import { readFileSync, readdirSync } from "node:fs";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

// As many live sessions as the memory case asks for; the default is one a core.
process.env.SECURE_EXEC_V8_MAX_SESSIONS = "256";

await serve(import.meta.url, async () => {
  const host = new Host();
  const calls = { async: async (i) => host.call(i), sync: (i) => host.call(i) };
  const open = (bindings) =>
    new NodeRuntime({
      systemDriver: createNodeDriver(),
      runtimeDriverFactory: { createRuntimeDriver: (options) => new NodeExecutionDriver({ ...options, bindings }) },
    });
  const once = async (source, bindings) => {
    const runtime = open(bindings);
    try {
      return await exportOf(runtime, source);
    } finally {
      runtime.dispose();
    }
  };
  const anchor = open();
  await exportOf(anchor, "export default 0");
  return {
    name: "secure-exec",
    version: versionOf("secure-exec"),
    notes:
      "a new `NodeRuntime` each time (a session with its Node globals in a V8 process that one idle session keeps alive; without that one each run starts the process again); the host function is a binding of " +
      `\`NodeExecutionDriver\`; compute: every run is a new session, the package keeps none; ${HOST_NOTE}`,
    fresh: () => once("export default 1+1"),
    calls: (count, sync) =>
      once(`const { hostcall } = SecureExec.bindings; export default await ${callsProgram(count)}`, { hostcall: sync ? calls.sync : calls.async }),
    warm() {
      const runtime = open();
      let program;
      return {
        define: (source) => (program = `export default (${source}\n)()`),
        run: () => exportOf(runtime, program),
        close: () => runtime.dispose(),
      };
    },
    async idle() {
      const held = Promise.withResolvers();
      const started = Promise.withResolvers();
      const runtime = open({ started: async () => started.resolve(), hold: async () => held.promise });
      const ended = exportOf(runtime, "const { started, hold } = SecureExec.bindings; await started(); await hold(); export default 1+1");
      await started.promise;
      return {
        async close() {
          held.resolve(0);
          await ended;
          runtime.dispose();
        },
      };
    },
    pids: () => childrenOf(process.pid),
    parallel: "tasks",
    async close() {
      await anchor.terminate();
      host.close();
    },
  };
});

async function exportOf(runtime, source) {
  const result = await runtime.run(source, "/main.mjs");
  if (result.code !== 0) throw new Error(result.errorMessage ?? `exit code ${result.code}`);
  return result.exports.default;
}

function childrenOf(pid) {
  const childrenOfTask = (task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean);
  return readdirSync(`/proc/${pid}/task`).flatMap(childrenOfTask);
}
