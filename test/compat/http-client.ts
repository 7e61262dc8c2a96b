// Plain HTTP/1.1 to a server on loopback: whole answers, and line streams for the JSON gateway.
// It knows nothing of etcd.
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const REQUEST_MS_MAX = 20_000;

export interface HttpCall {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export function httpRequest(port: number, call: HttpCall): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...options(port, call), agent }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.on('error', reject);
    sent.setTimeout(REQUEST_MS_MAX, () => {
      sent.destroy(new Error(`no answer from ${call.method} ${call.path} in ${REQUEST_MS_MAX} ms`));
    });
    sent.end(call.body);
  });
}

/** An open POST whose answer is read line by line while more may be written. */
export class LineStream {
  readonly lines: string[] = [];
  status = 0;
  headers: IncomingMessage['headers'] = {};
  ended = false;
  readonly #request: ClientRequest;

  constructor(port: number, call: HttpCall) {
    this.#request = request({ ...options(port, call), agent: false }, (incoming) => {
      this.status = incoming.statusCode ?? 0;
      this.headers = incoming.headers;
      let rest = '';
      incoming.on('data', (chunk: Buffer) => {
        const parts = (rest + chunk.toString('utf8')).split('\n');
        rest = parts.pop() ?? '';
        this.lines.push(...parts);
      });
      const finish = () => {
        if (rest !== '') this.lines.push(rest);
        rest = '';
        this.ended = true;
      };
      incoming.on('end', finish);
      incoming.on('error', finish);
    });
    this.#request.on('error', () => {
      this.ended = true;
    });
    if (call.body !== undefined) this.#request.write(call.body);
    else this.#request.flushHeaders();
  }

  write(text: string): void {
    this.#request.write(text);
  }

  /** No more request body; the answer goes on. */
  halfClose(): void {
    this.#request.end();
  }

  close(): void {
    this.#request.destroy();
  }
}

function options(port: number, call: HttpCall) {
  return {
    host: '127.0.0.1',
    port,
    method: call.method,
    path: call.path,
    headers: { ...call.headers },
  };
}
