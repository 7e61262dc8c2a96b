/**
 * Discovery by means of another etcd: members that were told the same token meet under its keys,
 * until as many have come as a key says, and found a cluster together. etcd's keys, order, texts
 * and pauses.
 *
 * Every request ends after --discovery-request-timeout; the whole goes on until it succeeds, is
 * refused, or the signal ends it. It refuses to know how the store is reached.
 */

import { posix } from 'node:path';
import type { Settings } from '../config/flags.ts';
import { ValueError } from '../config/go-text.ts';
import { initialClusterUrls } from '../config/start.ts';
import { goDuration } from '../duration.ts';
import type { Log, LogFields } from '../log.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';
import { BootstrapError } from '../replica/founding.ts';
import { hexId, type MemberId, type Revision } from '../types.ts';
import { DiscoveryClient, type DiscoveryStore, type StoredPair } from './discovery-client.ts';

/** Discovery has refused this member; nothing was founded. */
export class DiscoveryError extends BootstrapError {
  constructor(reason: string) {
    super(`failed to join discovery cluster (${reason})`);
  }
}

export interface DiscoveryDeps {
  readonly store: DiscoveryStore;
  readonly token: string;
  readonly requestTimeoutMs: number;
  readonly clock: Pick<Clock, 'every'>;
  /** Says with every line which service and token it is about. */
  readonly log: Log;
  readonly endpoints: readonly string[];
  readonly signal: AbortSignal;
}

interface Registered {
  readonly size: number;
  readonly members: readonly StoredPair[];
  readonly revision: Revision;
}

/** etcd: 2^n seconds after the nth failure in a row, up to this n. */
const BACKOFF_EXPONENT_MAX = 8;

/**
 * Registers `self`, which is `name=url` pairs, and waits for the others. The result is what
 * --initial-cluster would be. Rejects with `DiscoveryError`.
 */
export async function joinByDiscovery(
  deps: DiscoveryDeps,
  memberId: MemberId,
  self: string,
): Promise<string> {
  return new Discovery(deps, memberId).join(self);
}

/** The same, with the service that the settings name. */
export async function discoverCluster(
  { config, clock, log, signal }: Surroundings,
  memberId: MemberId,
  self: string,
): Promise<string> {
  const { discoveryDialTimeout, discoveryToken: token, discoveryEndpoints: endpoints } = config;
  let store: DiscoveryClient;
  try {
    store = new DiscoveryClient(config, clock);
  } catch (error) {
    throw new DiscoveryError(textOf(error));
  }
  try {
    // etcd: only this must succeed at once.
    await within(clock, discoveryDialTimeout, signal, (ended) => store.authenticate(ended));
    const requestTimeoutMs = config.discoveryRequestTimeout;
    const deps = { store, token, endpoints, requestTimeoutMs, clock, log, signal };
    return await joinByDiscovery(deps, memberId, self);
  } catch (error) {
    throw error instanceof DiscoveryError ? error : new DiscoveryError(textOf(error));
  } finally {
    store.close();
  }
}

interface Surroundings {
  readonly config: Settings;
  readonly clock: Pick<Clock, 'every'>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Ends `request`, by its signal, when the time is over. */
async function within<T>(
  clock: Pick<Clock, 'every'>,
  ms: number,
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const stop = clock.every(Math.max(ms, 1), () => deadline.abort());
  try {
    return await request(AbortSignal.any([signal, deadline.signal]));
  } finally {
    stop();
  }
}

class Discovery {
  readonly #deps: DiscoveryDeps;
  readonly #folder: string;
  readonly #ownKey: string;
  /** Keys of members that were told of. */
  readonly #known = new Set<string>();
  #failures = 0;
  #isWaiting = false;

  constructor(deps: DiscoveryDeps, memberId: MemberId) {
    this.#deps = deps;
    this.#folder = posix.join('/_etcd/registry', deps.token).replace(/\/$/, '');
    this.#ownKey = `${this.#membersKey}/${hexId(memberId)}`;
  }

  get #membersKey(): string {
    return `${this.#folder}/members`;
  }

  async join(self: string): Promise<string> {
    let cluster = '';
    try {
      await this.#check();
      await this.#register(self);
      let found = await this.#check();
      while (found.members.length < found.size) found = await this.#waitForMore(found);
      cluster = found.members
        .slice(0, found.size)
        .map(({ value }) => value)
        .join(',');
      checkUrls(cluster);
      this.#say('info', 'discovery joined cluster successfully', { cluster });
      return cluster;
    } catch (error) {
      const reason = textOf(error);
      this.#say('error', 'discovery failed to join cluster', { cluster, error: reason });
      throw new DiscoveryError(reason);
    }
  }

  /** Rejects when there is no place for this member. */
  async #check(): Promise<Registered> {
    for (;;) {
      try {
        // etcd: every look but those of the wait tells all that it finds.
        if (!this.#isWaiting) this.#known.clear();
        const size = await this.#size();
        const found = await this.#members(size);
        this.#failures = 0;
        const place = found.members.findIndex(({ key }) => key === this.#ownKey);
        if (place < 0 ? found.members.length < size : place < size) return found;
        throw new Refusal('discovery: cluster is full');
      } catch (error) {
        await this.#retry(error, 'cluster status check');
      }
    }
  }

  async #size(): Promise<number> {
    const clusterSizeKey = `${this.#folder}/_config/size`;
    const what = 'failed to get cluster size from discovery service';
    const { pairs } = await this.#ask(what, { clusterSizeKey }, (signal) =>
      this.#deps.store.get(clusterSizeKey, false, signal),
    );
    const text = pairs[0]?.value;
    if (text === undefined) throw new Refusal('discovery: size key not found');
    const size = /^[+-]?\d+$/.test(text) ? Number(text) : 0;
    if (size <= 0 || !Number.isSafeInteger(size)) throw new Refusal('discovery: size key is bad');
    return size;
  }

  async #members(size: number): Promise<Registered> {
    const membersKeyPrefix = this.#membersKey;
    const what = 'failed to get cluster members from discovery service';
    const { pairs, revision } = await this.#ask(what, { membersKeyPrefix }, (signal) =>
      this.#deps.store.get(membersKeyPrefix, true, signal),
    );
    const members = pairs
      .map(({ key, value, createRevision }) => {
        return { key: key.trim(), value: value.trim(), createRevision };
      })
      .filter((each) => this.#isMember(each))
      .sort((a, b) => a.createRevision - b.createRevision);
    return { size, members, revision };
  }

  #isMember(pair: StoredPair): boolean {
    const fields = { memberKey: pair.key, memberInfo: pair.value };
    const isNew = !this.#known.has(pair.key);
    this.#known.add(pair.key);
    if (!pair.value.includes('=')) {
      if (isNew) this.#say('warn', 'invalid peer info returned from discovery service', fields);
      return false;
    }
    if (isNew) this.#say('info', 'found peer from discovery service', fields);
    return true;
  }

  async #register(memberInfo: string): Promise<void> {
    const memberKey = this.#ownKey;
    const what = 'failed to register members itself to the discovery service';
    for (;;) {
      try {
        await this.#ask(what, { memberKey }, (signal) =>
          this.#deps.store.put(memberKey, memberInfo, signal),
        );
        this.#failures = 0;
        const done = 'register member itself successfully';
        this.#say('info', done, { memberKey, memberInfo });
        return;
      } catch (error) {
        await this.#retry(error, 'register member itself');
      }
    }
  }

  async #waitForMore({ size, members, revision }: Registered): Promise<Registered> {
    const { store, signal } = this.#deps;
    const found = { clusterSize: size, 'found-peers': members.length };
    this.#say('info', 'waiting for peers from discovery service', found);
    this.#isWaiting = true;
    for (let latest = revision; ; ) {
      try {
        await store.changed(this.#membersKey, latest + 1, signal);
      } catch (error) {
        await this.#retry(error, 'cluster status check');
      }
      const now = await this.#check();
      latest = now.revision;
      if (now.members.length < size) continue;
      const all = { clusterSize: size, 'found-peers': now.members.length };
      this.#say('info', 'found all needed peers from discovery service', all);
      return now;
    }
  }

  /** One request with its timeout. A failure is told and thrown. */
  async #ask<T>(
    failure: string,
    fields: LogFields,
    request: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, requestTimeoutMs, signal } = this.#deps;
    try {
      return await within(clock, requestTimeoutMs, signal, request);
    } catch (error) {
      this.#say('warn', failure, { ...fields, error: textOf(error) });
      throw error;
    }
  }

  /** Waits before the next try; throws what no further try would change. */
  async #retry(error: unknown, reason: string): Promise<void> {
    const { clock, signal } = this.#deps;
    if (error instanceof Refusal || signal.aborted) throw error;
    this.#failures++;
    const seconds = 2 ** Math.min(this.#failures, BACKOFF_EXPONENT_MAX);
    const backoff = goDuration(seconds * 1000);
    this.#say('warn', 'retry connecting to discovery service', { reason, backoff });
    await pause(clock, seconds * 1000, signal);
  }

  #say(level: 'info' | 'warn' | 'error', msg: string, fields: LogFields): void {
    const { log, token, endpoints } = this.#deps;
    const about = { 'discovery-token': token, 'discovery-endpoints': endpoints.join(',') };
    log[level](msg, { ...about, ...fields });
  }
}

/** What trying again does not change. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

function checkUrls(cluster: string): void {
  try {
    initialClusterUrls(cluster);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new Refusal('discovery: invalid peer URL', { cause: error });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
