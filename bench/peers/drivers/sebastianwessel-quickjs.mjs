import variant from "@jitl/quickjs-ng-wasmfile-release-sync";
import { loadQuickJs } from "@sebastianwessel/quickjs";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

await serve(import.meta.url, async () => {
  const { runSandboxed } = await loadQuickJs(variant);
  const host = new Host();
  const calls = { async: async (i) => host.call(i), sync: (i) => host.call(i) };
  const evaluate = async (source, env = {}) => dataOf(await runSandboxed(({ evalCode }) => evalCode(source), { env }));
  return {
    name: "@sebastianwessel/quickjs",
    version: versionOf("@sebastianwessel/quickjs"),
    notes:
      "`runSandboxed` with default options each time, a new context with Node-like globals in one warm WebAssembly instance " +
      `(quickjs-ng ${versionOf("@jitl/quickjs-ng-wasmfile-release-sync")}); the host function is handed in through \`env\`; ${HOST_NOTE}`,
    fresh: () => evaluate("export default 1+1"),
    calls: (count, sync) =>
      evaluate(`const hostcall = env.hostcall; export default await ${callsProgram(count)}`, { hostcall: sync ? calls.sync : calls.async }),
    async warm() {
      const cell = await keep(runSandboxed);
      return {
        define: (source) => cell.evalCode(`globalThis.program = (${source}\n); export default 0`).then(dataOf),
        run: () => cell.evalCode("export default program()").then(dataOf),
        close: cell.close,
      };
    },
    async idle() {
      const cell = await keep(runSandboxed);
      dataOf(await cell.evalCode("export default 1+1"));
      return { close: cell.close };
    },
    close: () => host.close(),
  };
});

function dataOf(result) {
  if (!result.ok) throw new Error(`${result.error.name}: ${result.error.message}`);
  return result.data;
}

/** Opens a context that stays until `close` is called. */
function keep(runSandboxed) {
  return new Promise((resolve, reject) => {
    const ended = runSandboxed(({ evalCode }) => new Promise((end) => resolve({ evalCode, close: () => (end(), ended) })));
    ended.catch(reject);
  });
}
