// A generates code: four programs, which nobody has any reason to trust.
const doubles = "export default (x) => x * 2;\n";

export default async function () {
  const { work } = lockgate.fs;
  await work.write("double.js", doubles);
  await work.write("changed.js", "// doubles\n" + doubles);
  await work.write("unseen.js", "// nobody looks at this one\n" + doubles);
  await work.write("elsewhere.js", "// somebody else vouches for this one\n" + doubles);
  await work.write("wrong.js", "export default (x) => x * 3;\n");
}
