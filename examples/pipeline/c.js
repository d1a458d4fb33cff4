// C executes code that A wrote. What was not validated, or not as it is now, or by somebody else, it cannot start.
const refusal = (error) => error.code ?? String(error);

async function execute(name) {
  const code = await lockgate.sealed.fs.work.readText(name);
  const asItIs = await lockgate.spawn(code, { input: 21 }).then(() => "started", refusal);
  if (asItIs === "started") return "started without being validated";
  const validated = await lockgate.endorse.validated(code);
  const worker = await lockgate.spawn(validated, { name: "worker", input: 21 });
  const result = await worker.result();
  await lockgate.fs.out.write(name + ".result", String(result));
  return result;
}

export default async function (names) {
  const did = {};
  for (const name of names) did[name] = await execute(name).catch(refusal);
  return did;
}
