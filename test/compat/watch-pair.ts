// The same watch stream on two servers, over gRPC or over the JSON gateway. Servers may batch
// events differently, so what is compared is, for every watch id, the sequence of events and of
// control messages. Event order across watch ids is not defined and not looked at.
import type { BidiStream } from './client.ts';
import { LineStream } from './http-client.ts';
import { compactJson, requestJson } from './json-text.ts';
import { decode, type Message, method } from './proto.ts';
import { until } from './servers.ts';
import { type Headers, metadataOf, plain, type Side } from './side.ts';

const WATCH = 'Watch/Watch';
export const MARKER_KEY = '~marker';
const MARKER_ID = 77_777n;

interface Arrivals {
  /** Lines not yet found equal on both sides, by watch id. */
  readonly logs: Map<string, string[]>;
  created: number;
  canceled: number;
  markerRevision: bigint;
  progressRevision: bigint;
}

interface HalfStream {
  readonly side: Side;
  readonly arrivals: Arrivals;
  send(request: Message): void;
  close(): void;
}

export class WatchPair {
  /** Steady streams hold only watchers that can catch up, so progress answers are certain. */
  readonly steady: boolean;
  readonly via: 'grpc' | 'json';
  readonly ids = new Set<string>();
  readonly #halves: readonly HalfStream[];

  private constructor(
    sides: readonly Side[],
    via: 'grpc' | 'json',
    steady: boolean,
    headers: readonly Headers[],
  ) {
    this.via = via;
    this.steady = steady;
    const open = via === 'grpc' ? overGrpc : overJson;
    this.#halves = sides.map((side, i) => open(side, headers[i] ?? {}));
  }

  static async open(
    sides: readonly Side[],
    via: 'grpc' | 'json',
    steady: boolean,
    headers: readonly Headers[] = [],
  ): Promise<WatchPair> {
    const pair = new WatchPair(sides, via, steady, headers);
    await pair.create({ key: Buffer.from(MARKER_KEY), watch_id: `${MARKER_ID}` });
    return pair;
  }

  /** For a user who may not see the marker: nothing settles on such a stream. */
  static openUnmarked(
    sides: readonly Side[],
    via: 'grpc' | 'json',
    headers: readonly Headers[],
  ): WatchPair {
    return new WatchPair(sides, via, false, headers);
  }

  /** Sends one create request and waits until both servers answered it. */
  async create(request: Message): Promise<void> {
    const before = this.#halves.map(({ arrivals }) => arrivals.created);
    this.#send({ create_request: request });
    await this.#arrived('created answer', ({ created }, i) => created > (before[i] ?? 0));
  }

  /** Waits for the cancellation that follows the creation below the compacted revision. */
  async createCompacted(request: Message): Promise<void> {
    const before = this.#halves.map(({ arrivals }) => arrivals.canceled);
    await this.create(request);
    await this.#arrived('compacted answer', ({ canceled }, i) => canceled > (before[i] ?? 0));
  }

  async cancel(id: string, known: boolean): Promise<void> {
    const before = this.#halves.map(({ arrivals }) => arrivals.canceled);
    this.#send({ cancel_request: { watch_id: id } });
    if (known) await this.#arrived('cancel', ({ canceled }, i) => canceled > (before[i] ?? 0));
  }

  requestProgress(): void {
    this.#send({ progress_request: {} });
  }

  /** Returns when everything up to `revision` (that of a marker put) has been delivered. */
  async settle(revision: bigint): Promise<void> {
    await this.#arrived('marker', ({ markerRevision }) => markerRevision >= revision);
    if (!this.steady) return;
    for (const { side, arrivals, send } of this.#halves) {
      if (side.version.startsWith('3.4.')) {
        // etcd: 3.4 answers progress at once, even while watchers lag; its gauge tells the truth.
        await until('no slow watchers', async () => ((await side.slowWatchers()) === 0 ? 0 : null));
        continue;
      }
      let asked = 0;
      await until(`progress from ${side.label}`, () => {
        if (arrivals.progressRevision >= revision) return true;
        if (asked++ % 20 === 0) send({ progress_request: {} });
        return null;
      });
    }
  }

  /** Waits until both sides showed the same; answers what differs, or null. */
  async difference(): Promise<string | null> {
    const found = await until('equal watch events', () => (this.#differs() === null ? '' : null))
      .then(() => null)
      .catch(() => this.#differs());
    if (found === null) for (const { arrivals } of this.#halves) arrivals.logs.clear();
    return found;
  }

  close(): void {
    for (const half of this.#halves) half.close();
  }

  #differs(): string | null {
    const [a, b] = this.#halves;
    if (a === undefined || b === undefined) return 'a stream is missing';
    for (const id of new Set([...a.arrivals.logs.keys(), ...b.arrivals.logs.keys()])) {
      const [left, right] = [a.arrivals.logs.get(id) ?? [], b.arrivals.logs.get(id) ?? []];
      const at = [...left, ...right].findIndex((_line, i) => left[i] !== right[i]);
      if (at < 0) continue;
      const line = (log: string[]) => log[at] ?? `nothing (${log.length} lines)`;
      return (
        `watch ${id} over ${this.via}, line ${at}:\n` +
        `  ${a.side.label}: ${line(left)}\n  ${b.side.label}: ${line(right)}`
      );
    }
    return null;
  }

  #send(request: Message): void {
    for (const half of this.#halves) half.send(request);
  }

  async #arrived(what: string, test: (arrivals: Arrivals, i: number) => boolean): Promise<void> {
    for (const [i, { side, arrivals }] of this.#halves.entries()) {
      await until(`${what} from ${side.label}`, () => (test(arrivals, i) ? true : null));
    }
  }
}

function overGrpc(side: Side, headers: Headers): HalfStream {
  const arrivals = newArrivals();
  const stream: BidiStream = side.grpc.bidi(WATCH, metadataOf(headers));
  const { response } = method(WATCH);
  stream.onMessage = (bytes) => take(arrivals, decode(response, bytes));
  return {
    side,
    arrivals,
    send: (request) => stream.send(request),
    close: () => stream.cancel(),
  };
}

function overJson(side: Side, headers: Headers): HalfStream {
  const arrivals = newArrivals();
  const stream = new LineStream(side.port, { method: 'POST', path: '/v3/watch', headers });
  stream.lines.push = (...lines: string[]) => {
    for (const line of lines) {
      const parsed = JSON.parse(compactJson(line)) as { result?: Message; error?: Message };
      if (parsed.result !== undefined) take(arrivals, parsed.result);
      else log(arrivals, 'stream', line);
    }
    return 0;
  };
  return {
    side,
    arrivals,
    send: (request) => stream.write(`${requestJson(method(WATCH).request, request, null)}\n`),
    close: () => stream.close(),
  };
}

function newArrivals(): Arrivals {
  return { logs: new Map(), created: 0, canceled: 0, markerRevision: 0n, progressRevision: 0n };
}

function take(arrivals: Arrivals, response: Message): void {
  const id = String(response['watch_id'] ?? '0');
  const header = response['header'] as Message | undefined;
  const events = Array.isArray(response['events']) ? (response['events'] as Message[]) : [];
  if (response['created'] === true || response['canceled'] === true) {
    if (response['created'] === true) arrivals.created += 1;
    if (response['canceled'] === true) arrivals.canceled += 1;
    log(arrivals, id, plain({ ...response, events: undefined }));
  } else if (events.length === 0) {
    arrivals.progressRevision = BigInt(String(header?.['revision'] ?? '0'));
  }
  for (const event of events) {
    log(arrivals, id, plain(event));
    if (id !== `${MARKER_ID}`) continue;
    const kv = event['kv'] as Message | undefined;
    arrivals.markerRevision = BigInt(String(kv?.['mod_revision'] ?? '0'));
  }
}

function log(arrivals: Arrivals, id: string, line: string): void {
  const known = arrivals.logs.get(id);
  if (known === undefined) arrivals.logs.set(id, [line]);
  else known.push(line);
}
