"""Times calls through `lockgate mcp` beside FastMCP, over standard streams, in turn in one run; then HTTP under load.

    ./install && .venv/bin/python run.py [--lockgate FILE] [--calls N] [--http-seconds S]
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
UPSTREAM = HERE / "upstream.py"


class Client:
    """MCP, line by line, with nothing between it and the pipe."""

    def __init__(self, command, cwd=None, env=None):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=cwd, env=env)
        self.next = 0
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}})
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.next += 1
        self.say({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
        while True:
            line = self.child.stdout.readline()
            if not line:
                raise SystemExit(f"it ended: {self.child.args}")
            message = json.loads(line)
            if message.get("id") == self.next and "method" not in message:
                if "error" in message or message["result"].get("isError"):
                    raise SystemExit(f"{self.child.args}: {message}")
                return message["result"]

    def call(self, name, arguments):
        return self.ask("tools/call", {"name": name, "arguments": arguments})

    def close(self):
        self.child.stdin.close()
        self.child.wait(30)


def names(count):
    """What upstream.py has."""
    told = subprocess.run([sys.executable, str(UPSTREAM), str(count)], input='{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n', capture_output=True, text=True, check=True)
    return [tool["name"] for tool in json.loads(told.stdout)["result"]["tools"]]


def manifest(directory, count, read_only=False):
    text = f"""[tool.up]
command = ["{sys.executable}", "{UPSTREAM}", "{count}"]
reads = {json.dumps(sorted({sys.prefix, sys.base_prefix, str(HERE)}))}
tools = {json.dumps(names(count))}
"""
    if read_only:
        text += 'read_only = ["echo"]\n'
    path = Path(directory) / f"lockgate-{count}-{read_only}.toml"
    path.write_text(text)
    return path


def ours(binary, directory, mode, count, read_only=False):
    state = Path(directory) / f"state-{mode}-{count}-{read_only}"
    state.mkdir()
    command = [binary, "mcp", "--trust", "--quiet", "--manifest", manifest(directory, count, read_only), "--as", "bench", "--mode", mode, "--journal", state / "journal.sqlite"]
    return Client([str(part) for part in command], cwd=directory)


def theirs(mode, count):
    return Client([sys.executable, str(HERE / "peer.py"), mode, str(count), str(UPSTREAM)])


def timed(cases, rounds, each):
    """Microseconds of every case's calls, the cases in turn."""
    found = {name: [] for name in cases}
    for _ in range(rounds):
        for name, act in cases.items():
            for _ in range(each):
                before = time.perf_counter_ns()
                act()
                found[name].append((time.perf_counter_ns() - before) / 1000)
    return found


def summed(values):
    values = sorted(values)
    return {"median_us": round(statistics.median(values), 1), "p99_us": round(values[int(len(values) * 0.99) - 1], 1), "samples": len(values)}


def streams(binary, directory, calls):
    direct = Client([sys.executable, str(UPSTREAM), "1"])
    proxy, code = ours(binary, directory, "proxy", 1), ours(binary, directory, "code", 1)
    read_proxy, read_code = ours(binary, directory, "proxy", 1, True), ours(binary, directory, "code", 1, True)
    their_proxy, their_code = theirs("proxy", 1), theirs("code", 1)
    message, slow = {"message": "hello"}, {"message": "a millisecond"}
    program = {"code": 'return await lockgate.tools.up.echo({ message: "hello" })'}
    their_program = {"code": 'return await call_tool("echo", {"message": "hello"})'}
    cases = {
        "direct": lambda: direct.call("echo", message),
        "lockgate proxy": lambda: proxy.call("up__echo", message),
        "lockgate code": lambda: code.call("run_code", program),
        "lockgate proxy, read-only": lambda: read_proxy.call("up__echo", message),
        "lockgate code, read-only": lambda: read_code.call("run_code", program),
        "direct, a millisecond": lambda: direct.call("echo", slow),
        "lockgate proxy, a millisecond": lambda: proxy.call("up__echo", slow),
        "lockgate proxy, read-only, a millisecond": lambda: read_proxy.call("up__echo", slow),
        "fastmcp proxy, a millisecond": lambda: their_proxy.call("echo", slow),
        "fastmcp proxy": lambda: their_proxy.call("echo", message),
        "fastmcp code": lambda: their_code.call("execute", their_program),
    }
    for act in cases.values():
        for _ in range(5):
            act()
    found = {name: summed(values) for name, values in timed(cases, max(calls // 20, 1), 20).items()}
    for client in (direct, proxy, code, read_proxy, read_code, their_proxy, their_code):
        client.close()
    return found


def catalogues(binary, directory, calls):
    mine, other = ours(binary, directory, "code", 1000), theirs("code", 1000)
    both = ours(binary, directory, "proxy", 1000)
    cases = {
        "lockgate search of 1,000": lambda: mine.call("search_tools", {"query": "read an invoice"}),
        "lockgate list of two": lambda: mine.ask("tools/list", {}),
        "lockgate list of 1,000": lambda: both.ask("tools/list", {}),
        "fastmcp search of 1,000": lambda: other.call("search", {"query": "read an invoice"}),
    }
    for act in cases.values():
        act()
    found = {name: summed(values) for name, values in timed(cases, max(calls // 100, 1), 10).items()}
    shown = json.dumps(mine.ask("tools/list", {}))
    found["bytes a client is shown"] = {"code": len(shown), "proxy": len(json.dumps(both.ask("tools/list", {})))}
    for client in (mine, other, both):
        client.close()
    return found


LOAD = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "run_code"
wrk.body = [[%s]]
local tokens, requests, next, bad = {%s}, {}, 0, 0
function init()
  for at, token in ipairs(tokens) do
    wrk.headers["Authorization"] = "Bearer " .. token
    requests[at] = wrk.format()
  end
end
function request()
  next = next %% #requests + 1
  return requests[next]
end
response = function(status, headers, body)
  if status ~= 200 or not body:find("result:", 1, true) then bad = bad + 1; if bad < 4 then print(status, body) end end
end
"""


def over_http(binary, directory, seconds, code, count):
    """The load of `count` clients, each with a token, a session and a tool server of its own."""
    if shutil.which("wrk") is None:
        return {"missing": "wrk is not installed (apt-get install wrk)"}
    clients = Path(directory) / "clients.toml"
    clients.unlink(missing_ok=True)
    state = Path(directory) / f"state-http-{time.monotonic_ns()}"
    state.mkdir()
    add = [binary, "client", "add", "--clients", str(clients)]
    tokens = [subprocess.run([*add, f"bench{number}"], capture_output=True, text=True, check=True).stdout.strip() for number in range(count)]
    command = [binary, "mcp", "--trust", "--manifest", manifest(directory, 1), "--http", "127.0.0.1:0", "--clients", clients, "--journal", state / "journal.sqlite"]
    server = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True, cwd=directory)
    port = None
    while port is None:
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stderr.readline())
        port = found and found.group(1)
    threading.Thread(target=server.stderr.read, daemon=True).start()
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_code", "arguments": {"code": code}, "_meta": meta}}
    url = f"http://127.0.0.1:{port}/mcp"
    for token in tokens:
        # A client's session, with its tool server, is opened with its first request; that is not measured.
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "run_code", "Authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
            assert b"result:" in answer.read()
    script = Path(directory) / "load.lua"
    script.write_text(LOAD % (json.dumps(body), ", ".join(f'"{token}"' for token in tokens)))
    wrk = ["wrk", "-t1", "-c100", f"-d{seconds}s", "--latency", "-s", str(script), url]
    told = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text()).group(1)) // 1024
    server.terminate()
    server.wait(60)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    p50, p99 = re.search(r"^\s+50%\s+(\S+)", told, re.M), re.search(r"^\s+99%\s+(\S+)", told, re.M)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    lines = [line for line in told.splitlines() if line.startswith(("4", "5", "200\t"))]
    return {"clients": count, "connections": 100, "runs_per_second": float(rate.group(1)), "p50": p50.group(1), "p99": p99.group(1), "refused": int(refused.group(1)) if refused else 0, "unlike": lines[:3], "gate_peak_mib": memory}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lockgate", default=str(HERE / "../../target/release/lockgate"))
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--http-seconds", type=int, default=10)
    parser.add_argument("--json", default=str(HERE / "results/results.json"))
    given = parser.parse_args()
    binary = str(Path(given.lockgate).resolve())
    with tempfile.TemporaryDirectory() as directory:
        import fastmcp

        result = {
            "lockgate": subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip(),
            "fastmcp": fastmcp.__version__,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "streams": streams(binary, directory, given.calls),
            "catalogues": catalogues(binary, directory, given.calls),
            "http": [
                {"program": code, **over_http(binary, directory, given.http_seconds, code, count)}
                for code in ("return 1 + 1", 'return await lockgate.tools.up.echo({ message: "hello" })')
                for count in (1, 100)
            ],
            "load after": os.getloadavg(),
        }
    Path(given.json).parent.mkdir(exist_ok=True)
    Path(given.json).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


main()
