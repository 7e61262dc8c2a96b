// Single facts about etcd 3.7 that random operations do not reach, asserted by value and therefore
// checked on both servers: fragments of large watch answers and the hash after Compact(0).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { decode, type Message, method } from './proto.ts';
import { Server, until } from './servers.ts';

const { node, go, exact } = await findBinaries();
const commands = [{ label: 'ours', command: node }];
if (go !== null && exact) commands.push({ label: 'etcd', command: go });

for (const { label, command } of commands) {
  describe(label, () => {
    let server: Server;
    let client: GrpcClient;

    beforeAll(async () => {
      server = await Server.start({ label, command });
      client = new GrpcClient(server.endpoint);
    });

    afterAll(async () => {
      client?.close();
      await server?.close();
    });

    const ask = async (name: string, request: Message): Promise<Message> => {
      const { code, text, messages } = await client.unary(name, request);
      if (code !== 0) return { code, text };
      return decode(method(name).response, messages[0] ?? Buffer.alloc(0));
    };

    it('answers HashKV(0) with the hash of an empty store after Compact(0)', async () => {
      const hash = async (revision: string) => {
        const { header: _header, ...rest } = await ask('Maintenance/HashKV', { revision });
        return rest;
      };
      await ask('KV/Put', { key: Buffer.from('a'), value: Buffer.from('1') });
      expect(await hash('0')).toEqual({
        hash: 2587454935,
        compact_revision: '-1',
        hash_revision: '2',
      });
      expect(await ask('KV/Compact', { revision: '0', physical: true })).not.toHaveProperty('code');
      expect(await hash('0')).toEqual({ hash: 1084519789, compact_revision: '-1' });
      expect(await hash('2')).toEqual({ hash: 2587454935, hash_revision: '2' });
      await ask('KV/Put', { key: Buffer.from('b'), value: Buffer.from('1') });
      expect(await hash('0')).toEqual({ hash: 1084519789, compact_revision: '-1' });
      expect(await ask('KV/Compact', { revision: '0' })).toEqual({
        code: 11,
        text: 'etcdserver: mvcc: required revision has been compacted',
      });
    });

    it('cuts a large watch answer into fragments only when asked to', async () => {
      const stream = client.bidi('Watch/Watch');
      const range = { key: Buffer.from('f/'), range_end: Buffer.from('f0'), prev_kv: true };
      stream.send({ create_request: { ...range, fragment: true } });
      stream.send({ create_request: range });
      await until('two watchers', () => (stream.messages.length === 2 ? true : null));
      const put = (name: string, byte: number) => {
        return { key: Buffer.from(`f/${name}`), value: Buffer.alloc(700_000, byte) };
      };
      await ask('KV/Put', put('1', 1));
      await ask('KV/Put', put('2', 2));
      const success = [{ request_put: put('1', 3) }, { request_put: put('2', 4) }];
      await ask('KV/Txn', { success });
      await until('all events', () => (stream.messages.length >= 9 ? true : null));
      const { response } = method('Watch/Watch');
      const shapes = stream.messages.slice(2).map((bytes) => {
        const { watch_id, fragment, events } = decode(response, bytes);
        const count = (events as unknown[]).length;
        return `watch ${watch_id ?? 0} fragment ${fragment ?? false} events ${count}`;
      });
      stream.cancel();
      expect(shapes.sort()).toEqual([
        'watch 0 fragment false events 1',
        'watch 0 fragment false events 1',
        'watch 0 fragment false events 1',
        'watch 0 fragment true events 1',
        'watch 1 fragment false events 1',
        'watch 1 fragment false events 1',
        'watch 1 fragment false events 2',
      ]);
    });
  });
}
