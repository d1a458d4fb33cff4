"""Tests of the coordinator against real small processes: python3 -m unittest discover bench/peers"""

import json
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from coordinator.driver import Driver, DriverError, Unsupported
from coordinator.report import duration
from coordinator.stats import percentile, summary

FOLDER = Path(__file__).resolve().parent

STEADY = """
    import json, sys
    for line in sys.stdin:
        request = json.loads(line)
        if request['case'] == 'quit':
            break
        answer = {'case': request['case'], 'n': request.get('n'), 'ns': [NS] * request.get('n', 1), 'check': CHECK}
        if request['case'] == 'info':
            answer = {'name': 'steady', 'version': '1', 'runtime': 'python', 'notes': ''}
        if request['case'] == 'fresh100':
            answer = {'case': 'fresh100', 'error': 'no host function', 'unsupported': True}
        print(json.dumps(answer), flush=True)
"""


def driver_of(source):
    return Driver('peer', [sys.executable, '-c', textwrap.dedent(source)])


class DriverTest(unittest.TestCase):
    def test_a_program_that_does_not_exist_is_named(self):
        with self.assertRaisesRegex(DriverError, 'no-such-program'):
            Driver('peer', ['./no-such-program']).start()

    def test_a_driver_that_dies_tells_its_last_error(self):
        with self.assertRaisesRegex(DriverError, 'ValueError: broken install'):
            driver_of('raise ValueError("broken install")').start()

    def test_a_driver_that_does_not_answer_is_killed(self):
        driver = driver_of(STEADY.replace('print(', 'request["case"] == "fresh" or print(').replace('NS', '1').replace('CHECK', '1'))
        driver.start()
        process = driver.process
        with self.assertRaisesRegex(DriverError, 'no answer'):
            driver.ask({'case': 'fresh', 'n': 1}, 0.2)
        self.assertIsNotNone(process.returncode)

    def test_an_unsupported_case_is_told_apart_from_a_failure(self):
        driver = driver_of(STEADY.replace('NS', '1').replace('CHECK', '1'))
        driver.start()
        self.addCleanup(driver.stop)
        with self.assertRaisesRegex(Unsupported, 'no host function'):
            driver.ask({'case': 'fresh100', 'n': 1}, 10)
        self.assertEqual(driver.ask({'case': 'fresh', 'n': 3}, 10)['ns'], [1, 1, 1])


class RunTest(unittest.TestCase):
    """Whole runs with two drivers of known speed."""

    def run_with(self, first_check, second_check, cases):
        with tempfile.TemporaryDirectory() as folder:
            commands = []
            for name, ns, check in (('ours', 1000, first_check), ('other', 40000, second_check)):
                path = Path(folder, f'{name}.py')
                path.write_text(textwrap.dedent(STEADY).replace('NS', str(ns)).replace('CHECK', str(check)))
                commands += ['--ours', f'{name}={sys.executable} {path}']
            result = Path(folder, 'result.json')
            done = subprocess.run(
                [sys.executable, 'run.py', '--peers', '', *commands, '--cases', cases, '--rounds', '3', '--compute-rounds', '1', '--batch-ms', '1']
                + ['--warmup-ms', '1', '--json', str(result)],
                cwd=FOLDER, capture_output=True, text=True, check=False,
            )
            return done, json.loads(result.read_text())

    def test_ratios_refer_to_the_first_driver_of_ours(self):
        done, result = self.run_with(7, 7, 'fresh,fresh100')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(result['cases']['fresh']['other']['ratios'], [40.0, 40.0, 40.0])
        self.assertIn('| other | 40.0 µs |', done.stdout)
        self.assertIn('- other, fresh100: no host function', done.stdout)

    def test_checksums_that_differ_fail_the_run(self):
        done, _ = self.run_with(7, 8, 'compute:fib')
        self.assertEqual(done.returncode, 1)
        self.assertIn('the checksum differs', done.stdout)


class StatsTest(unittest.TestCase):
    def test_percentiles_are_interpolated(self):
        self.assertEqual(percentile([10, 20, 30, 40], 0.5), 25)
        self.assertEqual(summary([3, 1, 2])['median'], 2)

    def test_durations_keep_three_figures(self):
        self.assertEqual([duration(ns) for ns in (999, 1234, 56_700, 12_345_678, 2e9)], ['999 ns', '1.23 µs', '56.7 µs', '12.3 ms', '2.00 s'])


if __name__ == '__main__':
    unittest.main()
