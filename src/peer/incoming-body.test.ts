// Bodies that other members send: what is kept of all of them is bounded and given back.
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { postMemory } from '../memory-budget.ts';
import { IncomingBody, TooLongError } from './incoming-body.ts';

const ticks = { everyTick: () => () => undefined };
let taken = 0;

afterEach(() => {
  postMemory.add(-taken);
  taken = 0;
});

function bodyOf(): { stream: PassThrough; body: IncomingBody } {
  const stream = new PassThrough();
  return { stream, body: new IncomingBody(stream as unknown as IncomingMessage, ticks) };
}

describe('a body', () => {
  it('counts while it is kept, and no longer', async () => {
    const { stream, body } = bodyOf();
    stream.write('0123456789');
    expect(String(await body.take(4))).toBe('0123');
    expect(postMemory.bytes).toBe(10);
    stream.destroy();
    await expect.poll(() => postMemory.bytes).toBe(0);
  });

  it('is given up when all of them together are too long', async () => {
    taken = limits.peerPostsBytesMax;
    postMemory.add(taken);
    const { stream, body } = bodyOf();
    stream.end('one more');
    await expect(body.all(1000)).rejects.toThrow(TooLongError);
    stream.destroy();
    await expect.poll(() => postMemory.bytes).toBe(taken);
  });

  it('that is too long by itself is given up too', async () => {
    const { stream, body } = bodyOf();
    stream.end('x'.repeat(1001));
    await expect(body.all(1000)).rejects.toThrow(TooLongError);
    stream.destroy();
    await expect.poll(() => postMemory.bytes).toBe(0);
  });
});
