// What the audit log says of requests, and what it never says, at a member with users.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeCaller, FakeOutput } from '../../test/support/services.ts';
import { Code, EtcdError, errors } from '../errors.ts';
import { createLog } from '../log.ts';
import { audited, openAuditFile } from './audit.ts';
import { type Etcd, startEtcd } from './embed.ts';
import type { RpcGate } from './rpc-gate.ts';

interface Line {
  readonly user: string;
  readonly remote: string;
  readonly method: string;
  readonly code: string;
  readonly request?: Record<string, unknown>;
}

let folder = '';
let path = '';
let etcd: Etcd | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'etcd-audit-'));
  path = join(folder, 'audit.log');
});

afterEach(async () => {
  await etcd?.close();
  etcd = null;
  rmSync(folder, { recursive: true, force: true });
});

function lines(): Line[] {
  const text = readFileSync(path, 'utf8').trim();
  return text.split('\n').map((line) => JSON.parse(line) as Line);
}

async function post(route: string, body: object, token = ''): Promise<Record<string, string>> {
  const answer = await fetch(`${etcd?.clientUrls[0]}/v3/${route}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: token === '' ? {} : { Authorization: token },
  });
  return (await answer.json()) as Record<string, string>;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the audit log', () => {
  it('says who asked for which keys with which outcome, and keeps secrets', async () => {
    etcd = await startEtcd({ memory: true, extAuditLogPath: path });
    await post('auth/user/add', { name: 'root', password: 'hidden-password' });
    await post('auth/user/grant', { user: 'root', role: 'root' });
    await post('auth/enable', {});
    const name = 'root';
    const { token = '' } = await post('auth/authenticate', { name, password: 'hidden-password' });
    const key = base64('key');
    await post('kv/put', { key, value: base64('hidden-value') }, token);
    const compare = [{ key, target: 'VALUE', value: base64('hidden-value') }];
    const success = [{ request_put: { key, value: base64('hidden-value') } }];
    await post('kv/txn', { compare, success }, token);
    await post('kv/range', { key, range_end: base64('kez') });

    const [opened, ...told] = lines();
    expect(opened).toMatchObject({ event: 'opened', member: etcd.name });
    expect(told.map(({ user, method, code }) => `${user} ${method} ${code}`)).toEqual([
      ' /etcdserverpb.Auth/UserAdd OK',
      ' /etcdserverpb.Auth/UserGrantRole OK',
      ' /etcdserverpb.Auth/AuthEnable OK',
      ' /etcdserverpb.Auth/Authenticate OK',
      'root /etcdserverpb.KV/Put OK',
      'root /etcdserverpb.KV/Txn OK',
      ' /etcdserverpb.KV/Range INVALID_ARGUMENT',
    ]);
    expect(told[4]).toMatchObject({ request: { key } });
    expect(told[5]).toMatchObject({ request: { success: [{ request_put: { key } }] } });
    expect(told[6]).toMatchObject({ request: { key, range_end: base64('kez') } });
    for (const { remote } of told) expect(remote).toMatch(/^127\.0\.0\.1:\d+$/);
    const text = readFileSync(path, 'utf8');
    for (const secret of ['hidden-password', base64('hidden-value'), token]) {
      expect(text).not.toContain(secret);
    }
  });

  it('ends the start when its file cannot be written', async () => {
    const options = { memory: true, extAuditLogPath: folder };
    await expect(startEtcd(options)).rejects.toThrow('EISDIR');
  });
});

describe('a line', () => {
  const written: string[] = [];
  const told: string[] = [];
  const log = createLog({
    level: 'error',
    format: 'json',
    outputs: [],
    write: (line) => told.push(line),
  });
  let write: (line: string) => void;
  let gate: RpcGate;

  beforeEach(() => {
    written.length = 0;
    told.length = 0;
    write = (line) => written.push(line);
    const plain: RpcGate = {
      unary(_method, request) {
        if (request[0] === 1) throw errors.keyNotFound;
        return request;
      },
      stream: () => ({ message() {}, halfClose() {}, close() {} }),
      tick() {},
      close() {},
    };
    const deps = { write: (line: string) => write(line), nameOf: () => 'me', now: () => 0, log };
    gate = audited(plain, deps);
  });

  const put = {
    kind: 'unary',
    service: 'etcdserverpb.KV',
    name: 'Put',
    call: (request: Uint8Array) => request,
  } as const;

  it('that cannot be written is told, and its request is served', () => {
    write = () => {
      throw new Error('ENOSPC');
    };
    const request = new Uint8Array(0);
    expect(gate.unary(put, request, new FakeCaller())).toBe(request);
    expect(told.join('')).toContain('audit line could not be written');
  });

  it('of a request that is malformed or very long has no fields of it', () => {
    expect(() => gate.unary(put, Uint8Array.of(1), new FakeCaller())).toThrow();
    const key = Buffer.alloc(20_000, 'k');
    const long = Buffer.concat([Buffer.from([0x0a, 0xa0, 0x9c, 0x01]), key]);
    gate.unary(put, long, new FakeCaller());
    const [malformed = '', big = ''] = written;
    expect(JSON.parse(malformed)).toMatchObject({ malformed: true, code: 'INVALID_ARGUMENT' });
    expect(JSON.parse(big)).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      user: 'me',
      remote: '',
      method: '/etcdserverpb.KV/Put',
      requestBytes: 20_004,
      code: 'OK',
    });
  });

  it('comes for each request on a stream, and for the error that ends it', () => {
    const open = () => ({ message() {}, halfClose() {}, close() {} });
    const watch = { kind: 'bidi', service: 'etcdserverpb.Watch', name: 'Watch', open } as const;
    const output = new FakeOutput(() => null);
    let seen = output as Parameters<RpcGate['stream']>[2];
    const inner = gate.stream(watch, new FakeCaller(), output);
    inner.message(Buffer.from('0a030a0161', 'hex'));
    expect(written.map((line) => JSON.parse(line))).toMatchObject([
      { request: { create_request: { key: 'YQ==' } }, code: 'OK' },
    ]);
    const ending: RpcGate = {
      unary: () => new Uint8Array(0),
      stream(_method, _caller, given) {
        seen = given;
        return { message() {}, halfClose() {}, close() {} };
      },
      tick() {},
      close() {},
    };
    audited(ending, { write, nameOf: () => '', now: () => 0, log }).stream(
      watch,
      new FakeCaller(),
      output,
    );
    seen.end(new EtcdError(Code.UNAVAILABLE, 'gone'));
    expect(JSON.parse(written.at(-1) ?? '')).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

it('needs a path', () => {
  expect(openAuditFile('', 'me', createLog({ level: 'error', format: 'json', outputs: [] }))).toBe(
    null,
  );
});
