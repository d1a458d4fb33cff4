"""One suite as an MCP server over HTTP, in this process: its environment is the one that the run at hand sets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import Server
from pydantic import BaseModel
from pydantic_core import to_jsonable_python


class SuiteServer:
    def __init__(self, suite):
        self.suite = suite
        self.environment = None
        self.performed = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"
        self._tools = [
            types.Tool(name=tool.name, description=tool.description, input_schema=tool.parameters.model_json_schema())
            for tool in suite.tools
        ]

    async def _list(self, _context, _params):
        return types.ListToolsResult(tools=self._tools)

    async def _call(self, _context, params):
        from agentdojo.functions_runtime import FunctionCall

        arguments = dict(params.arguments or {})
        result, text, error = self.suite.perform(self.environment, params.name, arguments)
        self.performed.append(FunctionCall(function=params.name, args=arguments))
        if error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
        structured = {"result": to_jsonable_python(result)}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=json.loads(json.dumps(structured))
        )

    @contextlib.asynccontextmanager
    async def running(self):
        server = Server(self.suite.name, on_list_tools=self._list, on_call_tool=self._call)
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
