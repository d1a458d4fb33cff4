"""What every Python driver shares: the line protocol, timing, the host function and memory readings.

One JSON request a line on stdin, one JSON answer a line on stdout; see ../README.md. A driver is a module with
`open_peer() -> Peer` that calls `serve(__file__, open_peer)` where it is the main program.
"""

import gc
import importlib.util
import json
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent
GRANTS = 64
AUDIT_BUFFER_BYTES = 64 * 1024
READY_TIMEOUT_S = 30

HOST_NOTE = (
    'hostcall: a dict lookup among 64 grants, then an intent and an outcome line appended to a file through a 64 KiB buffer; '
    'the peer itself neither authorizes nor records'
)


def calls_program(count):
    """The JavaScript a guest runs to make `count` host calls, one awaited after the other; its value is their sum."""
    return f'(async () => {{ let sum = 0; for (let i = 0; i < {count}; i++) sum += await hostcall(i); return sum; }})()'


def calls_result(count):
    """What `calls_program(count)` must come to."""
    return count * (count + 1) // 2


class Unsupported(Exception):
    """The peer cannot do the case at all."""


class Host:
    """The host's side of `hostcall`: authorize, record the intent, act, record the outcome."""

    def __init__(self):
        self.grants = {f'point-{i}': {'op': 'call', 'max': 1_000_000} for i in range(GRANTS)}
        self.file = tempfile.TemporaryFile('w', buffering=AUDIT_BUFFER_BYTES, prefix='peer-audit-')
        self.serial = 0

    def call(self, i):
        point = f'point-{i % GRANTS}'
        grant = self.grants.get(point)
        if grant is None or grant['op'] != 'call' or i > grant['max']:
            raise PermissionError(f'`{point}` is not granted')
        intent = self.append({'kind': 'intent', 'point': point, 'op': 'call', 'args': [i]})
        result = i + 1
        self.append({'kind': 'outcome', 'of': intent, 'result': result})
        return result

    async def call_later(self, *args):
        return self.call(int(args[0]))

    def append(self, entry):
        self.serial += 1
        self.file.write(json.dumps({'serial': self.serial, **entry}) + '\n')
        return self.serial

    def close(self):
        self.file.close()


class Peer:
    """What a driver offers; a method that stays as it is here means that the peer cannot do the case.

    Compute programs are files `programs/NAME + suffix`; `calls_sync` False means that there is no synchronous host
    function; `max_idle` bounds the idle cells worth keeping where each is a process.
    """

    name = version = notes = ''
    suffix = '.js'
    calls_sync = True
    max_idle = None
    parallel = True

    def fresh(self):
        """Fresh cell, `1+1`, dispose; returns 2."""
        raise Unsupported('the peer runs no fresh cell')

    def calls(self, count, sync):
        """Fresh cell, `count` host calls, dispose; returns their sum."""
        raise Unsupported('the peer has no host function')

    def warm(self):
        """One cell kept for a compute program: an object with `define(source)`, `run()` and `close()`."""
        raise Unsupported('the peer runs no compute program')

    def idle(self):
        """A cell that has evaluated `1+1` and waits: an object with `close()`."""
        raise Unsupported('the peer keeps no idle cell')

    def pids(self):
        """Processes besides this one that hold cells."""
        return []

    def close(self):
        """Ends what the peer started."""


def serve(file, open_peer):
    """Answers requests until `quit` or the end of stdin."""
    answers = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)
    peer = open_peer()
    for line in sys.stdin:
        if not line.strip():
            continue
        request = json.loads(line)
        if request['case'] == 'quit':
            break
        answers.write(json.dumps(_answer(peer, request, file)) + '\n')
    peer.close()


def _answer(peer, request, file):
    case = request['case']
    try:
        if case == 'info':
            runtime = f'{platform.python_implementation()} {platform.python_version()}'
            return {'name': peer.name, 'version': peer.version, 'runtime': runtime, 'notes': peer.notes}
        if case == 'memory':
            return {'case': case, **_memory(peer, request['count'])}
        if case == 'throughput':
            return {'case': case, **_throughput(peer, request, file)}
        if case.startswith('compute:'):
            return {'case': case, 'n': request['n'], **_compute(peer, case.removeprefix('compute:'), request['n'])}
        return {'case': case, 'n': request['n'], 'ns': _time(request['n'], *_work(peer, case))}
    except Unsupported as error:
        return {'case': case, 'error': str(error), 'unsupported': True}
    except Exception:
        return {'case': case, 'error': traceback.format_exc()[-2000:], 'unsupported': False}


def _work(peer, case):
    """The function that does one iteration of a case, and the value it must come to."""
    if case == 'fresh':
        return peer.fresh, 2
    calls = re.fullmatch(r'fresh(\d+)(-sync)?', case)
    if calls is None:
        raise Unsupported(f'case `{case}` is not supported')
    count, sync = int(calls[1]), calls[2] is not None
    if sync and not peer.calls_sync:
        raise Unsupported('the peer has no synchronous host function')
    return lambda: peer.calls(count, sync), calls_result(count)


def _time(count, run, expected):
    durations = []
    for _ in range(count):
        start = time.perf_counter_ns()
        result = run()
        durations.append(time.perf_counter_ns() - start)
        if result != expected:
            raise ValueError(f'result is {result!r}, not {expected!r}')
    return durations


def _compute(peer, program, count):
    folder = PEERS / 'programs' / ('python' if peer.suffix == '.py' else '')
    source = (folder / f'{program}{peer.suffix}').read_text()
    cell = peer.warm()
    try:
        cell.define(source)
        durations, check = [], None
        for _ in range(count):
            start = time.perf_counter_ns()
            check = cell.run()
            durations.append(time.perf_counter_ns() - start)
        return {'ns': durations, 'check': check}
    finally:
        cell.close()


def _memory(peer, wanted):
    count = min(wanted, peer.max_idle or wanted)
    cells = [peer.idle(), peer.idle()]
    before = _reading(peer)
    cells += [peer.idle() for _ in range(count)]
    after = _reading(peer)
    for cell in cells:
        cell.close()
    return {
        'count': count,
        'resident_per_cell': (after['resident'] - before['resident']) // count,
        'private_per_cell': (after['private'] - before['private']) // count,
        'processes': after['processes'],
    }


def _reading(peer):
    gc.collect()
    time.sleep(0.15)
    total = {'resident': 0, 'private': 0, 'processes': 0}
    for pid in ['self', *peer.pids()]:
        text = Path(f'/proc/{pid}/smaps_rollup').read_text()
        size = {field: int(kib) * 1024 for field, kib in re.findall(r'^(\w+):\s+(\d+) kB', text, re.MULTILINE)}
        total['resident'] += size['Rss']
        total['private'] += size['Private_Clean'] + size['Private_Dirty']
        total['processes'] += 1
    return total


def _throughput(peer, request, file):
    if not peer.parallel:
        raise Unsupported('the peer does not run cells in parallel')
    seconds, workers, case = request['seconds'], request.get('workers', 2), request.get('work', 'fresh')
    _work(peer, case)
    context = multiprocessing.get_context('spawn')
    pipes, processes = [], []
    for _ in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(file, sys.argv[1:], case, seconds, theirs))
        process.start()
        pipes.append(ours)
        processes.append(process)
    try:
        _gather(pipes, READY_TIMEOUT_S)
        for pipe in pipes:
            pipe.send('go')
        cells = sum(_gather(pipes, seconds + READY_TIMEOUT_S))
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    return {'work': case, 'seconds': seconds, 'workers': workers, 'parallel': 'processes', 'cells': cells, 'per_second': cells / seconds}


def _gather(pipes, timeout):
    answers = []
    for pipe in pipes:
        if not pipe.poll(timeout):
            raise TimeoutError('a worker process did not answer in time')
        answers.append(pipe.recv())
    return answers


def _worker(file, arguments, case, seconds, pipe):
    """A process of the throughput case: counts the iterations that end within `seconds`."""
    sys.argv[1:] = arguments
    spec = importlib.util.spec_from_file_location('peer_driver', file)
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    peer = driver.open_peer()
    run, expected = _work(peer, case)
    for _ in range(3):
        run()
    pipe.send('ready')
    pipe.recv()
    end = time.perf_counter() + seconds
    count = 0
    while True:
        if run() != expected:
            raise ValueError('wrong result')
        if time.perf_counter() > end:
            break
        count += 1
    peer.close()
    pipe.send(count)
