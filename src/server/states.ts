import type { States } from '../replica/state-transfers.ts';

export function createStates(): States {
  return {
    open: () => Promise.reject(new Error('no')),
    receive: () => Promise.reject(new Error('no')),
  };
}
