// The leader is killed again and again under a light load at all members: how long nobody's put is
// acknowledged. The killed member returns, and is level with the new leader, before the next kill.
// Invariant: no acknowledged put may be missing at any member in the end, and all hold the same.

import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, until } from './cluster.mjs';
import { maybeStatus } from './control.mjs';
import { monotonicMs, Paced } from './paced.mjs';

/** @typedef {import('./server.mjs').Server} Server */

const PUT_INTERVAL_MS = 10;
const ELECTION_MS_MAX = 60_000;
const WRITE_MS_MAX = 30_000;
/** Between kills all is quiet for a second and a part of a heartbeat, another one every time. */
const CALM_MS = 1000;
const PHASE_MS = 37;
const HEARTBEAT_MS = 100;

/**
 * Milliseconds until one of the survivors says that it leads in a later term.
 * @param {readonly Server[]} survivors
 * @param {number} term
 */
async function electionMs(survivors, term) {
  const from = monotonicMs();
  await until('a new leader', ELECTION_MS_MAX, async () => {
    const found = await Promise.all(survivors.map(({ port }) => maybeStatus(port)));
    const leads = found.some(
      (each) => each !== null && each.term > term && each.leader === each.id,
    );
    return leads ? true : null;
  });
  return monotonicMs() - from;
}

/**
 * @param {import('./sides.mjs').Side} side
 * @param {{ parent: string, kills: number }} options
 */
export async function measureLeaderKills({ label, command }, { parent, kills }) {
  const cluster = new Cluster({ label, command, parent });
  /** @type {Paced | null} */
  let clients = null;
  try {
    await cluster.start();
    clients = new Paced({ members: cluster.members, intervalMs: PUT_INTERVAL_MS });
    /** @type {{ at: number, port: number, electedMs: number }[]} */
    const killed = [];
    for (let i = 0; i < kills; i++) {
      const { leader, followers, term } = await cluster.roles();
      await leader.firstWrite(WRITE_MS_MAX);
      await sleep(CALM_MS + ((i * PHASE_MS) % HEARTBEAT_MS));
      const at = monotonicMs();
      const [electedMs] = await Promise.all([electionMs(followers, term), leader.stop('SIGKILL')]);
      killed.push({ at, port: leader.port, electedMs });
      for (const survivor of followers) await survivor.firstWrite(WRITE_MS_MAX);
      await leader.start();
      const roles = await cluster.roles(followers);
      await cluster.caughtUp(leader, roles.leader);
    }
    await cluster.roles();
    const record = await clients.stop();
    await cluster.assertEqual();
    const outages = killed.map(({ at, port }) => Math.round(record.outageMs(at, port)));
    return {
      outageMs: outages,
      electionMs: killed.map(({ electedMs }) => Math.round(electedMs)),
      acknowledged: record.acknowledged,
      refusals: record.refusals,
      firstFault: record.fault,
    };
  } catch (error) {
    throw new Error(`leader-kill, ${label}: ${error}\n${cluster.logTails()}`, { cause: error });
  } finally {
    clients?.kill();
    await cluster.remove();
  }
}
