// Regular expressions: global replacement and matching over about 200 KB of text.
() => {
  let text = "";
  for (let i = 0; text.length < 200000; i++) text += "user" + (i % 977) + "@host" + (i % 89) + ".example, 2026-" + ((i % 12) + 1) + "-" + ((i % 28) + 1) + "; ";
  const swapped = text.replace(/(\w+)@(\w+)\.example/g, "$2:$1");
  const dates = text.match(/\d{4}-\d{1,2}-\d{1,2}/g);
  let odd = 0;
  for (const match of text.matchAll(/user(\d*[13579])@/g)) odd += Number(match[1]);
  let sum = dates.length + odd;
  for (let i = 0; i < swapped.length; i += 7) sum = (Math.imul(sum, 31) + swapped.charCodeAt(i)) | 0;
  return sum;
}
