// What clients make the process keep is counted together, and given back with their connections.

import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { EtcdError } from './errors.ts';
import { limits } from './limits.ts';
import { answerMemory, MemoryBudget, requestMemory } from './memory-budget.ts';
import { ConnectionMemory } from './server/h2/connection-memory.ts';
import { readBody } from './server/http-exchange.ts';

let taken = 0;
let counted = 0;

function fill(): void {
  taken = limits.incompleteRequestBytesMax + 1;
  requestMemory.add(taken);
}

afterEach(() => {
  requestMemory.add(-taken);
  taken = 0;
  expect([requestMemory.bytes, answerMemory.bytes]).toEqual([0, 0]);
});

it('is full beyond its bytes and not before', () => {
  const budget = new MemoryBudget(10);
  budget.add(10);
  expect(budget.isFull).toBe(false);
  budget.add(1);
  expect(budget.isFull).toBe(true);
  budget.add(-1);
  expect(budget.isFull).toBe(false);
});

describe('a connection over HTTP/2', () => {
  it('has no more than its own part', () => {
    const memory = new ConnectionMemory();
    memory.addRequest(limits.h2AssemblyBytesMax + 1);
    memory.addAnswer(limits.h2QueuedBytesMax + 1);
    expect([memory.requestsFull, memory.answersFull]).toEqual([true, true]);
    memory.close();
  });

  it('has nothing when all together have all there is', () => {
    const memory = new ConnectionMemory();
    expect(memory.requestsFull).toBe(false);
    fill();
    expect(memory.requestsFull).toBe(true);
    memory.close();
  });

  it('gives everything back when it ends, once', () => {
    const memory = new ConnectionMemory();
    memory.addRequest(100);
    memory.addAnswer(200);
    memory.close();
    memory.addRequest(-100);
    memory.close();
    expect([requestMemory.bytes, answerMemory.bytes]).toEqual([0, 0]);
  });
});

describe('the body of a JSON request', () => {
  function read(send: (body: PassThrough) => void): Promise<Buffer | EtcdError> {
    const body = new PassThrough();
    return new Promise((resolve) => {
      readBody(1000, body as unknown as IncomingMessage, (whole) => {
        counted = requestMemory.bytes;
        resolve(whole);
      });
      send(body);
    });
  }

  it('is counted until its end', async () => {
    const body = await read((stream) => {
      stream.write('half');
      stream.end('more');
    });
    expect(String(body)).toBe('halfmore');
    expect(counted).toBe(8);
    await expect.poll(() => requestMemory.bytes).toBe(0);
  });

  it('is refused when there is no room, and read to its end', async () => {
    fill();
    const refused = await read((stream) => stream.end('body'));
    expect(refused).toBeInstanceOf(EtcdError);
    expect(String(refused)).toContain('etcdserver: too many requests');
  });
});
