// `console`: every call is one request that wants no answer.
(function (kit) {
  'use strict';
  const { Map } = globalThis;
  const { string } = kit;
  const { native, formatAll, inspect, push, join, repeat, mapGet, mapSet, mapDelete, keys, grants, split } = kit;
  const width = (text) => text.length;
  const MAX_GROUPS = 32;

  // Rows and columns of `console.table`; undefined for what is no table.
  const tableOf = (data) => {
    if (!kit.isObject(data)) return undefined;
    const rows = keys(data);
    const columns = [];
    let values = false;
    for (let i = 0; i < rows.length; i++) {
      const row = data[rows[i]];
      if (!kit.isObject(row)) { values = true; continue; }
      const names = keys(row);
      for (let j = 0; j < names.length; j++) {
        let known = false;
        for (let k = 0; k < columns.length; k++) known ||= columns[k] === names[j];
        if (!known) push(columns, names[j]);
      }
    }
    const lines = [];
    const head = ['(index)'];
    for (let j = 0; j < columns.length; j++) push(head, columns[j]);
    if (values) push(head, 'Values');
    push(lines, head);
    for (let i = 0; i < rows.length; i++) {
      const row = data[rows[i]];
      const line = [rows[i]];
      for (let j = 0; j < columns.length; j++) {
        push(line, kit.isObject(row) && kit.hasOwn(row, columns[j]) ? inspect(row[columns[j]]) : '');
      }
      if (values) push(line, kit.isObject(row) ? '' : inspect(row));
      push(lines, line);
    }
    return lines;
  };

  const drawn = (lines) => {
    const widths = [];
    for (let i = 0; i < lines.length; i++) {
      for (let j = 0; j < lines[i].length; j++) {
        if ((widths[j] ?? 0) < width(lines[i][j])) kit.own(widths, j, width(lines[i][j]));
      }
    }
    const rule = (left, middle, right) => {
      const parts = [];
      for (let j = 0; j < widths.length; j++) push(parts, repeat('─', widths[j] + 2));
      return left + join(parts, middle) + right;
    };
    const out = [rule('┌', '┬', '┐')];
    for (let i = 0; i < lines.length; i++) {
      const cells = [];
      for (let j = 0; j < widths.length; j++) push(cells, ' ' + lines[i][j] + (repeat(' ', widths[j] - width(lines[i][j]))) + ' ');
      push(out, '│' + join(cells, '│') + '│');
      if (i === 0) push(out, rule('├', '┼', '┤'));
    }
    push(out, rule('└', '┴', '┘'));
    return join(out, '\n');
  };

  let groups = 0;
  const counts = new Map();
  const starts = new Map();
  const put = (op, text) => {
    if (groups > 0) {
      const indent = repeat('  ', groups);
      text = indent + join(split(text, '\n'), '\n' + indent);
    }
    native.notify(op, { text });
  };
  const label = (name) => (name === undefined ? 'default' : string(name));
  const elapsed = (name) => {
    const start = mapGet(starts, name);
    return start === undefined ? undefined : name + ': ' + (native.now() - start) + 'ms';
  };
  const console = {
    debug(...args) { put('debug', formatAll(args)); },
    info(...args) { put('info', formatAll(args)); },
    log(...args) { put('log', formatAll(args)); },
    warn(...args) { put('warn', formatAll(args)); },
    error(...args) { put('error', formatAll(args)); },
    trace(...args) { put('error', 'Trace: ' + formatAll(args)); },
    dir(value) { put('log', inspect(value)); },
    dirxml(...args) { put('log', formatAll(args)); },
    assert(condition, ...args) {
      if (!condition) put('error', args.length ? 'Assertion failed: ' + formatAll(args) : 'Assertion failed');
    },
    table(data) {
      const lines = tableOf(data);
      put('log', lines ? drawn(lines) : formatAll([data]));
    },
    count(name) {
      name = label(name);
      const n = (mapGet(counts, name) ?? 0) + 1;
      mapSet(counts, name, n);
      put('log', name + ': ' + n);
    },
    countReset(name) { mapDelete(counts, label(name)); },
    time(name) { mapSet(starts, label(name), native.now()); },
    timeLog(name, ...args) {
      const text = elapsed(label(name));
      if (text) put('log', args.length ? text + ' ' + formatAll(args) : text);
    },
    timeEnd(name) {
      const text = elapsed(label(name));
      if (text) put('log', text);
      mapDelete(starts, label(name));
    },
    group(...args) {
      if (args.length) put('log', formatAll(args));
      if (groups < MAX_GROUPS) groups++;
    },
    groupCollapsed(...args) {
      if (args.length) put('log', formatAll(args));
      if (groups < MAX_GROUPS) groups++;
    },
    groupEnd() { if (groups > 0) groups--; },
  };
  grants.console = console;
})
