"""One driver process and its line protocol."""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60
QUIT_TIMEOUT_S = 10
READ_BYTES = 1 << 16


class DriverError(Exception):
    """The driver could not be started, died, answered too late, or answered with an error."""


class Unsupported(DriverError):
    """The driver says that its peer cannot do the case."""


class Driver:
    """A running driver. `cpus` pins it and all that it starts; None leaves it free."""

    def __init__(self, name, command, folder=FOLDER, cpus=None):
        self.name = name
        self.command = command
        self.folder = folder
        self.cpus = cpus
        self.process = None

    def start(self):
        """Starts the process and returns its `info`."""
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                start_new_session=True,
                preexec_fn=self._pin if self.cpus else None,
            )
        except OSError as error:
            self.errors.close()
            raise DriverError(f'`{self.command[0]}` does not start: {error.strerror}') from error
        self.rest = b''
        self.info = self.ask({'case': 'info'}, START_TIMEOUT_S)
        return self.info

    def _pin(self):
        os.sched_setaffinity(0, self.cpus)

    def ask(self, request, timeout_s):
        """Sends a request and returns the answer; a driver that fails to answer is killed."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(request).encode() + b'\n')
            self.process.stdin.flush()
            answer = json.loads(self._read_line(timeout_s))
        except (OSError, ValueError, DriverError) as error:
            reason = self._reason(error)
            self.kill()
            raise DriverError(reason) from error
        if 'error' in answer:
            kind = Unsupported if answer.get('unsupported') else DriverError
            raise kind(_one_line(answer['error']))
        return answer

    def _read_line(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b'\n' not in self.rest:
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise DriverError(f'no answer within {timeout_s:.0f} s')
                chunk = os.read(self.process.stdout.fileno(), READ_BYTES)
                if not chunk:
                    raise DriverError('ended without an answer')
                self.rest += chunk
        line, self.rest = self.rest.split(b'\n', 1)
        return line

    def _reason(self, error):
        """The error with the last line that the driver wrote on stderr."""
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors.read().decode(errors='replace').splitlines() if line.strip()]
        telling = [line for line in lines if 'error' in line.lower() and not line.startswith('at ')]
        last = (telling or lines or [''])[-1]
        return f'{error}: {_one_line(last)}' if last else str(error)

    def stop(self):
        """Asks the driver to end, and ends it if it does not."""
        if self.process is None:
            return
        try:
            self.process.stdin.write(b'{"case":"quit"}\n')
            self.process.stdin.close()
            self.process.wait(QUIT_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self):
        """Ends the driver and what it started in its session."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self.process = None


def _one_line(text):
    """The line of an error that says most: the last of a Python traceback, the first of a JavaScript stack."""
    lines = [line.strip() for line in text.strip().splitlines()]
    line = lines[-1] if lines and lines[0].startswith('Traceback') else (lines or [''])[0]
    return line[:300]
