/** Raising this member's NOSPACE alarm, once for all who meet the quota at the same time. */

export class NoSpaceAlarm {
  readonly #activate: () => Promise<unknown>;
  #underWay: Promise<void> | null = null;

  /** `activate` puts the alarm into the log. */
  constructor(activate: () => Promise<unknown>) {
    this.#activate = activate;
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
