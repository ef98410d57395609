"""An MCP server with the Python SDK 1.6.0, whose tools write into the ledger: server.py LEDGER"""

import asyncio
import json
import os
import sys
import time

from mcp.server.fastmcp import FastMCP

server = FastMCP(name="python")


def note(word: str, call: str, tool: str) -> None:
    line = f"{word} {call} {tool} {os.getpid()} {time.time_ns()}\n"
    fd = os.open(sys.argv[1], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


def receipt(call: str) -> str:
    return json.dumps({"id": call, "pid": os.getpid()})


@server.tool(description="Work, with an effect.")
async def work(id: str, ms: int = 0) -> str:
    note("began", id, "work")
    await asyncio.sleep(ms / 1000)
    note("ended", id, "work")
    return receipt(id)


@server.tool(description="Work, and let nothing else be done meanwhile.")
def block(id: str, ms: int = 0) -> str:
    note("began", id, "block")
    time.sleep(ms / 1000)
    note("ended", id, "block")
    return receipt(id)


server.run()
