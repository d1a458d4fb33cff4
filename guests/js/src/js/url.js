// URL and URLSearchParams. A URL is its href; every part is asked of the native parser.
(function (kit) {
  'use strict';
  const { Symbol, TypeError } = globalThis;
  const { string } = kit;
  const { native, global, tag, enumerable, push, listOf, hide, wellFormed, sort, ownKeys, startsWith } = kit;
  const text = (value) => wellFormed(string(value));
  const query = (search) => (startsWith(search, '?') ? kit.substring(search, 1) : search);
  let attach;

  class URLSearchParams {
    #pairs = [];
    #changed = undefined;

    static {
      attach = (params, search, changed) => {
        params.#pairs = native.formParse(query(search));
        params.#changed = changed;
      };
    }

    constructor(init = '') {
      if (!kit.isObject(init)) {
        this.#pairs = native.formParse(query(text(init)));
        return;
      }
      if (init[Symbol.iterator] !== undefined && init[Symbol.iterator] !== null) {
        const rows = listOf(init);
        for (let i = 0; i < rows.length; i++) {
          const row = kit.isObject(rows[i]) ? listOf(rows[i]) : [];
          if (row.length !== 2) throw new TypeError('each query pair has a name and a value');
          push(this.#pairs, text(row[0]));
          push(this.#pairs, text(row[1]));
        }
        return;
      }
      const names = ownKeys(init);
      for (let i = 0; i < names.length; i++) {
        const found = kit.getOwnPropertyDescriptor(init, names[i]);
        if (!found || !found.enumerable) continue;
        const name = text(names[i]);
        const value = text(init[names[i]]);
        this.#drop((pair) => pair !== name);
        push(this.#pairs, name);
        push(this.#pairs, value);
      }
    }

    #drop(keep) {
      const kept = [];
      for (let i = 0; i < this.#pairs.length; i += 2) {
        if (keep(this.#pairs[i], this.#pairs[i + 1])) {
          push(kept, this.#pairs[i]);
          push(kept, this.#pairs[i + 1]);
        }
      }
      this.#pairs = kept;
    }

    #update() { if (this.#changed) this.#changed(native.formSerialize(this.#pairs)); }

    get size() { return this.#pairs.length / 2; }

    append(name, value) {
      push(this.#pairs, text(name));
      push(this.#pairs, text(value));
      this.#update();
    }

    delete(name, value = undefined) {
      name = text(name);
      if (value !== undefined) value = text(value);
      this.#drop((n, v) => n !== name || (value !== undefined && v !== value));
      this.#update();
    }

    get(name) {
      name = text(name);
      for (let i = 0; i < this.#pairs.length; i += 2) if (this.#pairs[i] === name) return this.#pairs[i + 1];
      return null;
    }

    getAll(name) {
      name = text(name);
      const all = [];
      for (let i = 0; i < this.#pairs.length; i += 2) if (this.#pairs[i] === name) push(all, this.#pairs[i + 1]);
      return all;
    }

    has(name, value = undefined) {
      name = text(name);
      if (value !== undefined) value = text(value);
      for (let i = 0; i < this.#pairs.length; i += 2) {
        if (this.#pairs[i] === name && (value === undefined || this.#pairs[i + 1] === value)) return true;
      }
      return false;
    }

    set(name, value) {
      name = text(name);
      value = text(value);
      let placed = false;
      const kept = [];
      for (let i = 0; i < this.#pairs.length; i += 2) {
        const match = this.#pairs[i] === name;
        if (match && placed) continue;
        push(kept, this.#pairs[i]);
        push(kept, match ? value : this.#pairs[i + 1]);
        placed ||= match;
      }
      if (!placed) {
        push(kept, name);
        push(kept, value);
      }
      this.#pairs = kept;
      this.#update();
    }

    sort() {
      const rows = [];
      for (let i = 0; i < this.#pairs.length; i += 2) push(rows, [this.#pairs[i], this.#pairs[i + 1]]);
      sort(rows, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
      const flat = [];
      for (let i = 0; i < rows.length; i++) {
        push(flat, rows[i][0]);
        push(flat, rows[i][1]);
      }
      this.#pairs = flat;
      this.#update();
    }

    forEach(callback, self = undefined) {
      for (let i = 0; i < this.#pairs.length; i += 2) kit.call(callback, self, this.#pairs[i + 1], this.#pairs[i], this);
    }

    *entries() { for (let i = 0; i < this.#pairs.length; i += 2) yield [this.#pairs[i], this.#pairs[i + 1]]; }
    *keys() { for (let i = 0; i < this.#pairs.length; i += 2) yield this.#pairs[i]; }
    *values() { for (let i = 0; i < this.#pairs.length; i += 2) yield this.#pairs[i + 1]; }
    toString() { return native.formSerialize(this.#pairs); }
    [Symbol.for('nodejs.util.inspect.custom')]() {
      const rows = [];
      for (let i = 0; i < this.#pairs.length; i += 2) {
        push(rows, kit.inspect(this.#pairs[i]) + ' => ' + kit.inspect(this.#pairs[i + 1]));
      }
      return rows.length ? 'URLSearchParams { ' + kit.join(rows, ', ') + ' }' : 'URLSearchParams {}';
    }
  }
  hide(URLSearchParams.prototype, Symbol.iterator, URLSearchParams.prototype.entries);

  class URL {
    #href;
    #params = undefined;

    constructor(input, base = undefined) {
      const href = native.urlParse(text(input), base === undefined ? undefined : text(base));
      if (href === undefined) {
        const error = new TypeError('Invalid URL');
        kit.own(error, 'code', 'ERR_INVALID_URL');
        kit.own(error, 'input', string(input));
        throw error;
      }
      this.#href = href;
    }

    static canParse(input, base = undefined) {
      return native.urlParse(text(input), base === undefined ? undefined : text(base)) !== undefined;
    }
    static parse(input, base = undefined) {
      return URL.canParse(input, base) ? new URL(input, base) : null;
    }

    #set(part, value) {
      this.#href = native.urlSet(this.#href, part, text(value));
      if (this.#params && part === 'search') this.#follow();
    }
    #follow() {
      attach(this.#params, native.urlPart(this.#href, 'search'), (search) => {
        this.#href = native.urlSet(this.#href, 'search', search);
      });
    }

    get href() { return this.#href; }
    set href(value) {
      const href = native.urlParse(text(value), undefined);
      if (href === undefined) throw new TypeError('Invalid URL');
      this.#href = href;
      if (this.#params) this.#follow();
    }
    get origin() { return native.urlPart(this.#href, 'origin'); }
    get protocol() { return native.urlPart(this.#href, 'protocol'); }
    set protocol(value) { this.#set('protocol', value); }
    get username() { return native.urlPart(this.#href, 'username'); }
    set username(value) { this.#set('username', value); }
    get password() { return native.urlPart(this.#href, 'password'); }
    set password(value) { this.#set('password', value); }
    get host() { return native.urlPart(this.#href, 'host'); }
    set host(value) { this.#set('host', value); }
    get hostname() { return native.urlPart(this.#href, 'hostname'); }
    set hostname(value) { this.#set('hostname', value); }
    get port() { return native.urlPart(this.#href, 'port'); }
    set port(value) { this.#set('port', value); }
    get pathname() { return native.urlPart(this.#href, 'pathname'); }
    set pathname(value) { this.#set('pathname', value); }
    get search() { return native.urlPart(this.#href, 'search'); }
    set search(value) { this.#set('search', value); }
    get hash() { return native.urlPart(this.#href, 'hash'); }
    set hash(value) { this.#set('hash', value); }
    get searchParams() {
      if (!this.#params) {
        this.#params = new URLSearchParams();
        this.#follow();
      }
      return this.#params;
    }
    toString() { return this.#href; }
    toJSON() { return this.#href; }
    [Symbol.for('nodejs.util.inspect.custom')]() { return 'URL { ' + kit.inspect(this.#href) + ' }'; }
  }

  tag(URL, 'URL');
  tag(URLSearchParams, 'URLSearchParams');
  enumerable(URL.prototype, ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port',
    'pathname', 'search', 'hash', 'searchParams', 'toString', 'toJSON']);
  enumerable(URLSearchParams.prototype, ['size', 'append', 'delete', 'get', 'getAll', 'has', 'set', 'sort', 'forEach',
    'entries', 'keys', 'values', 'toString']);
  global('URL', URL);
  global('URLSearchParams', URLSearchParams);
  kit.URL = URL;
  kit.URLSearchParams = URLSearchParams;
})
