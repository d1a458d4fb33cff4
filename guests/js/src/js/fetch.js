// Request, Response, and `fetch` where HTTP is granted.
(function (kit) {
  'use strict';
  const { Promise, RangeError, Symbol, TypeError, Uint8Array, FormData } = globalThis;
  const { string } = kit;
  const { native, global, tag, push, listOf, upper, lower, indexOf, utf8Text, bufferOf, readAll, isLocked } = kit;
  const { Headers, ByteStream, Blob, bodyOf, URL, followSignal, isSignal, startsWith } = kit;

  // What requests and responses share: a body that is read once.
  class Message {
    #stream;
    #used = false;
    #headers;

    constructor(body, headers) {
      const { stream, type } = bodyOf(body);
      this.#stream = stream;
      this.#headers = headers;
      if (type !== null && !headers.has('content-type')) headers.append('content-type', type);
    }

    get headers() { return this.#headers; }
    get body() { return this.#stream; }
    get bodyUsed() { return this.#used || (this.#stream !== null && isLocked(this.#stream)); }

    async #all() {
      if (this.bodyUsed) throw new TypeError('the body has been read already');
      if (this.#stream === null) return new Uint8Array(0);
      this.#used = true;
      return await readAll(this.#stream);
    }
    async bytes() { return await this.#all(); }
    async arrayBuffer() { return bufferOf(await this.#all()); }
    async text() {
      const text = utf8Text(await this.#all());
      return startsWith(text, '\ufeff') ? kit.substring(text, 1) : text;
    }
    async json() { return kit.parse(await this.text()); }
    async blob() {
      const bytes = await this.#all();
      return new Blob([bytes], { type: this.#headers.get('content-type') ?? '' });
    }
    async formData() {
      const type = this.#headers.get('content-type') ?? '';
      if (!startsWith(lower(type), 'application/x-www-form-urlencoded')) {
        throw new TypeError('a body is read as a form only where it is urlencoded');
      }
      const form = new FormData();
      const flat = native.formParse(await this.text());
      for (let i = 0; i < flat.length; i += 2) form.append(flat[i], flat[i + 1]);
      return form;
    }

    // A second body with the same bytes, for a clone.
    split() {
      if (this.bodyUsed) throw new TypeError('the body has been read already');
      if (this.#stream === null) return null;
      const both = kit.teeStream(this.#stream);
      this.#stream = both[0];
      return both[1];
    }
  }
  const split = kit.uncurry(Message.prototype.split);
  delete Message.prototype.split;
  delete Message.prototype.constructor;

  const METHODS = { __proto__: null, GET: true, HEAD: true, POST: true, PUT: true, DELETE: true, OPTIONS: true };
  const FORBIDDEN = { __proto__: null, CONNECT: true, TRACE: true, TRACK: true };
  const methodOf = (method) => {
    method = string(method);
    if (!native.is(method, 'token') || FORBIDDEN[upper(method)]) {
      throw new TypeError('`' + method + '` is no method of a request');
    }
    return METHODS[upper(method)] ? upper(method) : method;
  };

  class Request extends Message {
    #url;
    #method;
    #redirect;
    #signal;

    constructor(input, init = {}) {
      const from = kit.isObject(input) && #url in input ? input : undefined;
      init ??= {};
      const headers = new Headers(init.headers ?? (from ? from.headers : undefined));
      const method = methodOf(init.method ?? (from ? from.#method : 'GET'));
      const given = init.body !== undefined && init.body !== null;
      if (given && (method === 'GET' || method === 'HEAD')) throw new TypeError('a ' + method + ' request has no body');
      super(given ? init.body : from ? split(from) : null, headers);
      this.#url = from ? from.#url : new URL(string(input)).href;
      this.#method = method;
      this.#redirect = redirectOf(init.redirect ?? (from ? from.#redirect : 'follow'));
      const signal = init.signal === undefined ? (from ? from.#signal : null) : init.signal;
      if (signal !== null && !isSignal(signal)) throw new TypeError('the signal of a request is an AbortSignal');
      this.#signal = signal;
    }

    get url() { return this.#url; }
    get method() { return this.#method; }
    get redirect() { return this.#redirect; }
    get signal() { return this.#signal; }
    clone() { return new Request(this); }
  }
  const redirectOf = (mode) => {
    mode = string(mode);
    if (mode !== 'follow' && mode !== 'error' && mode !== 'manual') throw new TypeError('`' + mode + '` is no redirect mode');
    return mode;
  };

  const REDIRECTS = { __proto__: null, 301: true, 302: true, 303: true, 307: true, 308: true };
  const NO_BODY = { __proto__: null, 101: true, 103: true, 204: true, 205: true, 304: true };
  let place;

  class Response extends Message {
    #status;
    #statusText;
    #url = '';
    #redirected = false;
    #type = 'default';

    static {
      place = (response, url, redirected, type) => {
        response.#url = url;
        response.#redirected = redirected;
        response.#type = type;
        return response;
      };
    }

    constructor(body = null, init = {}) {
      init ??= {};
      const status = init.status === undefined ? 200 : +init.status;
      if (!(status >= 200 && status <= 599) && status !== 0) throw new RangeError('the status of a response is 200 to 599');
      if (body !== null && body !== undefined && NO_BODY[status]) throw new TypeError('a response ' + status + ' has no body');
      super(body, new Headers(init.headers));
      this.#status = status;
      this.#statusText = string(init.statusText ?? '');
    }

    static json(data, init = {}) {
      const text = kit.stringify(data);
      if (text === undefined) throw new TypeError('the value has no JSON');
      const response = new Response(text, init);
      if (!new Headers(init?.headers).has('content-type')) response.headers.set('content-type', 'application/json');
      return response;
    }
    static error() { return place(new Response(null, { status: 0 }), '', false, 'error'); }
    static redirect(url, status = 302) {
      if (!REDIRECTS[status]) throw new RangeError('a redirect is 301, 302, 303, 307 or 308');
      return new Response(null, { status, headers: { location: new URL(string(url)).href } });
    }

    get status() { return this.#status; }
    get statusText() { return this.#statusText; }
    get ok() { return this.#status >= 200 && this.#status <= 299; }
    get url() { return this.#url; }
    get redirected() { return this.#redirected; }
    get type() { return this.#type; }
    clone() {
      const copy = new Response(null, { status: this.#status, statusText: this.#statusText, headers: this.headers });
      const body = split(this);
      const full = body === null ? copy : new Response(body, { status: this.#status, statusText: this.#statusText, headers: this.headers });
      return place(full, this.#url, this.#redirected, this.#type);
    }
    [Symbol.for('nodejs.util.inspect.custom')]() {
      return 'Response { status: ' + this.#status + ', url: ' + kit.inspect(this.#url) + ', ok: ' + this.ok + ' }';
    }
  }

  tag(Request, 'Request');
  tag(Response, 'Response');
  global('Request', Request);
  global('Response', Response);

  const cancel = (stream) => kit.then(native.web('cancel', { stream }), () => {}, () => {});

  // A response's body, asked for chunk by chunk; an abort ends it.
  const bodyStream = (stream, signal) => {
    let failed;
    let fail;
    const aborted = new Promise((_, reject) => { fail = reject; });
    kit.then(aborted, undefined, () => {});
    const unfollow = signal
      ? followSignal(signal, (reason) => {
        failed = { reason };
        fail(reason);
        cancel(stream);
      })
      : () => {};
    const pull = async () => {
      if (failed) throw failed.reason;
      const chunk = await first(native.web('body', { stream }), signal ? aborted : undefined);
      if (chunk === null || chunk === undefined) {
        unfollow();
        return null;
      }
      return chunk;
    };
    return new ByteStream(pull, async () => {
      unfollow();
      cancel(stream);
    });
  };

  // The first of two promises to settle.
  const first = (one, other) => {
    if (other === undefined) return one;
    return new Promise((resolve, reject) => {
      kit.then(one, resolve, reject);
      kit.then(other, resolve, reject);
    });
  };

  // What the host is asked for. A sealed body is handed over as it is.
  const argsOf = async (request, sealed) => {
    const body = sealed ?? (request.body === null ? null : await request.bytes());
    const headers = [];
    const rows = listOf(request.headers.entries());
    for (let i = 0; i < rows.length; i++) push(headers, [rows[i][0], rows[i][1]]);
    const args = { method: request.method, url: request.url, headers, body };
    if (request.redirect !== 'follow') args.redirect = request.redirect;
    return args;
  };
  // A request, and apart from it the body that is sealed.
  const requestOf = (input, init) => {
    const sealed = kit.isSealed(init?.body) ? init.body : undefined;
    return { request: new Request(input, sealed ? { ...init, body: undefined } : init), sealed };
  };

  const perform = async ({ request, sealed }) => {
    const { signal } = request;
    if (signal && signal.aborted) throw signal.reason;
    const args = await argsOf(request, sealed);

    let done = false;
    let stop;
    const aborted = signal
      ? new Promise((_, reject) => { stop = followSignal(signal, reject); })
      : undefined;
    const answer = native.web('request', args);
    // What arrives after an abort is not wanted any more.
    kit.then(answer, (late) => { if (done && late.body !== null) cancel(late.body); }, () => {});
    try {
      const reply = await first(answer, aborted);
      return responseOf(reply, request, signal);
    } catch (error) {
      done = true;
      throw error;
    } finally {
      if (stop) stop();
    }
  };

  const responseOf = (reply, request, signal) => {
    const headers = new Headers();
    for (let i = 0; i < reply.headers.length; i++) headers.append(reply.headers[i][0], reply.headers[i][1]);
    const streamed = reply.body === null || reply.body === undefined ? null : bodyStream(reply.body, signal);
    const init = { status: reply.status, statusText: reply.status_text, headers };
    const response = new Response(NO_BODY[reply.status] ? null : streamed, init);
    return place(response, reply.url, reply.url !== request.url, 'basic');
  };

  kit.grants.fetch = async function fetch(input, init = {}) { return await perform(requestOf(input, init)); };
  // The whole response, sealed.
  kit.fetchSealed = async (input, init = {}) => {
    const { request, sealed } = requestOf(input, init);
    return kit.sealed(await native.web('request', await argsOf(request, sealed), true));
  };
})
