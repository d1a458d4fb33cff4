"""FastMCP before the same tool server: as a proxy, or as a proxy with its code mode."""
import sys

from fastmcp import FastMCP
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy

mode, count, upstream = sys.argv[1:4]
server: FastMCP = create_proxy(StdioTransport(sys.executable, [upstream, count]))
if mode == "code":
    from fastmcp.experimental.transforms.code_mode import CodeMode

    server.add_transform(CodeMode())
server.run(show_banner=False, log_level="ERROR")
