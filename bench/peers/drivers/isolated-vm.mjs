import ivm from "isolated-vm";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

const MEMORY_LIMIT_MB = 64;

await serve(import.meta.url, () => {
  const host = new Host();
  const open = () => {
    const isolate = new ivm.Isolate({ memoryLimit: MEMORY_LIMIT_MB });
    return { isolate, context: isolate.createContextSync() };
  };
  return {
    name: "isolated-vm",
    version: versionOf("isolated-vm"),
    notes:
      "a new V8 isolate each time, created and disposed synchronously; calls: `ivm.Callback` with `async: true` and an awaited " +
      `evaluation (two thread hops a call); -sync: the guest awaits a synchronous callback on the caller's thread; ${HOST_NOTE}`,
    fresh() {
      const { isolate, context } = open();
      const result = context.evalSync("1+1");
      isolate.dispose();
      return result;
    },
    async calls(count, sync) {
      const { isolate, context } = open();
      try {
        if (sync) {
          context.global.setSync("hostcall", new ivm.Callback((i) => host.call(i)));
          context.evalSync(`${callsProgram(count)}.then((sum) => { globalThis.sum = sum; }); undefined`);
          return context.evalSync("sum");
        }
        context.global.setSync("hostcall", new ivm.Callback((i) => host.call(i), { async: true }));
        return await context.eval(callsProgram(count), { promise: true });
      } finally {
        isolate.dispose();
      }
    },
    warm() {
      const { isolate, context } = open();
      return {
        define: (source) => context.evalSync(`globalThis.program = (${source}\n); undefined`),
        run: () => context.evalSync("program()"),
        close: () => isolate.dispose(),
      };
    },
    idle() {
      const { isolate, context } = open();
      context.evalSync("1+1");
      return { context, close: () => isolate.dispose() };
    },
    close: () => host.close(),
  };
});
