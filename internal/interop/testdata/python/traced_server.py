"""A server with an OpenTelemetry SDK of its own, on stdio. The environment says where its spans go and which service it is; the MCP SDK makes them."""

from mcp.server.mcpserver import MCPServer
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=200))
trace.set_tracer_provider(provider)

server = MCPServer(name="notes")


@server.tool(description="Keep a note.")
def keep(text: str) -> str:
    with trace.get_tracer("notes").start_as_current_span("write to disk"):
        return f"kept {len(text)} characters"


server.run("stdio")
