/**
 * A well-behaved client that asks all the time while others attack: a put and a get over gRPC and
 * over the gateway each second, and ten times a second for something that needs no more than a turn
 * of the event loop. It tells how long answers took, without the time for which the member waited
 * for a processor: the machine has other work.
 */

import { Agent, request } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import type { Member } from './member.ts';
import { grpcMessage } from './messages.ts';
import { type Door, pause } from './wire.ts';

const ANSWER_MS_MAX = 20_000;
const OWN_DELAY_MS_MAX = 100;
const KEY = Buffer.from('probe');
const PUT = Buffer.concat([Buffer.from([0x0a, KEY.length]), KEY, Buffer.from([0x12, 1, 0x31])]);
const RANGE = Buffer.concat([Buffer.from([0x0a, KEY.length]), KEY]);

export interface ProbeFigures {
  probes: number;
  failures: number;
  slowest: Record<string, number>;
  /** Answers after which nothing is said, since the fuzzer itself was late. */
  discounted: number;
  texts: string[];
}

export class Probes {
  readonly figures: ProbeFigures = {
    probes: 0,
    failures: 0,
    slowest: {},
    discounted: 0,
    texts: [],
  };
  readonly #member: Member;
  readonly #door: Door;
  readonly #agent: Agent;
  #session: ClientHttp2Session | null = null;
  #isStopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(member: Member, isTls: boolean) {
    this.#member = member;
    this.#door = { port: member.clientPort, isTls };
    this.#agent = isTls
      ? new TlsAgent({ keepAlive: true, rejectUnauthorized: false })
      : new Agent({ keepAlive: true });
  }

  start(): void {
    const requests = async (): Promise<void> => {
      while (!this.#isStopped) {
        await this.#timed('grpc put', () => this.#grpc('/etcdserverpb.KV/Put', PUT));
        await this.#timed('grpc get', () => this.#grpc('/etcdserverpb.KV/Range', RANGE));
        await this.#timed('gateway put', () =>
          this.#json('/v3/kv/put', '{"key":"cA==","value":"MQ=="}'),
        );
        await this.#timed('gateway get', () => this.#json('/v3/kv/range', '{"key":"cA=="}'));
        await pause(1000);
      }
    };
    const turns = async (): Promise<void> => {
      while (!this.#isStopped) {
        await this.#timed('turn', () => this.#json('/version', null));
        await pause(100);
      }
    };
    this.#running = Promise.all([requests(), turns()]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    this.#session?.destroy();
    this.#agent.destroy();
  }

  /** Whether a put is answered; never rejects. */
  async works(): Promise<boolean> {
    try {
      await this.#json('/v3/kv/put', '{"key":"cA==","value":"MQ=="}');
      await this.#grpc('/etcdserverpb.KV/Range', RANGE);
      return true;
    } catch {
      return false;
    }
  }

  /** The revision now, and everything before it compacted. */
  async compact(): Promise<void> {
    try {
      const text = await this.#json('/v3/kv/range', '{"key":"cA=="}');
      const { header } = JSON.parse(text) as { header: { revision: string } };
      await this.#json('/v3/kv/compaction', JSON.stringify({ revision: header.revision }));
    } catch {
      // Another compaction was faster, or the member is under attack.
    }
  }

  async #timed(name: string, ask: () => Promise<unknown>): Promise<void> {
    const waitedBefore = this.#member.usage()?.waitedMs ?? 0;
    const started = performance.now();
    const lag = ownLag();
    let error: string | null = null;
    try {
      await ask();
    } catch (cause) {
      error = cause instanceof Error ? cause.message : String(cause);
    }
    const took = performance.now() - started;
    const waited = (this.#member.usage()?.waitedMs ?? 0) - waitedBefore;
    const { figures } = this;
    if (this.#isStopped) return;
    figures.probes++;
    const own = lag();
    const net = Math.round(took - waited - own);
    if (own > OWN_DELAY_MS_MAX) figures.discounted++;
    else figures.slowest[name] = Math.max(figures.slowest[name] ?? 0, net);
    if (error === null) return;
    figures.failures++;
    if (figures.texts.length < 20) figures.texts.push(`${name}: ${error}`);
  }

  #grpc(path: string, message: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const session = this.#connected();
      const timer = setTimeout(() => fail(new Error('no answer')), ANSWER_MS_MAX);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        session.destroy();
        this.#session = null;
        reject(error);
      };
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      let status = 'none';
      stream.on('response', (headers) => {
        status = String(headers['grpc-status'] ?? status);
      });
      stream.on('trailers', (trailers) => {
        status = `${trailers['grpc-status']} ${trailers['grpc-message'] ?? ''}`.trim();
      });
      stream.on('error', fail);
      stream.on('close', () => {
        clearTimeout(timer);
        if (status === '0') resolve();
        else reject(new Error(`status ${status}`));
      });
      stream.resume();
      stream.end(grpcMessage(message));
    });
  }

  #connected(): ClientHttp2Session {
    const known = this.#session;
    if (known !== null && !known.closed && !known.destroyed) return known;
    const { port, isTls } = this.#door;
    const scheme = isTls ? 'https' : 'http';
    const session = connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    this.#session = session;
    return session;
  }

  #json(path: string, body: string | null): Promise<string> {
    const { port, isTls } = this.#door;
    return new Promise((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        path,
        method: body === null ? 'GET' : 'POST',
        agent: this.#agent,
        timeout: ANSWER_MS_MAX,
      };
      const call = (isTls ? requestTls : request)(options, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${response.statusCode} ${text.slice(0, 200)}`));
        });
        response.on('error', reject);
      });
      call.on('timeout', () => call.destroy(new Error('no answer')));
      call.on('error', reject);
      call.end(body ?? undefined);
    });
  }
}

/** How late the fuzzer's own event loop has been since, in milliseconds. */
function ownLag(): () => number {
  const every = 20;
  let last = performance.now();
  let worst = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - every);
    last = now;
  }, every);
  return () => {
    clearInterval(timer);
    return worst;
  };
}
