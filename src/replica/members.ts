/**
 * The membership table: who belongs to the cluster, with which URLs and names, and who was removed
 * for good. Rows are etcd's (`members`, `members_removed`), entry contexts are etcd's JSON.
 *
 * Validation at apply is deterministic: every member reaches the same verdict for the same entry.
 * It knows nothing of Raft's configuration, which the `Raft` object keeps.
 */

import { createHash } from 'node:crypto';
import { bucketRange, buckets, keyInBucket, rowKey } from '../buckets.ts';
import { type EtcdError, errors } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Rows } from '../ports.ts';
import type { ConfChange } from '../raft/messages.ts';
import { type ClusterId, hexId, type MemberId } from '../types.ts';

export interface Member {
  readonly id: MemberId;
  /** Empty until the member has published itself. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

/** What a membership entry carries beside the id. */
interface MemberContext {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
  readonly isPromote: boolean;
}

function firstEightBytes(hash: Buffer): bigint {
  return hash.readBigUInt64BE(0);
}

/** etcd: SHA-1 over the sorted peer URLs, the cluster token, and for additions the Unix second. */
export function memberIdOf(
  peerUrls: readonly string[],
  token: string,
  unixSeconds: number | null,
): MemberId {
  const hash = createHash('sha1')
    .update([...peerUrls].sort().join(''))
    .update(token);
  if (unixSeconds !== null) hash.update(String(unixSeconds));
  return firstEightBytes(hash.digest()) as MemberId;
}

/** etcd: SHA-1 over the member ids in ascending order, 8 big-endian bytes each. */
export function clusterIdOf(ids: readonly MemberId[]): ClusterId {
  const hash = createHash('sha1');
  for (const id of [...ids].sort(compareIds)) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(id);
    hash.update(bytes);
  }
  return firstEightBytes(hash.digest()) as ClusterId;
}

export function compareIds(a: MemberId, b: MemberId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As Go writes it: what could end a script tag or a line of JavaScript is escaped. */
export function goJson(value: string | readonly string[]): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** etcd's JSON of a member. Ids exceed 2^53, so `JSON.stringify` must not see them as numbers. */
export function memberJson(member: Member, options: { readonly promote?: boolean } = {}): string {
  const parts = [`"id":${member.id}`, `"peerURLs":${goJson(member.peerUrls)}`];
  if (member.isLearner) parts.push('"isLearner":true');
  if (member.name !== '') parts.push(`"name":${goJson(member.name)}`);
  if (member.clientUrls.length > 0) parts.push(`"clientURLs":${goJson(member.clientUrls)}`);
  if (options.promote === true) parts.push('"isPromote":true');
  return `{${parts.join(',')}}`;
}

function parseMember(text: string, id: MemberId): MemberContext {
  // Go matches keys without regard to case.
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(JSON.parse(text) as object)) {
    fields.set(name.toLowerCase(), value);
  }
  const strings = (name: string): readonly string[] => {
    const value = fields.get(name);
    return Array.isArray(value) ? value.map(String) : [];
  };
  return {
    id,
    name: typeof fields.get('name') === 'string' ? String(fields.get('name')) : '',
    peerUrls: strings('peerurls'),
    clientUrls: strings('clienturls'),
    isLearner: fields.get('islearner') === true,
    isPromote: fields.get('ispromote') === true,
  };
}

/** A member from its JSON. */
export function memberOf(text: string, id: MemberId): Member {
  const { isPromote: _, ...member } = parseMember(text, id);
  return member;
}

/** For a table that is only a draft. */
const UNWRITTEN: Pick<Rows, 'put' | 'delete'> = { put() {}, delete() {} };

export class Members {
  readonly #rows: Pick<Rows, 'put' | 'delete'>;
  readonly #members = new Map<MemberId, Member>();
  readonly #removed = new Set<MemberId>();
  readonly #learnersMax: number;

  private constructor(rows: Pick<Rows, 'put' | 'delete'>, learnersMax: number) {
    this.#rows = rows;
    this.#learnersMax = learnersMax;
  }

  static async open(rows: Rows, options: { readonly learnersMax: number }): Promise<Members> {
    return Members.#read(rows, new Members(rows, options.learnersMax));
  }

  /** The table as the rows of a view say it; it cannot be changed. */
  static view(rows: Pick<Rows, 'scan'>): Promise<Members> {
    return Members.#read(rows, new Members(UNWRITTEN, 0));
  }

  static async #read(rows: Pick<Rows, 'scan'>, members: Members): Promise<Members> {
    for (const row of await rows.scan({
      ...bucketRange(buckets.members),
      limit: limits.membersMax,
    })) {
      const id = BigInt(`0x${keyInBucket(row.key)}`) as MemberId;
      members.#members.set(id, memberOf(Buffer.from(row.value).toString('utf8'), id));
    }
    for (const row of await rows.scan({
      ...bucketRange(buckets.membersRemoved),
      limit: limits.membersMax,
    })) {
      members.#removed.add(BigInt(`0x${keyInBucket(row.key)}`) as MemberId);
    }
    return members;
  }

  /** Says this from now on, and nothing else. */
  replace(members: readonly Member[], removed: ReadonlySet<MemberId>): void {
    for (const id of this.#members.keys()) this.#rows.delete(rowKey(buckets.members, hexId(id)));
    for (const id of this.#removed) this.#rows.delete(rowKey(buckets.membersRemoved, hexId(id)));
    const stays = [...removed];
    this.#members.clear();
    this.#removed.clear();
    for (const member of members) this.#store(member);
    for (const id of stays) this.#forget(id);
  }

  /** Takes over what another table says. */
  adopt(other: Members): void {
    this.#members.clear();
    for (const [id, member] of other.#members) this.#members.set(id, member);
    this.#removed.clear();
    for (const id of other.#removed) this.#removed.add(id);
  }

  get(id: MemberId): Member | null {
    return this.#members.get(id) ?? null;
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  /** For good: an id never comes back. */
  removed(): ReadonlySet<MemberId> {
    return this.#removed;
  }

  /** Sorted by id. */
  list(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => compareIds(a.id, b.id));
  }

  /** The verdict on a membership entry; `null` when it may take effect. */
  validate(change: ConfChange): EtcdError | null {
    const id = change.nodeId;
    if (id === null) return null;
    if (this.#removed.has(id)) return errors.memberNotFound;
    const existing = this.get(id);
    if (change.type === 'remove-node') return existing === null ? errors.memberNotFound : null;
    const context = parseMember(Buffer.from(change.context).toString('utf8'), id);
    if (change.type === 'update-node') {
      if (existing === null) return errors.memberNotFound;
      return this.#urlInUse(context.peerUrls, id) ? errors.peerUrlExist : null;
    }
    if (context.isPromote) {
      if (existing === null) return errors.memberNotFound;
      return existing.isLearner ? null : errors.memberNotLearner;
    }
    if (existing !== null) return errors.memberExist;
    if (this.#urlInUse(context.peerUrls, null)) return errors.peerUrlExist;
    if (change.type === 'add-learner-node') {
      const learners = this.list().filter((member) => member.isLearner).length;
      if (learners + 1 > this.#learnersMax) return errors.tooManyLearners;
    }
    return null;
  }

  /** The verdict on changes made in one step: each is judged as if those before it were made. */
  validateAll(changes: readonly ConfChange[]): EtcdError | null {
    const draft = new Members(UNWRITTEN, this.#learnersMax);
    for (const [id, member] of this.#members) draft.#members.set(id, member);
    for (const id of this.#removed) draft.#removed.add(id);
    for (const change of changes) {
      const refused = draft.validate(change);
      if (refused !== null) return refused;
      draft.apply(change);
    }
    return null;
  }

  /** Carries out a change that `validate` let pass. */
  apply(change: ConfChange): void {
    const id = change.nodeId;
    if (id === null) return;
    if (change.type === 'remove-node') {
      this.#members.delete(id);
      this.#rows.delete(rowKey(buckets.members, hexId(id)));
      this.#forget(id);
      return;
    }
    const context = parseMember(Buffer.from(change.context).toString('utf8'), id);
    const existing = this.get(id);
    if (change.type === 'update-node' && existing !== null) {
      this.#store({ ...existing, peerUrls: context.peerUrls });
    } else if (context.isPromote && existing !== null) {
      this.#store({ ...existing, isLearner: false });
    } else {
      const { isPromote: _, ...member } = context;
      this.#store({ ...member, isLearner: change.type === 'add-learner-node' });
    }
  }

  /** A member tells its name and client URLs; entries for members that were removed are ignored. */
  publish(id: MemberId, name: string, clientUrls: readonly string[]): void {
    const existing = this.get(id);
    if (existing !== null) this.#store({ ...existing, name, clientUrls });
  }

  #store(member: Member): void {
    this.#members.set(member.id, member);
    this.#rows.put(rowKey(buckets.members, hexId(member.id)), Buffer.from(memberJson(member)));
  }

  #forget(id: MemberId): void {
    this.#removed.add(id);
    this.#rows.put(rowKey(buckets.membersRemoved, hexId(id)), Buffer.from('removed'));
  }

  #urlInUse(urls: readonly string[], except: MemberId | null): boolean {
    for (const member of this.#members.values()) {
      if (member.id !== except && member.peerUrls.some((url) => urls.includes(url))) return true;
    }
    return false;
  }
}
