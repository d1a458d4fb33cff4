"""The phases of a run: warm-up, interleaved rounds, throughput, memory."""

import sys
import time

from .driver import Driver, DriverError, Unsupported
from .stats import median, summary

MIN_TIMEOUT_S = 60
MAX_BATCH = 5000


class Run:
    """Collects samples of every peer; `failures` maps (peer, case) to the reason why there are none."""

    def __init__(self, options, commands):
        self.options = options
        self.commands = commands
        self.infos = {}
        self.samples = {}
        self.checks = {}
        self.failures = {}
        self.unsupported = set()
        self.others = {}

    def open(self, cpus):
        """Starts every driver; one that does not start is left out under the reason."""
        drivers = []
        for label, (command, folder) in self.commands.items():
            driver = Driver(label, command, folder, cpus)
            try:
                self.infos[label] = driver.start()
                drivers.append(driver)
            except DriverError as error:
                self.failures[label, 'start'] = str(error)
        return drivers

    def latency(self, cases, rounds, batch_ms):
        """Batches of every case, one peer after the other, round after round."""
        drivers = self.open(self.options.pin)
        try:
            sizes = {(driver.name, case): self._warm_up(driver, case, batch_ms) for case in cases for driver in drivers}
            for turn in range(rounds):
                for case in cases:
                    self._progress(f'round {turn + 1} of {rounds}: {case}')
                    for driver in drivers:
                        self._batch(driver, case, sizes[driver.name, case])
        finally:
            for driver in drivers:
                driver.stop()

    def _warm_up(self, driver, case, batch_ms):
        """Runs the case for the warm-up time and returns the batch size for `batch_ms`, 0 where it does not run."""
        self._progress(f'warm-up: {driver.name} {case}')
        size, spent_ns = 1, 0
        while True:
            answer = self._ask(driver, {'case': case, 'n': size})
            if answer is None:
                return 0
            took = sum(answer['ns'])
            spent_ns += took
            if spent_ns >= self.options.warmup_ms * 1e6:
                return max(1, min(MAX_BATCH, int(batch_ms * 1e6 / max(1, median(answer['ns'])))))
            size = min(MAX_BATCH, size * 2)

    def _batch(self, driver, case, size):
        if size == 0 or (driver.name, case) in self.failures:
            return
        answer = self._ask(driver, {'case': case, 'n': size})
        if answer is None:
            return
        self.samples.setdefault(case, {}).setdefault(driver.name, []).append(answer['ns'])
        if 'check' in answer:
            self.checks.setdefault(case, {})[driver.name] = answer['check']

    def once(self, case, request, rounds, cpus=None):
        """A case that has one figure a round: fresh drivers each time, so that nothing is left from other cases."""
        for turn in range(rounds):
            for label, (command, folder) in self.commands.items():
                if (label, 'start') in self.failures or (label, case) in self.failures:
                    continue
                self._progress(f'{case} {turn + 1} of {rounds}: {label}')
                driver = Driver(label, command, folder, cpus)
                try:
                    driver.start()
                    answer = self._ask(driver, request, case, extra_s=request.get('seconds', 0))
                finally:
                    driver.stop()
                if answer is not None:
                    self.others.setdefault(case, {}).setdefault(label, []).append(answer)

    def _ask(self, driver, request, case=None, extra_s=0):
        case = case or request['case']
        try:
            return driver.ask(request, MIN_TIMEOUT_S + extra_s)
        except Unsupported as error:
            self.failures[driver.name, case] = str(error)
            self.unsupported.add((driver.name, case))
        except DriverError as error:
            self.failures[driver.name, case] = str(error)
        return None

    def summaries(self, reference):
        """Per case and peer: the pooled summary, and the per-round ratios to the reference."""
        result = {}
        for case, peers in self.samples.items():
            base = peers.get(reference)
            for name, rounds in peers.items():
                entry = summary([ns for batch in rounds for ns in batch])
                entry['round_medians'] = [median(batch) for batch in rounds]
                if base:
                    entry['ratios'] = [median(theirs) / median(ours) for theirs, ours in zip(rounds, base)]
                result.setdefault(case, {})[name] = entry
        return result

    def _progress(self, text):
        if sys.stderr.isatty():
            sys.stderr.write(f'\r\033[K{time.strftime("%H:%M:%S")} {text}')
            sys.stderr.flush()


def check(commands):
    """Starts every driver once, runs `fresh` once, and yields (name, version or None, reason)."""
    for label, (command, folder) in commands.items():
        driver = Driver(label, command, folder)
        try:
            info = driver.start()
            driver.ask({'case': 'fresh', 'n': 1}, MIN_TIMEOUT_S)
            yield label, info['version'], None
        except DriverError as error:
            yield label, None, str(error)
        finally:
            driver.stop()
