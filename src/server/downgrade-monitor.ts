/**
 * Ends a downgrade once it has come to its end: the leader looks every --downgrade-check-time
 * whether all members are of the target's version. It knows nothing of that time.
 */

import { EtcdError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Replica } from '../replica/replica.ts';
import { hexId, type MemberId } from '../types.ts';
import { clusterVersionText, compareMinor, parseVersion } from '../version.ts';

export interface MemberVersion {
  readonly id: MemberId;
  /** As the member says it; `null` when it did not answer. */
  readonly server: string | null;
}

export interface DowngradeMonitorDeps {
  readonly replica: Pick<Replica, 'isLeader' | 'propose'> & {
    readonly stateMachine: Pick<Replica['stateMachine'], 'downgradeInfo'>;
  };
  /** Of all members, this one included. */
  readonly versions: () => Promise<readonly MemberVersion[]>;
  readonly log: Log;
}

export class DowngradeMonitor {
  readonly #deps: DowngradeMonitorDeps;

  constructor(deps: DowngradeMonitorDeps) {
    this.#deps = deps;
  }

  /** Does nothing on a member that does not lead, or when there is no downgrade. */
  async cancelIfDone(): Promise<void> {
    const { replica, log } = this.#deps;
    const { enabled, targetVersion } = replica.stateMachine.downgradeInfo;
    if (!replica.isLeader || !enabled) return;
    if (!(await this.#allMatch(targetVersion))) return;
    log.info('the cluster has been downgraded', { 'cluster-version': targetVersion });
    try {
      await replica.propose('downgradeInfoSet', { enabled: false, ver: '' });
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      log.warn('failed to cancel downgrade', { error: error.message });
    }
  }

  async #allMatch(targetVersion: string): Promise<boolean> {
    const { versions, log } = this.#deps;
    const target = parseVersion(targetVersion);
    for (const { id, server } of await versions()) {
      const version = server === null ? null : parseVersion(server);
      if (target === null || version === null) return false;
      if (compareMinor(version, target) === 0) continue;
      log.warn('remotes server has mismatching etcd version', {
        'remote-member-id': hexId(id),
        'current-server-version': clusterVersionText(version),
        'target-version': clusterVersionText(target),
      });
      return false;
    }
    return true;
  }
}
