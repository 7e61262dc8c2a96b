/**
 * Ends a downgrade once it has come to its end: the leader looks every --downgrade-check-time
 * whether all members are of the target's version.
 *
 * Its time is that of the ticks it is given; one look is under way at a time, and ends with the
 * bound of its questions.
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
  /** 0: never. */
  readonly intervalMs: number;
  readonly log: Log;
}

export class DowngradeMonitor {
  readonly #deps: DowngradeMonitorDeps;
  #lookedMs: number | null = null;
  #isLooking = false;

  constructor(deps: DowngradeMonitorDeps) {
    this.#deps = deps;
  }

  /** Called with every tick. Anything but a refused request is passed to `onBug`. */
  tick(now: number, onBug: (error: unknown) => void): void {
    const { replica, intervalMs } = this.#deps;
    if (intervalMs === 0 || this.#isLooking) return;
    this.#lookedMs ??= now;
    if (now - this.#lookedMs < intervalMs) return;
    this.#lookedMs = now;
    if (!replica.isLeader || !replica.stateMachine.downgradeInfo.enabled) return;
    this.#isLooking = true;
    this.cancelIfDone()
      .catch(onBug)
      .finally(() => {
        this.#isLooking = false;
        this.#lookedMs = null;
      });
  }

  async cancelIfDone(): Promise<void> {
    const { replica, log } = this.#deps;
    const { targetVersion } = replica.stateMachine.downgradeInfo;
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
