"""Clients that others wrote drive the gate, and behind it stand servers that others wrote.

    ./install && .venv/bin/python run.py [--lockgate FILE]

Each client runs the same program: a note from the reference server of files, a table in a database server, a sum by the reference
server that tests clients, an approval in the client's own dialog where it has one.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = HERE / "node_modules/node/bin/node"
PACKAGES = HERE / "node_modules"


def manifest(place):
    work = place / "work"
    work.mkdir()
    (work / "rain.txt").write_text("Monday 40 mm, Tuesday 2 mm\n")
    out = place / "out"
    out.mkdir()
    base = place / "base"
    base.mkdir()
    files = PACKAGES / "@modelcontextprotocol/server-filesystem/dist/index.js"
    every = PACKAGES / "@modelcontextprotocol/server-everything/dist/index.js"
    python = HERE / ".servers"
    text = f"""
[tool.notes]
command = {json.dumps([str(NODE), str(files), str(work)])}
reads = [{json.dumps(str(PACKAGES))}, {json.dumps(str(work))}]
tools = ["read_text_file"]
[tool.reports]
command = {json.dumps([str(NODE), str(files), str(out)])}
reads = [{json.dumps(str(PACKAGES))}]
writes = [{json.dumps(str(out))}]
tools = ["write_file"]
approval = true
[tool.every]
command = {json.dumps([str(NODE), str(every), "stdio"])}
reads = [{json.dumps(str(PACKAGES))}]
tools = ["get-sum"]
[tool.db]
command = {json.dumps([str(python / "bin/python"), str(python / "bin/mcp-server-sqlite"), "--db-path", str(base / "rain.db")])}
reads = {json.dumps([str(python), str(Path(sys.base_prefix))])}
writes = [{json.dumps(str(base))}]
tools = ["create_table", "write_query", "read_query"]
[approval]
elicit = true
wait = "20s"
"""
    path = place / "lockgate.toml"
    path.write_text(text)
    return path


def program(place, asks):
    write = f"await reports.write_file({{ path: {json.dumps(str(place / 'out/rain.md'))}, content: String(sum) }});" if asks else ""
    return f"""
const {{ notes, reports, every, db }} = lockgate.tools;
const note = await notes.read_text_file({{ path: {json.dumps(str(place / "work/rain.txt"))} }});
const [a, b] = note.content.match(/[0-9]+/g).map(Number);
await db.create_table({{ query: "create table if not exists rain (mm integer)" }});
await db.write_query({{ query: `insert into rain values (${{a}}), (${{b}})` }});
const rows = await db.read_query({{ query: "select max(mm) as most from rain" }});
const sum = await every["get-sum"]({{ a, b }});
{write}
return {{ sum, rows }};"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lockgate", default=str(HERE / "../../target/release/lockgate"))
    binary = str(Path(parser.parse_args().lockgate).resolve())
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        path, clients = manifest(place), place / "clients.toml"
        token = subprocess.run([binary, "client", "add", "sdk", "--clients", clients], capture_output=True, text=True, check=True).stdout.strip()
        common = ["--trust", "--manifest", str(path), "--journal", str(place / "journal.sqlite")]
        gate = subprocess.Popen([binary, "mcp", *common, "--http", "127.0.0.1:0", "--clients", str(clients)], stderr=subprocess.PIPE, text=True)
        url = None
        while url is None:
            found = re.search(r"http://127\.0\.0\.1:\d+/mcp", gate.stderr.readline())
            url = found and found.group(0)
        stdio = [binary, "mcp", *common, "--as", "sdk"]
        languages = {"typescript": [str(NODE), str(HERE / "typescript.mjs")], "python": [sys.executable, str(HERE / "python.py")]}
        for name, command in languages.items():
            for wire in ("legacy", "2026-07-28"):
                for transport, target in (("stdio", stdio), ("http", [url, token])):
                    ran = subprocess.run([*command, transport, wire, program(place, True), *target], capture_output=True, text=True, timeout=120)
                    told = ran.stdout.strip().splitlines()[-1:] or [ran.stderr.strip()[-400:]]
                    fine = "The sum of 40 and 2 is 42." in told[0] and '"isError": false' in told[0].replace('":', '": ').replace("  ", " ")
                    failed |= not fine
                    print(f"{'ok  ' if fine else 'FAIL'} {name} {wire} {transport}" + ("" if fine else f": {told[0]}"))
        cli = [str(NODE), str(PACKAGES / "@modelcontextprotocol/inspector/cli/build/cli.js"), "--cli"]
        asked = ["--method", "tools/call", "--tool-name", "run_code", "--tool-arg", f"code={program(place, False)}"]
        for transport, target in (("stdio", stdio), ("http", [url, "--transport", "http", "--header", f"Authorization: Bearer {token}"])):
            ran = subprocess.run([*cli, *target, *asked], capture_output=True, text=True, timeout=120)
            fine = "The sum of 40 and 2 is 42." in ran.stdout
            failed |= not fine
            print(f"{'ok  ' if fine else 'FAIL'} inspector {transport}" + ("" if fine else f": {ran.stdout[-300:]} {ran.stderr[-300:]}"))
        gate.terminate()
        gate.wait(30)
        verified = subprocess.run([binary, "journal", "verify", "--journal", place / "journal.sqlite"], capture_output=True, text=True)
        print(verified.stdout.strip())
        failed |= verified.returncode != 0
    raise SystemExit(1 if failed else 0)


main()
