"""The Markdown report of a run."""

from .stats import median, percentile

MIB = 1024 * 1024


def markdown(result):
    """The whole report: machine, versions, then one table a case."""
    parts = [_machine(result), _versions(result)]
    parts += [_latency(case, rows, result) for case, rows in result['cases'].items() if not case.startswith('compute:')]
    parts += [_per_call(result), _compute(result)]
    parts += [_rates(case, rows, result) for case, rows in result['others'].items() if case.startswith('throughput')]
    parts += [_memory(result), _missing(result), _notes(result)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _table(header, rows):
    lines = ['| ' + ' | '.join(header) + ' |', '|' + '|'.join(['---'] + ['---:'] * (len(header) - 1)) + '|']
    return '\n'.join(lines + ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows])


def duration(ns):
    """Nanoseconds with a unit that keeps three figures readable."""
    for unit, size in (('s', 1e9), ('ms', 1e6), ('µs', 1e3)):
        if ns >= size * (1 if unit == 's' else 0.9995):
            value = ns / size
            return f'{value:.0f} {unit}' if value >= 100 else f'{value:.1f} {unit}' if value >= 10 else f'{value:.2f} {unit}'
    return f'{ns:.0f} ns'


def _ratio(values):
    if not values:
        return '–'
    return f'{_short(median(values))}× ({_short(percentile(sorted(values), 0.05))}–{_short(percentile(sorted(values), 0.95))})'


def _short(value):
    return f'{value:.0f}' if value >= 100 else f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def _machine(result):
    machine, load = result['machine'], result['load']
    return '\n'.join([
        f'Measured {result["when"]} on {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["kernel"]}.',
        f'Load before {_load(load["before"])}, after {_load(load["after"])}; frequency governor: {machine["governor"]}; cores pinned: {machine["pinned"]}.',
        f'{result["options"]["rounds"]} rounds, peers one after the other in each, batches of about {result["options"]["batch_ms"]} ms, '
        f'after a warm-up of {result["options"]["warmup_ms"]} ms a case. Medians over all iterations; a ratio is the median over the rounds of '
        f'the peer\'s median by that of {result["reference"] or "no reference"}.',
    ])


def _load(values):
    return ' '.join(f'{value:.2f}' for value in values)


def _versions(result):
    rows = [(name, info['version'], info['runtime']) for name, info in result['peers'].items()]
    return '## Versions\n\n' + _table(('peer', 'version', 'runtime'), rows)


def _latency(case, rows, result):
    header = ('peer', 'median', 'p5–p95', 'p99', 'iterations', 'ratio (p5–p95 over rounds)')
    cells = [
        (name, duration(row['median']), f'{duration(row["p5"])} – {duration(row["p95"])}', duration(row['p99']), row['count'], _ratio(row.get('ratios')))
        for name, row in _by(rows, lambda row: row['median'], result)
    ]
    return f'## {case}\n\n' + _table(header, cells)


def _by(rows, key, result):
    """The reference first, then the fastest."""
    return sorted(rows.items(), key=lambda item: (item[0] != result['reference'], key(item[1])))


def _per_call(result):
    rows = []
    for suffix in ('', '-sync'):
        fresh, hundred = result['cases'].get('fresh', {}), result['cases'].get(f'fresh100{suffix}', {})
        for name in hundred:
            if name in fresh:
                costs = [(many - none) / 100 for many, none in zip(hundred[name]['round_medians'], fresh[name]['round_medians'])]
                rows.append((name + (' (synchronous host function)' if suffix else ''), _cost(costs)))
    if rows:
        return '## One host call: (fresh100 − fresh) / 100, median over the rounds\n\n' + _table(('peer', 'a call'), rows)
    return ''


def _cost(values):
    return duration(median(values)) if median(values) > 0 else 'within the noise'


def _compute(result):
    cases = [case for case in result['cases'] if case.startswith('compute:')]
    names = list(dict.fromkeys(name for case in cases for name in result['cases'][case]))
    if not cases:
        return ''
    rows = []
    for name in names:
        cells = [name]
        for case in cases:
            row = result['cases'][case].get(name)
            cells.append('–' if row is None else duration(row['median']) + (f' ({_short(median(row["ratios"]))}×)' if row.get('ratios') else ''))
        rows.append(cells)
    checks = [f'- {case}: the checksum differs: {values}' for case, values in result['checks_differ'].items()]
    verdict = '\n'.join(checks) or 'Every peer that ran a program came to the same checksum.'
    return '## Compute, in one warm cell: median (ratio)\n\n' + _table(['peer'] + [case.removeprefix('compute:') for case in cases], rows) + f'\n\n{verdict}'


def _rates(case, rows, result):
    base = rows.get(result['reference'])
    cells = []
    for name, answers in _by(rows, lambda answers: -_rate(answers), result):
        ratio = f'{_short(_rate(base) / _rate(answers))}×' if base and _rate(answers) else '–'
        cells.append((name, f'{_rate(answers):,.0f}', f'{answers[0]["workers"]} {answers[0]["parallel"]}', ratio))
    return f'## {case}: cells a second\n\n' + _table(('peer', 'cells/s', 'in parallel', f'{result["reference"] or "reference"} does'), cells)


def _rate(answers):
    return median([answer['per_second'] for answer in answers])


def _memory(result):
    rows = result['others'].get('memory', {})
    if not rows:
        return ''
    cells = [
        (name, f'{_size(answers[0]["resident_per_cell"])}', f'{_size(answers[0]["private_per_cell"])}', answers[0]['count'])
        for name, answers in _by(rows, lambda answers: answers[0]['private_per_cell'], result)
    ]
    return '## Memory of one idle cell\n\n' + _table(('peer', 'resident', 'private', 'cells kept'), cells)


def _size(count):
    return f'{count / MIB:.2f} MiB' if count >= MIB else f'{count / 1024:.0f} KiB'


def _missing(result):
    lines = [f'- {name}, {case}: {reason}' for name, case, reason in result['failures']]
    return '## Not measured\n\n' + '\n'.join(lines) if lines else ''


def _notes(result):
    return '## Notes\n\n' + '\n'.join(f'- {name}: {info["notes"]}' for name, info in result['peers'].items() if info['notes'])
