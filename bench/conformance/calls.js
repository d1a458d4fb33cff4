// Calls every tool of the server, with the arguments that its scenario asks for.
const KNOWN = {
  add_numbers: { a: 5, b: 3 },
  lookup_user: { id: "1" },
  valid_tool: { region: "us-east" },
};
// A program that has no value leaves the argument out.
const without = (given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));

export default async (context) => {
  const server = lockgate.tools.server ?? {};
  const wanted = context?.toolCalls ?? Object.keys(server).map((name) => ({ name, arguments: KNOWN[name] ?? {} }));
  const seen = [];
  for (const { name, arguments: given } of wanted) {
    const call = server[name];
    if (!call) continue;
    seen.push([name, await call(without(given)).then((result) => ({ result }), (error) => ({ code: error.code, message: error.message }))]);
  }
  return seen;
};
