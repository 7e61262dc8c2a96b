// Space on whole members: what a defragmentation gives back while work goes on, and an alarm that
// clears itself where that is asked for.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { errors } from '../../src/errors.ts';
import { type Etcd, startEtcd } from '../../src/index.ts';
import { readOptions } from '../../src/mvcc/range.ts';
import { keyFromText, NO_LEASE } from '../../src/types.ts';
import { until } from '../compat/servers.ts';

const KIB = 1024;
const VALUE = 16 * KIB;
const KEYS = 100;
/** Round trips that must fit into a defragmentation: a world that stops would allow one. */
const STEPS_MIN = 20;

let ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

async function start(options: Parameters<typeof startEtcd>[0]): Promise<Etcd> {
  const etcd = await startEtcd(options);
  ends.push(() => etcd.close());
  return etcd;
}

function put(etcd: Etcd, key: string, value: Uint8Array) {
  return etcd.services.kv.put({
    key: keyFromText(key),
    value,
    lease: NO_LEASE,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
}

async function compactAll(etcd: Etcd): Promise<void> {
  const { header } = etcd.services.maintenance.status();
  await etcd.services.kv.compact({ revision: header?.revision ?? 0, physical: true });
}

async function bytesIn(path: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(path)) bytes += (await stat(join(path, name))).size;
  return bytes;
}

describe('a defragmentation', () => {
  it('gives the space of old revisions back to the disk while puts and reads go on', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'etcd-space-'));
    ends.push(() => rm(dataDir, { recursive: true }));
    const etcd = await start({ dataDir });
    for (let round = 0; round < 20; round++) {
      const puts = Array.from({ length: KEYS }, (_, i) => put(etcd, `k${i}`, randomBytes(VALUE)));
      await Promise.all(puts);
    }
    await compactAll(etcd);
    const database = join(dataDir, 'member/snap/db');
    const before = await bytesIn(database);
    const sizes = etcd.services.maintenance.status();
    expect(before).toBeGreaterThan(10 * KEYS * VALUE);
    expect(sizes.dbSize).toBeGreaterThan(10 * KEYS * VALUE);
    expect(sizes.dbSizeInUse).toBeLessThan(2 * KEYS * VALUE);

    let isOver = false;
    const defragmented = etcd.services.maintenance.defragment().then(() => {
      isOver = true;
    });
    let steps = 0;
    for (; !isOver; steps++) {
      await put(etcd, 'meanwhile', Buffer.from(String(steps)));
      const range = { ...readOptions(keyFromText('meanwhile')), serializable: false };
      expect((await etcd.services.kv.range(range)).count).toBe(1);
    }
    await defragmented;
    expect(steps).toBeGreaterThan(STEPS_MIN);
    expect(await bytesIn(database)).toBeLessThan(3 * KEYS * VALUE);
    const after = etcd.services.maintenance.status();
    expect(after.dbSize).toBeLessThan(2 * KEYS * VALUE);
    expect(after.dbSize).toBeGreaterThanOrEqual(after.dbSizeInUse);
  });
});

describe('with the extensions', () => {
  const quotaBackendBytes = 1024 * KIB;

  async function fill(etcd: Etcd): Promise<void> {
    const full = Array.from({ length: 100 }, () => () => put(etcd, 'k', randomBytes(VALUE)));
    const filled = async () => {
      for (const one of full) await one();
    };
    await expect(filled()).rejects.toBe(errors.noSpace);
  }

  const alarms = async (etcd: Etcd): Promise<number> =>
    etcd.services.maintenance.status().errors.length;

  async function warning(etcd: Etcd): Promise<string | undefined> {
    const metrics = await (await fetch(`${etcd.clientUrls[0]}/metrics`)).text();
    return /^etcd_ext_space_warning (.*)$/m.exec(metrics)?.[1];
  }

  it('warns before the quota, and takes the alarm back once there is space', async () => {
    const extensions = { extSpaceWarningPercent: 50, extSpaceAlarmClearPercent: 80 };
    const etcd = await start({ memory: true, quotaBackendBytes, ...extensions });
    expect(await warning(etcd)).toBe('0');
    await fill(etcd);
    await until('the warning', async () => ((await warning(etcd)) === '1' ? true : null));
    expect(await alarms(etcd)).toBe(1);
    await compactAll(etcd);
    await until('no alarm', async () => ((await alarms(etcd)) === 0 ? true : null));
    await put(etcd, 'k', randomBytes(VALUE));
    await until('no warning', async () => ((await warning(etcd)) === '0' ? true : null));
  });

  it('does neither when it is not asked to', async () => {
    const etcd = await start({ memory: true, quotaBackendBytes });
    await fill(etcd);
    await compactAll(etcd);
    await etcd.services.maintenance.defragment();
    await expect(put(etcd, 'k', randomBytes(1))).rejects.toBe(errors.noSpace);
    expect(await warning(etcd)).toBeUndefined();
  });
});
