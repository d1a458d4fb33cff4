import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { QuickJS } from "quickjs-wasi";
import { Host, HOST_NOTE, callsProgram, serve, versionOf } from "./lib.mjs";

await serve(import.meta.url, async () => {
  const wasm = await WebAssembly.compile(readFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm"))));
  const host = new Host();
  const open = () => QuickJS.create({ wasm });
  return {
    name: "quickjs-wasi",
    version: versionOf("quickjs-wasi"),
    notes:
      "a new WebAssembly instance of a compiled module each time; disposal of its memory is left to the garbage collector; " +
      `calls: a promise made by the host and settled after the call returned; ${HOST_NOTE}`,
    async fresh() {
      const vm = await open();
      const result = evaluate(vm, "1+1");
      vm.dispose();
      return result;
    },
    async calls(count, sync) {
      const vm = await open();
      try {
        provide(vm, host, sync);
        const promise = vm.evalCode(callsProgram(count));
        vm.executePendingJobs();
        const settled = await vm.resolvePromise(promise);
        if ("error" in settled) throw new Error(settled.error.toString());
        const sum = settled.value.toNumber();
        settled.value.dispose();
        promise.dispose();
        return sum;
      } finally {
        vm.dispose();
      }
    },
    async warm() {
      const vm = await open();
      return {
        define: (source) => vm.evalCode(`globalThis.program = (${source}\n); undefined`).dispose(),
        run: () => evaluate(vm, "program()"),
        close: () => vm.dispose(),
      };
    },
    async idle() {
      const vm = await open();
      evaluate(vm, "1+1");
      return { close: () => vm.dispose() };
    },
    close: () => host.close(),
  };
});

function evaluate(vm, source) {
  const handle = vm.evalCode(source);
  const value = handle.toNumber();
  handle.dispose();
  return value;
}

function provide(vm, host, sync) {
  const immediate = (i) => vm.newNumber(host.call(i.toNumber()));
  const later = (i) => {
    const argument = i.toNumber();
    const deferred = vm.newPromise();
    queueMicrotask(() => {
      deferred.resolve(vm.newNumber(host.call(argument)));
      vm.executePendingJobs();
    });
    return deferred.handle;
  };
  const hostcall = vm.newFunction("hostcall", sync ? immediate : later);
  vm.setProp(vm.global, "hostcall", hostcall);
  hostcall.dispose();
}
