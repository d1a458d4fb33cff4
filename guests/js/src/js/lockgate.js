// The global `lockgate`: what the cell's handles grant, and nothing beside it.
(function (kit) {
  'use strict';
  const { Date, decodeURIComponent, TextDecoder } = globalThis;
  const { isArray } = Array;
  const { string } = kit;
  const { native, push, create, startsWith, indexOf, substring, utf8Text, LockgateError } = kit;
  const { request } = native;

  const lockgate = create(null);
  kit.global('lockgate', lockgate);
  kit.lockgate = lockgate;

  // Objects without a prototype, so that a plain assignment makes an own property whatever its name is.
  const group = (name) => lockgate[name] ??= create(null);

  const directory = (handle) => ({
    __proto__: null,
    read: (path) => request(handle, 'read', { path }),
    readText: async (path) => utf8Text(await request(handle, 'read', { path })),
    write: (path, data, options) => request(handle, 'write', { path, data: payload(data), append: options?.append }),
    list: (path = '.') => request(handle, 'list', { path }),
    stat: (path) => request(handle, 'stat', { path }),
    remove: (path) => request(handle, 'remove', { path }),
    mkdir: (path) => request(handle, 'mkdir', { path }),
  });
  const payload = (data) => (kit.isObject(data) ? kit.bytesOf(data) ?? data : data);

  const store = (handle) => ({
    __proto__: null,
    get: (key) => request(handle, 'get', { key }),
    set: (key, value) => request(handle, 'set', { key, value }),
    delete: (key) => request(handle, 'delete', { key }),
    list: (prefix = '') => request(handle, 'list', { prefix }),
  });

  const tool = (handle, name) => (args = {}) => request(handle, name, args);
  const server = (handle, names) => {
    const tools = create(null);
    for (let i = 0; i < names.length; i++) tools[names[i]] = tool(handle, names[i]);
    return tools;
  };

  // A result that stays with the gate.
  const keep = async (handle, op, args) => kit.sealed(await request(handle, op, args, true));

  const child = (handle, id) => ({
    __proto__: null,
    result: () => request(handle, 'result', { child: id }),
    send: (message) => request(handle, 'send', { child: id, message }),
    receive: async () => (await request(handle, 'receive', { child: id })).message,
    receiveFrom: () => request(handle, 'receive', { child: id }),
    stop: () => request(handle, 'stop', { child: id }),
    get sealed() { return sealedChild(handle, id); },
  });
  const sealedChild = (handle, id) => ({
    __proto__: null,
    result: () => keep(handle, 'result', { child: id }),
    receive: async () => (await keep(handle, 'receive', { child: id })).at('message'),
  });
  const spawn = (handle) => async (source, options = {}) => {
    // Handed over whole, so that the host refuses what it does not know; what is no table is refused by its name.
    const table = typeof options === 'object' && options !== null && !isArray(options);
    const spawned = await request(handle, 'spawn', table ? { ...options, source } : { source, options });
    return child(handle, spawned.child);
  };

  const parent = (handle) => ({
    __proto__: null,
    send: (message) => request(handle, 'send', { message }),
    receive: async () => (await request(handle, 'receive', {})).message,
    receiveFrom: () => request(handle, 'receive', {}),
  });
  const randomness = (handle) => ({ __proto__: null, bytes: (n) => request(handle, 'bytes', { n }) });

  kit.grants.clock = {
    __proto__: null,
    now: () => native.clockNow({}),
    sleep: (ms) => native.sleep({ ms }),
  };

  // Another label for a sealed value: a new one, with the same bytes.
  const regrade = (handle, op) => (value) => keep(handle, op, { value });

  // `lockgate.sealed` has what reads, under the same names, once it is looked at.
  const held = [];
  const sealedDirectory = (handle) => ({
    __proto__: null,
    read: (path) => keep(handle, 'read', { path }),
    readText: async (path) => (await keep(handle, 'read', { path })).text(),
    list: (path = '.') => keep(handle, 'list', { path }),
    stat: (path) => keep(handle, 'stat', { path }),
  });
  const sealedStore = (handle) => ({
    __proto__: null,
    get: (key) => keep(handle, 'get', { key }),
    list: (prefix = '') => keep(handle, 'list', { prefix }),
  });
  const sealedServer = (handle, names) => {
    const tools = create(null);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      tools[name] = (args = {}) => keep(handle, name, args);
    }
    return tools;
  };
  const sealedParent = (handle) => ({
    __proto__: null,
    receive: async () => (await keep(handle, 'receive', {})).at('message'),
  });
  const sealedHandles = () => {
    const all = create(null);
    for (let i = 0; i < held.length; i++) {
      const { handle, kind, name, detail } = held[i];
      switch (kind) {
        case 'fs': (all.fs ??= create(null))[name] = sealedDirectory(handle); break;
        case 'kv': (all.kv ??= create(null))[name] = sealedStore(handle); break;
        case 'tool': (all.tools ??= create(null))[name] = sealedServer(handle, detail); break;
        case 'parent': all.parent = sealedParent(handle); break;
        default:
      }
    }
    if (native.hasWeb()) all.fetch = kit.fetchSealed;
    return all;
  };
  let sealed;
  const lazily = { __proto__: null, get: () => sealed ??= sealedHandles(), enumerable: true, configurable: true };

  // Puts what one handle grants in its place. The log, HTTP and the clock are the native side's.
  kit.install = (handle, kind, name, detail) => {
    push(held, { __proto__: null, handle, kind, name, detail });
    switch (kind) {
      case 'fs': group('fs')[name] = directory(handle); break;
      case 'kv': group('kv')[name] = store(handle); break;
      case 'tool': group('tools')[name] = server(handle, detail); break;
      case 'cell': lockgate.spawn = spawn(handle); break;
      case 'parent': lockgate.parent = parent(handle); break;
      case 'random': lockgate.random = randomness(handle); break;
      case 'endorse':
      case 'declassify': group(kind)[name] = regrade(handle, kind); break;
      case 'sealed':
        kit.openWith(handle);
        kit.defineProperty(lockgate, 'sealed', lazily);
        break;
      default:
    }
  };

  // One of each, so that the engine knows their shapes when a cell makes its own.
  kit.shapes = [directory(0), store(0), server(0, ['tool']), parent(0), randomness(0), child(0, 0)];

  let files;
  kit.builtin = (name) => {
    if (name === 'lockgate:lockgate') return lockgate;
    return lockgate.fs ? files ??= filesOf(lockgate.fs) : undefined;
  };

  // `fs/promises` over the granted directories: `/<name>/…` is a path in the directory of that name.
  const filesOf = (directories) => {
    const locate = (path) => {
      path = kit.isObject(path) && typeof path.pathname === 'string' ? decodeURIComponent(path.pathname) : string(path);
      const rest = startsWith(path, '/') ? substring(path, 1) : path;
      const cut = indexOf(rest, '/');
      const name = cut < 0 ? rest : substring(rest, 0, cut);
      if (!startsWith(path, '/') || !kit.hasOwn(directories, name)) {
        throw new LockgateError('no directory is granted for `' + path + '`', {
          code: 'not_granted', hint: 'paths start with `/` and the name of a granted directory',
        });
      }
      return { at: directories[name], path: cut < 0 || cut + 1 === rest.length ? '.' : substring(rest, cut + 1) };
    };
    const decoded = (bytes, options) => {
      const encoding = typeof options === 'string' ? options : options?.encoding;
      if (encoding === undefined || encoding === null) return bytes;
      return new TextDecoder(encoding).decode(bytes);
    };
    const entry = (parent, { name, kind }) => ({ name, parentPath: parent, ...kindOf(kind) });
    const kindOf = (kind) => ({
      isFile: () => kind === 'file',
      isDirectory: () => kind === 'directory',
      isSymbolicLink: () => kind === 'symlink',
    });

    return {
      __proto__: null,
      async readFile(path, options) {
        const { at, path: inner } = locate(path);
        return decoded(await at.read(inner), options);
      },
      async writeFile(path, data, options) {
        const { at, path: inner } = locate(path);
        const flag = options?.flag;
        await at.write(inner, data, flag === 'a' ? { append: true } : undefined);
      },
      async appendFile(path, data) {
        const { at, path: inner } = locate(path);
        await at.write(inner, data, { append: true });
      },
      async readdir(path, options) {
        const { at, path: inner } = locate(path);
        const listed = await at.list(inner);
        const out = [];
        for (let i = 0; i < listed.length; i++) {
          push(out, options?.withFileTypes ? entry(string(path), listed[i]) : listed[i].name);
        }
        return out;
      },
      async stat(path) {
        const { at, path: inner } = locate(path);
        const { kind, size, modified_ms: mtimeMs } = await at.stat(inner);
        return { size, mtimeMs, mtime: new Date(mtimeMs), ...kindOf(kind) };
      },
      async access(path) {
        const { at, path: inner } = locate(path);
        await at.stat(inner);
      },
      async mkdir(path, options) {
        const { at, path: inner } = locate(path);
        if (!options?.recursive) return void (await at.mkdir(inner));
        const parts = kit.split(inner, '/');
        let made = '';
        for (let i = 0; i < parts.length; i++) {
          if (parts[i] === '' || parts[i] === '.') continue;
          made += (made && '/') + parts[i];
          const known = await kit.then(at.stat(made), () => true, () => false);
          if (!known) await at.mkdir(made);
        }
      },
      async rm(path, options) {
        const { at, path: inner } = locate(path);
        if (options?.recursive) await empty(at, inner);
        await kit.then(at.remove(inner), undefined, (error) => {
          if (!(options?.force && error.code === 'not_found')) throw error;
        });
      },
      async unlink(path) {
        const { at, path: inner } = locate(path);
        await at.remove(inner);
      },
    };
  };

  // Removes all that is in a directory; nothing where the path is none.
  const empty = async (at, path) => {
    const found = await kit.then(at.stat(path), (it) => it, () => undefined);
    if (found?.kind !== 'directory') return;
    const listed = await at.list(path);
    for (let i = 0; i < listed.length; i++) {
      const inner = path + '/' + (listed[i].name);
      if (listed[i].kind === 'directory') await empty(at, inner);
      await at.remove(inner);
    }
  };
})
