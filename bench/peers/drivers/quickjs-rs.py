"""quickjs-rs: QuickJS in WebAssembly under wasmtime, from Python."""

import asyncio
from importlib.metadata import version as version_of

from lib import HOST_NOTE, Host, Peer, calls_program, serve

LONG_TIMEOUT_S = 120.0


class Cell:
    """A runtime with one context that stays open until `close`."""

    def __init__(self):
        from quickjs_rs import Runtime

        self.runtime = Runtime()
        self.context = self.runtime.new_context(timeout=LONG_TIMEOUT_S)

    def define(self, source):
        self.context.eval(f'globalThis.program = ({source}\n); undefined')

    def run(self):
        return self.context.eval('program()')

    def close(self):
        self.runtime.close()


class QuickjsRs(Peer):
    name = 'quickjs-rs'
    version = version_of('quickjs-rs')
    notes = (
        f'a new `Runtime` with one context each time (a WebAssembly instance of a compiled module, wasmtime {version_of("wasmtime")}); '
        f'calls: `eval_async` with a coroutine; -sync: the same with a plain function; {HOST_NOTE}'
    )

    def __init__(self):
        from quickjs_rs import Runtime

        self.runtime = Runtime
        self.host = Host()
        self.loop = asyncio.new_event_loop()

    def fresh(self):
        with self.runtime() as runtime:
            with runtime.new_context() as context:
                return context.eval('1+1')

    def calls(self, count, sync):
        hostcall = self.host.call if sync else self.host.call_later
        return self.loop.run_until_complete(self._calls(hostcall, count))

    async def _calls(self, hostcall, count):
        with self.runtime() as runtime:
            with runtime.new_context() as context:
                context.register('hostcall', hostcall)
                return await context.eval_async(f'await {calls_program(count)}')

    def warm(self):
        return Cell()

    def idle(self):
        cell = Cell()
        cell.context.eval('1+1')
        return cell

    def close(self):
        self.host.close()


open_peer = QuickjsRs

if __name__ == '__main__':
    serve(__file__, open_peer)
