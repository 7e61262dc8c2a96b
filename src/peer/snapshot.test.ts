// Whole states between transports: that they arrive, and that one that breaks off is not taken for
// one.
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HandClock } from '../../test/support/hand-clock.ts';
import {
  cleanups,
  closeAll,
  eventually,
  meet,
  type NodeOptions,
  start,
  type TransportNode,
} from '../../test/support/transports.ts';
import type { SnapMessage, StateImage } from '../ports.ts';
import type { MemberId } from '../types.ts';

afterEach(closeAll);

describe('a state', () => {
  const MIB = 1024 * 1024;

  function image(pieces: number, failAt = -1): StateImage & { closed: number } {
    return {
      bytes: pieces * MIB,
      closed: 0,
      async *read() {
        for (let i = 0; i < pieces; i++) {
          if (i === failAt) throw new Error('the disk is broken');
          yield Buffer.alloc(MIB, i);
        }
      },
      async close() {
        this.closed++;
      },
    };
  }

  function snap(from: TransportNode, to: { readonly id: MemberId }): SnapMessage {
    const voters = [from.id, to.id];
    const rest = { learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const metadata = { index: 20, term: 7, confState: { voters, ...rest } };
    const snapshot = { metadata, data: Buffer.from('{}') };
    return { type: 'snap', from: from.id, to: to.id, term: 7, snapshot };
  }

  const never = new AbortController().signal;

  it('arrives whole', async () => {
    const sizes: number[] = [];
    const a = await start({ id: 0xa1n });
    const b = await start({
      id: 0xb2n,
      snapshot: async (message, body) => {
        let bytes = 0;
        for await (const piece of body) bytes += piece.length;
        expect(message.snapshot.metadata.index).toBe(20);
        sizes.push(bytes);
      },
    });
    await meet(a, b);
    const state = image(40);
    expect(await a.transport.sendSnapshot(snap(a, b), state, never)).toBe(true);
    expect([sizes, state.closed]).toEqual([[40 * MIB], 1]);
  });

  it('that cannot be read to its end is not taken for one', async () => {
    const ends: unknown[] = [];
    const a = await start({ id: 0xa1n });
    const b = await start({
      id: 0xb2n,
      snapshot: async (_, body) => {
        try {
          for await (const _piece of body) {
            // Goes on until it breaks off.
          }
          ends.push('whole');
        } catch (error) {
          ends.push(error);
          throw error;
        }
      },
    });
    await meet(a, b);
    const state = image(8, 5);
    expect(await a.transport.sendSnapshot(snap(a, b), state, never)).toBe(false);
    await eventually(() => ends.length === 1);
    expect(ends[0]).toBeInstanceOf(Error);
    expect(state.closed).toBe(1);
    await eventually(() => a.unreachable.includes(b.id));
  });

  it.each<[string, NodeOptions['snapshot']]>([
    ['before it is read', () => Promise.reject(new Error('another snapshot is being received'))],
    [
      'after some of it',
      async (_, body) => {
        let bytes = 0;
        for await (const piece of body) {
          bytes += piece.length;
          if (bytes > 3 * MIB) throw new Error('it is no database');
        }
      },
    ],
  ])('that the other end refuses %s is given up', async (_, snapshot) => {
    const a = await start({ id: 0xa1n });
    const b = await start({ id: 0xb2n, ...(snapshot === undefined ? {} : { snapshot }) });
    await meet(a, b);
    const state = image(64);
    expect(await a.transport.sendSnapshot(snap(a, b), state, never)).toBe(false);
    expect(state.closed).toBe(1);
    // And the next one gets through.
    expect(b.received).toEqual([]);
  });

  it('goes no further when it is called off, or the member ends', async () => {
    const reading = { pieces: 0 };
    const a = await start({ id: 0xa1n });
    const b = await start({
      id: 0xb2n,
      snapshot: async (_, body) => {
        for await (const _piece of body) reading.pieces++;
      },
    });
    await meet(a, b);
    const endless = {
      ...image(1),
      async *read() {
        for (;;) yield Buffer.alloc(MIB);
      },
    };
    const stop = new AbortController();
    const off = a.transport.sendSnapshot(snap(a, b), endless, stop.signal);
    await eventually(() => reading.pieces > 3);
    stop.abort();
    expect(await off).toBe(false);
    const ended = a.transport.sendSnapshot(snap(a, b), { ...endless }, never);
    await a.transport.close();
    expect(await ended).toBe(false);
    expect(await a.transport.sendSnapshot(snap(a, b), image(1), never)).toBe(false);
  });

  it('is given up when the other end takes nothing more', async () => {
    const clock = new HandClock();
    const a = await start({ id: 0xa1n, clock });
    const silent = createNetServer((socket) => {
      socket.on('error', () => {});
      socket.pause();
      cleanups.unshift(async () => void socket.destroy());
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => silent.close(() => resolve())));
    const { port } = silent.address() as AddressInfo;
    const id = 0xb2n as MemberId;
    a.transport.setMembers([{ id, peerUrls: [`http://127.0.0.1:${port}`] }], new Set());
    let outcome: boolean | null = null;
    const sent = a.transport.sendSnapshot(snap(a, { id }), image(64), never).then((ok) => {
      outcome = ok;
    });
    while (outcome === null) await clock.advance(1000);
    await sent;
    expect(outcome).toBe(false);
  });

  it('whose sender falls silent is given up by the receiver', async () => {
    const clock = new HandClock();
    let end: unknown = null;
    const a = await start({
      id: 0xa1n,
      clock,
      snapshot: async (_, body) => {
        try {
          for await (const _piece of body) {
            // Waits for more.
          }
        } catch (error) {
          end = error;
          throw error;
        }
      },
    });
    const b = await start({ id: 0xb2n, clock });
    b.knows(a);
    a.knows(b);
    let isRead = false;
    const stalled = {
      ...image(1),
      async *read() {
        yield Buffer.alloc(10);
        isRead = true;
        await new Promise<void>((resolve) => cleanups.unshift(async () => resolve()));
      },
    };
    const stop = new AbortController();
    const sent = b.transport.sendSnapshot(snap(b, a), stalled, stop.signal);
    await eventually(() => isRead);
    while (end === null) await clock.advance(500);
    expect(end).toBeInstanceOf(Error);
    stop.abort();
    for (const cleanup of cleanups.splice(0, 1)) await cleanup();
    expect(await sent).toBe(false);
  });
});
