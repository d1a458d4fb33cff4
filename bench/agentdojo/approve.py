"""The person who is asked. See README.md for what this stands for."""

from __future__ import annotations

import mcp_types as types


class Approver:
    """Says yes to the user task's own calls, which the prompt asks for, and no to everything else."""

    def says_yes(self, prompt: str, entry: dict) -> bool:
        return not entry["injected"]

    async def perform(self, server, name: str, arguments: dict):
        """Performs what was approved in the gate's place."""
        result = await server._call(None, types.CallToolRequestParams(name=name, arguments=arguments))
        return result.content[0].text, None
