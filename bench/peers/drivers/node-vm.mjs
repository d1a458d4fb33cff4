import vm from "node:vm";
import { Host, HOST_NOTE, callsProgram, serve } from "./lib.mjs";

await serve(import.meta.url, () => {
  const host = new Host();
  const calls = { async: async (i) => host.call(i), sync: (i) => host.call(i) };
  return {
    name: "node:vm",
    version: process.versions.node,
    notes: `a new context of the host's own heap, no security boundary; disposal is left to the garbage collector; ${HOST_NOTE}`,
    fresh: () => vm.runInNewContext("1+1"),
    calls: (count, sync) => vm.runInNewContext(callsProgram(count), { hostcall: sync ? calls.sync : calls.async }),
    warm() {
      const context = vm.createContext({});
      return {
        define: (source) => vm.runInContext(`globalThis.program = (${source}\n)`, context),
        run: () => vm.runInContext("program()", context),
        close() {},
      };
    },
    idle() {
      const context = vm.createContext({});
      vm.runInContext("1+1", context);
      return { context, close() {} };
    },
    close: () => host.close(),
  };
});
