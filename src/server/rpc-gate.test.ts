import { beforeEach, describe, expect, it } from 'vitest';
import { FakeCaller, FakeOutput } from '../../test/support/services.ts';
import { encodeRangeRequest } from '../codec/gen/etcdserverpb.ts';
import { encode } from '../codec/wire.ts';
import { errors } from '../errors.ts';
import { readOptions } from '../mvcc/range.ts';
import { keyFromText, type MemberId } from '../types.ts';
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

let replica: { lead: MemberId | null; isLearner: boolean };
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
  replica = { lead: 1n as MemberId, isLearner: false };
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

  it.each([
    ['Maintenance', 'Status', NOTHING, true],
    ['KV', 'Range', range(true), true],
    ['KV', 'Range', range(false), false],
    ['KV', 'Put', NOTHING, false],
    ['KV', 'Txn', NOTHING, false],
    ['Cluster', 'MemberList', NOTHING, false],
    ['Maintenance', 'Alarm', NOTHING, false],
    ['Maintenance', 'HashKV', NOTHING, false],
    ['Lease', 'LeaseLeases', NOTHING, false],
  ])('of %s/%s reaches a learner only if it may be stale', (service, name, request, served) => {
    const method = { ...echo, service: `etcdserverpb.${service}`, name };
    const call = () => gate.unary(method, request, caller({ 'client-api-version': '3.7.1' }));
    replica.isLearner = true;
    if (served) expect(call()).toBe(request);
    else expect(call).toThrow(errors.notSupportedForLearner);
    replica.isLearner = false;
    expect(call()).toBe(request);
  });

  it('that a learner refuses is told so before anything else', () => {
    replica = Object.assign(replica, { isLearner: true, lead: null });
    const headers = { hasleader: 'true', 'client-api-version': '\xff' };
    expect(() => gate.unary(echo, NOTHING, caller(headers))).toThrow(errors.notSupportedForLearner);
  });

  it('is refused once the member stops', () => {
    gate.close();
    expect(() => gate.unary(echo, NOTHING, caller())).toThrow(errors.stopped);
    expect(() => open()).toThrow(errors.stopped);
  });
});

function range(serializable: boolean): Uint8Array {
  const key = keyFromText('a');
  return encode(encodeRangeRequest, { ...readOptions(key), key, serializable });
}

describe('a stream', () => {
  it('is for voters, except a snapshot', () => {
    replica.isLearner = true;
    const snapshot: StreamMethod = {
      ...endless,
      kind: 'server-stream',
      service: 'etcdserverpb.Maintenance',
      name: 'Snapshot',
    };
    const output = new FakeOutput(() => null);
    gate.stream(snapshot, caller(), output);
    expect(output.ended).toBeUndefined();
    expect(() => open()).toThrow(errors.notSupportedForLearner);
  });

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
