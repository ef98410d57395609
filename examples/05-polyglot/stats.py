"""Statistics, as a server of the Python SDK 1.6.0 (FastMCP)."""

import json
import statistics

from mcp.server.fastmcp import FastMCP

server = FastMCP("stats")


@server.tool()
def describe(numbers: list[float]) -> str:
    """Mean, median and standard deviation."""
    return json.dumps({
        "mean": statistics.fmean(numbers),
        "median": statistics.median(numbers),
        "stdev": statistics.stdev(numbers),
    })


if __name__ == "__main__":
    server.run()
