// A well-behaved tenant: it makes crossings, a hundred a round, until the file `stop` appears, and says how long its rounds took.
export default async function () {
  const took = [];
  for (;;) {
    const began = await lockgate.clock.now();
    for (let i = 0; i < 100; i++) await lockgate.clock.now();
    took.push((await lockgate.clock.now()) - began);
    const names = (await lockgate.fs.here.list("")).map((entry) => entry.name);
    if (names.includes("stop")) break;
  }
  took.sort((a, b) => a - b);
  const at = (share) => took[Math.min(took.length - 1, Math.floor(took.length * share))];
  return { rounds: took.length, medianMs: at(0.5), p99Ms: at(0.99), slowestMs: at(1) };
}
