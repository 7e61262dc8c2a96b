// Cycles of SIGKILL under write load against one server process, and what must hold after each
// restart: no acknowledged write is lost, revisions are dense, a resumed watch continues exactly
// the history a live watcher saw, terms never go back, and the hash of a revision never changes.
// The generator knows only what was acknowledged; every value is written once.

import { GrpcClient } from '../compat/client.ts';
import { decode, type Message, method } from '../compat/proto.ts';
import { Prng } from '../compat/random.ts';
import { Server, until } from '../compat/servers.ts';

const PREFIX = 'k/';
const EVERYTHING = { key: Buffer.from(PREFIX), range_end: Buffer.from('k0') };
const KEYS_PER_CLIENT = 8;
const COMPACT_EVERY = 4;
const ACKS_PER_CYCLE_MAX = 400;
const VERIFY_MS_MAX = 60_000;
// What a call may end with when its server dies under it.
const CUT_OFF = new Set([1, 4, 13, 14]);

export interface KillOptions {
  readonly command: readonly string[];
  readonly kills: number;
  readonly clients: number;
  readonly seed: number;
  readonly flags?: readonly string[];
}

export interface KillReport {
  readonly version: string;
  readonly seed: number;
  readonly kills: number;
  readonly clients: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly unansweredKept: number;
  readonly revision: number;
  readonly compactions: number;
  readonly raftTerm: number;
  readonly restartMsMedian: number;
  readonly restartMsMax: number;
  readonly seconds: number;
  readonly failures: readonly string[];
}

/** One key as its only writer knows it. */
interface KeyRecord {
  /** Last acknowledged value, null for absent. */
  known: string | null;
  /** The one change sent after that and not answered. */
  open: { readonly value: string | null } | null;
}

/** A hash and what it is a function of. */
interface HashRecord {
  readonly revision: number;
  readonly compacted: number;
  readonly text: string;
}

interface Acknowledged {
  readonly revision: number;
  readonly text: string;
}

export async function runKills(options: KillOptions): Promise<KillReport> {
  const { command, flags = [] } = options;
  const server = await Server.start({ label: 'server', command, flags });
  try {
    return await new KillRun(options, server).run();
  } finally {
    await server.close();
  }
}

class KillRun {
  readonly #options: KillOptions;
  readonly #server: Server;
  readonly #prng: Prng;
  readonly #keys = new Map<string, KeyRecord>();
  /** What live watchers saw, by revision; below the compaction it is dropped. */
  readonly #history = new Map<number, string>();
  readonly #acknowledged: Acknowledged[] = [];
  readonly #leases = new Set<string>();
  readonly #failures: string[] = [];
  readonly #restartMs: number[] = [];
  #hash: HashRecord | null = null;
  #compacted = 0;
  #killing = false;
  #compactions = 0;
  #term = 0;
  #revision = 1;
  #seen = 1;
  #count = 0;
  #acks = 0;
  #unanswered = 0;
  #unansweredKept = 0;

  constructor(options: KillOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    this.#prng = new Prng(options.seed);
  }

  async run(): Promise<KillReport> {
    const started = Date.now();
    for (let cycle = 1; cycle <= this.#options.kills; cycle++) {
      await this.#loadUntilKilled(cycle);
      const launched = Date.now();
      await this.#server.launch();
      this.#restartMs.push(Date.now() - launched);
      await this.#verify(cycle);
      if (this.#failures.length > 0) break;
    }
    const times = this.#restartMs.sort((a, b) => a - b);
    return {
      version: this.#server.version,
      seed: this.#options.seed,
      kills: times.length,
      clients: this.#options.clients,
      acknowledged: this.#acks,
      unanswered: this.#unanswered,
      unansweredKept: this.#unansweredKept,
      revision: this.#revision,
      compactions: this.#compactions,
      raftTerm: this.#term,
      restartMsMedian: times[Math.floor(times.length / 2)] ?? 0,
      restartMsMax: times.at(-1) ?? 0,
      seconds: Math.round((Date.now() - started) / 1000),
      failures: this.#failures,
    };
  }

  async #loadUntilKilled(cycle: number): Promise<void> {
    const { clients } = this.#options;
    const connections = Array.from({ length: clients }, () => this.#connect());
    const watcher = this.#connect();
    const stream = watcher.bidi('Watch/Watch');
    stream.onMessage = (bytes) => this.#watched(bytes);
    const start_revision = `${this.#seen + 1}`;
    stream.send({ create_request: { ...EVERYTHING, start_revision, prev_kv: false } });
    const enough = this.#acks + 20 + this.#prng.below(ACKS_PER_CYCLE_MAX);
    const loops = connections.map((client, i) => this.#write(client, i));
    if (cycle % COMPACT_EVERY === 0 && this.#acks > 50) loops.push(this.#compact(watcher));
    await until(`${enough} acknowledged`, () => (this.#acks >= enough ? true : null), 60_000);
    this.#killing = true;
    await this.#server.kill();
    await Promise.all(loops);
    stream.cancel();
    for (const client of [...connections, watcher]) client.close();
    this.#killing = false;
  }

  /** Writes until the server is gone; each client owns its keys. */
  async #write(client: GrpcClient, owner: number): Promise<void> {
    for (;;) {
      const kind = this.#prng.weighted({ put: 70, delete: 10, txn: 15, lease: 5 });
      const own = () => `${PREFIX}${owner}/${this.#prng.below(KEYS_PER_CLIENT)}`;
      const done =
        kind === 'lease' ? await this.#grant(client) : await this.#change(client, kind, own());
      if (!done) return;
    }
  }

  async #change(client: GrpcClient, kind: 'put' | 'delete' | 'txn', key: string): Promise<boolean> {
    const record = this.#keys.get(key) ?? { known: null, open: null };
    this.#keys.set(key, record);
    const value = kind === 'delete' ? null : `v${++this.#count}`;
    const change = { key: Buffer.from(key), value: Buffer.from(value ?? '') };
    record.open = { value };
    let call: readonly [string, Message] = ['KV/Put', change];
    if (kind === 'delete') call = ['KV/DeleteRange', { key: change.key }];
    if (kind === 'txn') {
      // Deleting and rewriting in one transaction: both events belong to one revision.
      const other = { key: Buffer.from(`${key}/pair`), value: change.value };
      call = ['KV/Txn', { success: [{ request_put: change }, { request_put: other }] }];
    }
    const answer = await this.#ask(client, ...call);
    if (answer === null) {
      this.#unanswered += 1;
      return false;
    }
    record.known = value;
    record.open = null;
    this.#acks += 1;
    const text = `${key}=${value}`;
    if (value !== null) this.#acknowledged.push({ revision: revisionOf(answer), text });
    return true;
  }

  async #grant(client: GrpcClient): Promise<boolean> {
    const id = `${++this.#count}`;
    const answer = await this.#ask(client, 'Lease/LeaseGrant', { ID: id, TTL: '1000000' });
    if (answer !== null) this.#leases.add(id);
    return answer !== null;
  }

  async #compact(client: GrpcClient): Promise<void> {
    const revision = Math.max(2, this.#revision - 20);
    if (revision <= this.#compacted) return;
    this.#compactions += 1;
    const answer = await this.#ask(client, 'KV/Compact', { revision: `${revision}` });
    if (answer !== null) this.#compacted = revision;
  }

  /** The answer, or null when the server went away during the call. */
  async #ask(client: GrpcClient, name: string, request: Message): Promise<Message | null> {
    const { code, text, messages } = await client.unary(name, request);
    if (code !== 0) {
      if (!CUT_OFF.has(code) || !this.#killing) {
        this.#failures.push(`${name} failed: ${code} ${text}`);
      }
      return null;
    }
    const answer = decode(method(name).response, messages[0] ?? Buffer.alloc(0));
    this.#checkTerm(answer);
    return answer;
  }

  #checkTerm(answer: Message): void {
    const header = answer['header'] as Message | undefined;
    const term = Number(header?.['raft_term'] ?? 0);
    if (term < this.#term) this.#failures.push(`raft_term ${term} after ${this.#term}`);
    this.#term = Math.max(this.#term, term);
  }

  #watched(bytes: Buffer): void {
    for (const [revision, text] of eventsOf(bytes)) {
      if (revision !== this.#seen + 1) {
        this.#failures.push(`the live watch jumps from ${this.#seen} to ${revision}`);
      }
      this.#seen = revision;
      this.#history.set(revision, text);
    }
  }

  async #verify(cycle: number): Promise<void> {
    const client = this.#connect();
    const fail = (text: string) => this.#failures.push(`cycle ${cycle}: ${text}`);
    const range = await this.#ask(client, 'KV/Range', EVERYTHING);
    if (range === null) throw new Error(`no answer after restart: ${this.#failures.join(', ')}`);
    const revision = revisionOf(range);
    if (revision < this.#seen) fail(`revision ${revision}, but a watcher saw ${this.#seen}`);
    this.#revision = revision;
    this.#verifyKeys(range, fail);
    await this.#verifyCompaction(client, fail);
    await this.#verifyHistory(client, revision, fail);
    await this.#verifyHash(client, revision, fail);
    await this.#verifyLeases(client, fail);
    client.close();
  }

  #verifyKeys(range: Message, fail: (text: string) => void): void {
    const found = new Map<string, string>();
    for (const kv of (range['kvs'] ?? []) as Message[]) {
      found.set(String(kv['key']), String(kv['value'] ?? ''));
    }
    for (const [key, record] of this.#keys) {
      const value = found.get(key) ?? null;
      const kept = record.open !== null && value === record.open.value;
      if (value !== record.known && !kept) {
        fail(`${key} is ${value}, acknowledged ${record.known}, open ${record.open?.value}`);
      }
      if (record.open !== null && kept) this.#unansweredKept += 1;
      record.known = value;
      record.open = null;
    }
  }

  /** An acknowledged compaction holds; an unanswered one may. */
  async #verifyCompaction(client: GrpcClient, fail: (text: string) => void): Promise<void> {
    const hash = await this.#ask(client, 'Maintenance/HashKV', {});
    const compacted = Math.max(0, Number(hash?.['compact_revision'] ?? 0));
    if (compacted < this.#compacted) fail(`compacted ${compacted}, told ${this.#compacted}`);
    this.#compacted = compacted;
    for (const revision of this.#history.keys()) {
      if (revision < compacted) this.#history.delete(revision);
    }
  }

  /** Replays everything still kept and compares it with what was acknowledged and watched. */
  async #verifyHistory(
    client: GrpcClient,
    revision: number,
    fail: (text: string) => void,
  ): Promise<void> {
    const first = Math.max(2, this.#compacted + 1);
    const replay = new Map<number, string>();
    const stream = client.bidi('Watch/Watch');
    stream.onMessage = (bytes) => {
      for (const [at, text] of eventsOf(bytes)) {
        if (replay.has(at)) fail(`revision ${at} is replayed twice`);
        replay.set(at, text);
      }
    };
    stream.send({ create_request: { ...EVERYTHING, start_revision: `${first}` } });
    if (revision >= first) {
      const complete = () => (replay.has(revision) ? true : null);
      await until(`replay up to ${revision}`, complete, VERIFY_MS_MAX);
    }
    stream.cancel();
    for (let at = first; at <= revision; at++) {
      const text = replay.get(at);
      const watched = this.#history.get(at);
      if (text === undefined) fail(`revision ${at} has no events`);
      if (watched !== undefined && text !== watched) fail(`${at} is ${text}, watched ${watched}`);
    }
    for (const { revision: at, text } of this.#acknowledged.splice(0)) {
      if (at < first) continue;
      if (replay.get(at)?.includes(text) !== true) fail(`lost at ${at}: ${text}`);
    }
  }

  /** The hash at a revision is the same before and after a kill, for one compaction. */
  async #verifyHash(
    client: GrpcClient,
    revision: number,
    fail: (text: string) => void,
  ): Promise<void> {
    const ask = async (at: number) => {
      const answer = await this.#ask(client, 'Maintenance/HashKV', { revision: `${at}` });
      return `${String(answer?.['hash'])} from ${String(answer?.['compact_revision'])}`;
    };
    if (this.#hash?.compacted === this.#compacted) {
      const again = await ask(this.#hash.revision);
      if (again !== this.#hash.text) {
        fail(`hash at ${this.#hash.revision} was ${this.#hash.text}, is ${again}`);
      }
    }
    this.#hash = { revision, compacted: this.#compacted, text: await ask(revision) };
  }

  async #verifyLeases(client: GrpcClient, fail: (text: string) => void): Promise<void> {
    const answer = await this.#ask(client, 'Lease/LeaseLeases', {});
    const found = new Set(((answer?.['leases'] ?? []) as Message[]).map(({ ID }) => String(ID)));
    for (const id of this.#leases) if (!found.has(id)) fail(`lease ${id} is lost`);
  }

  #connect(): GrpcClient {
    return new GrpcClient(this.#server.endpoint);
  }
}

function revisionOf(answer: Message): number {
  return Number((answer['header'] as Message | undefined)?.['revision'] ?? 0);
}

/** The events of one watch answer as one text per revision. */
function eventsOf(bytes: Buffer): Map<number, string> {
  const response = decode(method('Watch/Watch').response, bytes);
  const byRevision = new Map<number, string>();
  for (const event of (response['events'] ?? []) as Message[]) {
    const kv = event['kv'] as Message;
    const revision = Number(kv['mod_revision']);
    const type = event['type'] === 1 ? 'DELETE ' : '';
    const text = `${type}${String(kv['key'])}=${String(kv['value'])}`;
    const before = byRevision.get(revision);
    byRevision.set(revision, before === undefined ? text : `${before} ${text}`);
  }
  return byRevision;
}
