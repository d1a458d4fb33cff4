import { getQuickJS } from "quickjs-emscripten";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

await serve(import.meta.url, async () => {
  const quickjs = await getQuickJS();
  const host = new Host();
  return {
    name: "quickjs-emscripten",
    version: versionOf("quickjs-emscripten"),
    notes:
      "a new runtime and context in one warm WebAssembly instance (all contexts share its linear memory), release-sync variant; " +
      `calls: a promise made by the host and settled after the call returned; ${HOST_NOTE}`,
    fresh() {
      const context = quickjs.newContext();
      const result = evaluate(context, "1+1");
      context.dispose();
      return result;
    },
    async calls(count, sync) {
      const context = quickjs.newContext();
      try {
        provide(context, host, sync);
        const promise = context.unwrapResult(context.evalCode(callsProgram(count)));
        const settled = context.resolvePromise(promise);
        context.unwrapResult(context.runtime.executePendingJobs());
        const sum = context.unwrapResult(await settled);
        const value = context.getNumber(sum);
        sum.dispose();
        promise.dispose();
        return value;
      } finally {
        context.dispose();
      }
    },
    warm() {
      const context = quickjs.newContext();
      return {
        define: (source) => evaluate(context, `globalThis.program = (${source}\n); undefined`),
        run: () => evaluate(context, "program()"),
        close: () => context.dispose(),
      };
    },
    idle() {
      const context = quickjs.newContext();
      evaluate(context, "1+1");
      return { close: () => context.dispose() };
    },
    close: () => host.close(),
  };
});

function evaluate(context, source) {
  const handle = context.unwrapResult(context.evalCode(source));
  const value = context.dump(handle);
  handle.dispose();
  return value;
}

function provide(context, host, sync) {
  const immediate = (i) => context.newNumber(host.call(context.getNumber(i)));
  const later = (i) => {
    const argument = context.getNumber(i);
    const deferred = context.newPromise();
    queueMicrotask(() => {
      const value = context.newNumber(host.call(argument));
      deferred.resolve(value);
      value.dispose();
      context.unwrapResult(context.runtime.executePendingJobs());
      deferred.dispose();
    });
    return deferred.handle;
  };
  const hostcall = context.newFunction("hostcall", sync ? immediate : later);
  context.setProp(context.global, "hostcall", hostcall);
  hostcall.dispose();
}
