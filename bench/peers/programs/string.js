// Strings: 1 MB built by concatenation, split into words and joined again.
() => {
  let text = "";
  for (let i = 0; text.length < 1000000; i++) text += "word" + (i % 9973) + " ";
  const words = text.split(" ");
  const joined = words.join("-");
  let sum = words.length;
  for (let i = 0; i < joined.length; i += 7) sum = (Math.imul(sum, 31) + joined.charCodeAt(i)) | 0;
  return sum;
}
