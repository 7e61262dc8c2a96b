/** Raising this member's NOSPACE alarm, once for all who meet the quota at the same time. */

import { AlarmAction, type AlarmRequest, AlarmType } from '../codec/gen/etcdserverpb.ts';
import type { MemberId } from '../types.ts';

export class NoSpaceAlarm {
  readonly #activate: () => Promise<unknown>;
  #underWay: Promise<void> | null = null;

  /** `propose` puts the alarm into the log. */
  constructor(memberId: MemberId, propose: (request: AlarmRequest) => Promise<unknown>) {
    const request = { action: AlarmAction.ACTIVATE, memberId, alarm: AlarmType.NOSPACE };
    this.#activate = () => propose(request);
  }

  /**
   * etcd: the request that met the quota is answered after this, and in the same way whether the
   * alarm could be raised or not.
   */
  raise(): Promise<void> {
    const done = (): void => {
      this.#underWay = null;
    };
    this.#underWay ??= this.#activate().then(done, done);
    return this.#underWay;
  }
}
