import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Etcd, startEtcd } from '../index.ts';

let etcd: Etcd;
let root: string;
let streams: AbortController[];

beforeEach(async () => {
  streams = [];
  etcd = await startEtcd({ memory: true });
  await post('auth/user/add', { name: 'root', password: 'r' });
  await post('auth/role/add', { name: 'root' });
  await post('auth/user/grant', { user: 'root', role: 'root' });
  await post('auth/user/add', { name: 'reader', password: 'r' });
  await post('auth/role/add', { name: 'reads-a' });
  await post('auth/role/grant', { name: 'reads-a', perm: { permType: 'READ', key: key('a') } });
  await post('auth/user/grant', { user: 'reader', role: 'reads-a' });
});

afterEach(async () => {
  for (const stream of streams) stream.abort();
  await etcd.close();
});

const key = (text: string): string => Buffer.from(text).toString('base64');

async function post(path: string, body: object, token = ''): Promise<Record<string, unknown>> {
  const answer = await fetch(`${etcd.clientUrls[0]}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: token === '' ? {} : { Authorization: token },
  });
  const message = (await answer.json()) as Record<string, unknown>;
  if (!answer.ok) throw new Error(String(message['message']));
  return message;
}

async function login(name: string): Promise<string> {
  return String((await post('auth/authenticate', { name, password: 'r' }))['token']);
}

async function enable(): Promise<void> {
  await post('auth/enable', {});
  root = await login('root');
}

/** The lines of a watch on `a`, one by one. */
async function watch(token: string): Promise<() => Promise<Record<string, unknown>>> {
  const stream = new AbortController();
  streams.push(stream);
  const answer = await fetch(`${etcd.clientUrls[0]}/v3/watch`, {
    method: 'POST',
    body: JSON.stringify({ create_request: { key: key('a') } }),
    headers: token === '' ? {} : { Authorization: token },
    signal: stream.signal,
  });
  const lines = linesOf(answer);
  const next = async () => {
    const { value } = await lines.next();
    return (JSON.parse(String(value)) as { readonly result: Record<string, unknown> }).result;
  };
  expect(await next()).toMatchObject({ created: true });
  return next;
}

async function* linesOf({ body }: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of body ?? []) {
    const parts = (rest + Buffer.from(chunk).toString()).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

const DENIED = {
  canceled: true,
  cancel_reason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
};

it('ends a watch when its user may no longer read', async () => {
  await enable();
  const next = await watch(await login('reader'));
  await post('kv/put', { key: key('a'), value: key('1') }, root);
  expect(await next()).toMatchObject({ events: [{ kv: { value: key('1') } }] });
  await post('auth/role/revoke', { role: 'reads-a', key: key('a') }, root);
  await post('kv/put', { key: key('a'), value: key('2') }, root);
  expect(await next()).toMatchObject(DENIED);
});

it('lets a watch go on through changes that leave its user the right', async () => {
  await enable();
  const next = await watch(await login('reader'));
  await post('auth/user/add', { name: 'other', password: 'r' }, root);
  await post('kv/put', { key: key('a'), value: key('1') }, root);
  expect(await next()).toMatchObject({ events: [{ kv: { value: key('1') } }] });
});

it('ends the watches of nobody when users begin to count', async () => {
  const next = await watch('');
  await enable();
  expect(await next()).toMatchObject(DENIED);
});
