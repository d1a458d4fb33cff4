// Calls: fib(27) by plain recursion. Result: 196418.
() => {
  const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
  return fib(27);
}
