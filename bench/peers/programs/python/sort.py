# The same as sort.js in Python; a key function stands for the comparator.
def program():
    state = 42
    numbers = []
    for i in range(100000):
        state = (state * 1103515245 + 12345) & 0x7fffffff
        numbers.append(state)
    numbers.sort(key=lambda a: a)
    total = 0
    for number in numbers:
        total = (total * 31 + number) & 0xffffffff
    return total - 4294967296 if total >= 2147483648 else total
