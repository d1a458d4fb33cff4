// What the other pieces build on: the language's own functions, taken before user code can replace them.
// A call here never goes through a property that user code can reach.
(function (kit) {
  'use strict';
  const { Array, ArrayBuffer, DataView, Error, Map, Object, Promise, Reflect, Set, String, Symbol, TypeError, Uint8Array, DOMException, JSON } = globalThis;
  const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Reflect;
  const { create, freeze, setPrototypeOf, keys } = Object;

  const uncurry = (f) => (self, ...args) => apply(f, self, args);
  const getter = (proto, name) => uncurry(getOwnPropertyDescriptor(proto, name).get);
  const typedArray = getPrototypeOf(Uint8Array.prototype);

  // Own properties, whatever setters a prototype has: `own` is listed, `hide` is not. `push` makes an own element.
  const { own, hide, push } = kit.native;

  // Changes to lists that ask no constructor for a new one, as `splice` and `slice` do.
  const removeAt = (list, at) => {
    const item = list[at];
    for (let i = at + 1; i < list.length; i++) list[i - 1] = list[i];
    list.length--;
    return item;
  };
  const insertAt = (list, at, item) => {
    push(list, item);
    for (let i = list.length - 1; i > at; i--) list[i] = list[i - 1];
    list[at] = item;
  };
  const copyOf = (list) => {
    const copy = [];
    for (let i = 0; i < list.length; i++) push(copy, list[i]);
    return copy;
  };

  // A value as a string, as the standards convert it: a symbol is an error.
  const string = (value) => {
    if (typeof value === 'symbol') throw new TypeError('a symbol is no string');
    return typeof value === 'string' ? value : String(value);
  };

  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';
  const isView = ArrayBuffer.isView;
  const viewBuffer = { typed: getter(typedArray, 'buffer'), data: getter(DataView.prototype, 'buffer') };
  const viewOffset = { typed: getter(typedArray, 'byteOffset'), data: getter(DataView.prototype, 'byteOffset') };
  const viewLength = { typed: getter(typedArray, 'byteLength'), data: getter(DataView.prototype, 'byteLength') };
  const typedName = getter(typedArray, Symbol.toStringTag);
  const bufferLength = getter(ArrayBuffer.prototype, 'byteLength');

  // The bytes of an ArrayBuffer or of a view, shared with it; undefined for anything else.
  const bytesOf = (value) => {
    if (isView(value)) {
      const kind = typedName(value) === undefined ? 'data' : 'typed';
      return new Uint8Array(viewBuffer[kind](value), viewOffset[kind](value), viewLength[kind](value));
    }
    return kit.native.classOf(value) === 'ArrayBuffer' ? new Uint8Array(value) : undefined;
  };

  // Any iterable as an array.
  const listOf = (iterable) => {
    const list = [];
    for (const item of iterable) push(list, item);
    return list;
  };

  // Own methods of a class that show up when an instance is inspected by name must be listed, as the standards ask.
  const enumerable = (proto, names) => {
    for (let i = 0; i < names.length; i++) {
      const descriptor = getOwnPropertyDescriptor(proto, names[i]);
      descriptor.enumerable = true;
      defineProperty(proto, names[i], descriptor);
    }
  };

  const tag = (klass, name) =>
    defineProperty(klass.prototype, Symbol.toStringTag, { __proto__: null, value: name, configurable: true });

  class LockgateError extends Error {
    constructor(message, options) {
      super(message, options);
      if (options && options.code !== undefined) own(this, 'code', options.code);
      if (options && options.hint !== undefined) own(this, 'hint', options.hint);
    }
  }
  hide(LockgateError.prototype, 'name', 'LockgateError');

  const { native } = kit;
  kit.refusal = (code, message, hint) => {
    const error = native.bareError(message, LockgateError.prototype);
    own(error, 'code', code);
    if (hint !== undefined) own(error, 'hint', hint);
    return error;
  };

  // An uncaught exception of a callback ends the program.
  const microtask = queueMicrotask;
  kit.uncaught = (error) => microtask(() => { throw error; });
  kit.microtask = microtask;

  kit.stackOf = getOwnPropertyDescriptor(Error.prototype, 'stack').get;
  // Structured call sites would hand out the functions of this file.
  delete Error.prepareStackTrace;

  Object.assign(kit, {
    apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf, setPrototypeOf,
    create, freeze, keys, uncurry, getter, own, hide, push, removeAt, insertAt, copyOf, isObject, isView, bytesOf, listOf, enumerable, tag,
    typedName, bufferLength, LockgateError, DOMException,
    hasOwn: Object.hasOwn,
    string,
    call: uncurry(Function.prototype.call),
    join: uncurry(Array.prototype.join),
    sort: uncurry(Array.prototype.sort),
    setBytes: uncurry(typedArray.set),
    subarray: uncurry(typedArray.subarray),
    sliceBytes: uncurry(typedArray.slice),
    replace: native.replace,
    lower: uncurry(String.prototype.toLowerCase),
    upper: uncurry(String.prototype.toUpperCase),
    indexOf: uncurry(String.prototype.indexOf),
    lastIndexOf: uncurry(String.prototype.lastIndexOf),
    substring: uncurry(String.prototype.slice),
    trim: uncurry(String.prototype.trim),
    repeat: uncurry(String.prototype.repeat),
    split: native.split,
    startsWith: uncurry(String.prototype.startsWith),
    charCode: uncurry(String.prototype.charCodeAt),
    wellFormed: uncurry(String.prototype.toWellFormed),
    is: native.is,
    then: native.then,
    resolved: (value) => new Promise((resolve) => resolve(value)),
    rejected: (reason) => new Promise((_, reject) => reject(reason)),
    mapGet: uncurry(Map.prototype.get),
    mapSet: uncurry(Map.prototype.set),
    mapHas: uncurry(Map.prototype.has),
    mapDelete: uncurry(Map.prototype.delete),
    mapEach: uncurry(Map.prototype.forEach),
    setAdd: uncurry(Set.prototype.add),
    setHas: uncurry(Set.prototype.has),
    setDelete: uncurry(Set.prototype.delete),
    setEach: uncurry(Set.prototype.forEach),
    global: (name, value) => hide(globalThis, name, value),
    // What the native side puts on the global object where its grant is held.
    grants: create(null),
    parse: JSON.parse,
    stringify: JSON.stringify,
  });

  kit.global('LockgateError', LockgateError);
})
