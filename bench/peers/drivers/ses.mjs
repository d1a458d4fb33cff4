import "ses";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

lockdown({ errorTaming: "unsafe", consoleTaming: "unsafe" });

await serve(import.meta.url, () => {
  const host = new Host();
  const calls = { async: harden(async (i) => host.call(i)), sync: harden((i) => host.call(i)) };
  const open = (globals) => new Compartment({ globals, __options__: true });
  return {
    name: "ses",
    version: versionOf("ses"),
    notes: `a new \`Compartment\` after one \`lockdown()\`: shared heap and intrinsics, no bound on memory or time; disposal is left to the garbage collector; ${HOST_NOTE}`,
    fresh: () => open({}).evaluate("1+1"),
    calls: (count, sync) => open({ hostcall: sync ? calls.sync : calls.async }).evaluate(callsProgram(count)),
    warm() {
      const compartment = open({});
      return {
        define: (source) => compartment.evaluate(`globalThis.program = (${source}\n); undefined`),
        run: () => compartment.evaluate("program()"),
        close() {},
      };
    },
    idle() {
      const compartment = open({});
      compartment.evaluate("1+1");
      return { compartment, close() {} };
    },
    close: () => host.close(),
  };
});
