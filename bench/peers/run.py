#!/usr/bin/env python3
"""Measures peers beside Lockgate in one run: the same cases, one peer after the other, round after round.

Needs nothing but Python's standard library; the peers come from ./install. See README.md.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

from coordinator import machine, report
from coordinator.measure import Run, check

FOLDER = Path(__file__).resolve().parent
LATENCY = ['fresh', 'fresh10', 'fresh100', 'fresh10-sync', 'fresh100-sync', 'roundtrip']
COMPUTE = ['compute:fib', 'compute:sort', 'compute:string', 'compute:json', 'compute:regexp']
THROUGHPUT = ['throughput', 'throughput:fresh10']
ALL = LATENCY + COMPUTE + THROUGHPUT + ['memory']


def main():
    options = arguments()
    commands = drivers(options)
    if options.check:
        return say_what_runs(commands)
    started = time.strftime('%Y-%m-%d %H:%M %Z')
    before = machine.load()
    run = measure(options, commands)
    result = collect(run, options, started, {'before': before, 'after': machine.load()})
    text = report.markdown(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + '\n')
    if options.markdown:
        options.markdown.write_text(text)
    sys.stderr.write('\n' if sys.stderr.isatty() else '')
    print(text)
    return 1 if result['checks_differ'] else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ours', action='append', default=[], metavar='[NAME=]COMMAND', help='a driver of ours; the first one is the reference of all ratios')
    parser.add_argument('--reference', metavar='NAME', help='the peer that ratios refer to, where no --ours is given')
    parser.add_argument('--peers', metavar='A,B', help='only these peers (default: all of peers.json)')
    parser.add_argument('--cases', metavar='A,B', help=f'only these of {",".join(ALL)}')
    parser.add_argument('--rounds', type=int, default=15, help='rounds of the latency cases (default 15)')
    parser.add_argument('--batch-ms', type=int, default=100, help='length of one batch (default 100)')
    parser.add_argument('--warmup-ms', type=int, default=1000, help='warm-up of each case of each peer (default 1000)')
    parser.add_argument('--compute-rounds', type=int, default=7, help='rounds of the compute cases (default 7)')
    parser.add_argument('--seconds', type=float, default=5, help='length of one throughput measurement (default 5)')
    parser.add_argument('--throughput-rounds', type=int, default=3, help='rounds of the throughput cases (default 3)')
    parser.add_argument('--workers', type=int, default=2, help='threads, processes or connections in the throughput cases (default 2)')
    parser.add_argument('--count', type=int, default=100, help='idle cells in the memory case (default 100)')
    parser.add_argument('--pin', type=cpu_set, metavar='0,1', help='bind the drivers of the latency cases to these CPUs')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result as JSON')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write the report to a file too')
    parser.add_argument('--check', action='store_true', help='start every peer once and say which run')
    return parser.parse_args()


def cpu_set(text):
    return {int(part) for part in text.split(',')}


def drivers(options):
    """Label → (command, folder), ours first."""
    commands = {}
    for i, given in enumerate(options.ours):
        name, separator, command = given.partition('=')
        if not separator or ' ' in name:
            name, command = 'lockgate' if i == 0 else f'lockgate {i + 1}', given
        commands[name] = (shlex.split(command), None)
    peers = {peer['name']: (peer['command'], FOLDER) for peer in json.loads((FOLDER / 'peers.json').read_text())}
    wanted = list(peers) if options.peers is None else [name for name in options.peers.split(',') if name]
    unknown = [name for name in wanted if name not in peers]
    if unknown:
        sys.exit(f'run.py: no peer named `{unknown[0]}`; there are: {", ".join(peers)}')
    return commands | {name: peers[name] for name in wanted}


def say_what_runs(commands):
    for name, version, reason in check(commands):
        print(f'runs      {name} {version}' if reason is None else f'does not  {name}: {reason}', flush=True)
    return 0


def measure(options, commands):
    cases = ALL if options.cases is None else options.cases.split(',')
    unknown = [case for case in cases if case not in ALL]
    if unknown:
        sys.exit(f'run.py: no case named `{unknown[0]}`; there are: {", ".join(ALL)}')
    run = Run(options, commands)
    run.latency([case for case in LATENCY if case in cases], options.rounds, options.batch_ms)
    run.latency([case for case in COMPUTE if case in cases], options.compute_rounds, options.batch_ms)
    for case in THROUGHPUT:
        if case in cases:
            work = case.partition(':')[2] or 'fresh'
            run.once(case, {'case': 'throughput', 'seconds': options.seconds, 'workers': options.workers, 'work': work}, options.throughput_rounds)
    if 'memory' in cases:
        run.once('memory', {'case': 'memory', 'count': options.count}, 1)
    return run


def collect(run, options, started, load):
    """Everything that the report and the JSON file show."""
    reference = options.reference or (next(iter(run.commands)) if options.ours else None)
    given = vars(options) | {'pin': sorted(options.pin or []), 'json': str(options.json), 'markdown': str(options.markdown)}
    quiet = {'roundtrip'}
    return {
        'when': started,
        'machine': machine.describe(options.pin),
        'load': load,
        'options': given,
        'reference': reference,
        'peers': run.infos,
        'cases': run.summaries(reference),
        'others': run.others,
        'checks': run.checks,
        'checks_differ': {case: values for case, values in run.checks.items() if len(set(values.values())) > 1},
        'failures': [(name, case, reason) for (name, case), reason in run.failures.items() if case not in quiet],
    }


if __name__ == '__main__':
    sys.exit(main())
