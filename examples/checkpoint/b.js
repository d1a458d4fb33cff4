// B loads the state and does what its last message calls for.
export default async function () {
  try {
    const state = JSON.parse(await lockgate.fs.state.readText("run.json"));
    const { to, amount } = state.at(-1).kwargs.tool_calls[0].args;
    await lockgate.fs.orders.write("order.json", JSON.stringify({ to, amount }));
    return `paid ${to}`;
  } catch (error) {
    return error.code ?? String(error);
  }
}
