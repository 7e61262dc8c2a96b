import { beforeEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import { createLog } from '../log.ts';
import type { MemberId } from '../types.ts';
import { DiscoveryError, joinByDiscovery } from './discovery.ts';
import type { DiscoveryStore, StoredPairs } from './discovery-client.ts';

const SELF = 0xa1n as MemberId;
const FOLDER = '/_etcd/registry/t/k';

/** The service: pairs in memory, with failures that a test orders. */
class Store implements DiscoveryStore {
  readonly pairs = new Map<string, { value: string; createRevision: number }>();
  revision = 1;
  /** What the next requests end with; `hang`: only their signal ends them. */
  failures: ('hang' | string)[] = [];
  watchers: ((error: Error | null) => void)[] = [];
  watchedFrom: number[] = [];

  set(key: string, value: string): void {
    this.revision++;
    this.pairs.set(`${FOLDER}/${key}`, { value, createRevision: this.revision });
    for (const tell of this.watchers.splice(0)) tell(null);
  }

  async get(key: string, isPrefix: boolean, signal: AbortSignal): Promise<StoredPairs> {
    await this.#fail(signal);
    const pairs = [...this.pairs]
      .filter(([each]) => (isPrefix ? each.startsWith(key) : each === key))
      .map(([each, pair]) => ({ key: each, ...pair }));
    return { pairs, revision: this.revision };
  }

  async put(key: string, value: string, signal: AbortSignal): Promise<void> {
    await this.#fail(signal);
    this.set(key.slice(FOLDER.length + 1), value);
  }

  changed(_prefix: string, from: number): Promise<void> {
    this.watchedFrom.push(from);
    if (from <= this.revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.watchers.push((error) => (error === null ? resolve() : reject(error)));
    });
  }

  close(): void {}

  #fail(signal: AbortSignal): Promise<void> {
    const failure = this.failures.shift();
    if (failure === undefined) return Promise.resolve();
    if (failure !== 'hang') return Promise.reject(new Error(failure));
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('context deadline exceeded')));
    });
  }
}

let store: Store;
let clock: HandClock;
let lines: Record<string, unknown>[];
let stopping: AbortController;

beforeEach(() => {
  [store, clock, lines, stopping] = [new Store(), new HandClock(), [], new AbortController()];
});

/** The outcome, once there is one. */
function join(): { outcome: string | null } {
  const write = (line: string): void => {
    lines.push(JSON.parse(line));
  };
  const deps = {
    store,
    token: 't//k/',
    requestTimeoutMs: 5000,
    clock,
    log: createLog({ level: 'info', format: 'json', outputs: [], write }),
    endpoints: ['a:1', 'b:1'],
    signal: stopping.signal,
  };
  const result: { outcome: string | null } = { outcome: null };
  joinByDiscovery(deps, SELF, 'self=http://s:1').then(
    (cluster) => {
      result.outcome = cluster;
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(DiscoveryError);
      result.outcome = String(error);
    },
  );
  return result;
}

const backoffs = () => lines.flatMap(({ backoff, reason }) => (backoff ? [[reason, backoff]] : []));

describe('discovery', () => {
  it('registers, waits for as many as the size says, and takes those that came first', async () => {
    store.set('_config/size', '3');
    store.set('members/b2', 'first=http://f:1,first=http://f:2');
    store.set('members/00', 'no entry');
    const result = join();
    await clock.settle();
    expect(result.outcome).toBeNull();
    expect(store.pairs.get(`${FOLDER}/members/a1`)?.value).toBe('self=http://s:1');
    store.set('members/01', 'third=http://t:1');
    await clock.settle();
    const cluster = 'first=http://f:1,first=http://f:2,self=http://s:1,third=http://t:1';
    expect(result.outcome).toBe(cluster);
    expect(lines.at(-1)).toMatchObject({
      msg: 'discovery joined cluster successfully',
      'discovery-token': 't//k/',
      'discovery-endpoints': 'a:1,b:1',
      cluster,
    });
    const odd = {
      msg: 'invalid peer info returned from discovery service',
      memberInfo: 'no entry',
    };
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([odd, odd]);
  });

  it('has no place beyond the size, also for one that came too late', async () => {
    store.set('_config/size', '1');
    store.set('members/b2', 'first=http://f:1');
    store.set('members/a1', 'self=http://s:1');
    const result = join();
    await clock.settle();
    expect(result.outcome).toContain(
      'failed to join discovery cluster (discovery: cluster is full)',
    );
  });

  it('comes back to its place', async () => {
    store.set('_config/size', '1');
    store.set('members/a1', 'self=http://s:1');
    const result = join();
    await clock.settle();
    expect(result.outcome).toBe('self=http://s:1');
  });

  it('tries again after 2, 4, 8 seconds, and from the start after a success', async () => {
    store.set('_config/size', '1');
    store.failures = ['down', 'down', 'hang'];
    const result = join();
    await clock.settle();
    await clock.advance(2000);
    expect(backoffs()).toEqual([
      ['cluster status check', '2s'],
      ['cluster status check', '4s'],
    ]);
    // The third request is ended after its five seconds.
    await clock.advance(4000 + 5000);
    expect(backoffs()).toHaveLength(3);
    expect(lines.at(-2)).toMatchObject({
      msg: 'failed to get cluster size from discovery service',
      clusterSizeKey: `${FOLDER}/_config/size`,
      error: 'context deadline exceeded',
    });
    await clock.advance(7999);
    expect(result.outcome).toBeNull();
    await clock.advance(1);
    expect(result.outcome).toBe('self=http://s:1');
  });

  it('pauses no longer than 256 seconds', async () => {
    store.failures = Array.from({ length: 10 }, () => 'down');
    join();
    await clock.advance(2_000_000);
    expect(
      backoffs()
        .slice(6)
        .map(([, text]) => text),
    ).toEqual(['2m8s', '4m16s', '4m16s', '4m16s']);
  });

  it('reads the members again when the watch breaks', async () => {
    store.set('_config/size', '2');
    const result = join();
    await clock.settle();
    const tell = store.watchers.splice(0);
    store.set('members/b2', 'other=http://o:1');
    for (const each of tell) each(new Error('reset'));
    await clock.settle();
    await clock.advance(2000);
    expect(result.outcome).toBe('self=http://s:1,other=http://o:1');
  });

  it('ends with its signal, and leaves no timer', async () => {
    store.failures = ['hang'];
    const result = join();
    await clock.settle();
    stopping.abort();
    await clock.settle();
    expect(result.outcome).toContain('context deadline exceeded');
    expect(clock.timerCount).toBe(0);
  });
});
