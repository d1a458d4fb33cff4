"""Tools as an MCP server over HTTP, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import Server
from pydantic_core import to_jsonable_python


class Served:
    """A server of some tools; whoever inherits from it says how one is performed."""

    def __init__(self, name: str, tools: list[types.Tool]):
        self._name = name
        self._tools = tools
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"

    async def perform(self, name: str, arguments: dict) -> tuple[object, str, object]:
        """The result, the text that a model would read, and an error or none."""
        raise NotImplementedError

    async def _list(self, _context, _params):
        return types.ListToolsResult(tools=self._tools)

    async def _call(self, _context, params):
        result, text, error = await self.perform(params.name, dict(params.arguments or {}))
        if error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
        structured = {"result": to_jsonable_python(result)}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=json.loads(json.dumps(structured))
        )

    async def call(self, name: str, arguments: dict) -> types.CallToolResult:
        """A call that goes past the gate."""
        return await self._call(None, types.CallToolRequestParams(name=name, arguments=arguments))

    @contextlib.asynccontextmanager
    async def running(self):
        server = Server(self._name, on_list_tools=self._list, on_call_tool=self._call)
        app = server.streamable_http_app(json_response=True, stateless_http=True)
        uv = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        task = asyncio.create_task(uv.serve(sockets=[self._socket]))
        while not uv.started:
            await asyncio.sleep(0.01)
        try:
            yield self
        finally:
            uv.should_exit = True
            await task


class SuiteServer(Served):
    """One suite of the benchmark: its environment is the one that the run at hand sets."""

    def __init__(self, suite):
        super().__init__(
            suite.name,
            [types.Tool(name=tool.name, description=tool.description, input_schema=tool.parameters.model_json_schema()) for tool in suite.tools],
        )
        self.suite = suite
        self.environment = None
        self.performed = []

    async def perform(self, name: str, arguments: dict):
        from agentdojo.functions_runtime import FunctionCall

        result, text, error = self.suite.perform(self.environment, name, arguments)
        self.performed.append(FunctionCall(function=name, args=arguments))
        return result, text, error
