// Runs in a Deno process without any grant. `calls N` makes N host calls over the pipes; `compute` keeps running programs.
const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).values();
let rest = "";

async function nextLine() {
  for (;;) {
    const end = rest.indexOf("\n");
    if (end >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      return line;
    }
    const { done, value } = await input.next();
    if (done) return undefined;
    rest += value;
  }
}

async function hostcall(i) {
  console.log(String(i));
  return Number(await nextLine());
}

const [mode, count] = Deno.args;
if (mode === "calls") {
  let sum = 0;
  for (let i = 0; i < Number(count); i++) sum += await hostcall(i);
  console.log(`= ${sum}`);
} else {
  const program = (0, eval)(JSON.parse(await nextLine()));
  console.log("ready");
  while ((await nextLine()) !== undefined) console.log(String(program()));
}
