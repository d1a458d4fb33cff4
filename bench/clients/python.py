"""The official Python SDK: python.py stdio|http legacy|2026-07-28 PROGRAM TARGET…"""
import asyncio
import json
import sys

import httpx2
from mcp import Client, StdioServerParameters, types
from mcp.client.streamable_http import streamable_http_client

transport, wire, program, target, *more = sys.argv[1:]


async def answer(context, params):
    return types.ElicitResult(action="accept", content={"approve": True})


async def main():
    if transport == "stdio":
        server = StdioServerParameters(command=target, args=more)
    else:
        server = streamable_http_client(target, http_client=httpx2.AsyncClient(headers={"Authorization": f"Bearer {more[0]}"}))
    async with Client(server, mode=wire, elicitation_callback=answer) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("run_code", {"code": program})
        print(json.dumps({"tools": [tool.name for tool in tools], "isError": bool(result.is_error), "text": result.content[0].text}))


asyncio.run(main())
