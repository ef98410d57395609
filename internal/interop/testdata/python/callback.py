"""A FastMCP server on stdio that calls other agents of its project, and one that does nothing else while it works.

Written for the Python SDK 1.6.0, which knows nothing of trace context.
"""

import os
import time

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.server.fastmcp import FastMCP

server = FastMCP(name="callback")


@server.tool(description="Call a tool of another agent in a circle, so many times one after the other.")
async def circle(other: str, me: str, times: int) -> str:
    headers = {"Authorization": "Bearer " + os.environ["OPENMAS_TOKEN"]}
    text = ""
    for _ in range(times):
        async with sse_client(os.environ["OPENMAS_URL"] + "/sse", headers=headers) as streams:
            async with ClientSession(*streams) as session:
                await session.initialize()
                result = await session.call_tool(other + "_circle", {"other": me, "me": other, "times": times})
                text = result.content[0].text
    return text


@server.tool(description="Block the event loop.")
async def block(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


@server.tool(description="The number of the process.")
async def pid() -> str:
    return str(os.getpid())


if __name__ == "__main__":
    server.run()
