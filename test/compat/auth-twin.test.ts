// Random operations under authentication on the server under test and a real etcd, answer for
// answer, with simple tokens and with signed ones. SEED and OPS repeat or lengthen a run.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthTwin } from './auth-twin.ts';
import { findBinaries } from './binaries.ts';
import { Server } from './servers.ts';
import { Side } from './side.ts';

const { node, go, exact } = await findBinaries();

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const OPERATIONS = Number(process.env['OPS'] ?? 2500);
const BUILD_MS_MAX = 400_000;

describe.runIf(exact)('auth twin', () => {
  let dir: string;
  let commands: { readonly node: readonly string[]; readonly go: readonly string[] };

  beforeAll(async () => {
    if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
    commands = { node, go };
    dir = await mkdtemp(join(tmpdir(), 'auth-twin-'));
    await writeFile(join(dir, 'secret'), 'a secret that both sides know');
  }, BUILD_MS_MAX);

  afterAll(() => rm(dir, { recursive: true, force: true }));

  for (const tokens of ['simple', 'signed'] as const) {
    it(`answers as etcd does with ${tokens} tokens`, { timeout: 3_600_000 }, async () => {
      const signed = tokens === 'signed';
      const kind = signed ? `jwt,sign-method=HS256,priv-key=${join(dir, 'secret')}` : 'simple';
      const flags = ['--bcrypt-cost=4', `--auth-token=${kind}`];
      const servers: Server[] = [];
      try {
        servers.push(await Server.start({ label: 'ours', command: commands.node, flags }));
        servers.push(await Server.start({ label: 'etcd', command: commands.go, flags }));
        const [ours, etcd] = servers as [Server, Server];
        const sides = [new Side(ours), new Side(etcd)] as const;
        try {
          console.log(`seed ${SEED}, ${OPERATIONS} operations, ${tokens} tokens`);
          const options = { sides, seed: SEED, operations: OPERATIONS, signed };
          const outcomes = await new AuthTwin(options).run();
          console.log(`${outcomes.size} outcomes`, summary(outcomes));
          expect(outcomes.size).toBeGreaterThan(OPERATIONS >= 2000 ? 150 : 0);
        } finally {
          for (const side of sides) side.close();
        }
      } catch (error) {
        for (const { label, running, log } of servers) {
          if (!running) console.error(`${label} has ended:\n${log.slice(-4000)}`);
        }
        throw error;
      } finally {
        await Promise.all(servers.map((server) => server.close()));
      }
    });
  }
});

/** How often each text was answered, whatever the method. */
function summary(outcomes: ReadonlyMap<string, number>): Record<string, number> {
  const texts = new Map<string, number>();
  for (const [outcome, count] of outcomes) {
    const text = /(?:etcdserver|auth): [^"]*/.exec(outcome)?.[0] ?? 'other';
    texts.set(text, (texts.get(text) ?? 0) + count);
  }
  return Object.fromEntries([...texts].sort(([, a], [, b]) => b - a));
}
