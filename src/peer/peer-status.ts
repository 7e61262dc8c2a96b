/** Whether messages to and from one member get through, and since when. */

import { hexId, type MemberId } from '../types.ts';
import type { PeerContext } from './context.ts';

/** What did not work, and over which way. */
export interface Failure {
  readonly action: string;
  readonly source: string;
  readonly reason: string;
}

export class PeerStatus {
  readonly #context: Pick<PeerContext, 'clock' | 'log' | 'observer'>;
  readonly #peer: MemberId;
  #sinceMs: number | null = null;

  constructor(context: Pick<PeerContext, 'clock' | 'log' | 'observer'>, peer: MemberId) {
    this.#context = context;
    this.#peer = peer;
  }

  /** Monotonic milliseconds. */
  get activeSinceMs(): number | null {
    return this.#sinceMs;
  }

  activate(): void {
    if (this.#sinceMs !== null) return;
    const { clock, log, observer } = this.#context;
    this.#sinceMs = clock.monotonic();
    log.info('peer became active', { 'peer-id': hexId(this.#peer) });
    observer.activeChanged(this.#peer, true);
  }

  deactivate({ action, source, reason }: Failure): void {
    const { log, observer } = this.#context;
    const id = hexId(this.#peer);
    const error = `failed to ${action} ${id} on ${source} (${reason})`;
    if (this.#sinceMs === null) {
      log.debug('peer deactivated again', { 'peer-id': id, error });
      return;
    }
    this.#sinceMs = null;
    const msg = 'peer became inactive (message send to peer failed)';
    log.warn(msg, { 'peer-id': id, error });
    observer.activeChanged(this.#peer, false);
  }
}
