// Event, EventTarget, AbortController and AbortSignal.
(function (kit) {
  'use strict';
  const { Boolean, Map, Set, TypeError } = globalThis;
  const { string } = kit;
  const { native, global, tag, push, copyOf, removeAt, mapGet, mapSet, call, setAdd, setDelete, setEach, DOMException } = kit;
  const secret = {};
  let dispatch;

  class Event {
    #type;
    #bubbles;
    #cancelable;
    #prevented = false;
    #stopped = false;
    #target = null;
    #time = native.now();

    static {
      dispatch = (target, event, listeners) => {
        event.#target = target;
        for (let i = 0; i < listeners.length && !event.#stopped; i++) {
          const listener = listeners[i];
          if (listener.removed) continue;
          if (listener.once) listener.remove();
          try {
            if (typeof listener.callback === 'function') call(listener.callback, target, event);
            else listener.callback.handleEvent(event);
          } catch (error) {
            kit.uncaught(error);
          }
        }
        return !event.#prevented;
      };
    }

    constructor(type, options = {}) {
      if (arguments.length === 0) throw new TypeError('an event has a type');
      this.#type = string(type);
      this.#bubbles = Boolean(options?.bubbles);
      this.#cancelable = Boolean(options?.cancelable);
    }

    get type() { return this.#type; }
    get target() { return this.#target; }
    get currentTarget() { return this.#target; }
    get bubbles() { return this.#bubbles; }
    get cancelable() { return this.#cancelable; }
    get defaultPrevented() { return this.#prevented; }
    get timeStamp() { return this.#time; }
    get composed() { return false; }
    get isTrusted() { return false; }
    preventDefault() { if (this.#cancelable) this.#prevented = true; }
    stopPropagation() {}
    stopImmediatePropagation() { this.#stopped = true; }
  }

  class CustomEvent extends Event {
    #detail;
    constructor(type, options = {}) {
      super(type, options);
      this.#detail = options?.detail ?? null;
    }
    get detail() { return this.#detail; }
  }

  class EventTarget {
    #listeners = new Map();

    addEventListener(type, callback, options = {}) {
      if (callback === null || callback === undefined) return;
      if (!kit.isObject(callback)) throw new TypeError('a listener is a function or an object');
      const settings = kit.isObject(options) ? options : { capture: Boolean(options) };
      if (settings.signal && settings.signal.aborted) return;
      type = string(type);
      let list = mapGet(this.#listeners, type);
      if (!list) mapSet(this.#listeners, type, (list = []));
      for (let i = 0; i < list.length; i++) if (list[i].callback === callback) return;
      const listener = { __proto__: null, callback, once: Boolean(settings.once), removed: false, remove: undefined };
      listener.remove = () => this.removeEventListener(type, callback);
      push(list, listener);
      if (settings.signal) settings.signal.addEventListener('abort', listener.remove, { once: true });
    }

    removeEventListener(type, callback) {
      const list = mapGet(this.#listeners, string(type));
      if (!list) return;
      for (let i = 0; i < list.length; i++) {
        if (list[i].callback === callback) {
          list[i].removed = true;
          removeAt(list, i);
          return;
        }
      }
    }

    dispatchEvent(event) {
      const list = mapGet(this.#listeners, event.type);
      return dispatch(this, event, list ? copyOf(list) : []);
    }
  }

  const abortError = () => new DOMException('This operation was aborted', 'AbortError');
  let abort;
  let follow;

  class AbortSignal extends EventTarget {
    #aborted = false;
    #reason = undefined;
    #followers = new Set();
    #onabort = null;

    static {
      abort = (signal, reason) => {
        if (signal.#aborted) return;
        signal.#aborted = true;
        signal.#reason = reason === undefined ? abortError() : reason;
        setEach(signal.#followers, (then) => then(signal.#reason));
        signal.#followers = new Set();
        const event = new Event('abort');
        signal.dispatchEvent(event);
      };
      // Calls `then` when the signal aborts; gives the way to stop that.
      follow = (signal, then) => {
        if (signal.#aborted) {
          then(signal.#reason);
          return () => {};
        }
        setAdd(signal.#followers, then);
        return () => setDelete(signal.#followers, then);
      };
    }

    constructor(key) {
      super();
      if (key !== secret) throw new TypeError('a signal comes from an AbortController');
    }

    static abort(reason = undefined) {
      const signal = new AbortSignal(secret);
      abort(signal, reason);
      return signal;
    }

    static any(signals) {
      const joined = new AbortSignal(secret);
      const list = kit.listOf(signals);
      for (let i = 0; i < list.length; i++) follow(list[i], (reason) => abort(joined, reason));
      return joined;
    }

    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    get onabort() { return this.#onabort; }
    set onabort(callback) {
      if (this.#onabort) this.removeEventListener('abort', this.#onabort);
      this.#onabort = typeof callback === 'function' ? callback : null;
      if (this.#onabort) this.addEventListener('abort', this.#onabort);
    }
    throwIfAborted() { if (this.#aborted) throw this.#reason; }
  }

  class AbortController {
    #signal = new AbortSignal(secret);
    get signal() { return this.#signal; }
    abort(reason = undefined) { abort(this.#signal, reason); }
  }

  kit.followSignal = (signal, then) => follow(signal, then);
  kit.isSignal = (value) => {
    try {
      follow(value, () => {})();
      return true;
    } catch {
      return false;
    }
  };
  // `AbortSignal.timeout`, which needs timers, hence the clock.
  kit.signalTimeout = (later) => function timeout(ms) {
    const signal = new AbortSignal(secret);
    later(() => abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError')), ms);
    return signal;
  };

  kit.AbortSignal = AbortSignal;
  const classes = { Event, CustomEvent, EventTarget, AbortController, AbortSignal };
  const names = kit.keys(classes);
  for (let i = 0; i < names.length; i++) {
    tag(classes[names[i]], names[i]);
    global(names[i], classes[names[i]]);
  }
})
