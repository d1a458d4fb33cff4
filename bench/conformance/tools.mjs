// A tool server with the tools that the conformance scenarios call, to stand behind the gate.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

// One red pixel, and a moment of silence.
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const wav = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==';
const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: png, mimeType: 'image/png' };
const resource = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });
const none = { type: 'object', properties: {} };

const schema2020 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

const tools = {
  test_simple_text: [none, () => [text('This is a simple text response for testing.')]],
  test_image_content: [none, () => [image]],
  test_audio_content: [none, () => [{ type: 'audio', data: wav, mimeType: 'audio/wav' }]],
  test_embedded_resource: [none, () => [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')]],
  test_multiple_content_types: [none, () => [text('Multiple content types test:'), image, resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}')]],
  test_error_handling: [none, () => { throw new Error('This tool intentionally returns an error for testing'); }],
  test_tool_with_progress: [none, () => [text('done')]],
  add_numbers: [{ type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] }, ({ a, b }) => [text(String(a + b))]],
  test_headers: [{ type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } }, required: ['region'] }, ({ region }) => [text(region)]],
  json_schema_2020_12_tool: [schema2020, () => [text('ok')]],
};

const server = new Server({ name: 'conformance-tools', version: '1.0.0' }, { capabilities: { tools: {} } });
server.setRequestHandler(ListToolsRequestSchema, () => ({
  tools: Object.entries(tools).map(([name, [inputSchema]]) => ({ name, description: `For the scenario of ${name}`, inputSchema })),
}));
server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
  try {
    return { content: tools[params.name][1](params.arguments ?? {}) };
  } catch (error) {
    return { isError: true, content: [text(error.message)] };
  }
});
await server.connect(new StdioServerTransport());
