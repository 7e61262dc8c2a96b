import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Etcd, startEtcd } from '../index.ts';

let etcd: Etcd;

beforeEach(async () => {
  etcd = await startEtcd({ memory: true });
});
afterEach(() => etcd.close());

async function post(path: string, body: object): Promise<number> {
  const url = `${etcd.clientUrls[0]}/v3/${path}`;
  const { status } = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  return status;
}

async function get(path: string): Promise<string> {
  const answer = await fetch(`${etcd.clientUrls[0]}${path}`);
  return `${answer.status} ${await answer.text()}`;
}

it('does not depend on users: the member reads as root', async () => {
  for (const [path, body] of [
    ['auth/user/add', { name: 'root', password: 'r' }],
    ['auth/role/add', { name: 'root' }],
    ['auth/user/grant', { user: 'root', role: 'root' }],
    ['auth/enable', {}],
  ] as const) {
    expect(await post(path, body)).toBe(200);
  }
  expect(await post('kv/range', { key: 'YQ==' })).toBe(400);
  expect(await get('/health')).toBe('200 {"health":"true","reason":""}');
  expect(await get('/readyz')).toBe('200 ok\n');
  expect(await get('/livez')).toBe('200 ok\n');
});
