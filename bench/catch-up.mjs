// A member of a full cluster is stopped, its data folder wiped, the member removed and added again,
// as an operator would after a broken disk: how long until it is level with the leader, what that
// costs, and what a client of the leader notices of it.
// Invariant: a catch-up counts only when all members then hold the same and no acknowledged put of
// the client is missing at any of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, until } from './cluster.mjs';
import { maybeStatus, status } from './control.mjs';
import { generate } from './generate.mjs';
import { benchKey, noiseValue, request } from './grpc-load.mjs';
import { monotonicMs, Paced } from './paced.mjs';
import { cpuSeconds } from './run.mjs';
import { HOST } from './server.mjs';
import { Http2Connection } from './wire/http2.mjs';
import { RANGE, rangeAnswer, rangeRequest } from './wire/messages.mjs';
import { FILL_LARGE } from './workloads.mjs';

/** @typedef {import('./server.mjs').Server} Server */

const FILL_SECONDS_MAX = 900;
const SERVES_MS_MAX = 60_000;
const PUT_INTERVAL_MS = 5;

/** How much memory a process gained, peaks included, since it was made. */
class Growth {
  #server;
  #before;
  #peakAnon;

  /** @param {Server} server */
  constructor(server) {
    this.#server = server;
    server.resetPeak();
    this.#before = server.memory();
    this.#peakAnon = this.#before.anon;
  }

  look() {
    this.#peakAnon = Math.max(this.#peakAnon, this.#server.memory().anon);
  }

  /** In MiB. `rss` includes mapped pages of files, `anon` does not. */
  summary() {
    const { rss, anon } = this.#before;
    const { peakRss } = this.#server.memory();
    const growth = { rss: peakRss - rss, anon: this.#peakAnon - anon };
    return { before: { rss, anon }, peak: { rss: peakRss, anon: this.#peakAnon }, growth };
  }
}

/**
 * Waits until the member answers for itself, without the others, and throws unless it does so with
 * the value that is due.
 * @param {Server} member
 * @param {number} index
 */
async function serves(member, index) {
  await until(`${member.label} serves`, SERVES_MS_MAX, () => maybeStatus(member.port));
  const connection = await Http2Connection.open({
    ...{ host: HOST, port: member.port },
    onFailure: () => {},
  });
  const message = rangeRequest({ key: benchKey(index), serializable: true });
  const { kvs } = await request(connection, RANGE, message, rangeAnswer);
  connection.close();
  const due = noiseValue(index, FILL_LARGE.valueBytes).toString('latin1');
  if (kvs[0]?.value !== due) throw new Error(`${member.label}: ${benchKey(index)} is wrong`);
}

/**
 * @param {Cluster} cluster
 * @param {Server} leader
 * @param {number} mib
 */
async function fill(cluster, leader, mib) {
  const filled = await generate({
    workload: FILL_LARGE.name,
    server: leader,
    others: cluster.members.filter((member) => member !== leader),
    ...{ seconds: FILL_SECONDS_MAX, warmupSeconds: 0 },
    count: Math.ceil((mib * 2 ** 20) / FILL_LARGE.valueBytes),
  });
  await cluster.settled();
  return filled;
}

/**
 * @param {import('./sides.mjs').Side} side
 * @param {{ parent: string, mib: number, secondsBefore: number }} options
 *   `mib` of values of 8 KiB are stored before; the client is watched for `secondsBefore` first.
 */
export async function measureCatchUp({ label, command }, { parent, mib, secondsBefore }) {
  const cluster = new Cluster({ label, command, parent });
  /** @type {Paced | null} */
  let client = null;
  try {
    const founded = await cluster.start();
    const filled = await fill(cluster, founded.leader, mib);
    const { leader, followers, term } = await cluster.roles();
    const [member, bystander] = followers;
    const { id } = await status(member.port);
    client = new Paced({
      ...{ members: cluster.members, loaded: [leader] },
      intervalMs: PUT_INTERVAL_MS,
    });
    const calmFrom = monotonicMs();
    await sleep(secondsBefore * 1000);
    const calmTo = monotonicMs();
    await member.stop();
    const cpuBefore = cpuSeconds(leader.pid);
    const growth = [leader, bystander].map((server) => new Growth(server));
    await cluster.replace(member, { id, through: leader });
    const startedAt = monotonicMs();
    const joined = new Growth(member);
    await cluster.caughtUp(member, leader, () => {
      for (const each of [...growth, joined]) each.look();
    });
    const levelAt = monotonicMs();
    await serves(member, 0);
    const servesAt = monotonicMs();
    const record = await client.stop();
    const cpu = { leader: cpuSeconds(leader.pid) - cpuBefore, member: cpuSeconds(member.pid) };
    await cluster.assertEqual();
    const { term: termAfter } = await cluster.roles();
    return {
      mib,
      fillPerSecond: filled.perSecond,
      fillMibPerSecond: (filled.perSecond * FILL_LARGE.valueBytes) / 2 ** 20,
      fillServersCpuSeconds: filled.serversCpuSeconds,
      levelSeconds: Number(((levelAt - startedAt) / 1000).toFixed(2)),
      servesSeconds: Number(((servesAt - startedAt) / 1000).toFixed(2)),
      /** Until the client has stopped, which is a little later. */
      cpuSeconds: cpu,
      memoryMib: {
        leader: growth[0].summary(),
        bystander: growth[1].summary(),
        member: joined.summary(),
      },
      putMs: {
        before: record.latencies(calmFrom, calmTo),
        during: record.latencies(startedAt, levelAt),
      },
      refusals: record.refusals,
      elections: termAfter - term,
      firstFault: filled.firstFault ?? record.fault,
    };
  } catch (error) {
    throw new Error(`catch-up, ${label}: ${error}\n${cluster.logTails()}`, { cause: error });
  } finally {
    client?.kill();
    await cluster.remove();
  }
}
