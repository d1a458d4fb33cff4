// Math.random and crypto: all from the host's seed.
(function (kit) {
  'use strict';
  const { Math, TypeError, Uint8Array } = globalThis;
  const { string } = kit;
  const { native, global, hide, bytesOf, typedName, upper, DOMException, tag } = kit;

  const random = native.random;
  hide(Math, 'random', random);

  const MAX_FILL = 65536;
  const buffer = kit.getter(kit.getPrototypeOf(Uint8Array.prototype), 'buffer');
  const hex = [];
  for (let i = 0; i < 256; i++) kit.push(hex, (i + 256).toString(16).slice(1));
  const integers = { __proto__: null, Int8Array: 1, Uint8Array: 1, Uint8ClampedArray: 1, Int16Array: 1, Uint16Array: 1,
    Int32Array: 1, Uint32Array: 1, BigInt64Array: 1, BigUint64Array: 1 };

  class SubtleCrypto {
    constructor() { throw new TypeError('Illegal constructor'); }
    async digest(algorithm, data) {
      const name = upper(string(kit.isObject(algorithm) ? algorithm.name : algorithm));
      const bytes = bytesOf(data);
      if (bytes === undefined) throw new TypeError('digest takes an ArrayBuffer or a view of one');
      const sum = native.digest(name, bytes);
      if (sum === undefined) throw new DOMException('the digest `' + name + '` is not supported', 'NotSupportedError');
      return buffer(sum);
    }
  }

  class Crypto {
    constructor() { throw new TypeError('Illegal constructor'); }
    get subtle() { return subtle; }
    getRandomValues(array) {
      if (integers[typedName(array)] !== 1) {
        throw new DOMException('getRandomValues fills an array of integers', 'TypeMismatchError');
      }
      const bytes = bytesOf(array);
      if (bytes.length > MAX_FILL) {
        throw new DOMException('getRandomValues fills at most ' + MAX_FILL + ' bytes', 'QuotaExceededError');
      }
      native.fillRandom(bytes);
      return array;
    }
    randomUUID() {
      const b = native.fillRandom(new Uint8Array(16));
      b[6] = (b[6] & 0x0f) | 0x40;
      b[8] = (b[8] & 0x3f) | 0x80;
      let text = '';
      for (let i = 0; i < 16; i++) text += (i === 4 || i === 6 || i === 8 || i === 10 ? '-' : '') + hex[b[i]];
      return text;
    }
  }

  tag(SubtleCrypto, 'SubtleCrypto');
  tag(Crypto, 'Crypto');
  const subtle = kit.create(SubtleCrypto.prototype);
  global('Crypto', Crypto);
  global('SubtleCrypto', SubtleCrypto);
  global('crypto', kit.create(Crypto.prototype));
  kit.randomBytes = (n) => native.fillRandom(new Uint8Array(n));

  // The engine's own `performance` counts from a start that the image froze.
  class Performance {
    constructor() { throw new TypeError('Illegal constructor'); }
    now() { return native.now() - native.origin(); }
    get timeOrigin() { return native.origin(); }
    toJSON() { return { timeOrigin: this.timeOrigin }; }
  }
  tag(Performance, 'Performance');
  global('Performance', Performance);
  global('performance', kit.create(Performance.prototype));
})
