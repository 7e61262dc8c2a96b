import { beforeEach, describe, expect, it } from 'vitest';
import { Gate, GatedRows, settle } from '../../test/support/gate.ts';
import { type Key, keyFromText, NO_LEASE } from '../types.ts';
import type { Event } from './event.ts';
import { FROM_KEY } from './key-range.ts';
import { KvStore } from './store.ts';
import { type Watcher, WatchHub, type WatchSink } from './watch-hub.ts';

const k = keyFromText;
const NONE = '' as Key;
const never = new AbortController().signal;
const noPause = () => Promise.resolve();

class Sink implements WatchSink {
  readonly seen: string[] = [];
  readonly headers: number[] = [];
  readonly ended: number[] = [];
  isFull = false;
  onDeliver: (watcher: Watcher) => void = () => {};

  deliver(watcher: Watcher, events: readonly Event[], revision: number): boolean {
    if (this.isFull) return false;
    for (const event of events) {
      this.seen.push(`${event.type === 'put' ? '+' : '-'}${event.key}@${event.revision}`);
    }
    this.headers.push(revision);
    this.onDeliver(watcher);
    return true;
  }

  compacted(_watcher: Watcher, compactRevision: number): void {
    this.ended.push(compactRevision);
  }
}

let rows = new GatedRows();
let store: KvStore;
let hub: WatchHub;
let breath = new Gate();
let errors: unknown[] = [];
let sink = new Sink();

beforeEach(async () => {
  rows = new GatedRows();
  store = await KvStore.open(rows);
  breath = new Gate();
  errors = [];
  sink = new Sink();
  hub = newHub();
});

function newHub(): WatchHub {
  return new WatchHub(store, {
    breathe: breath.pass,
    onError: (error) => errors.push(error),
  });
}

/** `+a` puts, `-a` deletes, `-a..` deletes from a on; all in one revision. */
function write(...changes: string[]): void {
  const txn = store.write();
  for (const change of changes) {
    const key = k(change.slice(1).replace('..', ''));
    if (change.startsWith('+')) txn.put(key, Buffer.from('v'), NO_LEASE);
    else txn.deleteRange(key, change.endsWith('..') ? FROM_KEY : NONE);
  }
  const { revision, events } = txn.end();
  if (events.length > 0) hub.publish(revision, events);
}

async function compact(revision: number): Promise<void> {
  expect(store.compact(revision)).toBeNull();
  await store.runCompaction(noPause, never);
}

describe('a live watcher', () => {
  it('gets what changes in its range, each revision at once', () => {
    hub.watch(k('b'), k('d'), 0, sink);
    write('+a');
    write('+b');
    write('+c', '+d', '+bb');
    write('-b', '-d');
    expect(sink.seen).toEqual(['+b@3', '+c@4', '+bb@4', '-b@5']);
    expect(sink.headers).toEqual([3, 4, 5]);
  });

  it('of a single key does not see its neighbours', () => {
    hub.watch(k('b'), NONE, 0, sink);
    write('+b', '+ba', '+a');
    write('+b\x00');
    expect(sink.seen).toEqual(['+b@2']);
  });

  it('sees both changes of a key in one revision, in order', () => {
    const single = new Sink();
    hub.watch(k('b'), NONE, 0, single);
    hub.watch(k('a'), FROM_KEY, 0, sink);
    write('+b', '-a..');
    expect(sink.seen).toEqual(['+b@2', '-b@2']);
    expect(single.seen).toEqual(['+b@2', '-b@2']);
  });

  it('gets nothing from before a start in the future', () => {
    hub.watch(k('a'), NONE, 4, sink);
    write('+a');
    write('+a');
    expect(sink.seen).toEqual([]);
    write('+a');
    write('+a');
    expect(sink.seen).toEqual(['+a@4', '+a@5']);
    expect(hub.laggingCount).toBe(0);
  });

  it('gets nothing after it was cancelled', () => {
    const watcher = hub.watch(k('a'), FROM_KEY, 0, sink);
    hub.cancel(watcher);
    hub.cancel(watcher);
    write('+a');
    expect(sink.seen).toEqual([]);
    expect(hub.watcherCount).toBe(0);
  });

  it('may be cancelled by the delivery to another one', () => {
    const other = new Sink();
    const second = { watcher: null as Watcher | null };
    sink.onDeliver = () => {
      if (second.watcher !== null) hub.cancel(second.watcher);
    };
    hub.watch(k('a'), NONE, 0, sink);
    second.watcher = hub.watch(k('a'), NONE, 0, other);
    write('+a');
    write('+a');
    expect(other.seen).toEqual([]);
    expect(sink.seen).toHaveLength(2);
    expect(hub.watcherCount).toBe(1);
  });
});

describe('a watcher of the past', () => {
  it.each(['memory', 'engine'])('gets history from %s, then what happens', async (source) => {
    write('+a');
    write('+b');
    write('+a');
    if (source === 'engine') hub = newHub();
    hub.watch(k('a'), NONE, 2, sink);
    expect(sink.seen).toEqual([]);
    await breath.openUntilQuiet();
    expect(sink.seen).toEqual(['+a@2', '+a@4']);
    expect(sink.headers).toEqual([4]);
    write('+a');
    expect(sink.seen).toEqual(['+a@2', '+a@4', '+a@5']);
  });

  it('misses nothing of what happens while it catches up', async () => {
    write('+a');
    hub = newHub();
    hub.watch(k('a'), NONE, 2, sink);
    write('+a');
    await breath.open();
    write('+a');
    await breath.openUntilQuiet();
    write('+a');
    expect(sink.seen).toEqual(['+a@2', '+a@3', '+a@4', '+a@5']);
  });

  it('joins during the read for a younger one without a gap', async () => {
    for (let i = 0; i < 5; i++) write('+a');
    hub = newHub();
    const older = new Sink();
    rows.gate = new Gate();
    hub.watch(k('a'), NONE, 5, sink);
    await breath.open();
    expect(rows.gate.count).toBe(1);
    hub.watch(k('a'), NONE, 2, older);
    for (let i = 0; i < 10; i++) {
      await rows.gate.openUntilQuiet();
      await breath.openUntilQuiet();
    }
    expect(sink.seen).toEqual(['+a@5', '+a@6']);
    expect(older.seen).toEqual(['+a@2', '+a@3', '+a@4', '+a@5', '+a@6']);
  });

  it('stays away when its sink cancels it at the first delivery', async () => {
    write('+a');
    write('+a');
    sink.onDeliver = (watcher) => hub.cancel(watcher);
    hub.watch(k('a'), NONE, 2, sink);
    await breath.openUntilQuiet();
    write('+a');
    expect(sink.seen).toEqual(['+a@2', '+a@3']);
    expect([hub.watcherCount, hub.laggingCount]).toEqual([0, 0]);
    expect(errors).toEqual([]);
  });

  it('is told when its history is gone', async () => {
    for (let i = 0; i < 5; i++) write('+a');
    await compact(4);
    hub.watch(k('a'), NONE, 3, sink);
    const atMark = new Sink();
    hub.watch(k('a'), NONE, 4, atMark);
    await breath.openUntilQuiet();
    expect(sink.ended).toEqual([4]);
    expect(sink.seen).toEqual([]);
    expect(atMark.ended).toEqual([]);
    expect(atMark.seen).toEqual(['+a@4', '+a@5', '+a@6']);
    expect(hub.watcherCount).toBe(1);
  });

  it('is told when a compaction overtakes the read', async () => {
    for (let i = 0; i < 5; i++) write('+a');
    hub = newHub();
    rows.gate = new Gate();
    hub.watch(k('a'), NONE, 3, sink);
    await breath.open();
    expect(rows.gate.count).toBe(1);
    expect(store.compact(5)).toBeNull();
    await rows.gate.openUntilQuiet();
    await breath.openUntilQuiet();
    expect(sink.seen).toEqual([]);
    expect(sink.ended).toEqual([5]);
  });

  it('passes on what the engine fails with', async () => {
    write('+a');
    hub = newHub();
    const broken = new Error('disk');
    rows.scan = () => Promise.reject(broken);
    hub.watch(k('a'), NONE, 2, sink);
    await breath.openUntilQuiet();
    expect(errors).toEqual([broken]);
  });

  it('hears nothing more once the hub is closed', async () => {
    write('+a');
    hub = newHub();
    rows.gate = new Gate();
    hub.watch(k('a'), NONE, 2, sink);
    await breath.open();
    let isClosed = false;
    const closing = hub.close().then(() => {
      isClosed = true;
    });
    await settle();
    expect(isClosed).toBe(false);
    for (let i = 0; i < 3; i++) {
      await rows.gate.openUntilQuiet();
      await breath.openUntilQuiet();
    }
    await closing;
    expect(breath.count + rows.gate.count).toBe(0);
  });
});

describe('a watcher whose sink is full', () => {
  it('costs nothing until it resumes, and then misses nothing', async () => {
    const watcher = hub.watch(k('a'), NONE, 0, sink);
    sink.isFull = true;
    write('+a');
    write('+a');
    write('+b');
    expect(hub.laggingCount).toBe(1);
    expect(breath.count).toBe(0);
    sink.isFull = false;
    hub.resume(watcher);
    hub.resume(watcher);
    await breath.openUntilQuiet();
    expect(sink.seen).toEqual(['+a@2', '+a@3']);
    write('+a');
    expect(sink.seen).toEqual(['+a@2', '+a@3', '+a@5']);
    expect(hub.laggingCount).toBe(0);
  });

  it('may block again while it catches up', async () => {
    const watcher = hub.watch(k('a'), NONE, 0, sink);
    sink.isFull = true;
    write('+a');
    hub.resume(watcher);
    await breath.openUntilQuiet();
    expect(watcher.state).toBe('blocked');
    sink.isFull = false;
    hub.resume(watcher);
    await breath.openUntilQuiet();
    expect(sink.seen).toEqual(['+a@2']);
  });

  it('is told of a compaction when it resumes', async () => {
    const watcher = hub.watch(k('a'), NONE, 0, sink);
    sink.isFull = true;
    for (let i = 0; i < 4; i++) write('+a');
    await compact(4);
    expect(sink.ended).toEqual([]);
    hub.resume(watcher);
    await breath.openUntilQuiet();
    expect(sink.ended).toEqual([4]);
    expect(sink.seen).toEqual([]);
    expect(hub.watcherCount).toBe(0);
  });

  it('can be resumed in the moment in which catching up ends', async () => {
    const watcher = hub.watch(k('a'), NONE, 0, sink);
    const other = new Sink();
    sink.isFull = true;
    write('+a');
    sink.isFull = false;
    hub.watch(k('a'), NONE, 2, other);
    await breath.open();
    // The last breath of the round, and within its microtasks a resume.
    const last = breath.open();
    queueMicrotask(() => queueMicrotask(() => hub.resume(watcher)));
    await last;
    await breath.openUntilQuiet();
    expect(sink.seen).toEqual(['+a@2']);
  });
});
