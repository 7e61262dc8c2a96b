// What an older etcd answers differently from 3.7, each entry with the documented change behind it.
// Only used when one of the two compared servers is older than 3.7.
import type { Operation } from './operations.ts';
import type { Message } from './proto.ts';
import type { Answer, Prepared, Side } from './side.ts';

/** Requests an old server would treat differently with lasting effect, so they are not sent. */
export function avoidedByOld(_operation: Operation): string | null {
  return null;
}

export function allowedDifference(
  _prepared: Prepared,
  _sides: readonly Side[],
  _answers: readonly [Answer, Answer],
): string | null {
  return null;
}

export type { Message };
