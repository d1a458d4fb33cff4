// The server suites against `lockgate mcp --http`, with tools.mjs behind it. The suite cannot send a token, so a small
// forwarder adds it to each request and changes nothing else.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tools = ['test_simple_text', 'test_image_content', 'test_audio_content', 'test_embedded_resource', 'test_multiple_content_types',
  'test_error_handling', 'test_tool_with_progress', 'add_numbers', 'test_headers', 'json_schema_2020_12_tool'];
const [wire, ...more] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const lockgate = process.env.LOCKGATE;
const place = mkdtempSync(join(tmpdir(), 'lockgate-conformance-'));
const clients = join(place, 'clients.toml');
const manifest = join(place, 'lockgate.toml');
writeFileSync(manifest, `[tool.tests]
command = ${JSON.stringify([process.execPath, join(here, 'tools.mjs')])}
reads = ${JSON.stringify([here])}
tools = ${JSON.stringify(tools)}
`);
const token = execFileSync(lockgate, ['client', 'add', 'suite', '--clients', clients], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const gate = spawn(lockgate, ['mcp', '--trust', '--manifest', manifest, '--mode', 'proxy', '--names', 'short',
  '--http', '127.0.0.1:0', '--clients', clients, '--journal', join(place, 'journal.sqlite')], { stdio: ['ignore', 'ignore', 'pipe'] });
const port = await new Promise((found, failed) => {
  let told = '';
  gate.stderr.on('data', (piece) => {
    told += piece;
    const at = /127\.0\.0\.1:(\d+)\/mcp/.exec(told);
    if (at) found(Number(at[1]));
  });
  gate.on('exit', () => failed(new Error(`the gate ended: ${told}`)));
});
const forwarder = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${token}` };
  // A loopback host of the suite's is the forwarder's; any other goes on as it is, to be refused.
  if (/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(headers.host ?? '')) headers.host = `127.0.0.1:${port}`;
  if (/^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(headers.origin ?? '')) headers.origin = `http://127.0.0.1:${port}`;
  const onward = http.request({ host: '127.0.0.1', port, path: request.url, method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
});
await new Promise((listening) => forwarder.listen(0, '127.0.0.1', listening));
const suite = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const url = `http://127.0.0.1:${forwarder.address().port}/mcp`;
const run = spawn(process.execPath, [suite, 'server', '--url', url, '--requirements', wire, ...more], { cwd: here, stdio: 'inherit' });
run.on('exit', (code) => {
  forwarder.closeAllConnections();
  forwarder.close();
  gate.kill('SIGTERM');
  gate.on('exit', () => process.exit(code ?? 1));
});
