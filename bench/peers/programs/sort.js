// Callbacks from native code: 100,000 pseudo-random integers sorted with a comparator.
() => {
  let state = 42;
  const numbers = [];
  for (let i = 0; i < 100000; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    numbers.push(state);
  }
  numbers.sort((a, b) => a - b);
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum = (Math.imul(sum, 31) + numbers[i]) | 0;
  return sum;
}
