/** Who asks, as far as it is known: the user of a token or of a client certificate. */

export interface Identity {
  /** May be empty: a certificate without a name. Nobody is called so. */
  readonly user: string;
  /**
   * The auth revision at which this was known; 0: not known at all. An older one than the store's
   * may not read or write any more.
   */
  readonly revision: number;
}

/** Nobody in particular, and who asks while there is no authentication. */
export const NOBODY: Identity = { user: '', revision: 0 };
