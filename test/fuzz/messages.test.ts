// The fuzzer's generator: what a run sent can be sent again, and what is meant to be right is.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { method } from '../compat/proto.ts';
import { Prng } from '../compat/random.ts';
import { Messages, mutate } from './messages.ts';

const messages = new Messages(fileURLToPath(new URL('../..', import.meta.url)));

describe('messages', () => {
  it('are the same for the same seed', () => {
    const make = (seed: number): string => {
      const random = new Prng(seed);
      return messages.methods
        .map(({ request }) => mutate(random, messages.wire(random, request)).toString('hex'))
        .join();
    };
    expect(make(7)).toBe(make(7));
    expect(make(7)).not.toBe(make(8));
  });

  it('can be decoded by another library when nothing about them is odd', () => {
    const random = new Prng(1);
    for (const { path, request } of messages.methods) {
      const [, service = '', name = ''] = /\.(\w+)\/(\w+)$/.exec(path) ?? [];
      const { request: type } = method(`${service}/${name}`);
      for (let i = 0; i < 20; i++) type.decode(messages.wire(random, request, 0));
    }
    expect(messages.methods.length).toBeGreaterThan(30);
  });

  it('are JSON when nothing about them is odd', () => {
    const random = new Prng(2);
    for (const { request } of messages.routes) JSON.parse(messages.json(random, request, 0));
    expect(messages.routes.length).toBeGreaterThan(30);
  });

  it('leave out what would rightly end the service', () => {
    const paths = messages.methods.map(({ path }) => path);
    expect(paths).not.toContain('/etcdserverpb.Cluster/MemberRemove');
    expect(paths).not.toContain('/etcdserverpb.Auth/AuthEnable');
    expect(paths).toContain('/etcdserverpb.KV/Txn');
  });
});
