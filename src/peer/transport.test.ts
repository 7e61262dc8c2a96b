import { afterEach, describe, expect, it } from 'vitest';
import { eventually, type NodeOptions, TransportNode } from '../../test/support/transports.ts';
import type { Message } from '../raft/messages.ts';

const nodes: TransportNode[] = [];

async function start(options: NodeOptions): Promise<TransportNode> {
  const node = await TransportNode.start(options);
  nodes.push(node);
  return node;
}

afterEach(async () => {
  const closed = nodes.splice(0).map((node) => node.close());
  await Promise.all(closed);
});

async function two(): Promise<[TransportNode, TransportNode]> {
  const [a, b] = [await start({ id: 0xa1n }), await start({ id: 0xb2n })];
  a.knows(b);
  b.knows(a);
  await eventually(() => a.streamsTo(b) === 2 && b.streamsTo(a) === 2);
  return [a, b];
}

function heartbeat(from: TransportNode, to: TransportNode, commit: number): Message {
  const context = Buffer.from('ctx');
  return { type: 'heartbeat', from: from.id, to: to.id, term: 7, commit, context };
}

function append(from: TransportNode, to: TransportNode, index: number): Message {
  const data = Buffer.alloc(100, index);
  const entries = [{ type: 'normal', term: 7, index: index + 1, data }] as const;
  const [term, logTerm] = [7, 7];
  return { type: 'app', from: from.id, to: to.id, term, index, logTerm, entries, commit: index };
}

describe('two members', () => {
  it('exchange messages of both streams, each in order', async () => {
    const [a, b] = await two();
    const heartbeats = Array.from({ length: 500 }, (_, i) => heartbeat(a, b, i));
    const appends = Array.from({ length: 500 }, (_, i) => append(a, b, i));
    for (let i = 0; i < 500; i += 10) {
      a.transport.send([...heartbeats.slice(i, i + 10), ...appends.slice(i, i + 10)]);
    }
    b.transport.send([heartbeat(b, a, 1)]);
    await eventually(() => b.received.length === 1000 && a.received.length === 1);
    const of = (type: string) => b.received.filter((message) => message.type === type);
    expect(of('heartbeat')).toEqual(heartbeats);
    expect(of('app')).toEqual(appends);
  });
});
