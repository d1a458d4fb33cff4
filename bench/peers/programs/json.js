// JSON: a document of about 1 MB made in the program, written, read and written again.
() => {
  const rows = [];
  let state = 7;
  for (let i = 0; i < 7000; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    rows.push({ id: i, name: "row " + i, value: state, ratio: (state % 1000) / 8, flags: [true, false, null], tags: { kind: "measured", note: "line\n\"quoted\" \u00e9" } });
  }
  const first = JSON.stringify({ rows });
  const second = JSON.stringify(JSON.parse(first));
  let sum = first.length;
  for (let i = 0; i < second.length; i += 7) sum = (Math.imul(sum, 31) + second.charCodeAt(i)) | 0;
  return sum;
}
