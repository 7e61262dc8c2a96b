import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCaller, FakeOutput } from '../../test/support/services.ts';
import { errors } from '../errors.ts';
import type { MemberId } from '../types.ts';
import type { Input, StreamMethod, UnaryMethod } from './rpc.ts';
import { createRpcGate, type RpcGate } from './rpc-gate.ts';

const ELECTION_TICKS = 10;
const NOTHING = new Uint8Array();
const echo: UnaryMethod = {
  kind: 'unary',
  service: 'test',
  name: 'Echo',
  call: (request) => request,
};

let replica: { lead: MemberId | null };
let gate: RpcGate;
let closed: number;
const endless: StreamMethod = {
  kind: 'bidi',
  service: 'test',
  name: 'Endless',
  open: () => ({
    message() {},
    halfClose() {},
    close() {
      closed++;
    },
  }),
};

beforeEach(() => {
  replica = { lead: 1n as MemberId };
  gate = createRpcGate(replica, { electionTicks: ELECTION_TICKS });
  closed = 0;
});

function caller(headers: Record<string, string> = {}): FakeCaller {
  const fake = new FakeCaller();
  for (const [name, value] of Object.entries(headers)) fake.headers.set(name, value);
  return fake;
}

function open(headers: Record<string, string> = {}): {
  input: Input<Uint8Array>;
  output: FakeOutput<null>;
} {
  const output = new FakeOutput(() => null);
  return { output, input: gate.stream(endless, caller(headers), output) };
}

function tick(times: number): void {
  for (let i = 0; i < times; i++) gate.tick();
}

describe('a call', () => {
  it('passes', () => {
    expect(gate.unary(echo, NOTHING, caller())).toBe(NOTHING);
  });

  it.each([
    ['3.7.1', null],
    ['\xc3\xa9', null],
    ['\xff', errors.invalidClientApiVersion],
    ['\xc3', errors.invalidClientApiVersion],
  ])('of client version %j', (version, expected) => {
    const call = () => gate.unary(echo, NOTHING, caller({ 'client-api-version': version }));
    if (expected === null) expect(call()).toBe(NOTHING);
    else expect(call).toThrow(expected);
  });

  it('that requires a leader is refused at once when there is none', () => {
    const requiring = caller({ hasleader: 'true' });
    expect(gate.unary(echo, NOTHING, requiring)).toBe(NOTHING);
    replica.lead = null;
    expect(() => gate.unary(echo, NOTHING, requiring)).toThrow(errors.noLeader);
    expect(() => open({ hasleader: 'true' })).toThrow(errors.noLeader);
    expect(gate.unary(echo, NOTHING, caller({ hasleader: 'yes' }))).toBe(NOTHING);
  });

  it('is refused once the member stops', () => {
    gate.close();
    expect(() => gate.unary(echo, NOTHING, caller())).toThrow(errors.stopped);
    expect(() => open()).toThrow(errors.stopped);
  });
});

describe('a stream', () => {
  it('that requires a leader ends after three election timeouts without one', () => {
    const [requiring, other] = [open({ hasleader: 'true' }), open()];
    replica.lead = null;
    tick(3 * ELECTION_TICKS - 1);
    expect(requiring.output.ended).toBeUndefined();
    tick(1);
    expect(requiring.output.ended).toBe(errors.noLeader);
    expect(other.output.ended).toBeUndefined();
  });

  it('outlives shorter times without a leader', () => {
    const { output } = open({ hasleader: 'true' });
    for (let i = 0; i < 5; i++) {
      replica.lead = null;
      tick(2 * ELECTION_TICKS);
      replica.lead = 2n as MemberId;
      tick(ELECTION_TICKS);
    }
    expect(output.ended).toBeUndefined();
  });

  it('ends with the member, unless it has ended before', () => {
    const [running, over] = [open(), open()];
    over.input.close();
    gate.close();
    gate.close();
    expect(running.output.ended).toBe(errors.stopped);
    expect(over.output.ended).toBeUndefined();
    expect(closed).toBe(1);
  });
});
