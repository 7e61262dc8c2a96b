import { expect, it } from 'vitest';
import type { MemberId } from '../types.ts';
import { membershipStoreJson } from './membership-store.ts';

const id = (n: bigint) => n as MemberId;

const ONE = '/0/members/76289e71d0434b15';

/** Paths of all files with their values; directories end with a slash. */
function pathsOf(node: Record<string, unknown>): string[] {
  const { Path, Value, Children } = node as {
    Path: string;
    Value: string;
    Children: object | null;
  };
  if (Children === null) return [`${Path} ${Value}`];
  return [`${Path}/`, ...Object.values(Children).flatMap(pathsOf)];
}

it('has the nodes that etcd 3.4 makes for the same members', () => {
  const json = membershipStoreJson({
    members: [
      {
        id: id(0x76289e71d0434b15n),
        name: 'm1<&',
        peerUrls: ['http://127.0.0.1:21471', 'http://a:3?a=1&b=2'],
        clientUrls: ['http://127.0.0.1:21491'],
        isLearner: false,
      },
      { id: id(0x5an), name: '', peerUrls: ['http://x:1'], clientUrls: [], isLearner: true },
    ],
    removed: new Set([id(0xffn), id(0xa0n)]),
    clusterVersion: '3.4.0',
  });
  const store = JSON.parse(Buffer.from(json).toString());
  expect(store.CurrentVersion).toBe(2);
  expect(pathsOf(store.Root)).toEqual([
    '//',
    '/0/',
    '/0/members/',
    '/0/members/5a/',
    '/0/members/5a/raftAttributes {"peerURLs":["http://x:1"],"isLearner":true}',
    `${ONE}/`,
    `${ONE}/attributes {"name":"m1\\u003c\\u0026","clientURLs":["http://127.0.0.1:21491"]}`,
    `${ONE}/raftAttributes {"peerURLs":["http://127.0.0.1:21471","http://a:3?a=1\\u0026b=2"]}`,
    '/0/removed_members/',
    '/0/removed_members/a0 ',
    '/0/removed_members/ff ',
    '/0/version 3.4.0',
    '/1/',
  ]);
  for (const time of Buffer.from(json)
    .toString()
    .matchAll(/"ExpireTime":"([^"]*)"/g)) {
    expect(time[1]).toBe('0001-01-01T00:00:00Z');
  }
});
