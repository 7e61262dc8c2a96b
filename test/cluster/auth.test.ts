// Members of two programs in one cluster with authentication on: each joins the other from a
// snapshot, leads, hashes passwords and makes tokens, and all members go on saying the same.

import { describe, expect, it } from 'vitest';
import { until } from '../compat/servers.ts';
import { type Cluster, ENTRIES_KEPT, withCluster } from './support/cluster.ts';
import type { Member } from './support/member.ts';
import { findPrograms } from './support/programs.ts';

const TEST_MS_MAX = 300_000;
const { tested, others, ctl } = await findPrograms();
const etcd = others.filter(({ version }) => version === tested.version);

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What a member answers over JSON, with a token or without. */
async function ask(member: Member, path: string, body: object, token = ''): Promise<string> {
  const response = await fetch(`http://${member.endpoint}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: token === '' ? {} : { authorization: token },
  });
  const { header: _header, ...answer } = (await response.json()) as Record<string, unknown>;
  return JSON.stringify(answer['message'] ?? answer);
}

async function login(member: Member, name: string, password: string): Promise<string> {
  const answer = await ask(member, 'auth/authenticate', { name, password });
  const { token } = JSON.parse(answer) as { token?: string };
  if (token === undefined) throw new Error(`${member.name} (${member.program.label}): ${answer}`);
  return token;
}

const DENIED = '"etcdserver: permission denied"';

/** Each member lets users in, and everybody else knows their tokens and what they may do. */
async function expectAccess(cluster: Cluster, password: string): Promise<void> {
  for (const member of cluster.members) {
    const token = await login(member, 'u', password);
    for (const other of cluster.members) {
      const where = `${member.program.label} to ${other.program.label}`;
      const put = (key: string) =>
        ask(other, 'kv/put', { key: base64(key), value: base64(member.name) }, token);
      // A member that is behind does not know the token yet.
      await until(where, async () => ((await put('k1')).startsWith('{') ? true : null));
      expect(await put('x'), where).toBe(DENIED);
      const range = { key: base64('k'), range_end: base64('l'), count_only: true };
      expect(await ask(other, 'kv/range', range, token), where).toBe('{"count":"1"}');
      expect(await ask(other, 'auth/user/list', {}, token), where).toBe(DENIED);
    }
    expect(await ask(member, 'kv/put', { key: base64('k') })).toContain('user name is empty');
  }
}

/** Users and roles are the same whoever is asked. */
async function expectSameUsers(cluster: Cluster): Promise<void> {
  const answers = await Promise.all(
    cluster.members.map(async (member) => {
      const token = await login(member, 'root', 'secret');
      const said = [
        await ask(member, 'auth/status', {}, token),
        await ask(member, 'auth/user/list', {}, token),
        await ask(member, 'auth/user/get', { name: 'u' }, token),
        await ask(member, 'auth/role/get', { role: 'r' }, token),
      ];
      return said.join('\n');
    }),
  );
  expect(new Set(answers).size, answers.join('\n\n')).toBe(1);
  expect(answers[0]).toContain('"users":["root","u"]');
}

describe.each(etcd)('with $label', (other) => {
  it('shares users, passwords and tokens', { timeout: TEST_MS_MAX }, async () => {
    await withCluster({ ctl, flags: ['--snapshot-count=100'] }, async (cluster) => {
      const host = { ...other };
      await cluster.found([host, host]);
      for (const line of [
        'user add root:secret',
        'user add u:first',
        'role add r',
        'role grant-permission r readwrite k l',
        'user grant-role u r',
        'user grant-role root root',
      ]) {
        await cluster.ctl(line.split(' '));
      }
      const [first] = cluster.members;
      if (first === undefined) throw new Error('nobody was founded');
      await cluster.fill(first, ENTRIES_KEPT + 1_000);
      await cluster.ctl(['auth', 'enable']);
      cluster.user = 'root:secret';

      const ours = await cluster.join(tested, false);
      expect(await cluster.snapshotsTaken(ours)).toBeGreaterThan(0);
      await expectAccess(cluster, 'first');
      await expectSameUsers(cluster);

      const root = await login(ours, 'root', 'secret');
      const change = { name: 'u', password: 'second' };
      expect(await ask(ours, 'auth/user/changepw', change, root)).toBe('{}');
      await expectAccess(cluster, 'second');

      // The way back: the founders leave, and a new one of theirs is told by ours.
      await cluster.ctl(['auth', 'disable']);
      cluster.user = '';
      await cluster.remove(first);
      await cluster.moveLeader(ours);
      await cluster.fill(ours, ENTRIES_KEPT + 1_000);
      await cluster.ctl(['auth', 'enable']);
      cluster.user = 'root:secret';
      const guest = await cluster.join(host, false);
      expect(await cluster.snapshotsTaken(guest)).toBeGreaterThan(0);
      await expectAccess(cluster, 'second');
      await expectSameUsers(cluster);

      await cluster.ctl(['auth', 'disable']);
      cluster.user = '';
      await cluster.agree();
    });
  });
});
