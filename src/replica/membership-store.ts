/**
 * The members as they stand in a snapshot message: the JSON of etcd's v2 store, which 3.4 and 3.5
 * believe and later versions only look at. Children of the root are the store's namespaces, of
 * which 0 is the cluster's.
 */

import { hexId, type MemberId } from '../types.ts';
import { compareIds, goJson, type Member, memberOf } from './members.ts';

export interface Membership {
  readonly members: readonly Member[];
  readonly removed: ReadonlySet<MemberId>;
  readonly clusterVersion: string;
}

type Node = ReturnType<typeof dir> | ReturnType<typeof file>;

export function membershipStoreJson({ members, removed, clusterVersion }: Membership): Uint8Array {
  const cluster: [string, Node][] = [];
  const inMembers = [...members].sort((a, b) => compareIds(a.id, b.id)).map(memberNode);
  cluster.push(['members', dir('/0/members', inMembers)]);
  if (removed.size > 0) {
    const names = [...removed].sort(compareIds).map(hexId);
    const nodes = names.map((name): [string, Node] => [name, file(`${REMOVED}/${name}`, '')]);
    cluster.push(['removed_members', dir(REMOVED, nodes)]);
  }
  if (clusterVersion !== '') cluster.push(['version', file('/0/version', clusterVersion)]);
  const root = dir('/', [
    ['0', dir('/0', cluster)],
    ['1', dir('/1', [])],
  ]);
  return Buffer.from(JSON.stringify({ Root: root, CurrentIndex: 1, CurrentVersion: 2 }));
}

/** Reads what etcd, or `membershipStoreJson`, has made. Throws when it is something else. */
export function parseMembershipStore(json: Uint8Array): Omit<Membership, 'clusterVersion'> {
  const { Root } = JSON.parse(Buffer.from(json).toString('utf8')) as { Root?: StoredNode };
  const cluster = childrenOf(childrenOf(Root).get('0'));
  const members: Member[] = [];
  for (const [name, node] of childrenOf(cluster.get('members'))) {
    const parts = childrenOf(node);
    const say = (part: string): object => JSON.parse(parts.get(part)?.Value ?? '{}');
    const both = { ...say('raftAttributes'), ...say('attributes') };
    members.push(memberOf(JSON.stringify(both), idOf(name)));
  }
  const removed = [...childrenOf(cluster.get('removed_members')).keys()].map(idOf);
  return { members, removed: new Set(removed) };
}

interface StoredNode {
  readonly Value?: string;
  readonly Children?: Readonly<Record<string, StoredNode>> | null;
}

function childrenOf(node: StoredNode | undefined): ReadonlyMap<string, StoredNode> {
  return new Map(Object.entries(node?.Children ?? {}));
}

function idOf(name: string): MemberId {
  return BigInt(`0x${name}`) as MemberId;
}

function memberNode(member: Member): [string, Node] {
  const path = `/0/members/${hexId(member.id)}`;
  const raft = [`"peerURLs":${goJson(member.peerUrls)}`];
  if (member.isLearner) raft.push('"isLearner":true');
  const nodes: [string, Node][] = [];
  const own: string[] = [];
  if (member.name !== '') own.push(`"name":${goJson(member.name)}`);
  if (member.clientUrls.length > 0) own.push(`"clientURLs":${goJson(member.clientUrls)}`);
  // etcd: a member that has not published itself has none.
  if (own.length > 0) nodes.push(['attributes', file(`${path}/attributes`, `{${own.join(',')}}`)]);
  nodes.push(['raftAttributes', file(`${path}/raftAttributes`, `{${raft.join(',')}}`)]);
  return [hexId(member.id), dir(path, nodes)];
}

const REMOVED = '/0/removed_members';
const NODE = { CreatedIndex: 1, ModifiedIndex: 1, ExpireTime: '0001-01-01T00:00:00Z' };

function dir(path: string, children: readonly (readonly [string, unknown])[]) {
  return { Path: path, ...NODE, Value: '', Children: Object.fromEntries(children) };
}

function file(path: string, value: string) {
  return { Path: path, ...NODE, Value: value, Children: null };
}
