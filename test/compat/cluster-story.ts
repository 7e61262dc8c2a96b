// What happens to a cluster of three in cluster-rpcs.test.ts, chapter by chapter; each begins with
// what the one before has left. Member m1 leads where it matters who is asked.
import { peerUrl, type Seat } from './cluster-servers.ts';
import type { Call, Transcript } from './cluster-transcript.ts';

/** Three founders, four addresses of members that never start, and one of a learner. */
export const SEATS = 8;
const KEY = Buffer.from('a');
const NOT_YET = /unhealthy cluster|in sync with leader/;

type Chapter = (story: Transcript) => Promise<void>;

export const STORY: Readonly<Record<string, Chapter>> = {
  'lists and status': async (story) => {
    const { all, m2 } = castOf(story);
    await story.learnSeats(all);
    await story.settle(all);
    for (const format of ['simple', 'json', 'table', 'fields']) {
      await story.ctl(`member list -w ${format}`, [m2]);
    }
    await story.ctl('member list --consistency=s', [m2]);
    await story.ctl('put a 1', [m2]);
    await story.ctl('endpoint status', all);
    await story.ctl('endpoint status -w json', all);
    await story.ctl('endpoint health --cluster', [m2]);
  },

  'moving the leader': async (story) => {
    const { all, m1, m2 } = castOf(story);
    await story.ctl('move-leader 123', all);
    await story.ctl('move-leader {m2}', [m2]);
    await story.ctl('move-leader {m2}', all);
    await story.settle([m2, m1]);
    const moveTo = (name: string, at: Seat): Call => {
      return { name: 'Maintenance/MoveLeader', request: { targetID: String(story.id(name)) }, at };
    };
    // Before a member that is not there, it counts that m1 does not lead.
    await story.calls([moveTo('m2', m2), moveTo('m3', m1)]);
    await story.calls([{ name: 'Maintenance/MoveLeader', request: {}, at: m1 }]);
    await story.calls([{ name: 'Maintenance/MoveLeader', request: {}, at: m2 }]);
    await story.post('/v3/maintenance/transfer-leadership', '{"targetID":"5"}', m1);
    await story.settle(all);
  },

  'changing members': async (story) => {
    const { all, m1, m2, m3 } = castOf(story);
    const [u4, u5, u6, u7] = story.seats.slice(3).map(peerUrl);
    const inUse = peerUrl(m2);
    await story.ctlUnless(NOT_YET, `member add m4 --learner --peer-urls=${u4}`, [m1]);
    await story.ctl(`member add m5 --learner --peer-urls=${u5}`, [m1]);
    await story.ctl(`member add m5 --peer-urls=${u4},${u5}`, [m1]);
    await story.ctlUnless(NOT_YET, `member add m5 --peer-urls=${u5},${inUse}`, [m2]);
    await story.ctl('member add m5 --peer-urls=ftp://a:1', [m1]);
    await story.ctl('member add m5 --peer-urls=http://127.0.0.1', [m1]);
    await story.ctl('member add m5 --peer-urls=http://127.0.0.1:1/x', [m1]);
    await story.calls([{ name: 'Cluster/MemberAdd', request: {}, at: m1 }]);
    await story.post('/v3/cluster/member/add', '{"peerURLs":["nope"],"isLearner":true}', m1);
    await story.ctl('member list', [m3]);
    await story.ctl('member list -w json', [m3]);
    for (const at of [m1, m2]) {
      for (const who of ['{new1}', '{m2}', '123']) await story.ctl(`member promote ${who}`, [at]);
    }
    await story.ctl('move-leader {new1}', all);
    await story.ctl(`member add m5 --peer-urls=${u5}`, [m1]);
    await story.ctl(`member add m6 --peer-urls=${u6}`, [m1]);
    await story.ctl(`member add m7 --peer-urls=${u7}`, [m1]);
    await story.ctl('member remove {m3}', [m1]);
    await story.ctl('member promote {new1}', [m1]);
    await story.ctl(`member update {new2} --peer-urls=${u6}`, [m1]);
    await story.ctl(`member update {new2} --peer-urls=${u7}`, [m1]);
    await story.ctl(`member update 123 --peer-urls=${u7}`, [m1]);
    await story.ctl(`member update {m1} --peer-urls=${peerUrl(m1)} -w json`, [m1]);
    await story.ctl('member list', [m2]);
    await story.ctl('member remove {new3}', [m1]);
    await story.ctl('member remove {new3}', [m1]);
    await story.ctl('member promote {new3}', [m1]);
    await story.ctl(`member update {new3} --peer-urls=${u6}`, [m1]);
    await story.ctl('member remove {new2} -w json', [m1]);
    await story.ctl('member remove {new1}', [m1]);
    await story.ctl('member remove 123', [m1]);
    await story.ctl('member list -w json', [m3]);
  },

  'a learner': async (story) => {
    const { all, m1, m2, m3, m8 } = castOf(story);
    await story.ctlUnless(NOT_YET, `member add m8 --learner --peer-urls=${peerUrl(m8)}`, [m2]);
    await story.members(4, all);
    story.servers.launch(m8, { members: [...all, m8], state: 'existing' });
    await story.servers.whenReady(m8);
    for (const command of [
      'get a',
      'get a --consistency=s',
      'put a 2',
      'del a',
      'compaction 2',
      'member list',
      'member list --consistency=s',
      'lease list',
      'lease grant 10',
      'alarm list',
      'endpoint hashkv',
      'endpoint health',
      'endpoint status -w json',
      'defrag',
      'move-leader {m1}',
    ]) {
      await story.ctl(command, [m8]);
    }
    await story.calls([
      { name: 'KV/Txn', request: {}, at: m8 },
      { name: 'Watch/Watch', request: { create_request: { key: KEY } }, at: m8 },
      { name: 'Lease/LeaseKeepAlive', request: { ID: '7' }, at: m8 },
      { name: 'Lease/LeaseTimeToLive', request: { ID: '7' }, at: m8 },
      { name: 'Lock/Lock', request: { name: KEY }, at: m8 },
    ]);
    await story.post('/v3/kv/range', '{"key":"YQ=="}', m8);
    await story.post('/v3/kv/range', '{"key":"YQ==","serializable":true}', m8);
    await story.post('/v3/watch', '{"create_request":{"key":"YQ=="}}', m8);
    await story.ctlUnless(NOT_YET, 'member promote {new4}', [m3]);
    await story.promoted(m8);
    await story.ctl('member list', [m8]);
    await story.ctl('put a 3', [m8]);
    await story.ctl('get a -w json', [m8]);
    await story.ctl('member remove {new4}', [m1]);
    await story.servers.whenEnded(m8);
    await story.ctl('member list -w json', [m2]);
  },

  'leases of followers': async (story) => {
    const { all, m2, m3 } = castOf(story);
    await story.settle(all);
    const lease = (name: string, request: Call['request'], at: Seat): Promise<void> =>
      story.calls([{ name: `Lease/${name}`, request, at }]);
    await lease('LeaseGrant', { ID: '7', TTL: '100' }, m2);
    await lease('LeaseGrant', { ID: '7', TTL: '100' }, m3);
    await story.ctl('put leased x --lease=7', [m3]);
    for (const at of all) {
      await lease('LeaseKeepAlive', { ID: '7' }, at);
      await lease('LeaseKeepAlive', { ID: '99' }, at);
      await lease('LeaseTimeToLive', { ID: '7', keys: true }, at);
      await lease('LeaseTimeToLive', { ID: '7' }, at);
      await lease('LeaseTimeToLive', { ID: '99' }, at);
    }
    await lease('LeaseLeases', {}, m2);
    await lease('LeaseRevoke', { ID: '7' }, m2);
    await lease('LeaseRevoke', { ID: '7' }, m3);
    await lease('LeaseKeepAlive', { ID: '7' }, m3);
  },

  'without a quorum': async (story) => {
    const { m1, m2, m3, m8 } = castOf(story);
    await story.servers.stop(m1);
    await story.settle([m3, m2]);
    await story.ctl('put a 4', [m2]);
    await story.ctl('endpoint status', [m2, m3]);
    const watched = story.called({
      name: 'Watch/Watch',
      request: { create_request: { key: KEY } },
      at: m2,
      hasLeader: true,
    });
    await story.servers.stop(m3, 'SIGKILL');
    await story.leaderless(m2);
    story.note(await watched);
    const unary = (name: string, request: Call['request'] = {}): Call => ({
      name,
      request,
      at: m2,
    });
    const waiting = [
      unary('KV/Range', { key: KEY }),
      unary('KV/Put', { key: KEY }),
      unary('KV/Txn', { success: [{ request_put: { key: KEY } }] }),
      unary('KV/Compact', { revision: '1' }),
      unary('Lease/LeaseGrant', { TTL: '10' }),
      unary('Lease/LeaseRevoke', { ID: '7' }),
      unary('Lease/LeaseKeepAlive', { ID: '7' }),
      unary('Lease/LeaseTimeToLive', { ID: '7' }),
      unary('Cluster/MemberList', { linearizable: true }),
      unary('Cluster/MemberPromote', { ID: String(story.id('m3')) }),
      unary('Maintenance/Alarm'),
    ];
    const prompt = [
      unary('KV/Range', { key: KEY, serializable: true }),
      unary('Cluster/MemberList'),
      unary('Cluster/MemberAdd', { peerURLs: [peerUrl(m8)] }),
      unary('Maintenance/MoveLeader', { targetID: String(story.id('m2')) }),
      unary('Maintenance/HashKV'),
      unary('Lease/LeaseLeases'),
    ];
    await story.calls(prompt);
    // etcd: a change of members waits as long as its caller does.
    const remove = unary('Cluster/MemberRemove', { ID: String(story.id('m3')) });
    for (const call of [...waiting, ...prompt, remove])
      await story.calls([{ ...call, hasLeader: true }]);
    await story.ctl('endpoint status', [m2]);
    await story.ctl('endpoint status -w json', [m2]);
    await story.calls(waiting);
  },
};

function castOf({ seats }: Transcript) {
  const [m1, m2, m3, , , , , m8] = seats;
  if (m1 === undefined || m2 === undefined || m3 === undefined || m8 === undefined) {
    throw new Error('all seats are needed');
  }
  return { all: [m1, m2, m3], m1, m2, m3, m8 };
}
