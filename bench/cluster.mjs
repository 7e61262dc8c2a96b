// Three members of one implementation: founding, roles, loss and return of a member, and whether
// all hold the same. It refuses to know what they are loaded with.

import { setTimeout as sleep } from 'node:timers/promises';
import { addMember, hashKv, maybeApplied, maybeStatus, removeMember, status } from './control.mjs';
import { HOST, Server } from './server.mjs';

const MEMBERS = 3;
const READY_MS_MAX = 60_000;
const CAUGHT_UP_MS_MAX = 600_000;
const AGREE_MS_MAX = 120_000;
const POLL_MS = 5;
// A gibibyte of values must fit; both sides get the same.
const QUOTA = ['--quota-backend-bytes', String(8 * 2 ** 30)];
const TOKEN = ['--initial-cluster-token', 'bench'];

/**
 * Asks again until there is an answer.
 * @template T
 * @param {string} what
 * @param {number} timeoutMs
 * @param {() => Promise<T | null>} ask null means "not yet"
 * @returns {Promise<T>}
 */
export async function until(what, timeoutMs, ask) {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

/** @typedef {{ leader: Server, followers: Server[], term: number }} Roles */

export class Cluster {
  label;
  members;

  /**
   * @param {{ label: string, command: readonly string[], parent: string,
   *   env?: (member: number) => Record<string, string> }} options
   */
  constructor({ label, command, parent, env = () => ({}) }) {
    this.label = label;
    this.members = Array.from({ length: MEMBERS }, (_, i) => {
      const name = `m${i + 1}`;
      return new Server({ label: `${label}-${name}`, command, parent, name, env: env(i) });
    });
  }

  /** Founds the cluster; resolves when every member has acknowledged a write. */
  async start() {
    for (const member of this.members) await member.reservePorts();
    for (const member of this.members) await member.start(this.#flags(member, 'new'));
    for (const member of this.members) await member.firstWrite(READY_MS_MAX);
    return this.roles();
  }

  /**
   * @param {Server} member
   * @param {'new' | 'existing'} state
   */
  #flags({ metricsPort }, state) {
    const entries = this.members.map(({ entry }) => entry).join();
    const founding = ['--initial-cluster', entries, '--initial-cluster-state', state];
    const metrics = ['--listen-metrics-urls', `http://${HOST}:${metricsPort}`];
    return [...founding, ...metrics, ...TOKEN, ...QUOTA];
  }

  /**
   * Who leads, once all members of it that run say the same.
   * @param {readonly Server[]} [among]
   * @returns {Promise<Roles>}
   */
  roles(among = this.members) {
    return until(`${this.label}: members agree on a leader`, READY_MS_MAX, async () => {
      const found = await Promise.all(among.map(({ port }) => maybeStatus(port)));
      const leads = found.findIndex((each) => each !== null && each.leader === each.id);
      const leader = found[leads];
      if (leader === undefined || leader === null) return null;
      const agreed = found.every((each) => each?.leader === leader.id && each.term === leader.term);
      if (!agreed) return null;
      const followers = among.filter((_, i) => i !== leads);
      return { leader: among[leads], followers, term: leader.term };
    });
  }

  /**
   * As an operator replaces a broken member: the member must have been stopped. Resolves when its
   * process has been started on empty data.
   * @param {Server} member
   * @param {{ id: string, through: Server }} options its id, and whom to ask for the change
   */
  async replace(member, { id, through }) {
    member.wipe();
    await removeMember(through.port, id);
    await addMember(through.port, member.peerUrl);
    await member.start(this.#flags(member, 'existing'));
  }

  /**
   * Resolves when the member has applied all that the other one had applied when it was asked. By
   * its own metrics, since it may not serve clients yet.
   * @param {Server} member
   * @param {Server} other
   * @param {() => void} [meanwhile] called between the questions
   */
  caughtUp(member, other, meanwhile = () => {}) {
    return until(`${member.label} has caught up`, CAUGHT_UP_MS_MAX, async () => {
      if (!member.running) throw new Error(`${member.label} ended:\n${member.logTail()}`);
      meanwhile();
      const theirs = await maybeStatus(other.port);
      const own = await maybeApplied(member.metricsPort);
      return theirs !== null && own !== null && own >= theirs.applied ? own : null;
    });
  }

  /** Resolves when nothing is written any more and all have applied the same. */
  async settled() {
    await until(`${this.label}: all have applied the same`, AGREE_MS_MAX, async () => {
      const found = await Promise.all(this.members.map(({ port }) => maybeStatus(port)));
      const [first] = found;
      return found.every((each) => each !== null && each.applied === first?.applied) ? true : null;
    });
  }

  /** Throws unless every member holds the same. */
  async assertEqual() {
    await this.settled();
    const { revision } = await status(this.members[0].port);
    const hashes = await Promise.all(this.members.map(({ port }) => hashKv(port, revision)));
    if (new Set(hashes).size !== 1) throw new Error(`${this.label}: unequal, ${hashes.join(', ')}`);
    return revision;
  }

  /** Ends the processes, at once since their data goes with them, and removes what they left. */
  async remove() {
    await Promise.all(this.members.map((member) => member.stop('SIGKILL')));
    for (const member of this.members) await member.remove();
  }

  logTails() {
    return this.members.map((member) => `${member.label}:\n${member.logTail()}`).join('\n');
  }
}
