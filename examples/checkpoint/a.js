// A works something out and saves where it stands: messages as LangChain's `dumps` writes them, the last one a call to be made.
const message = (name, kwargs) => ({ lc: 1, type: "constructor", id: ["langchain", "schema", "messages", name], kwargs });

export default async function ({ to = "bob", asks = "" } = {}) {
  // What it has read is in the label of what it saves.
  if (asks) to = (await lockgate.fs.inbox.readText(asks)).trim();
  const call = { name: "pay", args: { to, amount: 10 }, id: "call_1", type: "tool_call" };
  const state = [
    message("HumanMessage", { content: "pay what we owe", type: "human" }),
    message("AIMessage", { content: "", type: "ai", tool_calls: [call], invalid_tool_calls: [] }),
  ];
  await lockgate.fs.state.write("run.json", JSON.stringify(state));
  return `saved: pay ${to}`;
}
