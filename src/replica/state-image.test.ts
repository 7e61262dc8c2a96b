import { expect, it } from 'vitest';
import { sourceOf } from '../../test/support/bytes-source.ts';
import { LoneReplica } from '../../test/support/lone-replica.ts';
import { BboltReader } from '../bbolt/reader.ts';
import { allBuckets } from '../buckets.ts';
import { MemoryEngine } from '../platform/memory-engine.ts';
import type { EngineSnapshot, RowWrite } from '../ports.ts';
import { hexId, type RowKey } from '../types.ts';
import { IMAGE_PIECE_BYTES, openImage, openStateImage } from './state-image.ts';

const noPause = () => Promise.resolve();

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** An engine that counts the views that are open. */
class CountedEngine extends MemoryEngine {
  views = 0;

  override snapshot(): EngineSnapshot {
    const view = super.snapshot();
    this.views++;
    return {
      scan: (range) => view.scan(range),
      walk: (range) => view.walk(range),
      close: async () => {
        this.views--;
        await view.close();
      },
    };
  }
}

it('says where the state stands, with the members of just that moment', async () => {
  const lone = await LoneReplica.start();
  await lone.whileRunning(lone.put('a'));
  const memberAttributes = { name: 'one', clientUrls: ['http://127.0.0.1:2379'] };
  const { memberId } = lone.replica;
  await lone.whileRunning(
    lone.replica.propose('clusterMemberAttrSet', { memberId, memberAttributes }),
  );
  await lone.whileRunning(lone.replica.propose('clusterVersionSet', { ver: '3.6.0' }));
  await lone.whileRunning(lone.replica.flush());
  const { applied, confState, term } = lone.replica;
  const opened = openStateImage(lone.engine, noPause);
  // What is applied after the view was opened is in neither part of it.
  await lone.whileRunning(lone.replica.propose('clusterVersionSet', { ver: '3.7.0' }));
  await lone.whileRunning(lone.replica.flush());
  const { metadata, membership, image } = await opened;
  expect(metadata).toEqual({ index: applied, term, confState });
  const { Root } = JSON.parse(Buffer.from(membership).toString());
  const cluster = Root.Children['0'].Children;
  expect(cluster.version.Value).toBe('3.6.0');
  const { attributes, raftAttributes } = cluster.members.Children[hexId(memberId)].Children;
  expect(JSON.parse(attributes.Value)).toEqual({
    name: 'one',
    clientURLs: ['http://127.0.0.1:2379'],
  });
  expect(JSON.parse(raftAttributes.Value)).toEqual({ peerURLs: ['http://127.0.0.1:2380'] });
  const reader = await BboltReader.open(sourceOf(await bytesOf(image.read())));
  const buckets = await reader.buckets();
  expect(buckets.map(({ name }) => name)).toEqual(allBuckets.map(({ name }) => name));
  await image.close();
  await lone.close();
});

it('comes in full pieces, as many bytes as were promised, again when read again', async () => {
  const engine = new CountedEngine();
  const rows: RowWrite[] = [];
  for (let i = 0; i < 5000; i++) {
    rows.push({ key: `k${10_000 + i}` as RowKey, value: Buffer.alloc(i % 400, i) });
  }
  rows.push({ key: 'k9' as RowKey, value: Buffer.alloc(300_000, 9) });
  rows.push({ key: '!own' as RowKey, value: Buffer.from('not in any bucket') });
  await engine.write(rows);
  const image = await openImage(engine, noPause);
  const sizes: number[] = [];
  for await (const piece of image.read()) sizes.push(piece.length);
  expect(new Set(sizes.slice(0, -1))).toEqual(new Set([IMAGE_PIECE_BYTES]));
  expect(sizes.reduce((sum, size) => sum + size)).toBe(image.bytes);
  await engine.write([{ key: 'k9' as RowKey, value: null }]);
  const [first, second] = [await bytesOf(image.read()), await bytesOf(image.read())];
  expect(second.equals(first)).toBe(true);
  const reader = await BboltReader.open(sourceOf(first));
  const found = new Map<string, Uint8Array>();
  for (const bucket of await reader.buckets()) {
    for await (const items of reader.items(bucket)) {
      for (const { key, value } of items) found.set(bucket.name + key, value);
    }
  }
  expect(found.size).toBe(5001);
  expect(found.get('key9')).toHaveLength(300_000);
  await image.close();
  await image.close();
  expect(engine.views).toBe(0);
});

it('closes its view when it is given up before it is made', async () => {
  const engine = new CountedEngine();
  await engine.write([{ key: 'kx' as RowKey, value: Buffer.alloc(1) }]);
  const givenUp = () => Promise.reject(new Error('nobody wants it'));
  await expect(openImage(engine, givenUp)).rejects.toThrow('nobody wants it');
  await expect(openStateImage(engine, givenUp)).rejects.toThrow('nobody wants it');
  expect(engine.views).toBe(0);
});
