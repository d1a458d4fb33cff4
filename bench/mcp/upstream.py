"""A tool server as small as one can be, over standard streams: what is measured is what stands before it.

`upstream.py N` has the tool `echo` and N - 1 others.
"""
import json
import sys
import time

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1
KINDS = ["invoice", "ticket", "calendar", "contact", "file", "build", "metric", "order", "account", "message"]
VERBS = ["create", "list", "read", "update", "delete", "search", "export", "archive", "assign", "count"]


def tool(name, description, fields):
    properties = {field: {"type": "string", "description": f"the {field}"} for field in fields}
    schema = {"type": "object", "properties": properties, "required": fields[:1]}
    return {"name": name, "description": description, "inputSchema": schema}


TOOLS = [tool("echo", "Gives back a text", ["message"])]
for number in range(COUNT - 1):
    verb, kind = VERBS[number % 10], KINDS[number // 10 % 10]
    TOOLS.append(tool(f"{verb}_{kind}_{number}", f"{verb.capitalize()} one {kind} of team {number}", ["id", kind, "note"]))


def answer(message):
    method = message.get("method")
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        return {"protocolVersion": version if version != "2026-07-28" else "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "upstream", "version": "1"}}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        text = message["params"]["arguments"].get("message", "")
        # As long as reading a file takes the reference server of files.
        if text == "a millisecond":
            time.sleep(0.001)
        return {"content": [{"type": "text", "text": text}]}
    if method == "ping":
        return {}
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = answer(message)
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    reply |= {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
