// A client that somebody else wrote, the official SDK's, drives the gate as an agent would, and a person sits before it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [lockgate, manifest, journal, work] = process.argv.slice(2);
const client = new Client({ name: 'somebody', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } } });
const answers = [];
client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
  const yes = answers.shift() ?? false;
  console.log(`\n  the person is asked:\n${params.message.replace(/^/gm, '    | ')}\n  and says ${yes ? 'yes' : 'no'}`);
  return { action: 'accept', content: { approve: yes } };
});
await client.connect(new StdioClientTransport({
  command: lockgate,
  args: ['mcp', '--trust', '--quiet', '--manifest', manifest, '--as', 'somebody', '--journal', journal],
  stderr: 'inherit',
}));

const call = async (name, args) => {
  const { content, isError } = await client.callTool({ name, arguments: args });
  console.log(`${isError ? '  ✗' : '  ✓'} ${content.map((block) => block.text ?? JSON.stringify(block)).join('\n').replaceAll('\n', '\n    ')}`);
};
const step = (text) => console.log(`\n${text}`);

step('The tools that the client is shown:');
for (const tool of (await client.listTools()).tools) console.log(`  ${tool.name}`);

step('It searches for what it needs:');
await call('search_tools', { query: 'write a file', limit: 1 });

step('A program with a slip is not started:');
await call('run_code', { code: `await lockgate.tools.reports.write_file({ path: '${work}/reports/x.md', contents: 'x' });` });

const report = `
const { notes, reports, every } = lockgate.tools;
const note = await notes.read_text_file({ path: '${work}/notes/rain.txt' });
const [a, b] = note.content.match(/[0-9]+/g).map(Number);
const sum = await every['get-sum']({ a, b });
let token = 'none';
try { token = (await notes.read_text_file({ path: '/root/.netrc' })).content; } catch (error) { token = error.message; }
await reports.write_file({ path: '${work}/reports/rain.md', content: '# Rain\\n' + sum + '\\n' });
return { sum, token };`;

step('It reads a note, computes by another server, is refused a file elsewhere, and a person is asked before it writes:');
answers.push(true);
await call('run_code', { code: report });

step('The same again, and the person says no:');
answers.push(false);
await call('run_code', { code: report });

await client.close();

// On the newer wire the question is the answer to the call, and the call comes back with what the person said.
step('On the newer wire, a call that comes back with other arguments than were approved:');
const { spawn } = await import('node:child_process');
const { createInterface } = await import('node:readline');
const gate = spawn(lockgate, ['mcp', '--trust', '--quiet', '--manifest', manifest, '--as', 'somebody', '--mode', 'proxy', '--journal', journal], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: gate.stdout })[Symbol.asyncIterator]();
let id = 0;
const ask = async (params) => {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 'somebody', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };
  gate.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: (id += 1), method: 'tools/call', params: { ...params, _meta: meta } })}\n`);
  return JSON.parse((await lines.next()).value).result;
};
const write = (content) => ({ name: 'reports__write_file', arguments: { path: `${work}/reports/rain.md`, content } });
const asked = await ask(write('harmless'));
console.log(`  the gate asks: ${asked.inputRequests.approval.params.message.split('\n')[2]}`);
const yes = { approval: { action: 'accept', content: { approve: true } } };
const changed = await ask({ ...write('harmful'), requestState: asked.requestState, inputResponses: yes });
console.log(`  ✗ ${changed.content[0].text.replaceAll('\n', '\n    ')}`);
gate.stdin.end();
await new Promise((ended) => gate.on('exit', ended));
