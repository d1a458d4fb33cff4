// Sealed values: results that stay with the gate. A program holds a number for each, and no content.
(function (kit) {
  'use strict';
  const { TypeError } = globalThis;
  const { native, string, hide, tag, replace, startsWith } = kit;

  // The handle by which sealed values are opened and given up.
  let handle;
  kit.openWith = (given) => { handle = given; };

  const key = (name) => '/' + replace(replace(string(name), '~', '~0'), '/', '~1');

  class Sealed {
    #number;
    #pointer;
    #asText;
    static {
      kit.isSealed = (value) => kit.isObject(value) && #number in value;
      // What stands for it where it crosses.
      kit.sealedParts = (sealed) => [sealed.#number, sealed.#pointer, sealed.#asText];
      kit.sealed = (number, asText = false) => {
        const sealed = new Sealed();
        sealed.#number = number;
        sealed.#asText = asText;
        return sealed;
      };
    }

    constructor() {
      this.#number = 0;
      this.#pointer = '';
      this.#asText = false;
    }

    async open() { return await native.request(handle, 'open', { value: this }); }
    async drop() { return await native.request(handle, 'drop', { value: this.#number }); }
    // A part of it, by key, index or JSON Pointer.
    at(name) {
      const part = kit.sealed(this.#number);
      part.#pointer = this.#pointer + (typeof name === 'string' && startsWith(name, '/') ? name : key(name));
      return part;
    }
    // The same bytes as UTF-8 text.
    text() {
      const text = kit.sealed(this.#number, true);
      text.#pointer = this.#pointer;
      return text;
    }
  }
  delete Sealed.prototype.constructor;
  // The native side knows by this function that an object is sealed; JSON has no form of one.
  kit.sealedJson = function toJSON() { throw new TypeError('a sealed value cannot be read; open it first'); };
  hide(Sealed.prototype, 'toJSON', kit.sealedJson);
  tag(Sealed, 'Sealed');
})
