export default async function (names) {
  for (const name of names) await lockgate.endorse.code(await lockgate.sealed.fs.work.readText(name));
}
