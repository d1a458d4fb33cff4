// Timers, on the clock's `sleep`. At most one sleep per distinct deadline that is earlier than all others is asked for.
(function (kit) {
  'use strict';
  const { Map, TypeError } = globalThis;
  const { native, push, removeAt, insertAt, mapGet, mapSet, mapDelete, apply } = kit;
  const MAX_DELAY = 2147483647;

  const timers = new Map();
  // Waiting timers, soonest first; equal deadlines in the order of their making.
  const queue = [];
  // Deadlines that a sleep is under way for.
  const sleeps = [];
  let last = 0;
  // The timers' own time. It follows the host's, and passes a deadline whose sleep has ended even where the host's
  // clock is frozen.
  let reached = 0;
  const now = () => {
    const host = native.now();
    if (host > reached) reached = host;
    return reached;
  };

  const enqueue = (timer) => {
    let at = queue.length;
    while (at > 0 && queue[at - 1].due > timer.due) at--;
    insertAt(queue, at, timer);
  };

  const rearm = () => {
    if (queue.length === 0) return;
    const due = queue[0].due;
    for (let i = 0; i < sleeps.length; i++) if (sleeps[i] <= due) return;
    push(sleeps, due);
    const ms = due - now();
    const woken = native.sleep({ ms: ms > 0 ? ms : 0 });
    kit.then(woken, () => wake(due), (error) => {
      forget(due);
      kit.uncaught(error);
    });
  };

  const forget = (due) => {
    for (let i = 0; i < sleeps.length; i++) {
      if (sleeps[i] === due) {
        removeAt(sleeps, i);
        return;
      }
    }
  };

  const wake = (due) => {
    forget(due);
    if (due > reached) reached = due;
    const time = now();
    while (queue.length > 0 && queue[0].due <= time) {
      const timer = removeAt(queue, 0);
      // Each callback is a task of its own: the jobs it queues run before the next.
      native.schedule(() => fire(timer));
    }
    rearm();
  };

  const fire = (timer) => {
    if (!timer.live) return;
    if (timer.every === undefined) {
      timer.live = false;
      mapDelete(timers, timer.id);
    } else {
      timer.due = now() + timer.every;
      enqueue(timer);
      rearm();
    }
    apply(timer.callback, undefined, timer.args);
  };

  const start = (callback, delay, every, args) => {
    if (typeof callback !== 'function') throw new TypeError('a timer calls a function');
    delay = +delay;
    const ms = delay >= 1 && delay <= MAX_DELAY ? delay : delay === -1 ? 0 : 1;
    const timer = { __proto__: null, id: ++last, callback, args, due: now() + ms, every: every ? ms : undefined, live: true };
    mapSet(timers, timer.id, timer);
    enqueue(timer);
    rearm();
    return timer.id;
  };

  const stop = (id) => {
    const timer = mapGet(timers, +id);
    if (!timer) return;
    timer.live = false;
    mapDelete(timers, timer.id);
    for (let i = 0; i < queue.length; i++) {
      if (queue[i] === timer) {
        removeAt(queue, i);
        return;
      }
    }
  };

  const { grants } = kit;
  grants.setTimeout = function setTimeout(callback, delay = 1, ...args) { return start(callback, delay, false, args); };
  grants.setInterval = function setInterval(callback, delay = 1, ...args) { return start(callback, delay, true, args); };
  grants.setImmediate = function setImmediate(callback, ...args) { return start(callback, -1, false, args); };
  grants.clearTimeout = function clearTimeout(id) { stop(id); };
  grants.clearInterval = function clearInterval(id) { stop(id); };
  grants.clearImmediate = function clearImmediate(id) { stop(id); };
  grants.timeout = kit.signalTimeout((callback, ms) => start(callback, ms, false, []));
})
