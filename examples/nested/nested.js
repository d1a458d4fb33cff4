// Scenario: a cell starts a cell and asks for more than it has, and a grandchild asks again in the three shapes of the vm2
// advisories on nesting: nesting with nothing allowed, a truthy value that is no configuration, and a list where a table
// belongs. Every ask is refused or comes down to what the parent holds; each refusal is in the journal.

const attempts = [];

async function attempt(what, work) {
  try {
    attempts.push({ what, allowed: true, got: await work() });
  } catch (error) {
    attempts.push({ what, allowed: false, code: error.code ?? error.name });
  }
}

const child = `
  const attempts = [];
  async function attempt(what, work) {
    try {
      attempts.push({ what, allowed: true, got: await work() });
    } catch (error) {
      attempts.push({ what, allowed: false, code: error.code ?? error.name });
    }
  }
  const grandchild = "export default Object.keys(lockgate).sort()";
  export default async function () {
    await attempt("child writes where the parent may only read", () => lockgate.fs.data.write("x.txt", "x"));
    await attempt("child reads what the parent may read", async () => (await lockgate.fs.data.readText("note.txt")).trim());
    await attempt("grandchild with nothing asked", async () => (await lockgate.spawn(grandchild)).result());
    await attempt("grandchild asks for a host nobody holds", async () =>
      (await lockgate.spawn(grandchild, { grants: [{ kind: "http", name: "any", hosts: ["*"] }] })).result());
    await attempt("grandchild with grants: 1 (truthy, no list)", async () =>
      (await lockgate.spawn(grandchild, { grants: 1 })).result());
    await attempt("grandchild with grants: [[\\"fs\\"]] (a list for a table)", async () =>
      (await lockgate.spawn(grandchild, { grants: [["fs", "data"]] })).result());
    await attempt("grandchild with limits: [] (a list for a table)", async () =>
      (await lockgate.spawn(grandchild, { limits: [] })).result());
    await attempt("grandchild with nesting: true (an unknown key)", async () =>
      (await lockgate.spawn(grandchild, { grants: [{ kind: "fs", name: "data", nesting: true }] })).result());
    return attempts;
  }
`;

export default async function () {
  await attempt("child asks for writing; its parent holds reading", async () => {
    const started = await lockgate.spawn(child, {
      name: "child",
      grants: [{ kind: "fs", name: "data", allow: ["read", "write"] }, { kind: "cell" }],
    });
    return started.result();
  });
  await attempt("child asks for a directory that its parent does not hold", async () =>
    (await lockgate.spawn(child, { grants: [{ kind: "fs", name: "secrets", allow: ["read"] }] })).result());
  return attempts;
}
