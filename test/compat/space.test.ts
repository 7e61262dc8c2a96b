// Space as operators meet it, step by step on the server under test and a real etcd: what clients
// are told, and which lines appear in the log, with which fields. Sizes and times are masked.
import { afterEach, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { httpRequest } from './http-client.ts';
import { Server, until } from './servers.ts';

const { node, go, exact } = await findBinaries();
const VALUE_BYTES = 32 * 1024;

let servers: Server[] = [];

async function startBoth(flags: readonly string[]): Promise<readonly Server[]> {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  for (const [label, command] of [
    ['ours', node],
    ['etcd', go],
  ] as const) {
    servers.push(await Server.start({ label, command, flags }));
  }
  return servers;
}

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function post(server: Server, path: string, body: object): Promise<string> {
  const request = { method: 'POST', path, body: JSON.stringify(body) } as const;
  const answer = await httpRequest(server.port, request);
  return `${answer.status} ${answer.body.trim()}`;
}

const put = (server: Server, key: string, bytes: number): Promise<string> =>
  post(server, '/v3/kv/put', { key: base64(key), value: base64('v'.repeat(bytes)) });

/** The error a client gets, without what differs in form; empty when it is answered. */
function errorOf(answer: string): string {
  if (answer.startsWith('200 ')) return '';
  return String((JSON.parse(answer.slice(4)) as { message?: string }).message);
}

const statusOf = async (server: Server): Promise<Record<string, unknown>> =>
  JSON.parse((await post(server, '/v3/maintenance/status', {})).slice(4));

/** Each line of these texts: level, text, and its fields with numbers and times masked. */
function linesOf({ log }: Server, texts: RegExp): string[] {
  const found: string[] = [];
  for (const line of log.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { level, ts: _, caller: __, msg, ...fields } = parsed(line);
    if (typeof msg !== 'string' || !texts.test(msg)) continue;
    const shown = Object.entries(fields).map(([name, value]) => `${name}=${masked(name, value)}`);
    found.push(`${level} ${msg}: ${shown.join(' ')}`);
  }
  return found;
}

/** The first line kept of the log may be cut. */
function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

function masked(name: string, value: unknown): string {
  if (name === 'path' || name === 'took') return name.toUpperCase();
  if (name.startsWith('quota') || name.includes('threshold')) return String(value);
  if (typeof value === 'number') return 'N';
  return String(value).replace(/^-?[\d.]+ [kM]?B$/, 'SIZE');
}

/** The same steps on both, one after the other; what they give must be equal. */
async function compare(steps: (server: Server) => Promise<unknown>): Promise<void> {
  const [ours, etcd] = servers;
  if (ours === undefined || etcd === undefined) throw new Error('two servers are compared');
  const [mine, its] = [await steps(ours), await steps(etcd)];
  expect(mine).toEqual(its);
}

describe.runIf(exact)('space', { timeout: 240_000 }, () => {
  it('runs out, stays so over a restart, and comes back by compact, defrag, disarm', async () => {
    await startBoth(['--quota-backend-bytes=524288']);
    await compare(async (server) => {
      const told: unknown[] = [];
      let refused = '';
      // etcd's file grows with its commits, ten a second: a fast machine gets that much more in.
      for (let i = 0; i < 5000 && refused === ''; i++) {
        refused = errorOf(await put(server, 'k', VALUE_BYTES));
      }
      told.push(refused);
      const said = async () => {
        const { errors, dbSize, dbSizeInUse, dbSizeQuota } = await statusOf(server);
        const isShrunk = Number(dbSizeInUse) < Number(dbSize) / 2;
        const { status } = await httpRequest(server.port, { method: 'GET', path: '/health' });
        told.push([errors, dbSizeQuota, isShrunk, status]);
        const body = { action: 'GET', alarm: 'NONE' };
        told.push(JSON.parse((await post(server, '/v3/maintenance/alarm', body)).slice(4)).alarms);
        const metrics = await httpRequest(server.port, { method: 'GET', path: '/metrics' });
        told.push(/^etcd_server_quota_backend_bytes .*$/m.exec(metrics.body)?.[0]);
        told.push(/^etcd_disk_defrag_inflight .*$/m.exec(metrics.body)?.[0]);
      };
      await said();
      await server.stop();
      await server.launch();
      await said();
      const compare = [{ target: 'VERSION', key: base64('k'), version: '0', result: 'EQUAL' }];
      const small = { requestPut: { key: base64('t'), value: base64('v') } };
      const txn = { compare, success: [], failure: [small] };
      told.push(errorOf(await put(server, 'small', 1)));
      told.push(errorOf(await post(server, '/v3/kv/txn', txn)));
      told.push(errorOf(await post(server, '/v3/lease/grant', { TTL: 60 })));
      told.push(errorOf(await post(server, '/v3/kv/deleterange', { key: base64('none') })));
      const { header } = (await statusOf(server)) as { header: { revision: string } };
      const compaction = { revision: header.revision, physical: true };
      told.push(errorOf(await post(server, '/v3/kv/compaction', compaction)));
      await said();
      told.push(errorOf(await post(server, '/v3/maintenance/defragment', {})));
      await said();
      const disarm = { action: 'DEACTIVATE', memberID: '0', alarm: 'NOSPACE' };
      const [alarm] = JSON.parse(
        (await post(server, '/v3/maintenance/alarm', { action: 'GET' })).slice(4),
      ).alarms as { memberID: string }[];
      Object.assign(disarm, { memberID: alarm?.memberID });
      told.push(errorOf(await post(server, '/v3/maintenance/alarm', disarm)));
      await said();
      told.push(errorOf(await put(server, 'k', VALUE_BYTES)));
      told.push(linesOf(server, /quota|compact|defrag|grpc service/i));
      return told;
    });
  });

  it('is kept free by a compaction every two seconds', async () => {
    await startBoth(['--auto-compaction-mode=periodic', '--auto-compaction-retention=2s']);
    await compare(async (server) => {
      let puts = 0;
      const lines = await until(
        'two compactions',
        async () => {
          await put(server, `k${puts++ % 3}`, 100);
          const found = linesOf(server, /auto periodic|compact tree|scheduled compaction/);
          const finished = found.filter((line) => /completed|finished/.test(line));
          return finished.length < 4 ? null : found;
        },
        60_000,
      );
      expect(puts).toBeGreaterThan(5);
      const early = { key: base64('k0'), revision: '2' };
      // What was scheduled may finish before or after its request has.
      return [lines.slice(0, 8).sort(), errorOf(await post(server, '/v3/kv/range', early))];
    });
  });

  it('is given back at the start when there is enough of it', async () => {
    await startBoth(['--bootstrap-defrag-threshold-megabytes=1']);
    await compare(async (server) => {
      for (let i = 0; i < 80; i++) await put(server, 'k', VALUE_BYTES);
      const compaction = { revision: '81', physical: true };
      expect(await post(server, '/v3/kv/compaction', compaction)).toMatch(/^200/);
      await server.stop();
      await server.launch();
      await server.stop();
      await server.launch();
      const { dbSize } = await statusOf(server);
      expect(Number(dbSize)).toBeLessThan(1024 * 1024);
      return linesOf(server, /defrag/i);
    });
  });

  it('is given back by a member that says, behind its gate, that it does not serve', async () => {
    await startBoth(['--feature-gates=StopGRPCServiceOnDefrag=true']);
    await compare(async (server) => {
      await post(server, '/v3/maintenance/defragment', {});
      return linesOf(server, /defragment$|grpc service/);
    });
  });

  it.each([
    ['--quota-backend-bytes=0'],
    ['--quota-backend-bytes=-5'],
    ['--quota-backend-bytes=8589934593'],
  ])('has a quota by %s', async (flag) => {
    await startBoth([flag]);
    await compare(async (server) => {
      const { dbSizeQuota } = await statusOf(server);
      const metrics = await httpRequest(server.port, { method: 'GET', path: '/metrics' });
      const shown = Number(/^etcd_server_quota_backend_bytes (.*)$/m.exec(metrics.body)?.[1]);
      return [dbSizeQuota, shown, linesOf(server, /quota/)];
    });
  });
});
