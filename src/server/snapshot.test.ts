import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sourceOf } from '../../test/support/bytes-source.ts';
import { BboltReader } from '../bbolt/reader.ts';
import { allBuckets } from '../buckets.ts';
import type { SnapshotResponse } from '../codec/gen/etcdserverpb.ts';
import { type EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import type { EngineSnapshot, RowWrite } from '../ports.ts';
import type { RowKey } from '../types.ts';
import type { Caller, Output } from './rpc.ts';
import { createSnapshot } from './snapshot.ts';

const MIB = 1024 * 1024;
const row = (key: string, value: string | Uint8Array): RowWrite => ({
  key: key as RowKey,
  value: Buffer.from(value),
});

/** An engine that counts the views that are open. */
class CountedEngine extends MemoryEngine {
  views = 0;

  override snapshot(): EngineSnapshot {
    const view = super.snapshot();
    this.views++;
    return {
      scan: (range) => view.scan({ ...range, limit: Math.min(range.limit, 5) }),
      async *walk(range) {
        for await (const rows of view.walk(range)) {
          for (let i = 0; i < rows.length; i += 5) yield rows.slice(i, i + 5);
        }
      },
      close: async () => {
        this.views--;
        await view.close();
      },
    };
  }
}

class TestCaller implements Caller {
  readonly commonName = '';
  readonly overGateway = false;
  cancelled = false;
  readonly #waiting = new Set<() => void>();

  metadata(): null {
    return null;
  }

  onCancel(fn: () => void): () => void {
    this.#waiting.add(fn);
    return () => this.#waiting.delete(fn);
  }

  cancel(): void {
    this.cancelled = true;
    for (const fn of this.#waiting) fn();
  }
}

class TestOutput implements Output<SnapshotResponse> {
  readonly messages: SnapshotResponse[] = [];
  bufferedBytes = 0;
  onSend: (message: SnapshotResponse) => void = () => undefined;
  onWait: () => void = () => undefined;
  readonly ended: Promise<EtcdError | null>;
  waiting: (() => void)[] = [];
  #end: (error: EtcdError | null) => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  send(message: SnapshotResponse): void {
    this.messages.push(message);
    this.onSend(message);
  }

  onDrain(fn: () => void): void {
    this.waiting.push(fn);
    this.onWait();
  }

  end(error: EtcdError | null): void {
    this.#end(error);
  }

  drain(): void {
    this.bufferedBytes = 0;
    const { waiting } = this;
    this.waiting = [];
    for (const fn of waiting) fn();
  }
}

async function setUp(rows: readonly RowWrite[] = []) {
  const engine = new CountedEngine();
  await engine.write(rows);
  const stopping = new AbortController();
  const fatal: unknown[] = [];
  const time = { now: 0, rests: [] as number[] };
  const start = createSnapshot({
    observer: { snapshotSent() {} },
    clock: {
      monotonic: () => time.now,
      every: (ms, fn) => {
        time.rests.push(ms);
        const soon = setImmediate(fn);
        return () => clearImmediate(soon);
      },
    },
    replica: {
      flush: () => Promise.resolve(),
      stopping: stopping.signal,
      stateMachine: { clusterVersion: '3.7.0' },
    },
    engine,
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    onFatal: (error) => fatal.push(error),
  });
  const take = (output = new TestOutput(), caller = new TestCaller()): TestOutput => {
    start({}, caller, output);
    return output;
  };
  return { engine, stopping, fatal, take, time };
}

async function imageOf(output: TestOutput): Promise<Buffer> {
  expect(await output.ended).toBeNull();
  return Buffer.concat(output.messages.slice(0, -1).map(({ blob }) => blob));
}

async function shown(image: Buffer): Promise<readonly string[]> {
  const reader = await BboltReader.open(sourceOf(image));
  const lines: string[] = [];
  for (const bucket of await reader.buckets()) {
    lines.push(bucket.name);
    for await (const items of reader.items(bucket)) {
      for (const { key, value } of items) lines.push(`${bucket.name}/${key}=${value.length}`);
    }
  }
  return lines;
}

/** Values that a megabyte of output cannot hold. */
const large = Array.from({ length: 60 }, (_, i) => row(`kkey${i + 100}`, Buffer.alloc(100_000)));

it('holds every bucket in order, and nothing that lies outside of them', async () => {
  const { take, engine } = await setUp([
    row('!liveBytes', '12345678'),
    row('kkey', 'value'),
    row('olast', '1'),
    row('afirst', ''),
  ]);
  const lines = await shown(await imageOf(take()));
  expect(lines.filter((line) => !line.includes('/'))).toEqual(allBuckets.map(({ name }) => name));
  const items = lines.filter((line) => line.includes('/'));
  expect(items).toEqual(['alarm/first=0', 'key/key=5', 'meta/last=1']);
  expect(engine.views).toBe(0);
});

it('sends 32 KiB at a time, then the digest', async () => {
  const { take } = await setUp(large);
  const output = take();
  const image = await imageOf(output);
  let remaining = image.length;
  for (const [i, message] of output.messages.slice(0, -1).entries()) {
    const isLast = i === output.messages.length - 2;
    if (!isLast) expect(message.blob.length).toBe(32 * 1024);
    remaining -= message.blob.length;
    expect(message).toMatchObject({ remainingBytes: remaining, header: null, version: '3.7.0' });
  }
  expect(remaining).toBe(0);
  const digest = createHash('sha256').update(image).digest();
  const last = output.messages.at(-1);
  expect(last).toMatchObject({ remainingBytes: 0, header: null, version: '3.7.0' });
  expect(Buffer.compare(last?.blob ?? Buffer.alloc(0), digest)).toBe(0);
});

it('does not see what is written while it is sent', async () => {
  const { take, engine } = await setUp(large);
  const output = new TestOutput();
  let writes = 0;
  const written: Promise<void>[] = [];
  output.onSend = () => {
    if (writes++ === 3) written.push(engine.write([row('kkey000', 'new'), row('kkey999', 'new')]));
  };
  const lines = await shown(await imageOf(take(output)));
  await Promise.all(written);
  expect(writes).toBeGreaterThan(100);
  expect(lines.filter((line) => line.startsWith('key/'))).toHaveLength(large.length);
});

it('waits for the network', async () => {
  const { take, engine } = await setUp(large);
  const output = new TestOutput();
  let most = 0;
  let waits = 0;
  output.onSend = ({ blob }) => {
    output.bufferedBytes += blob.length;
    most = Math.max(most, output.bufferedBytes);
  };
  // The network takes nothing until the sender waits for it.
  output.onWait = () => {
    waits++;
    setImmediate(() => output.drain());
  };
  await imageOf(take(output));
  expect(waits).toBeGreaterThan(1);
  expect(most).toBeGreaterThan(limits.snapshotBufferedBytesMax);
  expect(most).toBeLessThan(limits.snapshotBufferedBytesMax + MIB);
  expect(engine.views).toBe(0);
});

it('rests as long as it has worked', async () => {
  const { take, time } = await setUp(large);
  const output = new TestOutput();
  output.onSend = () => {
    time.now += 2;
  };
  await imageOf(take(output));
  expect(time.rests.length).toBeGreaterThan(10);
  for (const ms of time.rests) expect(ms).toBeGreaterThanOrEqual(limits.snapshotWorkMs);
});

it('ends when the caller goes away, also while it waits for the network', async () => {
  for (const buffered of [0, 2 * limits.snapshotBufferedBytesMax]) {
    const { take, engine, fatal } = await setUp(large);
    const caller = new TestCaller();
    const output = new TestOutput();
    output.onSend = () => {
      output.bufferedBytes = buffered;
      if (output.messages.length === 5) setImmediate(() => caller.cancel());
    };
    expect(await take(output, caller).ended).toBe(errors.contextCanceled);
    expect(engine.views).toBe(0);
    expect(fatal).toEqual([]);
    expect(output.messages.length).toBeLessThan(100);
  }
});

it('ends when the member stops', async () => {
  const { take, engine, stopping } = await setUp(large);
  const output = new TestOutput();
  output.onSend = () => stopping.abort();
  expect(await take(output).ended).toBe(errors.stopped);
  expect(engine.views).toBe(0);
});

it('refuses more than a few at once, until one of them is over', async () => {
  const { take } = await setUp(large);
  const outputs = Array.from({ length: limits.snapshotsMax }, () => take());
  expect(() => take()).toThrow(errors.tooManyRequests);
  await Promise.all(outputs.map(({ ended }) => ended));
  expect(await take().ended).toBeNull();
});

it('tells its owner when the engine fails', async () => {
  const { take, engine, fatal } = await setUp();
  const broken = new Error('input/output error');
  engine.snapshot = () => {
    throw broken;
  };
  take();
  await expect.poll(() => fatal).toEqual([broken]);
});
