// Values as text for people, in the manner of Node's console.
(function (kit) {
  'use strict';
  const { BigInt, Date, Map, Number, Object, RegExp, Set, Symbol, Uint8Array, parseInt, parseFloat } = globalThis;
  const { native, push, join, own, ownKeys, getOwnPropertyDescriptor, getPrototypeOf, call, getter, uncurry } = kit;
  const { mapEach, setEach, stringify, replace, indexOf, repeat, typedName, hasOwn, substring, startsWith } = kit;

  const WIDTH = 76;
  const MAX_ITEMS = 100;
  const MAX_TEXT = 10000;
  const MAX_DEPTH = 2;

  const dateText = uncurry(Date.prototype.toISOString);
  const dateValue = uncurry(Date.prototype.getTime);
  const regexpText = uncurry(RegExp.prototype.toString);
  const symbolText = uncurry(Symbol.prototype.toString);
  const bigintText = uncurry(BigInt.prototype.toString);
  const numberText = uncurry(Number.prototype.toString);
  const functionText = uncurry(Function.prototype.toString);
  const mapSize = getter(Map.prototype, 'size');
  const setSize = getter(Set.prototype, 'size');
  const typedLength = getter(getPrototypeOf(Uint8Array.prototype), 'length');
  const custom = Symbol.for('nodejs.util.inspect.custom');
  const { quote } = native;
  const is = Object.is;

  const primitive = (value, top) => {
    switch (typeof value) {
      case 'string': {
        if (top) return value;
        const cut = value.length - MAX_TEXT;
        return cut > 0 ? quote(substring(value, 0, MAX_TEXT)) + '... ' + cut + ' more characters' : quote(value);
      }
      case 'number': return is(value, -0) ? '-0' : numberText(value);
      case 'bigint': return bigintText(value) + 'n';
      case 'symbol': return symbolText(value);
      default: return kit.string(value);
    }
  };

  // The name of the class that made an object, without running a getter.
  const className = (object) => {
    for (let proto = object, hops = 0; proto !== null && hops < 64; proto = getPrototypeOf(proto), hops++) {
      if (native.classOf(proto) === 'Proxy') return '';
      const found = getOwnPropertyDescriptor(proto, 'constructor');
      if (found && typeof found.value === 'function') {
        const name = getOwnPropertyDescriptor(found.value, 'name');
        if (name && typeof name.value === 'string' && name.value !== '') return name.value;
      }
    }
    return null;
  };

  const keyText = (key) =>
    typeof key === 'symbol' ? '[' + symbolText(key) + ']' : native.is(key, 'name') ? key : quote(key);

  const properties = (state, object, parts, skip) => {
    const names = ownKeys(object);
    for (let i = 0; i < names.length; i++) {
      const key = names[i];
      if (skip && skip(key)) continue;
      const found = getOwnPropertyDescriptor(object, key);
      if (!found || !found.enumerable) continue;
      if (parts.length > MAX_ITEMS * 4) {
        push(parts, '... ' + (names.length - i) + ' more');
        return;
      }
      const text = found.get ? (found.set ? '[Getter/Setter]' : '[Getter]')
        : found.set ? '[Setter]' : format(state, found.value);
      push(parts, keyText(key) + ': ' + text);
    }
  };

  const isIndex = (key) => typeof key === 'string' && native.is(key, 'index');

  const elements = (state, object, length, parts) => {
    let holes = 0;
    const gap = () => {
      if (holes > 0) push(parts, '<' + holes + ' empty item' + (holes > 1 ? 's' : '') + '>');
      holes = 0;
    };
    let shown = 0;
    for (let i = 0; i < length; i++) {
      if (shown >= MAX_ITEMS || holes > 1e6) {
        const rest = length - i;
        gap();
        push(parts, '... ' + rest + ' more item' + (rest > 1 ? 's' : ''));
        return;
      }
      if (!hasOwn(object, i)) { holes++; continue; }
      gap();
      push(parts, format(state, getOwnPropertyDescriptor(object, i).value));
      shown++;
    }
    gap();
  };

  const more = (parts, size) => {
    if (size > MAX_ITEMS) push(parts, '... ' + (size - MAX_ITEMS) + ' more item' + (size - MAX_ITEMS > 1 ? 's' : ''));
  };

  const wrap = (prefix, open, parts, close, state) => {
    const head = prefix ? prefix + ' ' : '';
    if (parts.length === 0) return '' + head + open + close;
    let width = head.length + state.indent + 4;
    let short = true;
    let simple = true;
    for (let i = 0; i < parts.length; i++) {
      width += parts[i].length + 2;
      if (indexOf(parts[i], '\n') >= 0) short = false;
      if (parts[i].length > 6) simple = false;
    }
    if (short && width <= WIDTH) return '' + head + open + ' ' + join(parts, ', ') + ' ' + close;
    const inner = repeat(' ', state.indent);
    const outer = repeat(' ', state.indent - 2);
    const lines = short && simple && parts.length > 6 ? fill(parts, inner) : join(parts, ',\n' + inner);
    return '' + head + open + '\n' + inner + lines + '\n' + outer + close;
  };

  // Many short items: as many on a line as fit.
  const fill = (parts, indent) => {
    let text = '';
    let line = indent.length;
    for (let i = 0; i < parts.length; i++) {
      const item = parts[i] + (i + 1 < parts.length ? ',' : '');
      if (i > 0) {
        if (line + item.length + 1 > WIDTH) { text += '\n' + indent; line = indent.length; } else { text += ' '; line++; }
      }
      text += item;
      line += item.length;
    }
    return text;
  };

  const errorText = (state, error) => {
    let text = '';
    try {
      const stack = call(kit.stackOf, error);
      const shown = typeof error.stack === 'string' ? error.stack : stack;
      const name = kit.string(error.name);
      const message = kit.string(error.message);
      const head = message ? name + ': ' + message : name;
      const frames = typeof shown === 'string' ? userFrames(shown) : '';
      text = startsWith(frames, head) ? frames : frames ? head + '\n' + frames : head;
    } catch {
      return '[an error that cannot be read]';
    }
    const parts = [];
    properties(state, error, parts, (key) => key === 'stack' || key === 'message' || key === 'name');
    const cause = getOwnPropertyDescriptor(error, 'cause');
    if (cause && 'value' in cause && !cause.enumerable) push(parts, '[cause]: ' + format(state, cause.value));
    const list = getOwnPropertyDescriptor(error, 'errors');
    if (list && 'value' in list && !list.enumerable) push(parts, '[errors]: ' + format(state, list.value));
    if (indexOf(text, '\n') < 0 && state.depth > 1) text = '[' + text + ']';
    return parts.length ? wrap(text, '{', parts, '}', state) : replace(text, '\n', '\n' + repeat(' ', state.indent - 2));
  };

  // A stack without the frames of the guest itself.
  const userFrames = (stack) => {
    const lines = kit.split(stack, '\n');
    const kept = [];
    for (let i = 0; i < lines.length; i++) {
      if (lines[i] !== '' && indexOf(lines[i], 'lockgate:') < 0 && indexOf(lines[i], '(native)') < 0) push(kept, lines[i]);
    }
    return join(kept, '\n');
  };

  const functionName = (value) => {
    const name = getOwnPropertyDescriptor(value, 'name');
    const text = name && typeof name.value === 'string' && name.value !== '' ? ': ' + name.value : ' (anonymous)';
    const isClass = startsWith(functionText(value), 'class');
    if (isClass) return '[class ' + (name && typeof name.value === 'string' && name.value ? name.value : '(anonymous)') + ']';
    const kind = className(value);
    return '[' + (kind === 'AsyncFunction' || kind === 'GeneratorFunction' || kind === 'AsyncGeneratorFunction' ? kind : 'Function') + text + ']';
  };

  const body = (state, value, kind, name) => {
    const parts = [];
    const titled = (usual) => (name === usual ? '' : name === null ? '[' + usual + ': null prototype]' : name);
    switch (kind) {
      case 'Array': {
        elements(state, value, value.length, parts);
        properties(state, value, parts, isIndex);
        return wrap(name === 'Array' ? '' : (name ?? '[Array: null prototype]') + '(' + value.length + ')', '[', parts, ']', state);
      }
      case 'Map': {
        let shown = 0;
        mapEach(value, (item, key) => {
          if (shown++ < MAX_ITEMS) push(parts, format(state, key) + ' => ' + format(state, item));
        });
        more(parts, mapSize(value));
        properties(state, value, parts);
        return wrap((name ?? 'Map') + '(' + mapSize(value) + ')', '{', parts, '}', state);
      }
      case 'Set': {
        let shown = 0;
        setEach(value, (item) => { if (shown++ < MAX_ITEMS) push(parts, format(state, item)); });
        more(parts, setSize(value));
        properties(state, value, parts);
        return wrap((name ?? 'Set') + '(' + setSize(value) + ')', '{', parts, '}', state);
      }
      case 'TypedArray': {
        const length = typedLength(value);
        for (let i = 0; i < length && i < MAX_ITEMS; i++) push(parts, primitive(value[i]));
        more(parts, length);
        return wrap(typedName(value) + '(' + length + ')', '[', parts, ']', state);
      }
      case 'ArrayBuffer': {
        push(parts, 'byteLength: ' + kit.bufferLength(value));
        return wrap('ArrayBuffer', '{', parts, '}', state);
      }
      case 'Promise': {
        const settled = native.promiseState(value);
        if (settled[0] === 'pending') push(parts, '<pending>');
        else push(parts, (settled[0] === 'rejected' ? '<rejected> ' : '') + format(state, settled[1]));
        properties(state, value, parts);
        return wrap('Promise', '{', parts, '}', state);
      }
      default: {
        properties(state, value, parts);
        if (kind === 'Function') return parts.length ? wrap(functionName(value), '{', parts, '}', state) : functionName(value);
        return wrap(titled('Object'), '{', parts, '}', state);
      }
    }
  };

  const leaf = (state, value, kind) => {
    switch (kind) {
      case 'Date': return dateValue(value) !== dateValue(value) ? 'Invalid Date' : dateText(value);
      case 'RegExp': return regexpText(value);
      case 'Error': return errorText(state, value);
      case 'WeakMap': case 'WeakSet': return kind + ' { <items unknown> }';
      case 'WeakRef': return 'WeakRef { <ref> }';
      default: return undefined;
    }
  };

  // Whether showing a value means showing others inside it.
  const isDeep = (value, kind) => {
    switch (kind) {
      case 'Date': case 'RegExp': case 'Error': case 'Function': case 'WeakMap': case 'WeakSet': case 'WeakRef': return false;
      case 'Object': case 'Array': return kit.keys(value).length > 0;
      default: return true;
    }
  };

  const format = (state, value) => {
    if (!kit.isObject(value)) return primitive(value, false);
    for (let i = 0; i < state.seen.length; i++) if (state.seen[i] === value) return '[Circular *]';
    let kind = native.classOf(value);
    while (kind === 'Proxy') {
      value = native.proxyTarget(value);
      if (value === undefined) return '<Revoked Proxy>';
      kind = native.classOf(value);
    }
    const show = value[custom];
    if (typeof show === 'function') {
      const shown = call(show, value, MAX_DEPTH - state.depth, {}, kit.inspect);
      if (shown !== value) return typeof shown === 'string' ? shown : format(state, shown);
    }
    const name = className(value);
    if (state.depth > MAX_DEPTH && isDeep(value, kind)) {
      return kind === 'Array' ? '[Array]' : '[' + (name ?? 'Object: null prototype') + ']';
    }
    push(state.seen, value);
    state.depth++;
    state.indent += 2;
    const text = leaf(state, value, kind) ?? body(state, value, kind, name);
    state.depth--;
    state.indent -= 2;
    state.seen.length--;
    return text;
  };

  kit.inspect = (value) => {
    try {
      return format({ __proto__: null, seen: [], depth: 0, indent: 0 }, value);
    } catch {
      return '[a value that cannot be shown]';
    }
  };

  // One `%` directive with its value as text; undefined where the letter is none.
  const directive = (letter, value) => {
    switch (letter) {
      case 's': return kit.isObject(value) ? kit.inspect(value) : primitive(value, true);
      case 'd': return typeof value === 'bigint' ? primitive(value) : primitive(toNumber(value));
      case 'i': return primitive(kit.isObject(value) || typeof value === 'symbol' ? NaN : parseInt(value));
      case 'f': return primitive(typeof value === 'symbol' ? NaN : parseFloat(value));
      case 'j': try { return stringify(value) ?? 'undefined'; } catch { return '[Circular]'; }
      case 'o': case 'O': return kit.inspect(value);
      case 'c': return '';
      default: return undefined;
    }
  };
  const toNumber = (value) => (kit.isObject(value) || typeof value === 'symbol' ? NaN : +value);

  const formatted = (args) => {
    const first = args[0];
    if (args.length < 2 || typeof first !== 'string' || indexOf(first, '%') < 0) return undefined;
    let next = 1;
    let text = '';
    for (let at = 0; at < first.length; at++) {
      const letter = first[at] === '%' ? first[at + 1] : undefined;
      const shown = letter === '%' ? '%' : letter && next < args.length ? directive(letter, args[next]) : undefined;
      if (shown === undefined) {
        text += first[at];
        continue;
      }
      if (letter !== '%') next++;
      text += shown;
      at++;
    }
    return { text, next };
  };

  // The arguments of a console call as one text.
  kit.formatAll = (args) => {
    const start = formatted(args);
    let text = start ? start.text : '';
    for (let i = start ? start.next : 0; i < args.length; i++) {
      const item = args[i];
      text += (i > 0 ? ' ' : '') + (typeof item === 'string' ? item : kit.inspect(item));
    }
    return text;
  };
})
