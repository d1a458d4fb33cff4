// CommonJS, and how a program runs.
(function (kit) {
  'use strict';
  const { Map, TypeError } = globalThis;
  const { string } = kit;
  const { native, create, own, mapGet, mapSet, mapDelete, mapHas, call } = kit;

  const loaded = new Map();
  const byName = create(null);
  let main;

  const dirname = (name) => {
    const cut = kit.lastIndexOf(name, '/');
    return cut < 0 ? '.' : cut === 0 ? '/' : kit.substring(name, 0, cut);
  };

  const requireOf = (index, module) => {
    const require = (specifier) => {
      if (typeof specifier !== 'string') throw new TypeError('`require` takes the name of a module');
      const found = native.resolve(index, specifier);
      return typeof found === 'string' ? kit.builtin(found) : load(found);
    };
    own(require, 'resolve', (specifier) => {
      const found = native.resolve(index, string(specifier));
      return typeof found === 'string' ? specifier : native.moduleInfo(found)[0];
    });
    own(require, 'main', main);
    own(require, 'cache', byName);
    return require;
  };

  // The exports of a module of the table. A module that is being evaluated gives what it has exported so far.
  const load = (index) => {
    const known = mapGet(loaded, index);
    if (known) return known.exports;
    const info = native.moduleInfo(index);
    const name = info[0];
    if (info[1] === 'esm') return native.requireModule(index);
    const module = { id: name, filename: name, path: dirname(name), loaded: false, children: [], paths: [], exports: {} };
    main ??= module;
    mapSet(loaded, index, module);
    own(byName, name, module);
    try {
      if (info[1] === 'json') module.exports = native.compile(index);
      else {
        const run = native.compile(index);
        call(run, module.exports, module.exports, requireOf(index, module), module, name, dirname(name));
      }
    } catch (error) {
      mapDelete(loaded, index);
      delete byName[name];
      throw error;
    }
    module.loaded = true;
    return module.exports;
  };
  kit.load = load;

  const resultOf = (exported, input) => (typeof exported === 'function' ? exported(input) : exported);

  // `await` rather than a bare promise: what user code made of `then` is not asked.
  kit.runModule = async (index, input) => {
    const started = native.evaluate(index);
    await started[0];
    native.settled(index);
    return await resultOf(started[1].default, input);
  };

  kit.runCommon = async (index, input) => await resultOf(load(index), input);
})
