import { beforeEach, describe, expect, it } from 'vitest';
import { memberId, recordedLog } from '../../test/support/fake-cluster.ts';
import { errors } from '../errors.ts';
import type { CompactionHash, HashResult } from '../mvcc/hash.ts';
import { BootstrapError } from '../replica/founding.ts';
import type { Revision } from '../types.ts';
import { CorruptionCheck, type PeerHash } from './corruption-check.ts';

type Answer = PeerHash | Error;

/** Answers of the members 2, 3, … to the question about a revision. */
let answers: ((revision: Revision) => Answer)[];
let own: HashResult[];
let compactions: CompactionHash[];
let raised: bigint[];
let asked: string[];
let barrier: () => Promise<void>;

beforeEach(() => {
  own = [hash(100, 7)];
  [compactions, raised, asked, answers] = [[], [], [], []];
  barrier = () => Promise.resolve();
});

function hash(revision: Revision, value: number, compactRevision = 10): HashResult {
  return { hash: value, hashRevision: revision, compactRevision, currentRevision: revision };
}

const told = (revision: Revision, value: number, compactRevision = 10): PeerHash => ({
  revision,
  hash: value,
  compactRevision,
});

function start() {
  const { log, lines } = recordedLog();
  const check = new CorruptionCheck({
    memberId: memberId(1),
    others: () => answers.map((_, i) => ({ id: memberId(i + 2), peerUrls: [`http://m${i + 2}`] })),
    hash: async () => (own.length > 1 ? own.shift() : own[0]) ?? hash(0, 0),
    compactionHashes: () => compactions,
    async ask(url, revision) {
      asked.push(`${url} ${revision}`);
      const answer = answers[Number(url.slice(-1)) - 2]?.(revision) ?? new Error('nobody');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    readBarrier: () => barrier(),
    raise: (id) => raised.push(id),
    requestTimeout: '7s',
    log,
  });
  const texts = () => lines.map(({ level, msg }) => `${level} ${msg}`);
  return { check, lines, texts };
}

const same = () => told(100, 7);

describe('the first check', () => {
  it('passes where all are equal, or cannot be compared', async () => {
    answers = [same, () => told(90, 8, 4), () => errors.futureRev, () => new Error('down')];
    const { check, texts, lines } = start();
    await check.initial();
    expect(asked).toEqual(['http://m2 100', 'http://m3 100', 'http://m4 100', 'http://m5 100']);
    expect(texts()).toEqual([
      'info starting initial corruption check',
      'warn failed hash kv request',
      'warn failed hash kv request',
      'warn found different compact revision values from remote peer',
      'warn cannot fetch hash from slow remote peer',
      'info initial corruption checking passed; no corruption',
    ]);
    expect(lines[0]).toMatchObject({ 'local-member-id': '1', timeout: '7s' });
  });

  it('refuses to go on with other data at the same compact revision', async () => {
    answers = [() => errors.compacted, () => told(101, 8)];
    const { check, texts, lines } = start();
    const failed = check.initial();
    await expect(failed).rejects.toThrow('1 found data inconsistency with peers');
    await expect(failed).rejects.toBeInstanceOf(BootstrapError);
    expect(texts().slice(2)).toEqual([
      'warn cannot fetch hash from remote peer; local member is behind',
      'warn found different hash values from remote peer',
    ]);
    expect(lines.at(-1)).toEqual({
      level: 'warn',
      msg: 'found different hash values from remote peer',
      'local-member-id': '1',
      'local-member-revision': 100,
      'local-member-compact-revision': 10,
      'local-member-hash': 7,
      'remote-peer-id': '0',
      'remote-peer-endpoints': ['http://m3'],
      'remote-peer-revision': 101,
      'remote-peer-compact-revision': 10,
      'remote-peer-hash': 8,
    });
  });

  it('asks at the second address when the first does not answer', async () => {
    const { log } = recordedLog();
    const urls: string[] = [];
    const check = new CorruptionCheck({
      memberId: memberId(1),
      others: () => [{ id: memberId(2), peerUrls: ['http://down', 'http://up'] }],
      hash: async () => hash(100, 7),
      async ask(url) {
        urls.push(url);
        if (url === 'http://down') throw new Error('refused');
        return told(100, 8);
      },
      compactionHashes: () => [],
      readBarrier: () => Promise.resolve(),
      raise: () => undefined,
      requestTimeout: '7s',
      log,
    });
    await expect(check.initial()).rejects.toThrow('inconsistency');
    expect(urls).toEqual(['http://down', 'http://up']);
  });
});

describe('the leader compares', () => {
  it('and raises nothing when all are equal, lag, or do not answer', async () => {
    answers = [same, () => told(90, 3, 4), () => errors.futureRev, () => new Error('down')];
    const { check, lines } = start();
    await check.periodic();
    expect(raised).toEqual([]);
    expect(lines.at(-1)).toEqual({
      level: 'info',
      msg: 'finished peer corruption check',
      'number-of-peers-checked': 2,
    });
  });

  it.each([
    ['revision from follower must be', () => told(101, 7, 10)],
    ['compact revision from follower must be', () => told(100, 8, 11)],
    ['same compact revision then hashes must match', () => told(100, 8, 10)],
  ])('and accuses a follower: %s', async (text, answer) => {
    answers = [same, answer];
    const { check, texts } = start();
    await check.periodic();
    expect(raised).toEqual([3n]);
    expect(texts().some((line) => line.startsWith(`warn ${text}`))).toBe(true);
  });

  it('and accuses one member in a pass', async () => {
    answers = [() => told(100, 8), () => told(100, 9)];
    const { check } = start();
    await check.periodic();
    expect(raised).toEqual([2n]);
  });

  it('and forgives what was written or compacted meanwhile', async () => {
    own = [hash(100, 7), hash(105, 9, 20)];
    answers = [() => told(105, 7), () => told(103, 5, 20)];
    const { check } = start();
    await check.periodic();
    expect(raised).toEqual([]);
  });

  it('and accuses itself when its own data has changed', async () => {
    own = [hash(100, 7), hash(100, 8)];
    answers = [() => told(100, 6)];
    const { check, lines } = start();
    await check.periodic();
    expect(raised).toEqual([1n]);
    expect(lines[0]).toEqual({
      level: 'warn',
      msg: 'found hash mismatch',
      'revision-1': 100,
      'compact-revision-1': 10,
      'hash-1': 7,
      'revision-2': 100,
      'compact-revision-2': 10,
      'hash-2': 8,
    });
  });

  it('and accuses nobody when it may not lead any more', async () => {
    answers = [() => told(100, 8)];
    barrier = () => Promise.reject(errors.timeout);
    const { check } = start();
    await expect(check.periodic()).rejects.toBe(errors.timeout);
    expect(raised).toEqual([]);
  });
});

describe('compactions', () => {
  const compaction = (revision: Revision, value: number, compactRevision: Revision) => ({
    revision,
    hash: value,
    compactRevision,
  });
  const at =
    (known: Record<number, PeerHash>) =>
    (revision: Revision): Answer =>
      known[revision] ?? errors.compacted;

  beforeEach(() => {
    compactions = [compaction(20, 2, 10), compaction(30, 3, 20), compaction(40, 4, 30)];
  });

  it('are compared from the newest to the one that all know, each once', async () => {
    answers = [
      at({ 40: told(50, 4, 30), 30: told(50, 3, 20) }),
      at({ 40: told(50, 9, 20), 30: told(50, 3, 20) }),
    ];
    const { check, lines, texts } = start();
    await check.compactions();
    expect(raised).toEqual([]);
    expect(asked).toEqual(['http://m2 40', 'http://m3 40', 'http://m2 30', 'http://m3 30']);
    expect(texts()).toEqual([
      'info starting compact hash check',
      "warn Skipped peer's hash",
      'warn skipped revision in compaction hash check; was not able to check all peers',
      'info successfully checked hash on whole cluster',
      'info finished compaction hash check',
    ]);
    expect(lines[1]).toMatchObject({
      'number-of-peers': 2,
      'leader-id': '1',
      'peer-id': '3',
      reason: "the peer's CompactRevision 20 doesn't match leader's CompactRevision 30",
    });
    expect(lines.at(-1)).toMatchObject({ 'number-of-hashes-checked': 2 });
    asked.length = 0;
    await check.compactions();
    expect(asked).toEqual(['http://m2 40', 'http://m3 40']);
    expect(lines.at(-1)).toMatchObject({ 'number-of-hashes-checked': 1 });
  });

  it('accuse the minority', async () => {
    answers = [at({ 40: told(50, 4, 30) }), at({ 40: told(50, 9, 30) })];
    const { check, lines } = start();
    await check.compactions();
    expect(raised).toEqual([3n]);
    expect(lines.find(({ level }) => level === 'error')).toEqual({
      level: 'error',
      msg: 'Detected compaction hash mismatch',
      'leader-id': '1',
      'leader-revision': 40,
      'leader-compact-revision': 30,
      'leader-hash': 4,
      'peer-hash': 9,
      'peer-ids': '3',
      'quorum-exist': true,
    });
  });

  it('accuse the leader where it is the minority', async () => {
    answers = [at({ 40: told(50, 9, 30) }), at({ 40: told(50, 9, 30) })];
    const { check } = start();
    await check.compactions();
    expect(raised).toEqual([1n]);
  });

  it('accuse the whole cluster where there is no majority', async () => {
    answers = [at({ 40: told(50, 9, 30) }), at({ 40: told(50, 8, 30) })];
    const { check, texts } = start();
    await check.compactions();
    expect(raised).toEqual([0n]);
    expect(texts().filter((line) => line.startsWith('error'))).toEqual([
      'error Detected compaction hash mismatch but cannot identify the corrupted members, ' +
        'so intentionally set the memberID as 0',
      'error Detected compaction hash mismatch',
      'error Detected compaction hash mismatch',
      'error Detected compaction hash mismatch',
    ]);
  });

  it('of a member that is alone are not compared', async () => {
    const { check, lines } = start();
    await check.compactions();
    expect(raised).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ 'number-of-hashes-checked': 3 });
  });
});
