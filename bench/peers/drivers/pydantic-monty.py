"""pydantic-monty: a subset of Python in worker processes.

`pydantic-monty.py warm` checks a session out of a running pool each time, `pydantic-monty.py pool` starts a new pool.
"""

import asyncio
import sys
from importlib.metadata import version as version_of

from lib import HOST_NOTE, Host, Peer, serve

MODES = {
    'warm': 'a session checked out of a warm pool and given back',
    'pool': 'a new pool, its worker process and a session, all ended again',
}


def calls_program(count, sync):
    """The same loop as in JavaScript; a synchronous host function is called without `await`."""
    return f'total = 0\nfor i in range({count}):\n    total += {"" if sync else "await "}hostcall(i)\ntotal'


class Session:
    """A session that stays checked out until `close`."""

    def __init__(self, pool):
        self.manager = pool.checkout()
        self.session = self.manager.__enter__()
        self.pid = self.session.worker_pid

    def define(self, source):
        self.session.feed_run(source)

    def run(self):
        return self.session.feed_run('program()')

    def close(self):
        self.manager.__exit__(None, None, None)


class Monty(Peer):
    version = version_of('pydantic-monty')
    suffix = '.py'
    max_idle = 20

    def __init__(self, mode):
        import pydantic_monty

        self.monty = pydantic_monty
        self.mode = mode
        self.name = f'pydantic-monty ({mode})'
        self.notes = (
            f'Python, not JavaScript: {MODES[mode]}; calls: `AsyncMonty` with a coroutine; -sync: `Monty` with a plain function; {HOST_NOTE}'
        )
        self.host = Host()
        self.loop = asyncio.new_event_loop()
        self.idle_cells = set()
        self.pool = self._enter(pydantic_monty.Monty(min_processes=1))
        self.async_pool = pydantic_monty.AsyncMonty(min_processes=1)
        self._await(self.async_pool.__aenter__)

    def _await(self, function, *args):
        async def run():
            return await function(*args)

        return self.loop.run_until_complete(run())

    @staticmethod
    def _enter(pool):
        pool.__enter__()
        return pool

    def fresh(self):
        if self.mode == 'warm':
            return self._feed(self.pool, '1+1', {})
        with self.monty.Monty(min_processes=1) as pool:
            return self._feed(pool, '1+1', {})

    @staticmethod
    def _feed(pool, source, lookup):
        with pool.checkout() as session:
            return session.feed_run(source, external_lookup=lookup)

    def calls(self, count, sync):
        source = calls_program(count, sync)
        if not sync:
            return self._await(self._calls, source)
        if self.mode == 'warm':
            return self._feed(self.pool, source, {'hostcall': self.host.call})
        with self.monty.Monty(min_processes=1) as pool:
            return self._feed(pool, source, {'hostcall': self.host.call})

    async def _calls(self, source):
        if self.mode == 'warm':
            return await self._feed_later(self.async_pool, source)
        async with self.monty.AsyncMonty(min_processes=1) as pool:
            return await self._feed_later(pool, source)

    async def _feed_later(self, pool, source):
        async with pool.checkout() as session:
            return await session.feed_run(source, external_lookup={'hostcall': self.host.call_later})

    def warm(self):
        return Session(self.pool)

    def idle(self):
        if not self.idle_cells:
            self.idle_pool = self._enter(self.monty.Monty(min_processes=1, max_processes=self.max_idle + 2))
        cell = Session(self.idle_pool)
        cell.session.feed_run('1+1')
        self.idle_cells.add(cell)
        return cell

    def pids(self):
        return [cell.pid for cell in self.idle_cells]

    def close(self):
        self._await(self.async_pool.__aexit__, None, None, None)
        self.pool.__exit__(None, None, None)
        self.host.close()


def open_peer():
    return Monty(sys.argv[1] if len(sys.argv) > 1 else 'warm')


if __name__ == '__main__':
    serve(__file__, open_peer)
