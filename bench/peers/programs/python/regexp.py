# The same as regexp.js in Python.
import re


def program():
    text = ''
    i = 0
    while len(text) < 200000:
        text += 'user' + str(i % 977) + '@host' + str(i % 89) + '.example, 2026-' + str(i % 12 + 1) + '-' + str(i % 28 + 1) + '; '
        i += 1
    swapped = re.sub(r'(\w+)@(\w+)\.example', r'\2:\1', text)
    dates = re.findall(r'\d{4}-\d{1,2}-\d{1,2}', text)
    odd = 0
    for found in re.findall(r'user(\d*[13579])@', text):
        odd += int(found)
    total = len(dates) + odd
    for char in swapped[::7]:
        total = (total * 31 + ord(char)) & 0xffffffff
    return total - 4294967296 if total >= 2147483648 else total
