/** Where whole states come from and where they go, for the `StateTransfers` of a replica. */

import type { Engine } from '../ports.ts';
import { type IncomingStateOptions, receiveState, removeReceived } from './incoming-state.ts';
import { openStateImage, type Pace } from './state-image.ts';
import type { States } from './state-transfers.ts';

export interface StatesOptions extends IncomingStateOptions {
  readonly engine: Engine;
}

/** Removes what a life that was interrupted has left. */
export async function openStates(options: StatesOptions): Promise<States> {
  await removeReceived(options.disk, options.dir);
  const pace = (signal: AbortSignal): Pace => {
    return async () => {
      await options.breathe();
      signal.throwIfAborted();
    };
  };
  return {
    open: (signal) => openStateImage(options.engine, pace(signal)),
    receive: (message, body, signal) => receiveState(options, message, body, signal),
  };
}
