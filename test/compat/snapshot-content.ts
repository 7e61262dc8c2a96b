// What a snapshot should carry from one server to another, and the questions that show it has.
import { expect } from 'vitest';
import { GrpcClient } from './client.ts';
import { decode, type Message, method } from './proto.ts';

export interface Asked {
  readonly endpoint: string;
}

export const EVERYTHING = { key: Buffer.from([0]), range_end: Buffer.from([0]) };
const LEASES = ['7001', '7002', '7003'];
const TXN_KEYS = 100;

/** Small and large values, tombstones, transactions, leases, and a compaction in the middle. */
export async function fill(server: Asked, keys: number): Promise<void> {
  for (const ID of LEASES) await ask(server, 'Lease/LeaseGrant', { ID, TTL: '100000' });
  const put = (key: string, value: string | Buffer, lease = '0') => ({
    request_put: { key: Buffer.from(key), value: Buffer.from(value), lease },
  });
  for (let i = 0; i < keys; i += TXN_KEYS) {
    const success = Array.from({ length: TXN_KEYS }, (_, n) => {
      const lease = n % 10 === 0 ? (LEASES[n % 3] ?? '0') : '0';
      return put(`key/${i + n}`, `value ${i * n}`, lease);
    });
    await ask(server, 'KV/Txn', { success });
  }
  for (const [i, size] of [0, 1000, 5000, 100_000, 1_000_000].entries()) {
    await ask(server, 'KV/Put', put(`large/${i}`, Buffer.alloc(size, i))['request_put']);
  }
  const range = { key: Buffer.from('key/1'), range_end: Buffer.from('key/2') };
  await ask(server, 'KV/DeleteRange', range);
  const { header } = await hashKv(server);
  await ask(server, 'KV/Compact', { revision: (header as Message)['revision'], physical: true });
  await ask(server, 'KV/Put', { key: Buffer.from('key/1'), value: Buffer.from('back') });
  await ask(server, 'KV/DeleteRange', { key: Buffer.from('key/3') });
}

export async function ask(server: Asked, name: string, request: Message): Promise<Message> {
  const client = new GrpcClient(server.endpoint);
  try {
    const { code, text, messages } = await client.unary(name, request);
    expect({ name, code, text }).toEqual({ name, code: 0, text: '' });
    return decode(method(name).response, messages[0] ?? Buffer.alloc(0));
  } finally {
    client.close();
  }
}

export function hashKv(server: Asked): Promise<Message> {
  return ask(server, 'Maintenance/HashKV', {});
}

export async function leasesOf(server: Asked): Promise<unknown> {
  const { leases } = await ask(server, 'Lease/LeaseLeases', {});
  const ids = (leases as { ID: string }[]).map(({ ID }) => ID).sort();
  const answers = ids.map((ID) => ask(server, 'Lease/LeaseTimeToLive', { ID, keys: true }));
  return (await Promise.all(answers)).map(({ ID, grantedTTL, keys }) => ({
    ID,
    grantedTTL,
    keys: (keys as Buffer[]).map(String).sort(),
  }));
}
