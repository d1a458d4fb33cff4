# The same as json.js in Python: the separators make the text equal, character by character.
import json


def program():
    rows = []
    state = 7
    for i in range(7000):
        state = (state * 1103515245 + 12345) & 0x7fffffff
        ratio = (state % 1000) / 8
        if ratio == int(ratio):
            ratio = int(ratio)
        rows.append({'id': i, 'name': 'row ' + str(i), 'value': state, 'ratio': ratio, 'flags': [True, False, None], 'tags': {'kind': 'measured', 'note': 'line\n"quoted" \u00e9'}})
    first = json.dumps({'rows': rows}, separators=(',', ':'), ensure_ascii=False)
    second = json.dumps(json.loads(first), separators=(',', ':'), ensure_ascii=False)
    total = len(first)
    for char in second[::7]:
        total = (total * 31 + ord(char)) & 0xffffffff
    return total - 4294967296 if total >= 2147483648 else total
