"""What the machine is and how busy it was: printed beside every figure."""

import os
import platform
import re
from pathlib import Path


def describe(pinned):
    """The machine as a dict; `pinned` is the set of CPUs that drivers were bound to, or None."""
    return {
        'cpu': _first(r'^model name\s*:\s*(.+)$', '/proc/cpuinfo') or platform.processor() or 'unknown',
        'cores': os.cpu_count(),
        'memory_gib': round(int(_first(r'^MemTotal:\s+(\d+)', '/proc/meminfo') or 0) / 2**20, 1),
        'kernel': f'{platform.system()} {platform.release()} {platform.machine()}',
        'governor': _text('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor') or 'not readable',
        'pinned': f'to CPU {",".join(map(str, sorted(pinned)))}' if pinned else 'no',
    }


def load():
    """The load averages over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _first(pattern, path):
    found = re.search(pattern, _text(path) or '', re.MULTILINE)
    return found and found[1]


def _text(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
