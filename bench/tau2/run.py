"""The benign calls of tau-2 through the gate: how many are refused, how many ask. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import importlib.metadata
import json
import pathlib
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "agentdojo"))

from approve import Person  # noqa: E402
from domains import DATA, Domain, DomainServer, calls, key_of, look_ups, prompt, read  # noqa: E402
from gate import NOT_REFUSALS, Gated, written  # noqa: E402

# The calls as they are shipped, or with what an agent has to read before them.
WAYS = ["shipped", "looked_up"]
WAIT = "60s"


def manifest_of(name: str, url: str) -> str:
    """The committed manifest with the server's address and an approver."""
    data = tomllib.loads((HERE / f"{name}.toml").read_text())
    data["tool"][name]["url"] = url
    return written({**data, "approval": {"wait": WAIT}})


async def ungated(domain: Domain, task) -> tuple[list, dict]:
    """What the calls say without a gate, and the database after them."""
    desk = domain.desk(task)
    told = []
    for action in calls(task):
        tools = desk.user if action.requestor == "user" else desk.agent
        told.append(await domain.perform(tools, action.name, dict(action.arguments)))
    return told, desk.state()


async def gated(domain: Domain, server: DomainServer, task, way: str, lockgate: str, manifest: pathlib.Path, floor) -> dict:
    journal = manifest.with_name("journal.sqlite")
    server.desk = desk = domain.desk(task)
    said = prompt(task)
    expected, after = floor
    person = Person(lockgate, journal, endorses=False)
    record = {"calls": [], "look_ups": [], "users": 0}

    async def make(session, name: str, arguments: dict, into: list) -> str:
        result = asyncio.ensure_future(session.call(name, arguments))
        asked = await person.wait_for(result, name, arguments, True)
        text, error = await result
        desk.looked_up.add(key_of(name, arguments))
        code = error["code"] if error else None
        into.append({
            "tool": name, "args": arguments, "asked": [question["message"] for question in asked],
            "refused": None if code in NOT_REFUSALS else code, "message": error["message"] if error else None,
        })
        return text

    async with Gated(lockgate, domain.name, manifest, said, journal) as session:
        for action, (text, failed) in zip(calls(task), expected):
            arguments = json.loads(json.dumps(dict(action.arguments)))
            if action.requestor == "user":
                await domain.perform(desk.user, action.name, arguments)
                record["users"] += 1
                continue
            if way == "looked_up":
                for read_first in look_ups(domain.name, desk, said, action.name, arguments):
                    await make(session, *read_first, record["look_ups"])
            told = await make(session, action.name, arguments, record["calls"])
            record["calls"][-1]["same"] = failed or read(told) == {"result": read(text)}
    return {**record, "same": desk.state() == after}


async def run_domain(name: str, options, lines) -> None:
    domain = Domain(name)
    server = DomainServer(domain)
    print(f"{name}: {len(domain.tasks)} tasks, {sum(len(calls(task)) for task in domain.tasks)} calls", file=sys.stderr, flush=True)
    known = {tuple(line["key"]) for line in lines}
    async with server.running():
        with tempfile.TemporaryDirectory() as scratch:
            manifest = pathlib.Path(scratch) / f"{name}.toml"
            manifest.write_text(manifest_of(name, server.url))
            begun = time.time()
            for index, task in enumerate(domain.tasks):
                ways = [way for way in WAYS if (name, way, task.id) not in known and calls(task)]
                floor = await ungated(domain, task) if ways else None
                for way in ways:
                    entry = await gated(domain, server, task, way, options.lockgate, manifest, floor)
                    lines.append({"key": [name, way, task.id], **entry})
                    with options.results.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
                if index % 10 == 0:
                    print(f"{name} {index}/{len(domain.tasks)} {time.time() - begun:.0f} s", file=sys.stderr, flush=True)


def table(lines: list[dict]) -> str:
    told = ["| domain | calls | tasks | calls of the agent | of the user | refused | asked | tasks that ask nothing | look-ups | of these asked | same results | same database |"]
    told.append("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in DATA:
        for way in WAYS:
            mine = [line for line in lines if line["key"][:2] == [name, way]]
            made = [call for line in mine for call in line["calls"]]
            reads = [call for line in mine for call in line["look_ups"]]
            quiet = sum(not any(call["asked"] or call["refused"] for call in line["calls"] + line["look_ups"]) for line in mine)
            told.append(
                f"| {name} | {way} | {len(mine)} | {len(made)} | {sum(line['users'] for line in mine)} | "
                f"{sum(bool(call['refused']) for call in made)} | {sum(bool(call['asked']) for call in made)} | {quiet} | {len(reads)} | "
                f"{sum(bool(call['asked']) for call in reads)} | {sum(call['same'] for call in made)} | {sum(line['same'] for line in mine)} |"
            )
    return "\n".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("domains", nargs="*", default=list(DATA))
    parser.add_argument("--lockgate", default=str(HERE / "../../target/release/lockgate"))
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results/results.jsonl")
    parser.add_argument("--why", action="store_true", help="say what was asked")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    for name in options.domains:
        asyncio.run(run_domain(name, options, lines))
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("inspect_evals", "inspect_ai", "mcp")))
    for name in options.domains:
        print(f"{name}.toml sha256 {hashlib.sha256((HERE / f'{name}.toml').read_bytes()).hexdigest()}")
    print(table(lines))
    if options.why:
        why = collections.Counter(
            (*line["key"][:2], call["tool"], message.split("needs an approval: ")[-1])
            for line in lines for call in line["calls"] + line["look_ups"] for message in [*call["asked"], *([call["message"]] if call["refused"] else [])]
        )
        for (*where, message), times in sorted(why.items()):
            print(times, *where, message)


if __name__ == "__main__":
    main()
