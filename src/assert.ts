/**
 * Assertions stay on in production. A failed one is a bug: it must end the member, so nothing may
 * turn an `AssertionError` into an answer for a client.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** `message` is a literal: building one costs more than the check itself, even when it holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The value, which the surrounding logic guarantees to be present. */
export function must<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new AssertionError(message);
  return value;
}

/** Closes an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
