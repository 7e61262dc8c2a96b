// Runs the tests of clusters of real processes in a network namespace of their own, where the ways
// between members can be cut; arguments are vitest's. What is not there yet and needs the network
// (a build of Go's etcd) is made before. Where namespaces are not allowed it says so, and the tests
// that cut ways are left out.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const VITEST = join(ROOT, 'node_modules/.bin/vitest');
const CONFIG = ['run', '--config', 'vitest.cluster.config.ts'];
const PROGRAMS_TEST = 'test/cluster/programs.test.ts';
const NEEDED = ['ip link show', 'nft --version', 'setpriv --version', 'nsenter --version'];

/**
 * @param {string[]} command
 * @param {Record<string, string>} [env]
 */
function run([program = '', ...args], env = {}) {
  const options = { cwd: ROOT, stdio: /** @type {const} */ ('inherit') };
  const { status } = spawnSync(program, args, { ...options, env: { ...process.env, ...env } });
  return status ?? 1;
}

/** @param {string[]} command */
function works([program = '', ...args]) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** The command that puts another into a namespace, or null where that cannot be. */
function isolation() {
  if (!NEEDED.every((command) => works(command.split(' ')))) return null;
  const ways = [
    ['unshare', '--net'],
    ['unshare', '--net', '--map-root-user'],
  ];
  return (
    ways.find((way) => works([...way, 'ip', 'link', 'add', 'bridge1', 'type', 'bridge'])) ?? null
  );
}

const prepared = run([VITEST, ...CONFIG, PROGRAMS_TEST]);
if (prepared !== 0) process.exit(prepared);
const way = isolation();
if (way === null) console.warn('no network namespaces here: nothing is cut off in these tests');
const tests = [VITEST, ...CONFIG, ...process.argv.slice(2)];
process.exitCode = way === null ? run(tests) : run([...way, ...tests], { CLUSTER_NET: 'own' });
