import { beforeEach, describe, expect, it } from 'vitest';
import { putRequest } from '../../test/support/lone-replica.ts';
import {
  type OpenStream,
  type ServiceOptions,
  type Services,
  startServices,
} from '../../test/support/services.ts';
import { must } from '../assert.ts';
import {
  decodeWatchResponse,
  encodeWatchRequest,
  FilterType,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from '../codec/gen/etcdserverpb.ts';
import { decodeKeyValue } from '../codec/key-value.ts';
import { Reader } from '../codec/wire.ts';
import { limits } from '../limits.ts';
import { FROM_KEY } from '../mvcc/key-range.ts';
import { EMPTY_KEY, type Key, keyFromText } from '../types.ts';

const k = keyFromText;

let services: Services;
let stream: OpenStream<WatchRequest, WatchResponse>;

beforeEach(() => begin());

async function begin(options: ServiceOptions = {}): Promise<void> {
  services = await startServices(options, { replica: { requestBytesMax: 10_000_000 } });
  stream = openStream();
}

function openStream(): OpenStream<WatchRequest, WatchResponse> {
  return services.open('Watch', encodeWatchRequest, decodeWatchResponse);
}

function create(key: string, more: Partial<WatchCreateRequest> = {}): void {
  const value: WatchCreateRequest = {
    key: k(key),
    rangeEnd: EMPTY_KEY,
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0,
    fragment: false,
    ...more,
  };
  stream.input.message({ requestUnion: { case: 'createRequest', value } });
}

function cancel(watchId: number): void {
  stream.input.message({ requestUnion: { case: 'cancelRequest', value: { watchId } } });
}

function askProgress(): void {
  stream.input.message({ requestUnion: { case: 'progressRequest', value: {} } });
}

async function put(key: string, value = 'v'): Promise<void> {
  await services.run(services.kv.put(putRequest(key, value)));
}

async function remove(key: string, rangeEnd: Key = EMPTY_KEY): Promise<void> {
  await services.run(services.kv.deleteRange({ key: k(key), rangeEnd, prevKv: false }));
}

async function compact(revision: number): Promise<void> {
  await services.run(services.kv.compact({ revision, physical: false }));
}

function pairText(bytes: Uint8Array): string {
  const { key, value, modRevision, version } = decodeKeyValue(bytes);
  const text = Buffer.from(value).toString();
  return `${key}${version === 0 ? '' : `=${text}`}@${modRevision}`;
}

/** `+a=v@2` for a put, `-a@3` for a deletion, and `(a=u@1)` behind it for the pair before. */
function eventText(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  let text = '+';
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 8) text = reader.int32() === 1 ? '-' : '+';
    else if (tag === 18) text += pairText(reader.bytes());
    else if (tag === 26) text += `(${pairText(reader.bytes())})`;
    else reader.discard(tag);
  }
  return text;
}

/** What was sent since the last look, with defaults left out. */
function taken(): object[] {
  return stream.output.take().map(({ header, events, ...rest }) => {
    const told = Object.entries(rest).filter(([, value]) => value !== false && value !== '');
    const shown = Object.fromEntries(told.filter(([name, value]) => name === 'watchId' || value));
    const list = events.map(eventText);
    return {
      ...shown,
      revision: must(header, 'a header').revision,
      ...(list.length > 0 ? { events: list } : {}),
    };
  });
}

describe('creating', () => {
  it('is answered with the current revision, and events follow', async () => {
    await put('z');
    create('a');
    await put('a');
    expect(taken()).toEqual([
      { watchId: 0, created: true, revision: 2 },
      { watchId: 0, revision: 3, events: ['+a=v@3'] },
    ]);
  });

  it('gives free ids from 0 on, and takes those that are asked for', () => {
    create('a');
    create('a');
    create('a', { watchId: 1 });
    create('a');
    create('a', { watchId: -7 });
    expect(taken().map((response) => ({ ...response, revision: 0 }))).toEqual([
      { watchId: 0, created: true, revision: 0 },
      { watchId: 1, created: true, revision: 0 },
      {
        watchId: -1,
        created: true,
        canceled: true,
        cancelReason: 'mvcc: duplicate watch ID provided on the WatchStream',
        revision: 0,
      },
      { watchId: 2, created: true, revision: 0 },
      { watchId: -7, created: true, revision: 0 },
    ]);
  });

  it('fails for a negative revision and an empty range, in that order', () => {
    create('b', { rangeEnd: k('a') });
    create('b', { rangeEnd: k('b') });
    create('b', { rangeEnd: k('a'), startRevision: -1 });
    const refused = { watchId: -1, created: true, canceled: true, revision: 1 };
    const empty = { ...refused, cancelReason: 'mvcc: watcher range is empty' };
    expect(taken()).toEqual([
      empty,
      empty,
      { ...refused, cancelReason: 'etcdserver: mvcc: required revision has been compacted' },
    ]);
  });

  it('with an empty key means the lowest key, or with a zero byte as end all of them', async () => {
    create('');
    create('', { rangeEnd: FROM_KEY });
    taken();
    await put('a');
    await put('\x00');
    expect(taken()).toEqual([
      { watchId: 1, revision: 2, events: ['+a=v@2'] },
      { watchId: 0, revision: 3, events: ['+\x00=v@3'] },
      { watchId: 1, revision: 3, events: ['+\x00=v@3'] },
    ]);
  });

  it('reads history from the start revision on, with the current revision as header', async () => {
    for (const value of ['1', '2', '3']) await put('a', value);
    create('a', { startRevision: 3 });
    expect(taken()).toEqual([{ watchId: 0, created: true, revision: 4 }]);
    await services.clock.settle();
    expect(taken()).toEqual([{ watchId: 0, revision: 4, events: ['+a=2@3', '+a=3@4'] }]);
  });

  it('below the compacted revision is cancelled later, with an empty header', async () => {
    for (const value of ['1', '2', '3']) await put('a', value);
    await compact(3);
    create('a', { startRevision: 2 });
    create('a', { startRevision: 3 });
    await services.clock.settle();
    expect(taken()).toEqual([
      { watchId: 0, created: true, revision: 4 },
      { watchId: 1, created: true, revision: 4 },
      { watchId: 0, canceled: true, compactRevision: 3, revision: 0 },
      { watchId: 1, revision: 4, events: ['+a=2@3', '+a=3@4'] },
    ]);
    create('a', { watchId: 0, startRevision: 0 });
    expect(taken()).toEqual([{ watchId: 2, created: true, revision: 4 }]);
  });
});

describe('events', () => {
  it('of one request come together, in its order', async () => {
    create('a', { rangeEnd: k('c') });
    taken();
    const ops = ['a', 'b'].map(
      (key) => ({ request: { case: 'requestPut', value: putRequest(key) } }) as const,
    );
    await services.run(services.kv.txn({ compare: [], success: ops, failure: [] }));
    await remove('a', k('c'));
    expect(taken()).toEqual([
      { watchId: 0, revision: 2, events: ['+a=v@2', '+b=v@2'] },
      { watchId: 0, revision: 3, events: ['-a@3', '-b@3'] },
    ]);
  });

  it('show a put and a deletion of one key in one revision', async () => {
    create('b');
    taken();
    const success = [
      { request: { case: 'requestPut', value: putRequest('b') } },
      {
        request: {
          case: 'requestDeleteRange',
          value: { key: k('a'), rangeEnd: FROM_KEY, prevKv: false },
        },
      },
    ] as const;
    await services.run(services.kv.txn({ compare: [], success, failure: [] }));
    expect(taken()).toEqual([{ watchId: 0, revision: 2, events: ['+b=v@2', '-b@2'] }]);
  });

  it('carry the pair before when asked for, as long as it is known', async () => {
    create('a', { prevKv: true });
    taken();
    await put('a', '1');
    await put('a', '2');
    await remove('a');
    expect(taken().flatMap((response) => Object.values(response).at(-1))).toEqual([
      '+a=1@2',
      '+a=2@3(a=1@2)',
      '-a@4(a=2@3)',
    ]);
    await put('a', '3');
    await put('a', '4');
    await compact(6);
    stream = openStream();
    create('a', { prevKv: true, startRevision: 6 });
    await services.clock.settle();
    expect(taken().at(-1)).toMatchObject({ events: ['+a=4@6'] });
  });

  it('are left out by filters; unknown ones do nothing', async () => {
    create('a', { filters: [FilterType.NOPUT] });
    create('a', { filters: [FilterType.NODELETE, 99] });
    create('a', { filters: [FilterType.NOPUT, FilterType.NODELETE] });
    taken();
    await put('a');
    await remove('a');
    expect(taken()).toEqual([
      { watchId: 1, revision: 2, events: ['+a=v@2'] },
      { watchId: 0, revision: 3, events: ['-a@3'] },
    ]);
  });

  it('still come after the requests have ended', async () => {
    create('a');
    stream.input.halfClose();
    await put('a');
    expect(taken()).toHaveLength(2);
  });

  it('do not come after the stream has ended', async () => {
    create('a');
    expect(services.watch.streamCount).toBe(1);
    stream.input.close();
    await put('a');
    expect(taken()).toHaveLength(1);
    expect([services.hub.watcherCount, services.watch.streamCount]).toEqual([0, 0]);
  });
});

describe('cancelling', () => {
  it('is acknowledged, and silent for an unknown id', async () => {
    create('a');
    taken();
    cancel(5);
    cancel(0);
    cancel(0);
    await put('a');
    expect(taken()).toEqual([{ watchId: 0, canceled: true, revision: 1 }]);
    create('a', { watchId: 0 });
    expect(taken()).toEqual([{ watchId: 1, created: true, revision: 2 }]);
  });

  it('frees the id of a watch that compaction has ended', async () => {
    for (const value of ['1', '2', '3']) await put('a', value);
    await compact(4);
    create('a', { startRevision: 2, watchId: 9 });
    await services.clock.settle();
    taken();
    create('a', { watchId: 9 });
    cancel(9);
    create('a', { watchId: 9 });
    expect(taken()).toMatchObject([
      { watchId: -1 },
      { watchId: 9, canceled: true, revision: 4 },
      { watchId: 9, created: true },
    ]);
  });
});

describe('progress on request', () => {
  it('is told for the whole stream when all watches have seen everything', async () => {
    askProgress();
    expect(taken()).toEqual([]);
    create('a');
    await put('b');
    taken();
    askProgress();
    expect(taken()).toEqual([{ watchId: -1, revision: 2 }]);
  });

  it('is not told while a watch lags, begins in the future or is compacted away', async () => {
    for (const value of ['1', '2', '3']) await put('a', value);
    create('a', { startRevision: 2 });
    askProgress();
    await services.clock.settle();
    expect(taken()).toHaveLength(2);
    askProgress();
    expect(taken()).toEqual([{ watchId: -1, revision: 4 }]);
    create('a', { startRevision: 5 });
    taken();
    askProgress();
    expect(taken()).toEqual([]);
    await put('b');
    askProgress();
    expect(taken()).toEqual([{ watchId: -1, revision: 5 }]);
    await compact(5);
    create('a', { startRevision: 2 });
    await services.clock.settle();
    taken();
    askProgress();
    expect(taken()).toEqual([]);
    cancel(2);
    taken();
    askProgress();
    expect(taken()).toEqual([{ watchId: -1, revision: 5 }]);
  });
});

describe('progress on time', () => {
  beforeEach(() => begin({ progressIntervalMs: 1000 }));

  it('is told to quiet watches that asked for it', async () => {
    create('a', { progressNotify: true });
    create('b', { progressNotify: true });
    create('c');
    taken();
    services.watch.tick(0);
    services.watch.tick(999);
    expect(taken()).toEqual([]);
    await put('a');
    taken();
    services.watch.tick(1000);
    expect(taken()).toEqual([{ watchId: 1, revision: 2 }]);
    services.watch.tick(2000);
    expect(taken()).toEqual([
      { watchId: 0, revision: 2 },
      { watchId: 1, revision: 2 },
    ]);
  });

  it('is not told to watches that lag or begin in the future', async () => {
    await put('a');
    create('a', { progressNotify: true, startRevision: 2 });
    create('a', { progressNotify: true, startRevision: 3 });
    taken();
    services.watch.tick(0);
    services.watch.tick(1000);
    expect(taken()).toEqual([]);
  });
});

describe('a slow client', () => {
  it('gets nothing while its buffer is full, and everything later', async () => {
    create('a', { progressNotify: true });
    await put('a', '1');
    taken();
    stream.output.bufferedBytes = limits.watchBytesBufferedMax + 1;
    for (let i = 0; i < 10; i++) await put('a', `${i}`);
    services.watch.tick(0);
    services.watch.tick(1_000_000);
    askProgress();
    expect(taken()).toEqual([]);
    stream.output.drain();
    await services.clock.settle();
    const events = taken().flatMap((response) => Object.values(response).at(-1));
    expect(events).toEqual(Array.from({ length: 10 }, (_, i) => `+a=${i}@${i + 3}`));
    await put('a', 'live');
    expect(taken()).toEqual([{ watchId: 0, revision: 13, events: ['+a=live@13'] }]);
  });

  it('hears of a compaction that has overtaken it', async () => {
    create('a');
    taken();
    stream.output.bufferedBytes = limits.watchBytesBufferedMax + 1;
    for (let i = 0; i < 3; i++) await put('a');
    await compact(4);
    stream.output.drain();
    await services.clock.settle();
    expect(taken()).toEqual([{ watchId: 0, canceled: true, compactRevision: 4, revision: 0 }]);
  });

  it('may go away meanwhile', async () => {
    create('a');
    stream.output.bufferedBytes = limits.watchBytesBufferedMax + 1;
    await put('a');
    stream.input.close();
    stream.output.drain();
    await services.clock.settle();
    expect([services.hub.watcherCount, services.hub.laggingCount]).toEqual([0, 0]);
    expect(services.member.fatal).toEqual([]);
  });
});

describe('fragments', () => {
  beforeEach(() => begin({ requestBytesMax: 0 }));

  const bytesMax = limits.grpcOverheadBytes;

  async function putMany(values: readonly string[]): Promise<void> {
    const success = values.map(
      (value, i) =>
        ({ request: { case: 'requestPut', value: putRequest(`k${i}`, value) } }) as const,
    );
    const txn = services.replica.propose('txn', { compare: [], success, failure: [] });
    await services.run(txn);
  }

  it('are pieces below the limit, all but the last marked, none lost', async () => {
    create('k', { rangeEnd: k('l'), fragment: true });
    create('k', { rangeEnd: k('l') });
    taken();
    stream.output.bytes.length = 0;
    await putMany(Array.from({ length: 12 }, () => 'x'.repeat(bytesMax / 5)));
    const responses = stream.output.take();
    const pieces = responses.filter(({ watchId }) => watchId === 0);
    const whole = responses.filter(({ watchId }) => watchId === 1);
    expect(pieces.map(({ fragment }) => fragment)).toEqual([true, true, false]);
    const bytesOf = (list: readonly WatchResponse[]): Buffer =>
      Buffer.concat(list.flatMap(({ events }) => events));
    expect(bytesOf(pieces).equals(bytesOf(whole))).toBe(true);
    expect(whole).toHaveLength(1);
    for (const [i, bytes] of stream.output.bytes.entries()) {
      if (responses[i]?.watchId === 0) expect(bytes).toBeLessThan(bytesMax);
    }
  });

  it('hold one event each when each is too large', async () => {
    create('k', { rangeEnd: k('l'), fragment: true });
    taken();
    await putMany(Array.from({ length: 3 }, () => 'x'.repeat(bytesMax)));
    const pieces = stream.output.take();
    expect(pieces.map(({ events, fragment }) => [events.length, fragment])).toEqual([
      [1, true],
      [1, true],
      [1, false],
    ]);
  });

  it('are not made of a single event', async () => {
    create('k', { rangeEnd: k('l'), fragment: true });
    taken();
    await putMany(['x'.repeat(bytesMax + 1)]);
    expect(stream.output.take()).toMatchObject([{ fragment: false }]);
  });

  it('begin exactly at the limit', async () => {
    create('k', { rangeEnd: k('l'), fragment: true });
    taken();
    stream.output.bytes.length = 0;
    await putMany(['', '']);
    const [overhead = 0] = stream.output.bytes.splice(0);
    const fitting = bytesMax - overhead;
    taken();
    // A longer value takes longer lengths, but not forty bytes of them.
    for (const [slack, count] of [
      [40, 1],
      [0, 2],
    ] as const) {
      await putMany(['x'.repeat(fitting - slack), '']);
      expect(stream.output.take()).toHaveLength(count);
    }
  });
});
