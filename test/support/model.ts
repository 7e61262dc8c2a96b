/**
 * etcd's key space in a few lines: what a request does to a state, and what it answers. The measure
 * of histories, and therefore without anything of the product's code.
 */

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly modRevision?: number;
}

export type Step =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: bigint }
  /** `rangeEnd` is exclusive and left out for a single key. */
  | { readonly kind: 'delete'; readonly key: string; readonly rangeEnd?: string }
  | { readonly kind: 'get'; readonly key: string; readonly rangeEnd?: string };

export interface Compare {
  readonly key: string;
  readonly target: 'value' | 'version' | 'createRevision' | 'modRevision';
  readonly result: '=' | '!=' | '<' | '>';
  readonly operand: string | number;
}

export type Request =
  | Step
  | {
      readonly kind: 'txn';
      readonly compares: readonly Compare[];
      readonly success: readonly Step[];
      readonly failure: readonly Step[];
    };

export interface Answer {
  /** Of a delete. */
  readonly deleted?: number;
  /** Of a get, ascending by key. */
  readonly kvs?: readonly KeyValue[];
  /** Of a transaction. */
  readonly succeeded?: boolean;
  readonly steps?: readonly Answer[];
}

export type Event =
  | {
      readonly type: 'put';
      readonly revision: number;
      readonly key: string;
      readonly value: string;
      /** 0 or left out: none. */
      readonly lease?: bigint;
    }
  | { readonly type: 'delete'; readonly revision: number; readonly key: string };

export interface KeyState {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type State = Map<string, KeyState>;

export interface Effect {
  readonly events: readonly Event[];
  readonly answer: Answer;
}

/** What the request would do at `revision` to a state, which it leaves alone. */
export function run(request: Request, state: State, revision: number): Effect {
  if (request.kind !== 'txn') return runSteps([request], state, revision);
  const succeeded = request.compares.every((compare) => holds(compare, state));
  const steps = succeeded ? request.success : request.failure;
  const { events, answer } = runSteps(steps, state, revision);
  return { events, answer: { succeeded, steps: answer.steps ?? [answer] } };
}

function runSteps(steps: readonly Step[], state: State, revision: number): Effect {
  const events: Event[] = [];
  const answers = steps.map((step) => {
    const now = events.length === 0 ? state : stateWith(state, events);
    if (step.kind === 'get') return { kvs: pairs(now, step.key, step.rangeEnd) };
    if (step.kind === 'put') {
      const { key, value, lease = 0n } = step;
      events.push({ type: 'put', revision, key, value, lease });
      return {};
    }
    const gone = pairs(now, step.key, step.rangeEnd);
    for (const { key } of gone) events.push({ type: 'delete', revision, key });
    return { deleted: gone.length };
  });
  const [only] = answers;
  return { events, answer: only !== undefined && steps.length === 1 ? only : { steps: answers } };
}

function stateWith(state: State, events: readonly Event[]): State {
  const copy = new Map(state);
  for (const event of events) applyEvent(copy, event);
  return copy;
}

export function applyEvent(state: State, event: Event): void {
  if (event.type === 'delete') {
    state.delete(event.key);
    return;
  }
  const known = state.get(event.key);
  state.set(event.key, {
    value: event.value,
    createRevision: known?.createRevision ?? event.revision,
    modRevision: event.revision,
    version: (known?.version ?? 0) + 1,
    lease: event.lease ?? 0n,
  });
}

function pairs(state: State, key: string, rangeEnd: string | undefined): readonly KeyValue[] {
  if (rangeEnd === undefined) {
    const kv = state.get(key);
    return kv === undefined ? [] : [{ key, value: kv.value, modRevision: kv.modRevision }];
  }
  return [...state]
    .filter(([name]) => key <= name && name < rangeEnd)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { value, modRevision }]) => ({ key: name, value, modRevision }));
}

/** etcd: a key that does not exist has numbers of 0, and no comparison of values with it holds. */
function holds({ key, target, result, operand }: Compare, state: State): boolean {
  const kv = state.get(key);
  if (target === 'value' && kv === undefined) return false;
  const actual = kv === undefined ? 0 : kv[target];
  switch (result) {
    case '=':
      return actual === operand;
    case '!=':
      return actual !== operand;
    case '<':
      return actual < operand;
    case '>':
      return actual > operand;
  }
}
