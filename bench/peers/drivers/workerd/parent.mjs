// The trusted side inside workerd: loads a dynamic worker for each request and answers its host calls.
import { WorkerEntrypoint } from "cloudflare:workers";

const GRANTS = 64;
const AUDIT_BUFFER_BYTES = 64 * 1024;
const COMPATIBILITY_DATE = "2026-11-01";

const grants = new Map();
for (let i = 0; i < GRANTS; i++) grants.set(`point-${i}`, { op: "call", max: 1_000_000 });
let pending = "";
let serial = 0;
let named = 0;

/** What a guest may call. */
export class Host extends WorkerEntrypoint {
  hostcall(i) {
    const point = `point-${i % GRANTS}`;
    const grant = grants.get(point);
    if (grant === undefined || grant.op !== "call" || i > grant.max) throw new Error(`\`${point}\` is not granted`);
    this.append({ serial: ++serial, kind: "intent", point, op: "call", args: [i] });
    const result = i + 1;
    this.append({ serial: ++serial, kind: "outcome", of: serial - 1, result });
    return result;
  }

  append(entry) {
    pending += JSON.stringify(entry) + "\n";
    if (pending.length < AUDIT_BUFFER_BYTES) return;
    const body = pending;
    pending = "";
    this.ctx.waitUntil(this.env.AUDIT.fetch("http://audit/", { method: "POST", body }).then((response) => response.text()));
  }
}

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname === "/roundtrip") return new Response("2");
    try {
      const body = await request.text();
      if (url.pathname === "/fresh") return reply(await env.LOADER.load(guest(body, env, ctx)).getEntrypoint().run());
      if (url.pathname === "/keep") {
        const id = url.searchParams.get("id") ?? `cell-${++named}`;
        const cell = env.LOADER.get(id, () => guest(body, env, ctx));
        return reply({ id, value: await cell.getEntrypoint().run() });
      }
    } catch (error) {
      return new Response(String(error?.stack ?? error), { status: 500 });
    }
    return new Response("no such case", { status: 404 });
  },
};

const reply = (value) => new Response(JSON.stringify(value));

/** A dynamic worker without network whose `run` evaluates `expression`. */
function guest(expression, env, ctx) {
  const source = `
    import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint {
      async run() {
        const hostcall = (i) => this.env.HOST.hostcall(i);
        return await (${expression}
        );
      }
    }`;
  return {
    compatibilityDate: COMPATIBILITY_DATE,
    mainModule: "guest.js",
    modules: { "guest.js": source },
    env: { HOST: ctx.exports.Host({}) },
    globalOutbound: null,
  };
}
