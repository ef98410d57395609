// A client of the TypeScript SDK, written the way its users write them. It prints what it saw as one line of JSON, as client.py does.
//
//   node client.mjs [--transport sse|http|stdio] [--prefix P] [--clients N] [--abrupt] [--cut] [--extras] [--calls JSON] URL | COMMAND ARG...
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const cut = process.argv.indexOf('--');
const { values: opts } = parseArgs({
  args: process.argv.slice(2, cut),
  options: {
    transport: { type: 'string', default: 'sse' }, prefix: { type: 'string', default: '' }, clients: { type: 'string', default: '0' },
    abrupt: { type: 'boolean' }, cut: { type: 'boolean' }, extras: { type: 'boolean' }, calls: { type: 'string' },
  },
});
const target = process.argv.slice(cut + 1);
const values = ['hello', 42, 2.5, true, null, [1, 'two', [3]], { k: { n: null } }, 'grüße 🦊 日本語', ''];

async function connect() {
  const client = new Client({ name: 'typescript-client', version: '1.0.0' }, { capabilities: { sampling: {} } });
  // The model behind this client repeats the question.
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
    role: 'assistant', content: { type: 'text', text: `you asked ${params.messages[0].content.text}` }, model: 'parrot',
  }));
  const transport = opts.transport === 'stdio' ? new StdioClientTransport({ command: target[0], args: target.slice(1), stderr: 'inherit' })
    : opts.transport === 'sse' ? new SSEClientTransport(new URL(target[0])) : new StreamableHTTPClientTransport(new URL(target[0]));
  let protocol = '';
  const announce = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => { protocol = version; announce?.(version); };
  await client.connect(transport, { timeout: 15000 });
  return { client, transport, protocol };
}

async function call(client, tool, args, timeout = 15000) {
  try {
    const result = await client.callTool({ name: opts.prefix + tool, arguments: args }, undefined, { timeout });
    return { is_error: !!result.isError, types: result.content.map((b) => b.type), text: result.content[0]?.text ?? null, structured: result.structuredContent ?? null };
  } catch (e) {
    return e.code === -32001 ? { timeout: true } : { refused: e.message };
  }
}

async function wholeProgram() {
  const seen = {};
  const { client, transport, protocol } = await connect();
  try {
    seen.protocol = protocol;
    seen.server = client.getServerVersion().name;
    seen.tools = (await client.listTools()).tools.map((t) => t.name);
    seen.echo = [];
    for (const value of values) {
      const answer = await call(client, 'echo', { message: value });
      const same = answer.is_error === false && isDeepStrictEqual(answer.types, ['text']) && isDeepStrictEqual(JSON.parse(answer.text), { echoed: value });
      seen.echo.push({ value, same, answer });
    }
    if (opts.abrupt) {
      console.log(JSON.stringify(seen));
      process.exit(0);
    }
    seen.add = await call(client, 'add', { a: 2, b: 3.5 });
    seen.fail = await call(client, 'fail', { message: 'as asked' });
    seen.invalid = await call(client, 'add', { a: 'x' });
    seen.unknown = await call(client, 'no-such-tool', {});
    seen.late = await call(client, 'slow', { seconds: 2 }, 300);
    seen.slow = await call(client, 'slow', { seconds: 0.05 });
    seen.nested = await call(client, 'nested', {});
    seen.ask = await call(client, 'ask', { question: 'why?' });
    seen.together = await Promise.all([...Array(20).keys()].map(async (i) => (await call(client, 'add', { a: i, b: 1 })).text));
    if (opts.extras) {
      seen.prompt = (await client.getPrompt({ name: `${opts.prefix}greet`, arguments: { name: 'Ada' } })).messages[0].content.text;
      seen.resource = (await client.readResource({ uri: 'note://today' })).contents[0].text;
    }
    if (transport.terminateSession) await transport.terminateSession();
  } finally {
    await client.close();
  }
  seen.closed = true;
  return seen;
}

// One slow tool; stderr says when it runs.
async function cutOff() {
  const { client, protocol } = await connect();
  const result = await client.callTool({ name: `${opts.prefix}slow`, arguments: { seconds: 2 } }, undefined, { timeout: 30000, onprogress: () => console.error('begun') });
  await client.close();
  return { protocol, slow: { is_error: !!result.isError, text: result.content[0].text } };
}

// All pages of a list.
async function listing(method, of) {
  const items = [];
  let cursor;
  do {
    const page = await method(cursor ? { cursor } : {});
    items.push(...page[of]);
    cursor = page.nextCursor;
  } while (cursor);
  return items;
}

// Everything that the server has, and the calls that --calls lists as [TOOL, ARGUMENTS].
async function calls() {
  const { client, protocol } = await connect();
  const seen = { protocol, tools: (await listing((p) => client.listTools(p), 'tools')).map((t) => t.name) };
  seen.prompts = (await listing((p) => client.listPrompts(p), 'prompts')).map((p) => p.name);
  seen.resources = (await listing((p) => client.listResources(p), 'resources')).map((r) => r.uri);
  seen.templates = (await listing((p) => client.listResourceTemplates(p), 'resourceTemplates')).map((r) => r.uriTemplate);
  seen.answers = {};
  for (const [tool, args] of JSON.parse(opts.calls)) seen.answers[tool] = await call(client, tool, args, 60000);
  await client.close();
  seen.closed = true;
  return seen;
}

async function oneOfMany(i) {
  const { client } = await connect();
  const answer = await call(client, 'echo', { message: i });
  await client.close();
  return answer.is_error === false && isDeepStrictEqual(JSON.parse(answer.text), { echoed: i });
}

try {
  const many = Number(opts.clients);
  const seen = many ? { good: (await Promise.all([...Array(many).keys()].map(oneOfMany))).filter(Boolean).length } : opts.calls ? await calls() : opts.cut ? await cutOff() : await wholeProgram();
  console.log(JSON.stringify(seen));
} catch (e) {
  console.log(JSON.stringify({ broken: String(e.stack ?? e) }));
  process.exit(1);
}
