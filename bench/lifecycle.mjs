// Measurements of a server's life instead of its throughput: start to first acknowledged write,
// peak memory after a million small keys, and recovery with them after SIGKILL.
// Invariant: a recovery counts only when all keys are there again.

import { generate } from './generate.mjs';
import { storedKeys } from './grpc-load.mjs';
import { Http2Connection } from './wire/http2.mjs';
import { FILL } from './workloads.mjs';

/** @typedef {import('./server.mjs').Server} Server */

const START_MS_MAX = 30_000;
const RECOVERY_MS_MAX = 300_000;
const MILLION = 1_000_000;
const FILL_SECONDS_MAX = 900;

/**
 * @param {(side: number) => Server} makeServer
 * @param {number} side
 */
export async function measureStart(makeServer, side) {
  const server = makeServer(side);
  try {
    await server.start();
    const firstWriteMs = await server.firstWrite(START_MS_MAX);
    await server.stop();
    await server.start();
    const restartMs = await server.firstWrite(START_MS_MAX);
    return { firstWriteMs: Math.round(firstWriteMs), restartMs: Math.round(restartMs) };
  } finally {
    await server.remove();
  }
}

/**
 * @param {(side: number) => Server} makeServer
 * @param {number} side
 * @param {number} keys
 */
export async function measureMillion(makeServer, side, keys = MILLION) {
  const server = makeServer(side);
  try {
    await server.start();
    await server.firstWrite(START_MS_MAX);
    const fill = await generate({
      workload: FILL.name,
      server,
      seconds: FILL_SECONDS_MAX,
      warmupSeconds: 0,
      count: keys,
    });
    const filled = server.memory();
    const stored = await count(server);
    await server.stop('SIGKILL');
    await server.start();
    const recoveryMs = Math.round(await server.firstWrite(RECOVERY_MS_MAX));
    const recovered = await count(server);
    if (recovered !== stored) throw new Error(`${stored} keys before, ${recovered} after SIGKILL`);
    const { perSecond, serverCpuSecondsPer1000, errors, wrong, firstFault } = fill;
    return {
      keys: stored,
      fillPerSecond: perSecond,
      fillServerCpuSecondsPer1000: serverCpuSecondsPer1000,
      memoryMib: filled,
      recoveryMs,
      recoveredMemoryMib: server.memory(),
      errors,
      wrong,
      firstFault,
    };
  } finally {
    await server.remove();
  }
}

/** @param {Server} server */
async function count(server) {
  const connection = await Http2Connection.open({
    host: '127.0.0.1',
    port: server.port,
    onFailure: () => {},
  });
  try {
    return await storedKeys(connection);
  } finally {
    connection.close();
  }
}
