"""A FastMCP server, written the way its users write them.

    server.py [--transport stdio|sse|http] [--host HOST] [--port PORT] [--newest VERSION]

It runs with the Python SDK 1.6.0 and with the newest one, where FastMCP is called MCPServer.
"""

import argparse
import asyncio
import json
import logging
import socket
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from mcp.server.sse import SseServerTransport
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel
from starlette.routing import Mount

try:
    from mcp.server.fastmcp import Context, FastMCP
except ModuleNotFoundError:
    from mcp.server import runner
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as FastMCP

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
logger = logging.getLogger("peer")

server = FastMCP(name="python-peer", log_level="DEBUG")


@server.tool(name="echo", description="Give any JSON value back as {\"echoed\": value}.")
async def echo(message: Any) -> str:
    return json.dumps({"echoed": message}, ensure_ascii=False)


@server.tool(description="Add two numbers.")
def add(a: float, b: float) -> float:
    return a + b


@server.tool(description="Always raise an error.")
async def fail(message: str) -> str:
    raise ValueError(message)


@server.tool(description="Answer after a while.")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@server.tool(description="A nested value with characters from all over the world.")
async def nested() -> dict[str, Any]:
    return {"grüße": [{"日本": "語"}, {"emoji": "🦊", "none": None}], "depth": {"a": {"b": {"c": [1, 2.5, True]}}}}


@server.tool(description="Count, and tell how far it has come.")
async def count(ctx: Context, to: int) -> str:
    for i in range(1, to + 1):
        await ctx.report_progress(i, to)
    return f"counted to {to}"


@server.tool(description="Ask the model of whoever calls.")
async def ask(ctx: Context, question: str) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=question))
    answer = await ctx.session.create_message([message], max_tokens=100)
    return f"the model says: {answer.content.text}"


class Answer(BaseModel):
    word: str


@server.tool(description="Ask twice, and note in a file that it began and what came of it.")
async def fill(ctx: Context, ledger: str) -> str:
    version = ctx.session.protocol_version
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(f"began with {version}\n")
    words = []
    for question in "name?", "town?":
        answer = await ctx.elicit(question, Answer)
        words.append(answer.data.word)
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(f"wrote {words}\n")
    return " of ".join(words)


@server.tool(description="Send the user to a page of this machine, and wait until somebody has been there.")
async def connect(ctx: Context) -> str:
    visited = asyncio.Event()

    async def page(_, writer: asyncio.StreamWriter):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        visited.set()

    async with await asyncio.start_server(page, "127.0.0.1") as pages:
        port = pages.sockets[0].getsockname()[1]
        answer = await ctx.elicit_url("Sign in, please.", f"http://127.0.0.1:{port}/sign-in", "sign-in-1")
        if answer.action != "accept":
            return answer.action
        await visited.wait()
    await ctx.session.send_elicit_complete("sign-in-1", ctx.request_id)
    return "connected"


@server.tool(description="Want the user to visit a page before this is called.")
async def vault() -> str:
    from mcp import UrlElicitationRequiredError
    from mcp.types import ElicitRequestURLParams

    page = "https://vault.example/open?key=7"
    raise UrlElicitationRequiredError(
        [ElicitRequestURLParams(mode="url", message="Open the vault.", url=page, elicitation_id="open-1")]
    )


@server.prompt(description="Ask for a greeting.")
def greet(name: str) -> str:
    return f"Greet {name}, please."


@server.resource("note://today", mime_type="text/plain")
def today() -> str:
    return "Today is a good day."


def low_level():
    """The protocol's server below FastMCP, which 1.x and 2.x call differently."""
    return getattr(server, "_mcp_server", None) or server._lowlevel_server


def sse_app() -> FastAPI:
    app = FastAPI(title="python-peer")
    transport = SseServerTransport("/messages/")
    app.router.routes.append(Mount("/messages", app=transport.handle_post_message))

    @app.get("/sse")
    async def open_stream(request: Request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (reader, writer):
            await low_level().run(reader, writer, low_level().create_initialization_options())

    @app.get("/")
    async def health():
        return {"status": "up"}

    return app


async def serve_http(app, host: str, port: int):
    # The readiness line goes out before anything listens, and ends in a backslash and an n, as in the guide that many servers were copied from.
    listener = socket.socket()
    listener.bind((host, port))
    sys.stderr.write(f"SSE_SERVER_URL=http://{host}:{listener.getsockname()[1]}\\n")
    sys.stderr.flush()
    await uvicorn.Server(uvicorn.Config(app, log_level="debug")).serve(sockets=[listener])


async def serve_stdio():
    sys.stderr.write("STDIO_SERVER_READY\\n")
    sys.stderr.flush()
    await server.run_stdio_async()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--transport", choices=["stdio", "sse", "http"], default="stdio")
    args.add_argument("--host", default="127.0.0.1")
    args.add_argument("--port", type=int, default=0)
    args.add_argument("--newest", help="the newest version of the protocol that it speaks")
    opts = args.parse_args()
    if opts.newest:
        runner.HANDSHAKE_PROTOCOL_VERSIONS = [v for v in runner.HANDSHAKE_PROTOCOL_VERSIONS if v <= opts.newest]
        runner.LATEST_HANDSHAKE_VERSION = opts.newest
    try:
        if opts.transport == "stdio":
            asyncio.run(serve_stdio())
        elif opts.transport == "sse":
            asyncio.run(serve_http(sse_app(), opts.host, opts.port))
        else:
            asyncio.run(serve_http(server.streamable_http_app(), opts.host, opts.port))
    except KeyboardInterrupt:
        logger.info("interrupted")
    except Exception:
        logger.exception("the server ended with an error")
        sys.exit(1)


if __name__ == "__main__":
    main()
