// What the benchmark asks members beside the load, over etcd's JSON gateway: who leads, how far a
// member has applied, who belongs to the cluster. Ids are decimal strings here, since they do not
// fit a number. It refuses to know processes.

import { HOST } from './server.mjs';

const CALL_MS_MAX = 5_000;
const CHANGE_MS_MAX = 20_000;
const HASH_MS_MAX = 120_000;

/**
 * @param {number} port
 * @param {string} path below /v3/
 * @param {object} message
 * @param {number} [timeoutMs]
 * @returns {Promise<Record<string, unknown>>}
 */
async function call(port, path, message, timeoutMs = CALL_MS_MAX) {
  const response = await fetch(`http://${HOST}:${port}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

/**
 * `leader` is null while the member knows none.
 * @typedef {{ id: string, leader: string | null, term: number, applied: number,
 *   revision: number }} Status
 */

/**
 * @param {number} port
 * @returns {Promise<Status>}
 */
export async function status(port) {
  const answer = await call(port, 'maintenance/status', {});
  const header = /** @type {Record<string, string>} */ (answer.header);
  const leader = String(answer.leader ?? '0');
  return {
    id: header.member_id,
    leader: leader === '0' ? null : leader,
    term: Number(answer.raftTerm ?? 0),
    applied: Number(answer.raftAppliedIndex ?? 0),
    revision: Number(header.revision ?? 0),
  };
}

/**
 * Null while nobody answers.
 * @param {number} port
 */
export async function maybeStatus(port) {
  try {
    return await status(port);
  } catch {
    return null;
  }
}

/**
 * How far a member has applied by its own metrics; null while it shows none.
 * @param {number} metricsPort
 */
export async function maybeApplied(metricsPort) {
  try {
    const response = await fetch(`http://${HOST}:${metricsPort}/metrics`, {
      signal: AbortSignal.timeout(CALL_MS_MAX),
    });
    const found = /^etcd_server_proposals_applied_total (\S+)/m.exec(await response.text());
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}

/**
 * @param {number} port
 * @param {string} id
 */
export async function removeMember(port, id) {
  await call(port, 'cluster/member/remove', { ID: id }, CHANGE_MS_MAX);
}

/**
 * @param {number} port
 * @param {string} peerUrl
 */
export async function addMember(port, peerUrl) {
  await call(port, 'cluster/member/add', { peerURLs: [peerUrl] }, CHANGE_MS_MAX);
}

/**
 * The hash of a member's key-value store at a revision.
 * @param {number} port
 * @param {number} revision
 */
export async function hashKv(port, revision) {
  const message = { revision: String(revision) };
  // etcd 3.4 has it at another path.
  const answer = await call(port, 'maintenance/hashkv', message, HASH_MS_MAX).catch(() =>
    call(port, 'maintenance/hash', message, HASH_MS_MAX),
  );
  return `${answer.hash} compacted at ${answer.compact_revision ?? '-1'}`;
}
