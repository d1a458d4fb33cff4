// structuredClone.
(function (kit) {
  'use strict';
  const { ArrayBuffer, BigInt, Boolean, DataView, Date, Error, Map, Number, Object, RangeError, RegExp, Set, String, TypeError, Uint8Array } = globalThis;
  const { string } = kit;
  const { native, global, keys, mapGet, mapSet, mapHas, mapEach, setAdd, setEach, own, getter, uncurry, DOMException } = kit;
  const dateValue = uncurry(Date.prototype.getTime);
  const sliceBuffer = uncurry(ArrayBuffer.prototype.slice);
  const transferBuffer = uncurry(ArrayBuffer.prototype.transfer);
  const source = getter(RegExp.prototype, 'source');
  const flags = getter(RegExp.prototype, 'flags');
  const valueOf = { Number: uncurry(Number.prototype.valueOf), String: uncurry(String.prototype.valueOf), Boolean: uncurry(Boolean.prototype.valueOf), BigInt: uncurry(BigInt.prototype.valueOf) };
  const typed = { __proto__: null };
  for (const klass of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    Float16Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array]) typed[klass.name] = klass;
  const errors = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const dataView = DataView;
  const viewBuffer = getter(DataView.prototype, 'buffer');
  const viewOffset = getter(DataView.prototype, 'byteOffset');
  const viewLength = getter(DataView.prototype, 'byteLength');
  const arrayBuffer = getter(kit.getPrototypeOf(Uint8Array.prototype), 'buffer');
  const arrayOffset = getter(kit.getPrototypeOf(Uint8Array.prototype), 'byteOffset');
  const arrayLength = getter(kit.getPrototypeOf(Uint8Array.prototype), 'length');
  const MAX_DEPTH = 1000;

  const refuse = (what) => new DOMException(what + ' could not be cloned.', 'DataCloneError');

  const boxed = (value) => {
    const names = ['Number', 'String', 'Boolean', 'BigInt'];
    for (let i = 0; i < names.length; i++) {
      try {
        return Object(valueOf[names[i]](value));
      } catch { /* of another class */ }
    }
    return undefined;
  };

  const cloneError = (value, seen, depth) => {
    const name = string(value.name);
    const message = kit.getOwnPropertyDescriptor(value, 'message');
    const copy = new (errors[name] ?? Error)();
    mapSet(seen, value, copy);
    if (message && 'value' in message) kit.hide(copy, 'message', string(message.value));
    if (typeof value.stack === 'string') kit.hide(copy, 'stack', value.stack);
    const cause = kit.getOwnPropertyDescriptor(value, 'cause');
    if (cause && 'value' in cause) kit.hide(copy, 'cause', clone(cause.value, seen, depth));
    return copy;
  };

  const cloneMembers = (value, copy, seen, depth) => {
    const names = keys(value);
    for (let i = 0; i < names.length; i++) own(copy, names[i], clone(value[names[i]], seen, depth));
    return copy;
  };

  const clone = (value, seen, depth) => {
    if (typeof value === 'symbol') throw refuse(kit.inspect(value));
    if (typeof value === 'function') throw refuse(kit.inspect(value));
    if (!kit.isObject(value)) return value;
    if (mapHas(seen, value)) return mapGet(seen, value);
    if (depth > MAX_DEPTH) throw new RangeError('a value nests too deeply to be cloned');
    const keep = (copy) => {
      mapSet(seen, value, copy);
      return copy;
    };
    const next = depth + 1;
    switch (native.classOf(value)) {
      case 'Object': return cloneMembers(value, keep({}), seen, next);
      case 'Array': {
        const copy = keep([]);
        copy.length = value.length;
        return cloneMembers(value, copy, seen, next);
      }
      case 'Date': return keep(new Date(dateValue(value)));
      case 'RegExp': return keep(new RegExp(source(value), flags(value)));
      case 'Map': {
        const copy = keep(new Map());
        const rows = [];
        mapEach(value, (item, key) => kit.push(rows, [key, item]));
        for (let i = 0; i < rows.length; i++) mapSet(copy, clone(rows[i][0], seen, next), clone(rows[i][1], seen, next));
        return copy;
      }
      case 'Set': {
        const copy = keep(new Set());
        const rows = [];
        setEach(value, (item) => kit.push(rows, item));
        for (let i = 0; i < rows.length; i++) setAdd(copy, clone(rows[i], seen, next));
        return copy;
      }
      case 'ArrayBuffer': return keep(sliceBuffer(value, 0));
      case 'TypedArray':
        return keep(new typed[kit.typedName(value)](clone(arrayBuffer(value), seen, next), arrayOffset(value), arrayLength(value)));
      case 'DataView':
        return keep(new dataView(clone(viewBuffer(value), seen, next), viewOffset(value), viewLength(value)));
      case 'Error': return cloneError(value, seen, next);
      default: {
        const copy = boxed(value);
        if (copy === undefined) throw refuse(kit.inspect(value));
        return keep(copy);
      }
    }
  };

  global('structuredClone', function structuredClone(value, options = {}) {
    if (arguments.length === 0) throw new TypeError('structuredClone takes a value');
    const seen = new Map();
    const transfer = options?.transfer ? kit.listOf(options.transfer) : [];
    for (let i = 0; i < transfer.length; i++) {
      if (native.classOf(transfer[i]) !== 'ArrayBuffer') throw refuse('A value that is no ArrayBuffer');
    }
    for (let i = 0; i < transfer.length; i++) mapSet(seen, transfer[i], transferBuffer(transfer[i]));
    return clone(value, seen, 0);
  });
})
