import { beforeEach, describe, expect, it } from 'vitest';
import { recordedLog } from '../../test/support/fake-cluster.ts';
import { type Services, startServices } from '../../test/support/services.ts';
import { metaRows } from '../buckets.ts';
import { DowngradeAction } from '../codec/gen/etcdserverpb.ts';
import { errors } from '../errors.ts';
import { downgradeRow } from '../replica/downgrade-info.ts';
import { createDowngrade, targetVersionOf } from './downgrade.ts';

const { VALIDATE, ENABLE, CANCEL } = DowngradeAction;

// As coreos/go-semver reads them, etcd's parser.
describe('a target version', () => {
  it.each([
    ['3.6', '3.6.0'],
    ['3.6.9', '3.6.0'],
    ['03.06.0', '3.6.0'],
    ['3.6.0-rc.1+x', '3.6.0'],
    ['3.6.0-', '3.6.0'],
    ['9223372036854775807.0', '9223372036854775807.0.0'],
  ])('%s is that of %s', (text, version) => {
    expect(targetVersionOf(text)).toBe(version);
  });

  it.each([
    '',
    '3',
    'x',
    'v3.6.0',
    '3.6.1.2',
    '3.6.0-a_b',
    '3.-6',
    ' 3.6',
    '3.6-rc',
    '9223372036854775808.0',
  ])('%j is none', (text) => {
    expect(targetVersionOf(text)).toBeNull();
  });
});

let services: Services;
let lines: Record<string, unknown>[];
let downgrade: (action: number, version?: string) => Promise<string>;

async function start(): Promise<void> {
  const recorded = recordedLog();
  lines = recorded.lines;
  const { replica } = services;
  const header = () => ({ clusterId: replica.clusterId, memberId: replica.memberId }) as never;
  const call = createDowngrade({ replica, header, log: recorded.log });
  downgrade = async (action, version = '') => {
    const answer = await services.run(call({ action, version }));
    return answer.version;
  };
}

beforeEach(async () => {
  services = await startServices();
  await start();
  await services.run(services.replica.propose('clusterVersionSet', { ver: '3.7.0' }));
});

const stored = () => Buffer.from(services.member.rows.get(downgradeRow) ?? []).toString();

describe('a downgrade', () => {
  it('is tried out without being begun', async () => {
    expect(await downgrade(VALIDATE, '3.6')).toBe('3.7');
    await expect(downgrade(VALIDATE, '3.5')).rejects.toBe(errors.invalidDowngradeTargetVersion);
    await expect(downgrade(VALIDATE, '3.7')).rejects.toBe(errors.invalidDowngradeTargetVersion);
    await expect(downgrade(VALIDATE, 'x')).rejects.toBe(errors.wrongDowngradeVersionFormat);
    await expect(downgrade(9)).rejects.toBe(errors.unknownMethod);
    expect(services.replica.stateMachine.downgradeInfo.enabled).toBe(false);
    expect(lines).toEqual([]);
  });

  it('is begun once, kept over a restart, and cancelled', async () => {
    expect(await downgrade(ENABLE, '3.6.4')).toBe('3.7');
    const target = { enabled: true, targetVersion: '3.6.0' };
    expect(services.replica.stateMachine.downgradeInfo).toEqual(target);
    expect(stored()).toBe('{"target-version":"3.6.0","enabled":true}');
    await expect(downgrade(ENABLE, '3.6')).rejects.toBe(errors.downgradeInProcess);
    await expect(downgrade(VALIDATE, '3.6')).rejects.toBe(errors.downgradeInProcess);
    await services.member.restart();
    expect(services.member.replica.stateMachine.downgradeInfo).toEqual(target);
    const { replica } = services.member;
    services = { ...services, replica };
    await start();
    expect(await downgrade(CANCEL)).toBe('3.7');
    expect(stored()).toBe('{"target-version":"","enabled":false}');
  });

  it('that is not there is cancelled all the same, with a line', async () => {
    expect(await downgrade(CANCEL)).toBe('3.7');
    expect(lines).toEqual([
      {
        level: 'warn',
        msg: 'failed to cancel downgrade',
        error: 'etcdserver: no inflight downgrade job',
      },
    ]);
  });

  it('that is refused leaves a line', async () => {
    await expect(downgrade(ENABLE, '3.1')).rejects.toBe(errors.invalidDowngradeTargetVersion);
    await expect(downgrade(ENABLE, '')).rejects.toBe(errors.wrongDowngradeVersionFormat);
    expect(lines.map(({ msg, error }) => `${msg}: ${error}`)).toEqual([
      'reject downgrade request: etcdserver: invalid downgrade target version',
      'reject downgrade request: etcdserver: wrong downgrade target version format',
    ]);
  });

  it('lowers the version of the database with that of the cluster', async () => {
    await services.run(services.replica.propose('clusterVersionSet', { ver: '3.6.0' }));
    const version = services.member.rows.get(metaRows.storageVersion);
    expect(Buffer.from(version ?? []).toString()).toBe('3.6.0');
    expect(await downgrade(VALIDATE, '3.5')).toBe('3.6');
  });
});
