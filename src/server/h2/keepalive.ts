/**
 * Pings, as grpc-go's server has them: a client that pings too often is told to leave, and a client
 * that has been silent for long is asked whether it is alive. It keeps no timer; its owner says
 * when time has passed.
 */

export interface KeepaliveOptions {
  /** Least time between pings of a client with calls open; 0 means the default of gRPC. */
  readonly minTimeMs: number;
  /** Silence after which the server pings. */
  readonly intervalMs: number;
  /** Silence after its ping that ends the connection. 0 here or there means gRPC's defaults. */
  readonly timeoutMs: number;
}

const MIN_TIME_DEFAULT_MS = 300_000;
const INTERVAL_DEFAULT_MS = 2 * 3600 * 1000;
const TIMEOUT_DEFAULT_MS = 20_000;

/** Least time between pings without a call open (etcd: PermitWithoutStream is false). */
const IDLE_MIN_TIME_MS = 2 * 3600 * 1000;
const STRIKES_MAX = 2;

/** Judges the pings of the client. */
export class PingPolicy {
  readonly #minTimeMs: number;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #answered = false;

  constructor(minTimeMs: number) {
    this.#minTimeMs = minTimeMs > 0 ? minTimeMs : MIN_TIME_DEFAULT_MS;
  }

  /** Headers or data were sent: the next ping is fine. */
  answered(): void {
    this.#answered = true;
  }

  /** False when the client has pinged too often. */
  admit(nowMs: number, openCalls: number): boolean {
    const passedMs = nowMs - this.#lastPingMs;
    this.#lastPingMs = nowMs;
    if (this.#answered) {
      this.#answered = false;
      this.#strikes = 0;
      return true;
    }
    if (passedMs < (openCalls === 0 ? IDLE_MIN_TIME_MS : this.#minTimeMs)) this.#strikes++;
    return this.#strikes <= STRIKES_MAX;
  }
}

/** Decides when to ping and when to give up. */
export class IdleWatch {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #heard = false;
  #silentSinceMs: number;
  #pinged = false;

  constructor({ intervalMs, timeoutMs }: KeepaliveOptions, nowMs: number) {
    const given = intervalMs > 0 && timeoutMs > 0;
    this.#intervalMs = given ? intervalMs : INTERVAL_DEFAULT_MS;
    this.#timeoutMs = given ? timeoutMs : TIMEOUT_DEFAULT_MS;
    this.#silentSinceMs = nowMs;
  }

  heard(): void {
    this.#heard = true;
  }

  tick(nowMs: number): 'wait' | 'ping' | 'dead' {
    if (this.#heard) {
      this.#heard = false;
      this.#pinged = false;
      this.#silentSinceMs = nowMs;
      return 'wait';
    }
    const silentMs = nowMs - this.#silentSinceMs;
    if (silentMs >= this.#intervalMs + this.#timeoutMs && this.#pinged) return 'dead';
    if (silentMs < this.#intervalMs || this.#pinged) return 'wait';
    this.#pinged = true;
    return 'ping';
  }
}
