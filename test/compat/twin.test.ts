// Random operations against the server under test and a real etcd, answer for answer.
// SEED and OPS repeat or lengthen a run; ETCD_NODE_CMD and ETCD_GO_CMD choose the two servers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { Server } from './servers.ts';
import { Side } from './side.ts';
import { Twin } from './twin.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const OPERATIONS = Number(process.env['OPS'] ?? 20_000);
const BUILD_MS_MAX = 400_000;

describe('twin', () => {
  const servers: Server[] = [];

  beforeAll(async () => {
    const { node, go } = await findBinaries();
    if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
    servers.push(await Server.start({ label: 'ours', command: node }));
    servers.push(await Server.start({ label: 'etcd', command: go }));
  }, BUILD_MS_MAX);

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.close()));
  });

  it('answers random operations exactly as etcd does', { timeout: 3_600_000 }, async () => {
    const [ours, etcd] = servers;
    if (ours === undefined || etcd === undefined) throw new Error('servers are missing');
    const sides = [new Side(ours), new Side(etcd)] as const;
    console.log(`seed ${SEED}, ${OPERATIONS} operations, ${ours.version} and ${etcd.version}`);
    try {
      const report = await new Twin({ sides, seed: SEED, operations: OPERATIONS }).run();
      console.log(`revision ${report.revision}`, report.byMethod, report.allowed);
      expect(report.operations).toBe(OPERATIONS);
    } catch (error) {
      for (const { label, running, log } of servers) {
        if (!running) console.error(`${label} has ended:\n${log.slice(-4000)}`);
      }
      throw error;
    } finally {
      for (const side of sides) side.close();
    }
  });
});
