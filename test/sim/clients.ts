/**
 * Clients that write, read and swap, each one thing at a time, at whichever member they find. What
 * they ask and hear goes into the history.
 */

import { EtcdError, errors } from '../../src/errors.ts';
import type { Random } from '../../src/ports.ts';
import type { Operation, Outcome } from '../support/history.ts';
import type { Request, Step } from '../support/model.ts';
import type { Cluster } from './cluster.ts';
import type { Machine, Running } from './machine.ts';
import { carryOut } from './requests.ts';

/** Milliseconds after which a client gives up, and does not know. */
const PATIENCE_MS_MAX = 6000;
/** So that some entries fill an append of their own. */
const PADDING = '.'.repeat(700);
const KEYS = 7;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Refusals that leave no doubt that nothing was or will be done. */
const REFUSALS: readonly EtcdError[] = [
  errors.tooManyRequests,
  errors.requestTooLarge,
  errors.deadlineExceeded,
  errors.leaseNotFound,
];

export class Client {
  readonly name: string;
  readonly #cluster: Cluster;
  readonly #random: Random;
  #values = 0;
  /** What it last read of a key. */
  readonly #seen = new Map<string, string>();
  /** The machine that it always asks; `null`: any. */
  readonly #home: Machine | null;
  readonly #onlyReads: boolean;

  constructor(name: string, cluster: Cluster, random: Random) {
    this.name = name;
    this.#cluster = cluster;
    this.#random = random;
    const { machines } = cluster;
    this.#home = random.below(2) === 0 ? null : (machines[random.below(cluster.founders)] ?? null);
    this.#onlyReads = this.#home !== null && random.below(2) === 0;
  }

  start(): void {
    this.#later();
  }

  #later(): void {
    const pause = this.#cluster.isBusy ? 5 + this.#random.below(150) : 100;
    this.#cluster.timeline.after(pause, () => {
      if (!this.#cluster.isOver) this.#next();
    });
  }

  #next(): void {
    const serializable = this.#random.below(20) === 0;
    const any = this.#cluster.anyRunning(this.#random, { learners: serializable });
    const running = this.#home?.running ?? any;
    if (running === null || !this.#cluster.isBusy) {
      this.#later();
      return;
    }
    const request = serializable || this.#onlyReads ? this.#read() : this.#choose();
    this.ask(running, request, serializable, () => this.#later());
  }

  /** `done` is called once, when the client knows the outcome or has given up. */
  ask(running: Running, request: Request, serializable: boolean, done: () => void): Operation {
    const { timeline, history, trace } = this.#cluster;
    const operation: Mutable<Operation> = {
      client: this.name,
      request,
      start: timeline.step,
      end: null,
      outcome: { case: 'unknown' },
      serializable,
    };
    history.push(operation);
    trace.count(`asked ${request.kind}`);
    let isDone = false;
    const once = (): void => {
      if (isDone) return;
      isDone = true;
      forget();
      done();
    };
    const forget = running.life.onEnd(() => timeline.after(0, once));
    timeline.after(this.#random.below(2) === 0 ? PATIENCE_MS_MAX : 500, once);
    const heard = (outcome: Outcome): void => {
      if (running.life.isOver) return;
      operation.outcome = outcome;
      operation.end = timeline.step;
      trace.count(`heard ${outcome.case}`);
      trace.add(timeline.nowMs, `${this.name} ${describe(request)}: ${tell(outcome)}`);
      once();
    };
    running.life.run(() => {
      carryOut(running.replica, request, serializable).then(
        (answered) => {
          this.#learn(request, answered.answer.kvs ?? []);
          heard({ case: 'ok', ...answered });
        },
        (error: unknown) => heard(this.#judge(error)),
      );
    });
    return operation;
  }

  #judge(error: unknown): Outcome {
    if (!(error instanceof EtcdError)) {
      this.#cluster.failed(error);
      return { case: 'unknown' };
    }
    this.#cluster.trace.count(`error: ${error.message}`);
    return { case: REFUSALS.includes(error) ? 'failed' : 'unknown' };
  }

  #learn(request: Request, kvs: readonly { readonly key: string; readonly value: string }[]): void {
    if (request.kind === 'get') for (const { key, value } of kvs) this.#seen.set(key, value);
  }

  #key(): string {
    return `k${this.#random.below(KEYS)}`;
  }

  value(): string {
    const value = `${this.name}.${++this.#values}`;
    return this.#random.below(4) === 0 ? value + PADDING : value;
  }

  #read(): Request {
    if (this.#random.below(5) > 0) return { kind: 'get', key: this.#key() };
    return { kind: 'get', key: 'k', rangeEnd: 'l' };
  }

  #choose(): Request {
    const dice = this.#random.below(100);
    const key = this.#key();
    if (dice < 40) return { kind: 'put', key, value: this.value() };
    if (dice < 70) return this.#read();
    if (dice < 80) return { kind: 'delete', key };
    if (dice < 82) return { kind: 'delete', key: 'k1', rangeEnd: 'k4' };
    return dice < 92 ? this.#swap(key) : this.#batch(key);
  }

  #swap(key: string): Request {
    const operand = this.#seen.get(key);
    const get: Step = { kind: 'get', key };
    const put: Step = { kind: 'put', key, value: this.value() };
    return {
      kind: 'txn',
      compares: [
        operand === undefined
          ? { key, target: 'version', result: '=', operand: 0 }
          : { key, target: 'value', result: '=', operand },
      ],
      success: [put],
      failure: [get],
    };
  }

  #batch(key: string): Request {
    return {
      kind: 'txn',
      compares: [{ key, target: 'createRevision', result: '>', operand: 0 }],
      success: [
        { kind: 'delete', key },
        { kind: 'put', key: 'k', value: this.value() },
        { kind: 'get', key: 'k', rangeEnd: 'l' },
      ],
      failure: [{ kind: 'put', key, value: this.value() }],
    };
  }
}

function describe(request: Request): string {
  return request.kind === 'txn' ? 'txn' : `${request.kind} ${request.key}`;
}

function tell(outcome: Outcome): string {
  return outcome.case === 'ok' ? `at ${outcome.revision}` : outcome.case;
}
