/**
 * `Maintenance.Downgrade`: asks the cluster to become one of the minor version below, which lets
 * members of that version join, and ends or tries out such a request. What follows from it is the
 * leader's affair (`cluster-version.ts`, `downgrade-monitor.ts`).
 */

import {
  DowngradeAction,
  type DowngradeRequest,
  type DowngradeResponse,
  type ResponseHeader,
} from '../codec/gen/etcdserverpb.ts';
import { EtcdError, errors } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Replica } from '../replica/replica.ts';
import { clusterVersionText, oneMinorBelow, parseVersion } from '../version.ts';

export interface DowngradeDeps {
  readonly replica: Pick<Replica, 'readBarrier' | 'propose'> & {
    readonly stateMachine: Pick<Replica['stateMachine'], 'clusterVersion' | 'downgradeInfo'>;
  };
  readonly header: () => ResponseHeader;
  readonly log: Log;
}

const INT64_MAX = 2n ** 63n - 1n;

/**
 * The cluster version that a client means, without its patch; `null` for what is none. etcd reads
 * `3.6`, and every semantic version, but no leading v.
 */
export function targetVersionOf(text: string): string | null {
  return minorOf(text) ?? minorOf(`${text}.0`);
}

function minorOf(text: string): string | null {
  const numbers = /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z.-]*)?$/.exec(text);
  const [major = '', minor = '', patch = ''] = numbers?.slice(1) ?? [];
  if (numbers === null || [major, minor, patch].some((part) => BigInt(part) > INT64_MAX)) {
    return null;
  }
  return `${BigInt(major)}.${BigInt(minor)}.0`;
}

export function createDowngrade({ replica, header, log }: DowngradeDeps) {
  const { stateMachine } = replica;

  /** `3.7`: the version of the cluster, as all answers tell it. */
  function answer(): DowngradeResponse {
    const [major, minor] = stateMachine.clusterVersion.split('.');
    return { header: header(), version: `${major}.${minor}` };
  }

  async function validate(target: string): Promise<void> {
    await replica.readBarrier();
    const cluster = parseVersion(stateMachine.clusterVersion);
    if (cluster === null) throw errors.clusterVersionUnavailable;
    if (target !== clusterVersionText(oneMinorBelow(cluster))) {
      throw errors.invalidDowngradeTargetVersion;
    }
    if (stateMachine.downgradeInfo.enabled) throw errors.downgradeInProcess;
  }

  function parse(version: string): string {
    const target = targetVersionOf(version);
    if (target === null) throw errors.wrongDowngradeVersionFormat;
    return target;
  }

  async function enable(version: string): Promise<DowngradeResponse> {
    try {
      const ver = parse(version);
      await validate(ver);
      await replica.propose('downgradeInfoSet', { enabled: true, ver });
    } catch (error) {
      log.warn('reject downgrade request', { error: refusal(error) });
      throw error;
    }
    return answer();
  }

  /** etcd: what went wrong is only logged, and the answer is the same. */
  async function cancel(): Promise<DowngradeResponse> {
    try {
      await replica.readBarrier();
      if (!stateMachine.downgradeInfo.enabled) throw errors.noInflightDowngrade;
      await replica.propose('downgradeInfoSet', { enabled: false, ver: '' });
    } catch (error) {
      log.warn('failed to cancel downgrade', { error: refusal(error) });
    }
    return answer();
  }

  return async ({ action, version }: DowngradeRequest): Promise<DowngradeResponse> => {
    switch (action) {
      case DowngradeAction.VALIDATE: {
        const target = parse(version);
        if (stateMachine.clusterVersion === '') throw errors.clusterVersionUnavailable;
        await validate(target);
        return answer();
      }
      case DowngradeAction.ENABLE:
        return enable(version);
      case DowngradeAction.CANCEL:
        return cancel();
      default:
        throw errors.unknownMethod;
    }
  };
}

/** Anything else is a bug. */
function refusal(error: unknown): string {
  if (error instanceof EtcdError) return error.message;
  throw error;
}
