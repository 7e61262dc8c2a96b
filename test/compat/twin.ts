// Sends the same random operations to two servers in lockstep and stops at the first answer that
// differs. What may differ between two correct servers is listed in `normalise` (both current) and
// in version-differences.ts (against an older etcd); everything else is compared to the byte.
import { type Operation, randomOperation, type World } from './operations.ts';
import type { Message } from './proto.ts';
import { Prng } from './random.ts';
import { olderThan } from './servers.ts';
import { type Answer, type Prepared, plain, prepare, type Side } from './side.ts';
import { allowedDifference, avoidedByOld } from './version-differences.ts';
import { MARKER_KEY, WatchPair } from './watch-pair.ts';

const STREAMS_MAX = 5;
const CHECKPOINT_EVERY = 250;
const ALARM_OPS = 12;

export interface TwinOptions {
  readonly sides: readonly [Side, Side];
  readonly seed: number;
  readonly operations: number;
}

export interface TwinReport {
  readonly operations: number;
  readonly revision: bigint;
  readonly allowed: ReadonlyMap<string, number>;
  readonly byMethod: ReadonlyMap<string, number>;
}

export class Twin {
  readonly #sides: readonly [Side, Side];
  readonly #seed: number;
  readonly #operations: number;
  readonly #prng: Prng;
  readonly #old: boolean;
  readonly #world: World = { revision: 1n, compacted: -1n, leases: new Map() };
  readonly #allowed = new Map<string, number>();
  readonly #byMethod = new Map<string, number>();
  readonly #queue: { at: number; operation: Operation }[] = [];
  readonly #streams: WatchPair[] = [];
  #count = 0;

  constructor(options: TwinOptions) {
    this.#sides = options.sides;
    this.#seed = options.seed;
    this.#operations = options.operations;
    this.#prng = new Prng(options.seed);
    this.#old = options.sides.some(({ version }) => olderThan(version, 3, 7));
  }

  async run(): Promise<TwinReport> {
    try {
      while (this.#count < this.#operations) {
        this.#count += 1;
        if (this.#count % CHECKPOINT_EVERY === 0) await this.#checkpoint();
        else if (this.#prng.chance(4)) await this.#watchStep();
        else await this.#step(this.#next());
      }
      await this.#checkpoint();
    } finally {
      for (const stream of this.#streams) stream.close();
    }
    return {
      operations: this.#count,
      revision: this.#world.revision,
      allowed: this.#allowed,
      byMethod: this.#byMethod,
    };
  }

  #next(): Operation {
    const due = this.#queue.findIndex(({ at }) => at <= this.#count);
    if (due >= 0) return this.#queue.splice(due, 1)[0]?.operation as Operation;
    for (;;) {
      const operation = randomOperation(this.#prng, this.#world);
      if (!this.#old || avoidedByOld(operation) === null) return operation;
    }
  }

  async #step(operation: Operation): Promise<void> {
    if (operation.method === 'KV/Compact') await this.#checkpoint();
    const via = this.#prng.chance(50) ? 'grpc' : 'json';
    // An old gateway takes only the canonical spelling.
    const prepared = prepare(operation, via, this.#old ? null : this.#prng);
    const a = await this.#ask(prepared);
    this.#byMethod.set(operation.method, (this.#byMethod.get(operation.method) ?? 0) + 1);
    this.#learn(operation, a);
    const { method, request } = operation;
    if (method === 'KV/Compact' && isSuccess(a) && request['physical'] !== true) {
      // etcd: whether the hash of a compaction is kept depends on whether the one before it had
      // been carried out. A refused physical compaction still waits for that.
      await this.#ask(prepare({ method, request: { ...request, physical: true } }, 'grpc', null));
    }
  }

  async #ask(prepared: Prepared): Promise<Answer> {
    const [left, right] = this.#sides;
    const [a, b] = await Promise.all([left.ask(prepared), right.ask(prepared)]).catch(
      (error: Error) => this.#fail(`no answer: ${error.message}`, prepared, []),
    );
    this.#compare(prepared, a, b);
    return a;
  }

  #compare(prepared: Prepared, a: Answer, b: Answer): void {
    const found = differ(prepared.operation, a, b, this.#world);
    if (found === null) return;
    const reason = this.#old ? allowedDifference(prepared, this.#sides, [a, b]) : null;
    if (reason === null) this.#fail(found, prepared, [a, b]);
    this.#allowed.set(reason, (this.#allowed.get(reason) ?? 0) + 1);
  }

  #learn({ method, request }: Operation, answer: Answer): void {
    if (!isSuccess(answer)) return;
    const header = answer.messages.at(-1)?.['header'] as Message | undefined;
    const revision = BigInt(String(header?.['revision'] ?? '0'));
    const world = this.#world;
    if (revision > world.revision) world.revision = revision;
    if (method === 'KV/Compact') world.compacted = BigInt(String(request['revision'] ?? '0'));
    if (method === 'Lease/LeaseGrant') {
      world.leases.set(String(request['ID']), BigInt(String(request['TTL'])));
    }
    if (method === 'Lease/LeaseRevoke') world.leases.delete(String(request['ID']));
    if (method === 'Maintenance/Alarm' && request['action'] === 1) {
      const undo = { method, request: { ...request, action: 2 } };
      this.#queue.push({ at: this.#count + ALARM_OPS, operation: undo });
    }
  }

  /** Everything up to here must have reached every watcher, and the stores must hash alike. */
  async #checkpoint(): Promise<void> {
    this.#queue.sort((a, b) => a.at - b.at);
    for (const { operation } of this.#queue.splice(0)) await this.#step(operation);
    const key = Buffer.from(MARKER_KEY);
    await this.#step({ method: 'KV/Put', request: { key, value: Buffer.from('m') } });
    for (const stream of this.#streams) {
      await stream.settle(this.#world.revision);
      const found = await stream.difference();
      if (found !== null) this.#fail(found, null, []);
    }
    // etcd: after Compact(0) the hash of revision 0 is kept as that of an empty store and answers
    // every HashKV(0) from then on, so the checkpoint names its revision.
    const revision = `${this.#world.revision}`;
    await this.#step({ method: 'Maintenance/HashKV', request: { revision }, grpcOnly: true });
  }

  async #watchStep(): Promise<void> {
    const prng = this.#prng;
    const kind = prng.weighted({ open: 10, close: 4, create: 60, cancel: 20, progress: 6 });
    const stream = this.#streams.length === 0 ? null : prng.pick(this.#streams);
    this.#byMethod.set(`watch ${kind}`, (this.#byMethod.get(`watch ${kind}`) ?? 0) + 1);
    if (kind === 'open' || stream === null) {
      if (this.#streams.length >= STREAMS_MAX) return;
      const via = prng.chance(50) ? 'grpc' : 'json';
      this.#streams.push(await WatchPair.open(this.#sides, via, prng.chance(65)));
    } else if (kind === 'close') {
      await this.#checkpoint();
      stream.close();
      this.#streams.splice(this.#streams.indexOf(stream), 1);
    } else if (kind === 'create') await this.#createWatch(stream);
    else if (kind === 'cancel') {
      const known = stream.ids.size > 0 && prng.chance(80);
      if (known) await this.#checkpoint(); // Else a cancel could overtake events still owed.
      const id = known ? prng.pick([...stream.ids]) : prng.pick(['999', '-1', '12345']);
      stream.ids.delete(id);
      await stream.cancel(id, known);
    } else if (!this.#old && stream.steady) stream.requestProgress();
  }

  async #createWatch(stream: WatchPair): Promise<void> {
    const prng = this.#prng;
    const pickBytes = (choices: readonly string[]) => Buffer.from(prng.pick(choices), 'latin1');
    const key = pickBytes(['', '\x00', 'a', 'b', 'b/', 'c', 'k\x00', '\xff', 'z']);
    const request: Message = { key };
    if (prng.chance(60))
      request['range_end'] = pickBytes(['\x00', 'c', 'b0', '\xff\xff', 'a', 'd']);
    if (prng.chance(50)) request['prev_kv'] = true;
    if (prng.chance(30)) request['filters'] = prng.pick([[0], [1], [0, 1], [1, 1]]);
    if (prng.chance(10)) request['fragment'] = true;
    const { revision, compacted } = this.#world;
    if (prng.chance(30)) {
      // An explicit id, so that it can be cancelled or asked for twice.
      const id = `${100 + prng.below(6)}`;
      request['watch_id'] = id;
    }
    const floor = compacted > 1n ? compacted : 1n;
    if (stream.steady && prng.chance(60)) {
      const start = floor + ((revision - floor) * BigInt(prng.below(101))) / 100n;
      request['start_revision'] = `${start}`;
    } else if (stream.steady && !this.#old && prng.chance(8)) {
      request['start_revision'] = prng.pick(['-1', '-9223372036854775808']);
    } else if (!stream.steady && prng.chance(60)) {
      request['start_revision'] = `${revision + BigInt(1 + prng.below(60))}`;
    } else if (!stream.steady && compacted > 2n && !stream.ids.has(String(request['watch_id']))) {
      if (validRange(request)) {
        await stream.createCompacted({ ...request, start_revision: `${compacted - 1n}` });
        // etcd: a watcher cancelled by compaction keeps its id until the client cancels it.
        if (request['watch_id'] !== undefined) stream.ids.add(String(request['watch_id']));
        return;
      }
    }
    await stream.create(request);
    if (request['watch_id'] !== undefined && validRange(request)) {
      if (!String(request['start_revision']).startsWith('-')) {
        stream.ids.add(String(request['watch_id']));
      }
    }
  }

  #fail(what: string, prepared: Prepared | null, answers: readonly Answer[]): never {
    const lines = [`operation ${this.#count} of seed ${this.#seed}: ${what}`];
    if (prepared !== null) {
      const { method, request } = prepared.operation;
      lines.push(`request: ${method} over ${prepared.via}: ${plain(request)}`);
      if (prepared.via === 'json') lines.push(`json: ${prepared.json}`);
      else lines.push(`bytes: ${prepared.bytes.toString('hex')}`);
    }
    answers.forEach((answer, i) => {
      const side = this.#sides[i];
      lines.push(`${side?.label} ${side?.version}: ${answer.raw.slice(0, 6000)}`);
    });
    lines.push(
      `again: SEED=${this.#seed} OPS=${this.#count} npx vitest run ` +
        '--config vitest.compat.config.ts test/compat/twin.test.ts',
    );
    throw new Error(lines.join('\n'));
  }
}

export function isSuccess({ outcome }: Answer): boolean {
  return /^(grpc 0|http 200) /.test(outcome);
}

/** What differs between two answers that should be equal, or null. */
export function differ(operation: Operation, a: Answer, b: Answer, world: World): string | null {
  if (a.outcome !== b.outcome) return 'outcomes differ';
  if (a.exact.length !== b.exact.length) return 'different number of messages';
  if (a.exact.every((text, i) => text === b.exact[i])) return null;
  const left = a.messages.map((message) => plain(normalise(operation, message, world)));
  const right = b.messages.map((message) => plain(normalise(operation, message, world)));
  if (left.some((text, i) => text !== right[i])) return 'messages differ';
  return isLoose(operation) ? null : 'equal messages, but different bytes or text';
}

function isLoose({ method }: Operation): boolean {
  return /TimeToLive|LeaseLeases|Status$|RoleGet|Alarm/.test(method);
}

function normalise(operation: Operation, message: Message, world: World): Message {
  const { method } = operation;
  switch (method) {
    case 'Lease/LeaseTimeToLive': {
      // Whole seconds left: the two servers are asked milliseconds apart.
      const left = BigInt(String(message['TTL'] ?? '0'));
      const keys = Array.isArray(message['keys']) ? message['keys'].map(plain).sort() : [];
      return { ...message, TTL: left > 0n ? `${(left + 50n) / 1000n}` : `${left}`, keys };
    }
    case 'Lease/LeaseLeases': {
      const leases = Array.isArray(message['leases']) ? (message['leases'] as Message[]) : [];
      const ids = leases.map((status) => String(status['ID']));
      // Ordered by time left; equal grants may come in either order.
      const order = ids.map((id) => `${world.leases.get(id)}`);
      return { ...message, leases: [order, ids.sort()] };
    }
    case 'Maintenance/Status': {
      // Alarm texts come from a printer that varies its spacing from build to build.
      const errors = Array.isArray(message['errors']) ? message['errors'] : [];
      const texts = errors.map((text) => String(text).replace(/\s+/g, ' ').trim()).sort();
      return { ...message, dbSize: 'size', dbSizeInUse: 'size', errors: texts };
    }
    case 'Maintenance/Alarm': {
      const alarms = Array.isArray(message['alarms']) ? message['alarms'].map(plain).sort() : [];
      return { ...message, alarms };
    }
    default:
      return message;
  }
}

function validRange(request: Message): boolean {
  const key = request['key'] as Buffer;
  const end = request['range_end'] as Buffer | undefined;
  if (end === undefined || end.length === 0 || end.equals(Buffer.from([0]))) return true;
  const start = key.length === 0 ? Buffer.from([0]) : key;
  return Buffer.compare(start, end) < 0;
}
