// Reads a .cpuprofile and says where the time went: the functions with the most self time.
//   node bench/profile.mjs some.cpuprofile

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const FUNCTIONS_SHOWN = 25;
const WRITTEN_MS_MAX = 20_000;
const POLL_MS = 20;

/** The hook that a Node server is started with. */
export const PROFILE_HOOK = fileURLToPath(new URL('profile-hook.mjs', import.meta.url));

/**
 * @typedef {{ callFrame: { functionName: string, url: string, lineNumber: number }, id: number }}
 *   ProfileNode
 * @typedef {{ nodes: ProfileNode[], samples: number[], timeDeltas: number[] }} Profile
 */

/**
 * Self time by function, as parts of the time that was not idle.
 * @param {Profile} profile
 */
export function selfTimes({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  /** @type {Map<string, number>} */
  const micros = new Map();
  let busy = 0;
  let idle = 0;
  for (const [i, id] of samples.entries()) {
    const frame = byId.get(id);
    const delta = Math.max(0, timeDeltas[i]);
    if (frame === undefined || frame.functionName === '(idle)') {
      idle += delta;
      continue;
    }
    busy += delta;
    const place = frame.url === '' ? '' : ` ${shortUrl(frame.url)}:${frame.lineNumber + 1}`;
    const name = `${frame.functionName === '' ? '(anonymous)' : frame.functionName}${place}`;
    micros.set(name, (micros.get(name) ?? 0) + delta);
  }
  const functions = [...micros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, FUNCTIONS_SHOWN)
    .map(([name, self]) => ({ name, part: self / busy }));
  return { busySeconds: busy / 1e6, idleSeconds: idle / 1e6, functions };
}

/** @param {string} url */
function shortUrl(url) {
  if (url.startsWith('node:')) return url;
  return url.split('/').slice(-2).join('/');
}

/** @param {string} path */
export function describeProfile(path) {
  const { busySeconds, idleSeconds, functions } = selfTimes(JSON.parse(readFileSync(path, 'utf8')));
  const times = `busy ${busySeconds.toFixed(2)} s, idle ${idleSeconds.toFixed(2)} s`;
  const head = `${basename(path)}: ${times}`;
  const rows = functions.map(
    ({ name, part }) => `${(part * 100).toFixed(1).padStart(6)} %  ${name}`,
  );
  return [head, ...rows].join('\n');
}

/**
 * Waits until the hook has written the profile.
 * @param {string} path
 */
export async function profileWritten(path) {
  const until = performance.now() + WRITTEN_MS_MAX;
  while (!existsSync(`${path}.done`)) {
    if (performance.now() > until) throw new Error(`no profile in ${path}: is it a Node server?`);
    await sleep(POLL_MS);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${describeProfile(process.argv[2])}\n`);
}
