// Blob, File, FormData, Headers, and the bodies of requests and responses.
(function (kit) {
  'use strict';
  const { Symbol, TypeError, Uint8Array } = globalThis;
  const { string } = kit;
  const { native, global, tag, push, listOf, bytesOf, setBytes, subarray, sliceBytes, lower, upper, trim, is, join } = kit;
  const { replace, startsWith, indexOf, hide, sort, utf8, utf8Text, enumerable } = kit;
  const bufferOf = kit.getter(kit.getPrototypeOf(Uint8Array.prototype), 'buffer');
  const text = (value) => kit.wellFormed(string(value));

  const joined = (chunks) => {
    if (chunks.length === 1) return chunks[0];
    let size = 0;
    for (let i = 0; i < chunks.length; i++) size += chunks[i].length;
    const all = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < chunks.length; i++) {
      setBytes(all, chunks[i], at);
      at += chunks[i].length;
    }
    return all;
  };

  // A stream of bytes: what `body` is. It is read once, by a reader or by iteration.
  class ByteStream {
    #pull;
    #stop;
    #reader = null;
    #ended = false;
    #error = undefined;

    constructor(pull, stop) {
      this.#pull = pull;
      this.#stop = stop;
    }

    get locked() { return this.#reader !== null; }

    async #next() {
      if (this.#error) throw this.#error.reason;
      if (this.#ended) return null;
      try {
        const chunk = await this.#pull();
        if (chunk === null) this.#ended = true;
        return chunk;
      } catch (reason) {
        this.#error = { reason };
        throw reason;
      }
    }

    async #end(reason) {
      if (this.#ended || this.#error) return;
      this.#ended = true;
      if (this.#stop) await this.#stop(reason);
    }

    getReader() {
      if (this.#reader) throw new TypeError('the stream is locked to a reader');
      const live = () => {
        if (this.#reader !== reader) throw new TypeError('the reader has been released');
      };
      let closed;
      const reader = {
        read: async () => {
          live();
          const value = await this.#next();
          return value === null ? { value: undefined, done: true } : { value, done: false };
        },
        cancel: async (reason) => {
          live();
          await this.#end(reason);
        },
        releaseLock: () => { if (this.#reader === reader) this.#reader = null; },
        get closed() { return closed ??= kit.resolved(undefined); },
      };
      this.#reader = reader;
      return reader;
    }

    async cancel(reason) {
      if (this.#reader) throw new TypeError('the stream is locked to a reader');
      await this.#end(reason);
    }

    async *values() {
      const reader = this.getReader();
      try {
        for (;;) {
          const chunk = await this.#next();
          if (chunk === null) return;
          yield chunk;
        }
      } finally {
        await this.#end();
        reader.releaseLock();
      }
    }

    // Two streams that each give all of this one.
    tee() {
      const reader = this.getReader();
      const chunks = [];
      let pulling = null;
      let ended = false;
      const branch = () => {
        let at = 0;
        return new ByteStream(async () => {
          while (at >= chunks.length) {
            if (ended) return null;
            pulling ??= (async () => {
              try {
                const step = await reader.read();
                if (step.done) ended = true;
                else push(chunks, step.value);
              } finally {
                pulling = null;
              }
            })();
            await pulling;
          }
          return sliceBytes(chunks[at++]);
        });
      };
      return [branch(), branch()];
    }

    async all() {
      const chunks = [];
      const reader = this.getReader();
      for (;;) {
        const step = await reader.read();
        if (step.done) return chunks.length ? joined(chunks) : new Uint8Array(0);
        push(chunks, step.value);
      }
    }
  }
  hide(ByteStream.prototype, Symbol.asyncIterator, ByteStream.prototype.values);
  tag(ByteStream, 'ReadableStream');
  const { all, tee, getReader } = ByteStream.prototype;
  delete ByteStream.prototype.all;
  const locked = kit.getter(ByteStream.prototype, 'locked');
  delete ByteStream.prototype.constructor;

  const streamOf = (bytes) => {
    let left = bytes.length > 0 ? bytes : null;
    return new ByteStream(async () => {
      const chunk = left;
      left = null;
      return chunk;
    });
  };
  const isStream = (value) => {
    try {
      locked(value);
      return true;
    } catch {
      return false;
    }
  };

  let blobBytes;
  class Blob {
    #bytes;
    #type;
    static { blobBytes = (blob) => blob.#bytes; }

    constructor(parts = [], options = {}) {
      const chunks = [];
      const list = listOf(parts);
      for (let i = 0; i < list.length; i++) {
        const part = list[i];
        const bytes = isBlob(part) ? blobBytes(part) : bytesOf(part);
        push(chunks, bytes === undefined ? utf8(text(part)) : sliceBytes(bytes));
      }
      this.#bytes = chunks.length ? joined(chunks) : new Uint8Array(0);
      const type = string(options?.type ?? '');
      this.#type = is(type, 'printable') ? lower(type) : '';
    }

    get size() { return this.#bytes.length; }
    get type() { return this.#type; }
    slice(start = 0, end = this.#bytes.length, type = '') { return new Blob([sliceBytes(this.#bytes, start, end)], { type }); }
    async arrayBuffer() { return bufferOf(sliceBytes(this.#bytes)); }
    async bytes() { return sliceBytes(this.#bytes); }
    async text() { return utf8Text(this.#bytes); }
    stream() { return streamOf(sliceBytes(this.#bytes)); }
  }
  const isBlob = (value) => {
    try {
      blobBytes(value);
      return true;
    } catch {
      return false;
    }
  };

  class File extends Blob {
    #name;
    #modified;
    constructor(parts, name, options = {}) {
      super(parts, options);
      this.#name = text(name);
      this.#modified = options?.lastModified === undefined ? native.now() : +options.lastModified;
    }
    get name() { return this.#name; }
    get lastModified() { return this.#modified; }
  }

  let formEntries;
  class FormData {
    #entries = [];
    static { formEntries = (form) => form.#entries; }

    constructor() {
      if (arguments.length > 0 && arguments[0] !== undefined) throw new TypeError('there are no form elements here');
    }
    #entry(name, value, filename) {
      if (!isBlob(value)) return [text(name), text(value)];
      const given = filename === undefined ? value.name ?? 'blob' : text(filename);
      return [text(name), new File([value], given, { type: value.type })];
    }
    append(name, value, filename) { push(this.#entries, this.#entry(name, value, filename)); }
    set(name, value, filename) {
      const entry = this.#entry(name, value, filename);
      const kept = [];
      let placed = false;
      for (let i = 0; i < this.#entries.length; i++) {
        if (this.#entries[i][0] !== entry[0]) push(kept, this.#entries[i]);
        else if (!placed) placed = push(kept, entry);
      }
      if (!placed) push(kept, entry);
      this.#entries = kept;
    }
    delete(name) {
      name = text(name);
      const kept = [];
      for (let i = 0; i < this.#entries.length; i++) if (this.#entries[i][0] !== name) push(kept, this.#entries[i]);
      this.#entries = kept;
    }
    getAll(name) {
      name = text(name);
      const found = [];
      for (let i = 0; i < this.#entries.length; i++) if (this.#entries[i][0] === name) push(found, this.#entries[i][1]);
      return found;
    }
    get(name) { return this.getAll(name)[0] ?? null; }
    has(name) { return this.getAll(name).length > 0; }
    forEach(callback, self = undefined) {
      for (let i = 0; i < this.#entries.length; i++) kit.call(callback, self, this.#entries[i][1], this.#entries[i][0], this);
    }
    *entries() { for (let i = 0; i < this.#entries.length; i++) yield [this.#entries[i][0], this.#entries[i][1]]; }
    *keys() { for (let i = 0; i < this.#entries.length; i++) yield this.#entries[i][0]; }
    *values() { for (let i = 0; i < this.#entries.length; i++) yield this.#entries[i][1]; }
  }
  hide(FormData.prototype, Symbol.iterator, FormData.prototype.entries);
  const isForm = (value) => {
    try {
      formEntries(value);
      return true;
    } catch {
      return false;
    }
  };

  const escaped = (name) => replace(replace(native.crlf(name), '\r\n', '%0D%0A'), '"', '%22');
  const multipart = (form) => {
    const mark = '----lockgate-' + (join(listOf(kit.randomBytes(12)), '-'));
    const chunks = [];
    const entries = formEntries(form);
    for (let i = 0; i < entries.length; i++) {
      const name = escaped(entries[i][0]);
      const value = entries[i][1];
      let head = '--' + mark + '\r\nContent-Disposition: form-data; name="' + name + '"';
      if (typeof value === 'string') {
        push(chunks, utf8(head + '\r\n\r\n' + native.crlf(value) + '\r\n'));
      } else {
        head += '; filename="' + escaped(value.name) + '"\r\nContent-Type: ' + (value.type || 'application/octet-stream') + '\r\n\r\n';
        push(chunks, utf8(head));
        push(chunks, blobBytes(value));
        push(chunks, utf8('\r\n'));
      }
    }
    push(chunks, utf8('--' + mark + '--\r\n'));
    return { bytes: joined(chunks), type: 'multipart/form-data; boundary=' + mark };
  };

  // Bytes or stream of what a program gives as a body, and the content type that goes with it.
  kit.bodyOf = (value) => {
    if (value === null || value === undefined) return { stream: null, type: null };
    if (isStream(value)) {
      if (locked(value)) throw new TypeError('the body is locked to a reader');
      return { stream: value, type: null };
    }
    if (isBlob(value)) return { stream: streamOf(sliceBytes(blobBytes(value))), type: value.type || null };
    const bytes = kit.isObject(value) ? bytesOf(value) : undefined;
    if (bytes !== undefined) return { stream: streamOf(sliceBytes(bytes)), type: null };
    if (isForm(value)) {
      const form = multipart(value);
      return { stream: streamOf(form.bytes), type: form.type };
    }
    const isQuery = kit.isObject(value) && value instanceof kit.URLSearchParams;
    const type = isQuery ? 'application/x-www-form-urlencoded;charset=UTF-8' : 'text/plain;charset=UTF-8';
    return { stream: streamOf(utf8(text(value))), type };
  };

  class Headers {
    #rows = [];

    constructor(init = undefined) {
      if (init === undefined || init === null) return;
      if (!kit.isObject(init)) throw new TypeError('headers come from an object or from pairs');
      if (typeof init[Symbol.iterator] === 'function') {
        const rows = listOf(init);
        for (let i = 0; i < rows.length; i++) {
          const row = listOf(rows[i]);
          if (row.length !== 2) throw new TypeError('each header has a name and a value');
          this.append(row[0], row[1]);
        }
        return;
      }
      const names = kit.keys(init);
      for (let i = 0; i < names.length; i++) this.append(names[i], init[names[i]]);
    }

    #name(name) {
      name = string(name);
      if (!is(name, 'token')) throw new TypeError('`' + name + '` is no header name');
      return lower(name);
    }

    append(name, value) {
      name = this.#name(name);
      value = native.trimField(string(value));
      if (!is(value, 'field')) throw new TypeError('the value of the header `' + name + '` holds a character it cannot');
      push(this.#rows, [name, value]);
    }
    delete(name) {
      name = this.#name(name);
      const kept = [];
      for (let i = 0; i < this.#rows.length; i++) if (this.#rows[i][0] !== name) push(kept, this.#rows[i]);
      this.#rows = kept;
    }
    get(name) {
      name = this.#name(name);
      const values = [];
      for (let i = 0; i < this.#rows.length; i++) if (this.#rows[i][0] === name) push(values, this.#rows[i][1]);
      return values.length ? join(values, ', ') : null;
    }
    getSetCookie() {
      const values = [];
      for (let i = 0; i < this.#rows.length; i++) if (this.#rows[i][0] === 'set-cookie') push(values, this.#rows[i][1]);
      return values;
    }
    has(name) { return this.get(name) !== null; }
    set(name, value) {
      const probe = new Headers();
      probe.append(name, value);
      this.delete(name);
      push(this.#rows, probe.#rows[0]);
    }
    forEach(callback, self = undefined) {
      const rows = this.#sorted();
      for (let i = 0; i < rows.length; i++) kit.call(callback, self, rows[i][1], rows[i][0], this);
    }
    #sorted() {
      const rows = [];
      for (let i = 0; i < this.#rows.length; i++) {
        const row = this.#rows[i];
        let known;
        if (row[0] !== 'set-cookie') for (let j = 0; j < rows.length; j++) if (rows[j][0] === row[0]) known = rows[j];
        if (known) known[1] += ', ' + row[1];
        else push(rows, [row[0], row[1]]);
      }
      return sort(rows, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    }
    *entries() { const rows = this.#sorted(); for (let i = 0; i < rows.length; i++) yield rows[i]; }
    *keys() { const rows = this.#sorted(); for (let i = 0; i < rows.length; i++) yield rows[i][0]; }
    *values() { const rows = this.#sorted(); for (let i = 0; i < rows.length; i++) yield rows[i][1]; }
    [Symbol.for('nodejs.util.inspect.custom')]() {
      const shown = {};
      const rows = this.#sorted();
      for (let i = 0; i < rows.length; i++) kit.own(shown, rows[i][0], rows[i][1]);
      return 'Headers ' + kit.inspect(shown);
    }
  }
  hide(Headers.prototype, Symbol.iterator, Headers.prototype.entries);

  kit.ByteStream = ByteStream;
  kit.readAll = (stream) => kit.call(all, stream);
  kit.teeStream = (stream) => kit.call(tee, stream);
  kit.isLocked = locked;
  kit.Headers = Headers;
  kit.Blob = Blob;
  kit.bufferOf = bufferOf;

  const classes = { Blob, File, FormData, Headers };
  const names = kit.keys(classes);
  for (let i = 0; i < names.length; i++) {
    tag(classes[names[i]], names[i]);
    global(names[i], classes[names[i]]);
  }
  enumerable(Headers.prototype, ['append', 'delete', 'get', 'getSetCookie', 'has', 'set', 'forEach', 'entries', 'keys', 'values']);
})
