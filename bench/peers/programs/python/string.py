# The same as string.js in Python.
def program():
    text = ''
    i = 0
    while len(text) < 1000000:
        text += 'word' + str(i % 9973) + ' '
        i += 1
    words = text.split(' ')
    joined = '-'.join(words)
    total = len(words)
    for char in joined[::7]:
        total = (total * 31 + ord(char)) & 0xffffffff
    return total - 4294967296 if total >= 2147483648 else total
