// Clients that write and read at any member while things happen to the cluster, and watchers that
// go on where they were cut off. What they saw is a history for test/support/history.ts. This file
// refuses to know what happens to the cluster.

import { performance } from 'node:perf_hooks';
import type { Message } from '../../compat/proto.ts';
import { Prng } from '../../compat/random.ts';
import { until } from '../../compat/servers.ts';
import { checkHistory, type Operation, type Outcome } from '../../support/history.ts';
import type { Answer, KeyValue, Request, Step } from '../../support/model.ts';
import { Api, headerOf } from './api.ts';
import type { Member } from './member.ts';
import { Follower, readLog } from './watching.ts';

const PREFIX = 'load/';
const PREFIX_END = 'load0';
const KEYS = 12;
const CALL_MS_MAX = 1_000;
const SECOND_CHANCE_PERCENT = 10;
const WATCH_MS_MAX = 10_000;
const RETRY_MS = 20;
const ACKNOWLEDGED_MS_MAX = 60_000;
// grpc-js says so of a call that was never sent.
const NEVER_SENT = 'No connection established';
// Codes of an answer that the server gives before it proposes anything.
const REFUSED = new Set([3, 5, 8, 9, 11, 12]);

export interface LoadOptions {
  readonly clients: number;
  readonly seed: number;
  /** Whom the clients may ask; looked at again for every request. */
  readonly members: () => readonly Member[];
}

export interface LoadFigures {
  readonly operations: number;
  readonly acknowledgedWrites: number;
  readonly unknown: number;
  readonly events: number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #prng: Prng;
  readonly #operations: Operation[] = [];
  readonly #apis = new Map<Member, Api>();
  readonly #watchers: Follower[] = [];
  readonly #shunned = new Map<string, Member>();
  #loops: Promise<void>[] = [];
  #running = false;
  #values = 0;
  #acknowledged = 0;
  #lastAcknowledgedAt = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#prng = new Prng(options.seed);
  }

  /** Writes that were acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** On the scale of performance.now(). */
  get lastAcknowledgedAt(): number {
    return this.#lastAcknowledgedAt;
  }

  start(): void {
    this.#running = true;
    for (let i = 0; i < this.#options.clients; i++) this.#loops.push(this.#run(`client${i}`));
    for (const [i] of this.#options.members().entries()) {
      const key = i === 0 ? { key: PREFIX, rangeEnd: PREFIX_END } : { key: `${PREFIX}${i}` };
      const watcher = new Follower({ client: `watcher${i}`, ...key, startRevision: 1 }, () =>
        this.#member(i),
      );
      this.#watchers.push(watcher);
    }
  }

  /** Waits until so many more writes are acknowledged: the cluster works. */
  async more(writes: number): Promise<void> {
    const enough = this.#acknowledged + writes;
    const done = () => (this.#acknowledged >= enough ? true : null);
    await until(`${writes} more acknowledged writes`, done, ACKNOWLEDGED_MS_MAX);
  }

  async stop(): Promise<LoadFigures> {
    this.#running = false;
    await Promise.all(this.#loops);
    this.#loops = [];
    const unknown = this.#operations.filter(({ outcome }) => outcome.case === 'unknown').length;
    return {
      operations: this.#operations.length,
      acknowledgedWrites: this.#acknowledged,
      unknown,
      events: this.#watchers[0]?.record(0).events.length ?? 0,
    };
  }

  /** What was wrong, in words; `witness` tells the whole history. */
  async violations(witness: Member): Promise<readonly string[]> {
    const last = headerOf(await witness.api.must('KV/Range', { key: Buffer.from('a') })).revision;
    const log = await readLog(witness, last);
    // Whoever has not seen all by then is named by the check.
    await Promise.all(this.#watchers.map((watcher) => watcher.waitFor(log, WATCH_MS_MAX)));
    const isOurs = (key: string) => key.startsWith(PREFIX);
    const watches = this.#watchers.map((watcher) => watcher.record(last));
    const found = checkHistory({ operations: this.#operations, watches, log, isOurs });
    return found.map(({ rule, message }) => `${rule}: ${message}`);
  }

  async close(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
    for (const watcher of this.#watchers) watcher.close();
    for (const api of this.#apis.values()) api.close();
  }

  async #run(client: string): Promise<void> {
    while (this.#running) {
      const request = await this.#next(client);
      if (request !== null) await this.#do(client, request);
    }
  }

  /** The next request; a compare-and-swap reads first. */
  async #next(client: string): Promise<Request | null> {
    const key = `${PREFIX}${this.#prng.below(KEYS)}`;
    const value = () => `${client}-${++this.#values}`;
    switch (this.#prng.weighted({ put: 40, delete: 8, get: 20, list: 5, swap: 20, pair: 7 })) {
      case 'put':
        return { kind: 'put', key, value: value() };
      case 'delete':
        return { kind: 'delete', key };
      case 'get':
        return { kind: 'get', key };
      case 'list':
        return { kind: 'get', key: PREFIX, rangeEnd: PREFIX_END };
      case 'swap': {
        const answer = await this.#do(client, { kind: 'get', key });
        if (answer === null) return null;
        const operand = answer.kvs?.[0]?.modRevision ?? 0;
        return {
          kind: 'txn',
          compares: [{ key, target: 'modRevision', result: '=', operand }],
          success: [{ kind: 'put', key, value: value() }],
          failure: [{ kind: 'get', key }],
        };
      }
      case 'pair': {
        const other = `${PREFIX}${this.#prng.below(KEYS)}/other`;
        const success: Step[] = [
          { kind: 'put', key, value: value() },
          { kind: 'put', key: other, value: value() },
        ];
        return { kind: 'txn', compares: [], success, failure: [] };
      }
    }
  }

  /** The answer, or null when it failed or nobody knows. */
  async #do(client: string, request: Request): Promise<Answer | null> {
    const member = this.#choose(client);
    const [name, message] = encoded(request);
    const start = performance.now();
    const reply = await this.#apiOf(member).call(name, message);
    const end = performance.now();
    if (reply.ok) {
      if (this.#shunned.get(client) === member) this.#shunned.delete(client);
      const answer = answerOf(request, reply.message);
      const { revision } = headerOf(reply.message);
      this.#record({ client, request, start, end, outcome: { case: 'ok', revision, answer } });
      if (request.kind !== 'get') {
        this.#acknowledged += 1;
        this.#lastAcknowledgedAt = end;
      }
      return answer;
    }
    const isRefused = REFUSED.has(reply.code) || reply.text.startsWith(NEVER_SENT);
    const outcome: Outcome = { case: isRefused ? 'failed' : 'unknown' };
    this.#record({ client, request, start, end: isRefused ? end : null, outcome });
    this.#shunned.set(client, member);
    await pause(RETRY_MS);
    return null;
  }

  /** Any member; seldom the one that failed this client last. */
  #choose(client: string): Member {
    const members = this.#options.members();
    const shunned = this.#prng.chance(SECOND_CHANCE_PERCENT) ? null : this.#shunned.get(client);
    const preferred = members.filter((member) => member !== shunned);
    return this.#prng.pick(preferred.length > 0 ? preferred : members);
  }

  #record(operation: Operation): void {
    this.#operations.push(operation);
  }

  #member(i: number): Member {
    const members = this.#options.members();
    const member = members[i % members.length];
    if (member === undefined) throw new Error('no member to watch');
    return member;
  }

  #apiOf(member: Member): Api {
    const known = this.#apis.get(member);
    if (known !== undefined) return known;
    const api = new Api(member.endpoint, CALL_MS_MAX);
    this.#apis.set(member, api);
    return api;
  }
}

function encoded(request: Request): readonly [string, Message] {
  if (request.kind === 'put') return ['KV/Put', stepMessage(request)];
  if (request.kind === 'delete') return ['KV/DeleteRange', stepMessage(request)];
  if (request.kind === 'get') return ['KV/Range', stepMessage(request)];
  const compare = request.compares.map(({ key, operand }) => ({
    key: Buffer.from(key),
    target: 2,
    result: 0,
    mod_revision: `${operand}`,
  }));
  const operations = (steps: readonly Step[]) => steps.map(operationMessage);
  const { success, failure } = request;
  return ['KV/Txn', { compare, success: operations(success), failure: operations(failure) }];
}

function stepMessage(step: Step): Message {
  const key = Buffer.from(step.key);
  if (step.kind === 'put') return { key, value: Buffer.from(step.value) };
  return step.rangeEnd === undefined ? { key } : { key, range_end: Buffer.from(step.rangeEnd) };
}

function operationMessage(step: Step): Message {
  const kind = {
    put: 'request_put',
    delete: 'request_delete_range',
    get: 'request_range',
  } as const;
  return { [kind[step.kind]]: stepMessage(step) };
}

function answerOf(request: Request, message: Message): Answer {
  if (request.kind === 'put') return {};
  if (request.kind === 'delete') return { deleted: Number(message['deleted'] ?? 0) };
  if (request.kind === 'get') return { kvs: pairsOf(message) };
  const succeeded = message['succeeded'] === true;
  const steps = succeeded ? request.success : request.failure;
  const responses = (message['responses'] ?? []) as Message[];
  const answers = steps.map((step, i): Answer => {
    const response = Object.values(responses[i] ?? {})[0] as Message | undefined;
    return answerOf(step, response ?? {});
  });
  return { succeeded, steps: answers };
}

function pairsOf(message: Message): readonly KeyValue[] {
  return ((message['kvs'] ?? []) as Message[]).map((kv) => ({
    key: String(kv['key']),
    value: String(kv['value'] ?? ''),
    modRevision: Number(kv['mod_revision']),
  }));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
