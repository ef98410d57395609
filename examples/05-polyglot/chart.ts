// Charts, as a server of the TypeScript SDK. Node.js runs it as it is, without a compiler.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const bars = (numbers: number[]): string =>
  numbers.map((n) => `${String(n).padStart(4)} ${'#'.repeat(n)}`).join('\n');

const server = new McpServer({ name: 'chart', version: '1.0.0' });
server.registerTool(
  'bars',
  { description: 'A bar for each number.', inputSchema: { numbers: z.array(z.number()) } },
  async ({ numbers }: { numbers: number[] }) => ({ content: [{ type: 'text', text: bars(numbers) }] }),
);
await server.connect(new StdioServerTransport());
