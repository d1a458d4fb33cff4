import { createRequire } from "node:module";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

const { VM } = createRequire(import.meta.url)("vm2");

await serve(import.meta.url, () => {
  const host = new Host();
  const calls = { async: async (i) => host.call(i), sync: (i) => host.call(i) };
  return {
    name: "vm2",
    version: versionOf("vm2"),
    notes: `a new \`VM\` with default options each time; disposal is left to the garbage collector; ${HOST_NOTE}`,
    fresh: () => new VM().run("1+1"),
    calls: (count, sync) => new VM({ sandbox: { hostcall: sync ? calls.sync : calls.async } }).run(callsProgram(count)),
    warm() {
      const vm = new VM();
      return {
        define: (source) => vm.run(`globalThis.program = (${source}\n); undefined`),
        run: () => vm.run("program()"),
        close() {},
      };
    },
    idle() {
      const vm = new VM();
      vm.run("1+1");
      return { vm, close() {} };
    },
    close: () => host.close(),
  };
});
