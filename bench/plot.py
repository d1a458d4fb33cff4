#!/usr/bin/env python3
"""Draws growth curves: JSON series in, SVG and PNG line charts out.

    bench/peers/install plot
    bench/peers/.venv/bin/python bench/plot.py growth.json --out DIR

The input holds one chart or a list of charts:

    {"name": "crossing-by-grants", "title": "Cost of a crossing",
     "x": {"label": "grants", "log": true}, "y": {"label": "µs", "log": true},
     "series": [{"name": "median", "points": [[1, 3.9], [64, 4.1, 3.8, 5.2]]}],
     "note": "machine, load, versions"}

A point is [x, y] or [x, y, low, high]; low and high are drawn as a band. Axes are logarithmic unless "log" is false.
"""

import argparse
import json
import re
import sys
from pathlib import Path

SIZE_INCHES = (7, 4.2)
PNG_DPI = 150
MARKERS = 'osD^vP*X'


class InputError(Exception):
    """The input is not a chart as described above."""


def main():
    options = arguments()
    try:
        charts = [chart for path in options.inputs for chart in read(path)]
    except InputError as error:
        sys.exit(f'plot.py: {error}')
    options.out.mkdir(parents=True, exist_ok=True)
    for chart in charts:
        for path in draw(chart, options.out, options.formats.split(',')):
            print(path)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', nargs='+', type=Path, metavar='FILE', help='a JSON file with one chart or a list of charts')
    parser.add_argument('--out', type=Path, default=Path('.'), metavar='DIR', help='where the charts go (default: here)')
    parser.add_argument('--formats', default='svg,png', metavar='A,B', help='file formats (default svg,png)')
    return parser.parse_args()


def read(path):
    """The charts of a file, checked."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f'`{path}`: {error}') from error
    charts = content if isinstance(content, list) else [content]
    for chart in charts:
        check(chart, path)
    return charts


def check(chart, path):
    """Refuses what cannot be drawn, and says where it is."""
    for field in ('name', 'title', 'x', 'y', 'series'):
        if field not in chart:
            raise InputError(f'`{path}`: a chart has no `{field}`')
    if not re.fullmatch(r'[\w.-]+', chart['name']):
        raise InputError(f'`{path}`: `{chart["name"]}` is no name for a file: use letters, digits, `-`, `_` and `.`')
    for series in chart['series']:
        where = f'`{path}`: `{chart["name"]}`: series `{series.get("name")}`'
        if not series.get('points'):
            raise InputError(f'{where} has no points')
        for point in series['points']:
            if len(point) not in (2, 4) or not all(isinstance(value, (int, float)) for value in point):
                raise InputError(f'{where}: {point} is neither [x, y] nor [x, y, low, high]')
            if chart['x'].get('log', True) and point[0] <= 0 or chart['y'].get('log', True) and min(point[1:]) <= 0:
                raise InputError(f'{where}: {point} does not fit on a logarithmic axis')


def draw(chart, folder, formats):
    """Writes one chart in each format and yields the paths."""
    import matplotlib

    matplotlib.use('Agg')
    matplotlib.rcParams['svg.hashsalt'] = 'lockgate'
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=SIZE_INCHES, layout='constrained')
    for i, series in enumerate(chart['series']):
        line(axes, series, MARKERS[i % len(MARKERS)])
    axes.set_title(chart['title'])
    axes.set_xlabel(chart['x']['label'])
    axes.set_ylabel(chart['y']['label'])
    if chart['x'].get('log', True):
        logarithmic(axes.set_xscale, axes.xaxis)
    if chart['y'].get('log', True):
        logarithmic(axes.set_yscale, axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    axes.grid(True, which='major', alpha=0.35)
    axes.grid(True, which='minor', alpha=0.12)
    if len(chart['series']) > 1:
        axes.legend()
    if chart.get('note'):
        figure.supxlabel(chart['note'], fontsize='x-small', color='dimgray')
    for kind in formats:
        path = folder / f'{chart["name"]}.{kind}'
        figure.savefig(path, dpi=PNG_DPI, metadata={'Date': None} if kind == 'svg' else None)
        yield path
    pyplot.close(figure)


def logarithmic(set_scale, axis):
    """A logarithmic axis with plain numbers at its ticks."""
    from matplotlib import ticker

    set_scale('log')
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:,.10g}'))
    axis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(1.5, 0.8)))


def line(axes, series, marker):
    """One series, with its band where every point has one."""
    points = sorted(series['points'])
    xs = [point[0] for point in points]
    (drawn,) = axes.plot(xs, [point[1] for point in points], marker=marker, markersize=4, label=series['name'])
    if all(len(point) == 4 for point in points):
        axes.fill_between(xs, [point[2] for point in points], [point[3] for point in points], alpha=0.15, color=drawn.get_color())


if __name__ == '__main__':
    main()
