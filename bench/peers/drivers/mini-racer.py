"""mini-racer: a V8 isolate in the Python process."""

import asyncio
from importlib.metadata import version as version_of

from lib import HOST_NOTE, Host, Peer, calls_program, serve


class Cell:
    """An isolate that stays open until `close`."""

    def __init__(self, loop):
        from py_mini_racer import mini_racer

        self.loop = loop
        self.manager = mini_racer(loop)
        self.racer = self.on_loop(self.manager.__enter__)

    def on_loop(self, function, *args):
        async def run():
            return function(*args)

        return self.loop.run_until_complete(run())

    def define(self, source):
        self.on_loop(self.racer.eval, f'globalThis.program = ({source}\n); undefined')

    def run(self):
        return self.on_loop(self.racer.eval, 'program()')

    def close(self):
        self.on_loop(self.manager.__exit__, None, None, None)


class MiniRacer(Peer):
    name = 'mini-racer'
    version = version_of('mini-racer')
    calls_sync = False
    notes = (
        'a new V8 isolate each time on a running event loop (without one the library starts a thread for each); '
        f'it has asynchronous host functions only; {HOST_NOTE}'
    )

    def __init__(self):
        from py_mini_racer import mini_racer

        self.open = mini_racer
        self.loop = asyncio.new_event_loop()
        self.host = Host()

    def fresh(self):
        return self.loop.run_until_complete(self._fresh())

    async def _fresh(self):
        with self.open() as racer:
            return racer.eval('1+1')

    def calls(self, count, sync):
        return self.loop.run_until_complete(self._calls(count))

    async def _calls(self, count):
        with self.open() as racer:
            async with racer.wrap_py_function(self.host.call_later) as hostcall:
                racer.eval('globalThis')['hostcall'] = hostcall
                return await racer.eval(calls_program(count))

    def warm(self):
        return Cell(self.loop)

    def idle(self):
        cell = Cell(self.loop)
        cell.on_loop(cell.racer.eval, '1+1')
        return cell

    def close(self):
        self.host.close()


open_peer = MiniRacer

if __name__ == '__main__':
    serve(__file__, open_peer)
