// The official TypeScript SDK: typescript.mjs stdio|http legacy|2026-07-28 TARGET…
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [transport, wire, program, target, ...more] = process.argv.slice(2);
const mode = wire === 'legacy' ? 'legacy' : { pin: wire };
const client = new Client({ name: 'typescript', version: '1' }, { versionNegotiation: { mode }, capabilities: { elicitation: { form: {} } } });
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { approve: true } }));
await client.connect(transport === 'stdio'
  ? new StdioClientTransport({ command: target, args: more, stderr: 'ignore' })
  : new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers: { Authorization: `Bearer ${more[0]}` } } }));
const { tools } = await client.listTools();
const { content, isError } = await client.callTool({ name: 'run_code', arguments: { code: program } });
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), isError: isError ?? false, text: content[0].text }));
await client.close();
