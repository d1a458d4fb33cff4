// TextEncoder and TextDecoder.
(function (kit) {
  'use strict';
  const { Boolean, RangeError, TypeError, Uint8Array } = globalThis;
  const { string } = kit;
  const { native, global, tag, enumerable, bytesOf, lower, trim, hide, setBytes, subarray, sliceBytes } = kit;

  const LABELS = {
    __proto__: null,
    'utf-8': 'utf-8', utf8: 'utf-8', 'unicode-1-1-utf-8': 'utf-8', unicode11utf8: 'utf-8', unicode20utf8: 'utf-8',
    'x-unicode20utf8': 'utf-8',
    'utf-16le': 'utf-16le', 'utf-16': 'utf-16le', ucs2: 'utf-16le', 'ucs-2': 'utf-16le', unicode: 'utf-16le',
    csunicode: 'utf-16le', 'iso-10646-ucs-2': 'utf-16le', unicodefeff: 'utf-16le',
    'utf-16be': 'utf-16be', unicodefffe: 'utf-16be',
    latin1: 'windows-1252', 'iso-8859-1': 'windows-1252', 'iso8859-1': 'windows-1252', iso88591: 'windows-1252',
    'iso_8859-1': 'windows-1252', 'iso_8859-1:1987': 'windows-1252', 'iso-ir-100': 'windows-1252', l1: 'windows-1252',
    ascii: 'windows-1252', 'us-ascii': 'windows-1252', 'ansi_x3.4-1968': 'windows-1252', cp1252: 'windows-1252',
    cp819: 'windows-1252', ibm819: 'windows-1252', csisolatin1: 'windows-1252', 'windows-1252': 'windows-1252',
    'x-cp1252': 'windows-1252',
  };

  kit.utf8 = (text) => native.utf8Encode(kit.string(text));
  kit.utf8Text = (bytes) => native.utf8Decode(bytes, false, false)[0];

  class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(input = '') { return native.utf8Encode(string(input)); }
    encodeInto(source, destination) {
      if (kit.typedName(destination) !== 'Uint8Array') throw new TypeError('encodeInto writes to a Uint8Array');
      const done = native.utf8EncodeInto(string(source), destination);
      return { read: done[0], written: done[1] };
    }
  }

  class TextDecoder {
    #encoding;
    #fatal;
    #ignoreBOM;
    #rest = undefined;
    #started = false;

    constructor(label = 'utf-8', options = {}) {
      const encoding = LABELS[lower(trim(string(label)))];
      if (encoding === undefined) throw new RangeError('the encoding `' + label + '` is not supported');
      this.#encoding = encoding;
      this.#fatal = Boolean(options?.fatal);
      this.#ignoreBOM = Boolean(options?.ignoreBOM);
    }

    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }

    decode(input, options = {}) {
      let bytes = input === undefined ? new Uint8Array(0) : bytesOf(input);
      if (bytes === undefined) throw new TypeError('decode takes an ArrayBuffer or a view of one');
      const more = Boolean(options?.stream);
      if (this.#rest !== undefined) {
        const joined = new Uint8Array(this.#rest.length + bytes.length);
        setBytes(joined, this.#rest);
        setBytes(joined, bytes, this.#rest.length);
        bytes = joined;
        this.#rest = undefined;
      }
      const done = this.#run(bytes, more);
      if (done === undefined) {
        this.#started = false;
        throw new TypeError('the bytes are not valid ' + this.#encoding);
      }
      if (more && done[1] < bytes.length) this.#rest = sliceBytes(subarray(bytes, done[1]));
      let text = done[0];
      if (!this.#started && text !== '') {
        if (!this.#ignoreBOM && this.#encoding !== 'windows-1252' && kit.charCode(text, 0) === 0xfeff) {
          text = kit.substring(text, 1);
        }
        this.#started = true;
      }
      if (!more) this.#started = false;
      return text;
    }

    #run(bytes, more) {
      switch (this.#encoding) {
        case 'utf-8': return native.utf8Decode(bytes, this.#fatal, more);
        case 'windows-1252': return [native.latin1Decode(bytes), bytes.length];
        default: return native.utf16Decode(bytes, this.#encoding === 'utf-16be', this.#fatal, more);
      }
    }
  }

  tag(TextEncoder, 'TextEncoder');
  tag(TextDecoder, 'TextDecoder');
  enumerable(TextEncoder.prototype, ['encoding', 'encode', 'encodeInto']);
  enumerable(TextDecoder.prototype, ['encoding', 'fatal', 'ignoreBOM', 'decode']);
  global('TextEncoder', TextEncoder);
  global('TextDecoder', TextDecoder);
})
