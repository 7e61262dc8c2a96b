// How often each caller may ask.
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCaller, FakeOutput } from '../../test/support/services.ts';
import { limits } from '../limits.ts';
import { startEtcd } from './embed.ts';
import type { StreamMethod, UnaryMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';
import { limitedPerUser } from './user-limits.ts';

const NOTHING = new Uint8Array(0);
const unary: UnaryMethod = { kind: 'unary', service: 's', name: 'N', call: (request) => request };
const idle = () => ({ message() {}, halfClose() {}, close() {} });
const stream: StreamMethod = { kind: 'bidi', service: 's', name: 'M', open: idle };
const plain: RpcGate = {
  unary: (_method, request) => request,
  stream: idle,
  tick() {},
  close() {},
};

class At extends FakeCaller {
  readonly address: string;

  constructor(address: string) {
    super();
    this.address = address;
  }
}

describe('requests per second', () => {
  let nowMs = 0;
  let gate: RpcGate;

  beforeEach(() => {
    nowMs = 0;
    const nameOf = (caller: { metadata(name: string): string | null }): string =>
      caller.metadata('token') ?? '';
    gate = limitedPerUser(plain, { perSecond: 3, nameOf, monotonic: () => nowMs });
  });

  function ask(user: string, address = '10.0.0.1:1'): boolean {
    const caller = new At(address);
    if (user !== '') caller.headers.set('token', user);
    try {
      gate.unary(unary, NOTHING, caller);
      return true;
    } catch (error) {
      expect(String(error)).toContain('etcdserver: too many requests');
      return false;
    }
  }

  const times = (count: number, user: string, address?: string): number =>
    Array.from({ length: count }, () => ask(user, address)).filter(Boolean).length;

  it('are counted for each user, wherever he is', () => {
    expect(times(2, 'a', '10.0.0.1:1') + times(2, 'a', '10.0.0.2:1')).toBe(3);
    expect(times(4, 'b')).toBe(3);
  });

  it('come back with time, and what was refused costs nothing', () => {
    expect(times(1000, 'a')).toBe(3);
    nowMs += 1000;
    expect(times(10, 'a')).toBe(3);
  });

  it('are counted for each address where there is no user', () => {
    expect(times(4, '', '10.0.0.1:1') + times(4, '', '10.0.0.1:2')).toBe(3);
    expect(times(4, '', '[::1]:1')).toBe(3);
  });

  it('are not counted for root', () => {
    expect(times(100, 'root')).toBe(100);
  });

  it('include streams that are opened', () => {
    expect(times(3, 'a')).toBe(3);
    const caller = new At('10.0.0.1:1');
    caller.headers.set('token', 'a');
    expect(() => gate.stream(stream, caller, new FakeOutput(() => null))).toThrow('too many');
  });

  it('are forgotten for whoever was idle longest', () => {
    expect(times(4, 'first')).toBe(3);
    for (let i = 0; i < limits.userBudgetsMax; i++) ask(`user${i}`);
    expect(times(1, 'first')).toBe(1);
  });
});

it('refuses over the gateway as over gRPC', async () => {
  await using etcd = await startEtcd({ memory: true, extUserRequestsPerSecond: 2 });
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) {
    const url = `${etcd.clientUrls[0]}/v3/kv/range`;
    const answer = await fetch(url, { method: 'POST', body: '{"key":"YQ=="}' });
    const { error = '' } = (await answer.json()) as { error?: string };
    if (answer.status !== 200) expect(error).toBe('etcdserver: too many requests');
    statuses.push(answer.status);
  }
  expect(statuses.slice(0, 2)).toEqual([200, 200]);
  expect(statuses).toContain(429);
});
