/**
 * So many requests per second for each user, and for each address of callers who are nobody: an
 * extension that is off unless it is asked for. A request is a unary call or the opening of a
 * stream; what is said on an open stream is bounded elsewhere. root is not held up, so that
 * somebody can still see to things.
 *
 * Limits: limits.userBudgetsMax callers are told apart; the one that was idle longest is forgotten.
 */

import { ROOT } from '../auth/auth-store.ts';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import { RateBudget } from './h2/rate-budget.ts';
import type { Caller } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';

export interface UserLimitDeps {
  readonly perSecond: number;
  /** The name that a caller goes by; '' for none. */
  readonly nameOf: (caller: Caller) => string;
  readonly monotonic: () => number;
}

/** etcd: its clients know this one, and may try again. */
const tooManyRequests = new EtcdError(Code.RESOURCE_EXHAUSTED, 'etcdserver: too many requests');

/** The same gate, which refuses with `ResourceExhausted` whoever asks too often. */
export function limitedPerUser(gate: RpcGate, deps: UserLimitDeps): RpcGate {
  const budgets = new Map<string, RateBudget>();
  const admit = (caller: Caller): void => {
    const user = deps.nameOf(caller);
    if (user === ROOT) return;
    const nowMs = deps.monotonic();
    const key = user === '' ? hostOf(caller) : `user ${user}`;
    const budget = budgets.get(key) ?? new RateBudget(deps.perSecond, deps.perSecond, nowMs);
    // The one used last is the last in the map.
    budgets.delete(key);
    budgets.set(key, budget);
    if (budgets.size > limits.userBudgetsMax) budgets.delete(budgets.keys().next().value ?? '');
    if (!budget.take(nowMs)) throw tooManyRequests;
  };
  return {
    ...gate,
    unary(method, request, caller) {
      admit(caller);
      return gate.unary(method, request, caller);
    },
    stream(method, caller, output) {
      admit(caller);
      return gate.stream(method, caller, output);
    },
  };
}

function hostOf({ address = '' }: Caller): string {
  return address.replace(/:\d+$/, '');
}
