"""The gate as a client sees it: a manifest to start it with, and one session of `lockgate mcp`."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile

from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

# What the tool itself says is not the gate's refusal.
NOT_REFUSALS = {"tool_error"}


def written(data: dict) -> str:
    """A manifest as TOML."""
    lines: list[str] = []

    def table(path: list[str], values: dict) -> None:
        plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
        if plain or not values:
            lines.append("[" + ".".join(json.dumps(part) for part in path) + "]" if path else "")
            lines.extend(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in plain.items())
        for key, value in values.items():
            if isinstance(value, dict):
                table([*path, key], value)

    table([], data)
    return "\n".join(lines) + "\n"


class Gated:
    """One session of `lockgate mcp`, driven by the official client."""

    def __init__(self, lockgate: str, name: str, manifest: pathlib.Path, prompt: str, journal: pathlib.Path):
        self.name = name
        handle, path = tempfile.mkstemp(suffix=".txt")
        with os.fdopen(handle, "w") as file:
            file.write(prompt)
        self.prompt = path
        arguments = ["mcp", "--mode", "proxy", "--manifest", str(manifest), "--trust", "--as", "agent", "--prompt", path]
        arguments += ["--journal", str(journal), "--quiet"]
        self.parameters = StdioServerParameters(command=lockgate, args=arguments)

    async def __aenter__(self):
        self._stdio = stdio_client(self.parameters)
        read, write = await self._stdio.__aenter__()
        self._session = ClientSession(read, write)
        await self._session.__aenter__()
        await self._session.initialize()
        return self

    async def __aexit__(self, *error):
        await self._session.__aexit__(*error)
        await self._stdio.__aexit__(*error)
        os.unlink(self.prompt)

    async def call(self, name: str, arguments: dict):
        """The text of the result, and the code of a refusal or none."""
        result = await self._session.call_tool(f"{self.name}__{name}", arguments)
        text = result.content[0].text if result.content else ""
        error = (result.structured_content or {}).get("error") if result.is_error else None
        return text, error
