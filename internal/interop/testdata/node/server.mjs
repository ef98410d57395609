// A server of the TypeScript SDK, written the way its users write them.
//
//   node server.mjs [--transport stdio|sse|http] [--port PORT]
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CreateMessageResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const { values: opts } = parseArgs({ options: { transport: { type: 'string', default: 'stdio' }, port: { type: 'string', default: '0' } } });
const text = (s) => ({ content: [{ type: 'text', text: s }] });

function newServer() {
  const server = new McpServer({ name: 'typescript-peer', version: '1.0.0' });
  server.registerTool('echo', { description: 'Give any JSON value back as {"echoed": value}.', inputSchema: { message: z.any() } },
    ({ message }) => text(JSON.stringify({ echoed: message })));
  server.registerTool('add', {
    description: 'Add two numbers.', inputSchema: { a: z.number(), b: z.number() }, outputSchema: { sum: z.number() }, annotations: { readOnlyHint: true },
  }, ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } }));
  server.registerTool('fail', { description: 'Always throw.', inputSchema: { message: z.string() } }, ({ message }) => { throw new Error(message); });
  server.registerTool('slow', { description: 'Answer after a while.', inputSchema: { seconds: z.number() } },
    async ({ seconds }, extra) => { await sleep(seconds * 1000, undefined, { signal: extra.signal }); return text('done'); });
  const value = { 'grüße': [{ '日本': '語' }, { emoji: '🦊', none: null }], depth: { a: { b: { c: [1, 2.5, true] } } } };
  server.registerTool('nested', { description: 'A nested value with characters from all over the world.', inputSchema: {} }, () => text(JSON.stringify(value)));
  server.registerTool('count', { description: 'Count, and tell how far it has come.', inputSchema: { to: z.number().int() } }, async ({ to }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let progress = 1; progress <= to && progressToken !== undefined; progress++) {
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: to } });
    }
    return text(`counted to ${to}`);
  });
  server.registerTool('ask', { description: 'Ask the model of whoever calls.', inputSchema: { question: z.string() } }, async ({ question }, extra) => {
    const params = { messages: [{ role: 'user', content: { type: 'text', text: question } }], maxTokens: 100 };
    const answer = await extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema);
    return text(`the model says: ${answer.content.text}`);
  });
  server.registerPrompt('greet', { description: 'Ask for a greeting.', argsSchema: { name: z.string() } },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}, please.` } }] }));
  server.registerResource('today', 'note://today', { mimeType: 'text/plain' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Today is a good day.' }] }));
  return server;
}

async function body(req) {
  let raw = '';
  for await (const chunk of req) raw += chunk;
  return raw === '' ? undefined : JSON.parse(raw);
}

const sessions = new Map();

async function sse(req, res, url) {
  if (req.method === 'GET' && url.pathname === '/sse') {
    const transport = new SSEServerTransport('/messages', res);
    sessions.set(transport.sessionId, transport);
    res.on('close', () => sessions.delete(transport.sessionId));
    await newServer().connect(transport);
  } else if (req.method === 'POST' && url.pathname === '/messages' && sessions.has(url.searchParams.get('sessionId'))) {
    await sessions.get(url.searchParams.get('sessionId')).handlePostMessage(req, res);
  } else {
    res.writeHead(404).end();
  }
}

async function streamable(req, res, url) {
  let transport = sessions.get(req.headers['mcp-session-id']);
  if (url.pathname !== '/mcp' || (!transport && req.headers['mcp-session-id'])) {
    res.writeHead(404).end();
    return;
  }
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    });
    await newServer().connect(transport);
  }
  await transport.handleRequest(req, res, req.method === 'POST' ? await body(req) : undefined);
}

if (opts.transport === 'stdio') {
  await newServer().connect(new StdioServerTransport());
  console.error('STDIO_SERVER_READY');
} else {
  const handle = opts.transport === 'sse' ? sse : streamable;
  const http = createServer((req, res) => handle(req, res, new URL(req.url, 'http://localhost')).catch((err) => {
    console.error(err);
    if (!res.headersSent) res.writeHead(500).end();
  }));
  http.listen(Number(opts.port), '127.0.0.1', () => console.error(`SSE_SERVER_URL=http://127.0.0.1:${http.address().port}`));
}
