# The same as fib.js in Python, for peers that speak Python.
def program():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)
    return fib(27)
