"""An MCP client, written the way the SDK's users write them. It does what a program does with a server, and prints what it saw as one line of JSON.

    client.py [--transport sse|http|stdio] [--prefix P] [--api session|client|fastmcp] [--clients N] [--abrupt] (URL | COMMAND ARG...)

--prefix goes before each tool's name. --api client takes the newest SDK's high-level Client, which probes for the newest protocol first. --clients opens
that many sessions at once. --abrupt ends the process after the first call, without a goodbye. --cut calls one slow tool, and says on stderr when it runs.
--calls takes a JSON list of [TOOL, ARGUMENTS]; the program lists everything that the server has, and makes these calls. --api fastmcp takes fastmcp's client.
"""

import argparse
import asyncio
import contextlib
import inspect
import json
import os
import sys

from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CreateMessageResult, TextContent

try:
    from mcp.types import PaginatedRequestParams
except ImportError:
    PaginatedRequestParams = None  # the first version reads the first page only

VALUES = ["hello", 42, 2.5, True, None, [1, "two", [3]], {"k": {"n": None}}, "grüße 🦊 日本語", ""]


def read(obj, name, old):
    """A field of a result: 2.x spells them in snake case, 1.x as the protocol does."""
    return getattr(obj, name) if hasattr(obj, name) else getattr(obj, old, None)


def transport(opts):
    if opts.transport == "stdio":
        return stdio_client(StdioServerParameters(command=opts.target[0], args=opts.target[1:]))
    if opts.transport == "sse":
        return sse_client(opts.target[0])
    from mcp.client import streamable_http

    opener = getattr(streamable_http, "streamable_http_client", None) or streamable_http.streamablehttp_client
    return opener(opts.target[0])


async def model(context, params):
    """The model behind this client: it repeats the question."""
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=f"you asked {params.messages[0].content.text}"), model="parrot")


@contextlib.asynccontextmanager
async def connect(opts):
    """Yields the session, the protocol's version and the server's name."""
    if opts.api == "fastmcp":
        from fastmcp import Client
        from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport

        async def repeat(messages, params, context):
            return f"you asked {messages[0].content.text}"

        target = {"stdio": lambda: StdioTransport(opts.target[0], opts.target[1:]), "sse": lambda: SSETransport(opts.target[0]),
                  "http": lambda: StreamableHttpTransport(opts.target[0])}[opts.transport]()
        async with Client(target, sampling_handler=repeat) as client:
            yield FastMCP(client), client.protocol_version, getattr(client.server_info, "name", "")
        return
    if opts.api == "client":
        from mcp import Client

        target = opts.target[0] if opts.transport == "http" else transport(opts)
        async with Client(target, sampling_callback=model) as client:
            yield client, client.protocol_version, getattr(client.server_info, "name", "")
        return
    async with transport(opts) as streams:
        async with ClientSession(streams[0], streams[1], sampling_callback=model) as session:
            hello = await asyncio.wait_for(session.initialize(), timeout=15)
            yield session, read(hello, "protocol_version", "protocolVersion"), read(hello, "server_info", "serverInfo").name


class FastMCP:
    """fastmcp's client, with the methods of a session that this program uses."""

    def __init__(self, client):
        self.client = client

    async def call_tool(self, name, arguments, progress_callback=None):
        return await self.client.call_tool_mcp(name, arguments, progress_handler=progress_callback)

    def __getattr__(self, name):
        return getattr(self.client, name + "_mcp")


async def call(session, opts, tool, arguments, timeout=15):
    """A tool's answer, told apart: an error of the tool, of the protocol, or of time."""
    try:
        result = await asyncio.wait_for(session.call_tool(opts.prefix + tool, arguments), timeout=timeout)
    except asyncio.TimeoutError:
        return {"timeout": True}
    except Exception as e:
        return {"refused": str(e)}
    return {
        "is_error": bool(read(result, "is_error", "isError")),
        "types": [block.type for block in result.content],
        "text": result.content[0].text if result.content and result.content[0].type == "text" else None,
        "structured": read(result, "structured_content", "structuredContent"),
    }


async def whole_program(opts):
    seen = {}
    async with connect(opts) as (session, protocol, name):
        seen["protocol"], seen["server"] = protocol, name
        tools = await asyncio.wait_for(session.list_tools(), timeout=15)
        seen["tools"] = [t.name for t in tools.tools]
        seen["echo"] = []
        for value in VALUES:
            answer = await call(session, opts, "echo", {"message": value})
            same = not answer.get("is_error", True) and answer["types"] == ["text"] and json.loads(answer["text"]) == {"echoed": value}
            seen["echo"].append({"value": value, "same": same, "answer": answer})
        if opts.abrupt:
            print(json.dumps(seen), flush=True)
            os._exit(0)
        seen["add"] = await call(session, opts, "add", {"a": 2, "b": 3.5})
        seen["fail"] = await call(session, opts, "fail", {"message": "as asked"})
        seen["invalid"] = await call(session, opts, "add", {"a": "x"})
        seen["unknown"] = await call(session, opts, "no-such-tool", {})
        seen["late"] = await call(session, opts, "slow", {"seconds": 2}, timeout=0.3)
        seen["slow"] = await call(session, opts, "slow", {"seconds": 0.05})
        seen["nested"] = await call(session, opts, "nested", {})
        seen["ask"] = await call(session, opts, "ask", {"question": "why?"})
        seen["together"] = [a.get("text") for a in await asyncio.gather(*(call(session, opts, "add", {"a": i, "b": 1}) for i in range(20)))]
        if opts.extras:
            prompt = await asyncio.wait_for(session.get_prompt(opts.prefix + "greet", {"name": "Ada"}), timeout=15)
            seen["prompt"] = prompt.messages[0].content.text
            note = await asyncio.wait_for(session.read_resource("note://today"), timeout=15)
            seen["resource"] = note.contents[0].text
    seen["closed"] = True
    return seen


async def listing(session, name, of, old=None):
    """All pages of a list."""
    method = getattr(session, name)
    spelled = "cursor" if "cursor" in inspect.signature(method).parameters else "params"  # it depends on the client
    from_cursor = str if spelled == "cursor" else lambda c: PaginatedRequestParams(cursor=c)
    items, cursor = [], None
    while True:
        page = await asyncio.wait_for(method(**({spelled: from_cursor(cursor)} if cursor else {})), timeout=15)
        items += read(page, of, old)
        cursor = read(page, "next_cursor", "nextCursor")
        if not cursor:
            return items


async def calls(opts):
    async with connect(opts) as (session, protocol, _):
        seen = {"protocol": protocol, "tools": [t.name for t in await listing(session, "list_tools", "tools")]}
        seen["prompts"] = [p.name for p in await listing(session, "list_prompts", "prompts")]
        seen["resources"] = [str(r.uri) for r in await listing(session, "list_resources", "resources")]
        seen["templates"] = [read(r, "uri_template", "uriTemplate") for r in await listing(session, "list_resource_templates", "resource_templates", "resourceTemplates")]
        seen["answers"] = {tool: await call(session, opts, tool, arguments, timeout=60) for tool, arguments in json.loads(opts.calls)}
    seen["closed"] = True
    return seen


async def one_of_many(opts, i):
    async with connect(opts) as (session, _, _):
        answer = await call(session, opts, "echo", {"message": i})
        return not answer.get("is_error", True) and json.loads(answer["text"]) == {"echoed": i}


async def cut(opts):
    async def begun(*_):
        print("begun", file=sys.stderr, flush=True)

    async with connect(opts) as (session, protocol, _):
        result = await session.call_tool(opts.prefix + "slow", {"seconds": 2}, progress_callback=begun)
        return {"protocol": protocol, "slow": {"is_error": bool(read(result, "is_error", "isError")), "text": result.content[0].text}}


async def main():
    args = argparse.ArgumentParser()
    args.add_argument("--transport", choices=["stdio", "sse", "http"], default="sse")
    args.add_argument("--prefix", default="")
    args.add_argument("--api", choices=["session", "client", "fastmcp"], default="session")
    args.add_argument("--clients", type=int, default=0)
    args.add_argument("--abrupt", action="store_true")
    args.add_argument("--cut", action="store_true")
    args.add_argument("--calls", default="")
    args.add_argument("--extras", action="store_true", help="a prompt and a resource as well")
    args.add_argument("target", nargs=argparse.REMAINDER)
    opts = args.parse_args()
    if opts.target[0] == "--":
        opts.target = opts.target[1:]
    if opts.cut:
        print(json.dumps(await cut(opts)))
        return
    if opts.calls:
        print(json.dumps(await calls(opts)))
        return
    if opts.clients:
        good = await asyncio.gather(*(one_of_many(opts, i) for i in range(opts.clients)))
        print(json.dumps({"good": sum(good)}))
        return
    print(json.dumps(await whole_program(opts)))


if __name__ == "__main__":
    try:
        asyncio.run(asyncio.wait_for(main(), timeout=120))
    except Exception as e:
        print(json.dumps({"broken": repr(e)}))
        raise
