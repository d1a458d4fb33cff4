"""AgentDojo without a model: a perfectly hijacked agent against the gate. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.metadata
import json
import pathlib
import statistics
import sys
import tempfile
import time
import tomllib

from approve import Person
from gate import NOT_REFUSALS, Gated, written
from serve import SuiteServer
from suites import MARKER, VERSION, Suite, script

HERE = pathlib.Path(__file__).resolve().parent
SUITES = ["workspace", "travel", "banking", "slack"]
# Which keys of a manifest each mode keeps.
MODES = {
    "grants": set(),
    "provenance": {"source", "from", "roster", "compare", "document", "hand_over", "shown_to"},
    "all": {"source", "from", "roster", "compare", "document", "hand_over", "shown_to", "asked"},
}
# `all` with a person who answers each question by itself, or also trusts the values that are asked about for the session.
APPROVED = {"approvals": False, "endorsing": True}
# How long the gate waits for that person.
WAIT = "60s"


def manifest_of(name: str, mode: str, url: str, where: pathlib.Path = HERE) -> str:
    """The committed manifest with the server's address, without what the mode leaves out, and with an approver where it has one."""
    data = tomllib.loads((where / f"{name}.toml").read_text())
    if mode in APPROVED:
        data["approval"], mode = {"wait": WAIT}, "all"
    for section in data["tool"].values():
        section["url"] = url
        for key in MODES["all"] - MODES[mode]:
            section.pop(key, None)
    return written(data)


class Direct:
    """The suite without a gate: the floor of every figure."""

    def __init__(self, server: SuiteServer):
        self.server = server

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def call(self, name: str, arguments: dict):
        result = await self.server.call(name, arguments)
        return result.content[0].text, None


async def replay(suite, server, session, task, injection, injected, person=None) -> dict:
    """One run of the hijacked agent; what the gate refuses has not happened."""
    environment = suite.environment(task, injected)
    before = environment.model_copy(deep=True)
    server.environment = environment
    record = {"refused": [], "asked": [], "latencies": [], "injected": 0}
    calls = script(suite, task, injection, environment)
    async with session:
        # What the gate read when the session began is no call of the agent.
        server.performed = []
        await drive(session, calls, record, person)
    utility, security = suite.judge(task, injection, before, server.environment, server.performed)
    return {"utility": utility, "security": security, **record}


async def drive(session, calls, record, person) -> None:
    """Makes the calls of a script and notes what became of each."""
    try:
        call, is_injected = next(calls)
        while True:
            arguments = json.loads(json.dumps(dict(call.args), default=str))
            record["injected"] += is_injected
            start = time.perf_counter()
            result = asyncio.ensure_future(session.call(call.function, arguments))
            questions = await person.wait_for(result, call.function, arguments, not is_injected) if person else []
            text, error = await result
            record["asked"] += questions
            if not questions:
                record["latencies"].append(time.perf_counter() - start)
            if error and error["code"] not in NOT_REFUSALS:
                assert error["code"] not in ("approval_timed_out", "approval_drift"), error
                entry = {"tool": call.function, "args": arguments, "injected": is_injected, **error}
                record["asked" if error["code"] == "approval_required" else "refused"].append(entry)
            call, is_injected = calls.send(text)
    except StopIteration:
        pass


class Results:
    """Lines of a file, so that a run that was cut goes on where it was."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {tuple(entry["key"]): entry for entry in map(json.loads, lines)}

    def add(self, key: tuple, entry: dict) -> None:
        self.known[key] = {"key": list(key), **entry}
        with self.path.open("a") as file:
            file.write(json.dumps(self.known[key]) + "\n")


async def run_suite(name: str, modes: list[str], options, results: Results) -> None:
    suite = Suite(name)
    server = SuiteServer(suite)
    visible = {key: suite.visible(task) for key, task in suite.users.items()}
    scripted = {key for key, injection in suite.injections.items() if suite.scripted(injection)}
    pairs = [(user, attack) for user in suite.users for attack in suite.injections if attack in scripted and visible[user]]
    print(f"{name}: {len(suite.users)} user tasks, {len(pairs)} visible pairs", file=sys.stderr, flush=True)
    async with server.running():
        with tempfile.TemporaryDirectory() as scratch:
            for mode in modes:
                await run_mode(suite, server, pairs, visible, mode, pathlib.Path(scratch), options, results)


async def run_mode(suite, server, pairs, visible, mode, scratch, options, results) -> None:
    manifest = scratch / f"{mode}.toml"
    if mode != "nothing":
        manifest.write_text(manifest_of(suite.name, mode, server.url, options.manifests))
    label = f"all+{mode}" if mode in APPROVED else mode
    jobs = [(user, None) for user in suite.users] + ([] if options.benign else pairs)
    begun = time.time()
    for index, (user, attack) in enumerate(jobs):
        key = (suite.name, label, user, attack or "")
        if key in results.known:
            continue
        task = suite.users[user]
        injection = suite.injections[attack] if attack else None
        injected = {slot: f"{MARKER} {injection.GOAL}" for slot in visible[user]} if attack else {}
        if mode == "nothing":
            session = Direct(server)
        else:
            session = Gated(options.lockgate, suite.name, manifest, task.PROMPT, scratch / "journal.sqlite")
        person = Person(options.lockgate, scratch / "journal.sqlite", APPROVED[mode]) if mode in APPROVED else None
        entry = await replay(suite, server, session, task, injection, injected, person)
        results.add(key, entry)
        if index % 25 == 0:
            print(f"{suite.name} {label} {index}/{len(jobs)} {time.time() - begun:.0f} s", file=sys.stderr, flush=True)


def table(results: Results, names: list[str]) -> str:
    """The figures, per suite and mode."""
    lines = ["| suite | mode | benign utility | attacks that succeed | of those unguarded | utility under attack | asked, benign | added ms a call, median |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    labels = ["nothing", *MODES, *(f"all+{mode}" for mode in APPROVED)]
    totals: dict[str, list] = {}
    for name in [*names, "all"]:
        base = [e for k, e in results.known.items() if (name in (k[0], "all")) and k[1] == "nothing"]
        direct = [x for e in base for x in e["latencies"]]
        for label in labels:
            rows = {k: e for k, e in results.known.items() if (name in (k[0], "all")) and k[1] == label}
            if not rows:
                continue
            benign = [e for k, e in rows.items() if not k[3]]
            attacks = {k: e for k, e in rows.items() if k[3]}
            unguarded = {(k[0], k[2], k[3]) for k, e in results.known.items() if k[1] == "nothing" and k[3] and e["security"]}
            won = [k for k, e in attacks.items() if e["security"]]
            possible = [k for k in attacks if (k[0], k[2], k[3]) in unguarded]
            under = sum(e["utility"] for e in attacks.values())
            asked = sum(len(e["asked"]) for e in benign)
            times = [x for e in rows.values() for x in e["latencies"]]
            added = (statistics.median(times) - statistics.median(direct)) * 1000 if times and direct and label != "nothing" else None
            lines.append(
                f"| {name} | {label} | {sum(e['utility'] for e in benign)}/{len(benign)} | {len(won)}/{len(attacks)} | "
                f"{sum((k[0], k[2], k[3]) in unguarded for k in won)}/{len(possible)} | {under}/{len(attacks)} | {asked} | "
                f"{'' if added is None else f'{added:.1f}'} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=SUITES)
    parser.add_argument("--lockgate", default=str(HERE / "../../target/release/lockgate"))
    parser.add_argument("--modes", default=",".join(["nothing", *MODES, *APPROVED]))
    parser.add_argument("--benign", action="store_true", help="user tasks only")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results/results.jsonl")
    parser.add_argument("--manifests", type=pathlib.Path, default=HERE, help="the directory of the manifests")
    parser.add_argument("--why", action="store_true", help="say what was refused of the user tasks and what got through")
    options = parser.parse_args()
    results = Results(options.results)
    for name in options.suites:
        asyncio.run(run_suite(name, options.modes.split(","), options, results))
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("agentdojo", "mcp"))
    print(f"{packages}, benchmark {VERSION}")
    for name in options.suites:
        path = options.manifests / f"{name}.toml"
        if path.exists():
            print(f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    print(table(results, options.suites))
    if options.why:
        for key, entry in results.known.items():
            if key[0] not in options.suites or not key[1].startswith("all"):
                continue
            if not key[3] and not entry["utility"] or key[3] and entry["security"]:
                print(*key)
            for refusal in [*entry["refused"], *entry["asked"]] if not key[3] else []:
                print("   ", *key[:3], refusal["tool"], refusal["args"], refusal["message"])


if __name__ == "__main__":
    main()
