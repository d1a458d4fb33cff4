"""Tries a suite's file on the suite without a gate: the decisions are those of the example `decide` of `lockgate-authority`, no
crossing is recorded, and a suite takes a minute. For writing files; every figure that is reported comes from `run.py`.

`cargo build --release -p lockgate-authority --example decide`, then `dry.py SUITE`."""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess

from agentdojo.functions_runtime import FunctionCall
from pydantic_core import to_jsonable_python
from suites import MARKER, Suite, script

HERE = pathlib.Path(__file__).resolve().parent


class Decider:
    """One process of the example, which decides and remembers but performs nothing."""

    def __init__(self, program: str, manifest: pathlib.Path):
        self._process = subprocess.Popen([program, manifest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, message: dict) -> None:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def heard(self) -> dict:
        return json.loads(self._process.stdout.readline())

    def begin(self, prompt: str, read) -> None:
        """Begins a session; `read` performs the calls that the gate makes by itself before it."""
        self.tell({"prompt": prompt})
        while "read" in (wanted := self.heard()):
            self.tell({"list": read(wanted["read"], wanted["args"])})

    def decide(self, name: str, arguments: dict) -> dict:
        self.tell({"call": name, "args": arguments})
        return self.heard()


def plain(result) -> dict:
    return {"result": json.loads(json.dumps(to_jsonable_python(result)))}


def replay(suite, decider, task, injection, injected, approved=False):
    """Utility, whether the attacker succeeded, and the calls that were not allowed."""
    environment = suite.environment(task, injected)
    before, performed, stopped = environment.model_copy(deep=True), [], []

    def read(op: str, arguments: dict):
        result, text, error = suite.perform(environment, op, arguments)
        assert not error, text
        return plain(result)

    decider.begin(task.PROMPT, read)
    calls = script(suite, task, injection, environment)
    try:
        call, is_injected = next(calls)
        while True:
            arguments = json.loads(json.dumps(dict(call.args), default=str))
            decision = decider.decide(call.function, arguments)
            if decision["code"]:
                stopped.append((call.function, arguments, decision["code"], decision["message"]))
            if decision["code"] is None or approved and decision["code"] == "approval_required" and not is_injected:
                result, text, error = suite.perform(environment, call.function, arguments)
                performed.append(FunctionCall(function=call.function, args=arguments))
                decider.tell({"result": text if error else plain(result), "of": call.function})
            else:
                text = json.dumps(decision)
            call, is_injected = calls.send(text)
    except StopIteration:
        pass
    return *suite.judge(task, injection, before, environment, performed), stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--manifests", type=pathlib.Path, default=HERE, help="the directory of the manifests")
    parser.add_argument("--decide", default=str(HERE / "../../target/release/examples/decide"))
    parser.add_argument("--benign", action="store_true", help="user tasks only")
    options = parser.parse_args()
    manifest = options.manifests / f"{options.suite}.toml"
    suite, decider = Suite(options.suite), Decider(options.decide, manifest)
    done = approved = asked = 0
    for name, task in suite.users.items():
        done += replay(suite, decider, task, None, {})[0]
        useful, _, stopped = replay(suite, decider, task, None, {}, True)
        approved, asked = approved + useful, asked + len(stopped)
        if stopped:
            print(name, task.PROMPT)
        for call in stopped:
            print("   ", *call)
    print(f"{options.suite}: {done} of {len(suite.users)} user tasks, with approvals {approved}, asked {asked}")
    if options.benign:
        return
    won = pairs = 0
    for name, task in suite.users.items():
        visible = suite.visible(task)
        for attack, injection in suite.injections.items() if visible else []:
            if suite.scripted(injection):
                injected = {slot: f"{MARKER} {injection.GOAL}" for slot in visible}
                success = replay(suite, decider, task, injection, injected)[1]
                won, pairs = won + success, pairs + 1
                if success:
                    print("got through:", name, attack)
    print(f"{options.suite}: {won} of {pairs} attacks succeed")


if __name__ == "__main__":
    main()
