/**
 * Asks another member every four seconds whether it is there and what time it is, and tells the
 * smoothed round trip, trouble and clocks that differ. etcd: nothing depends on the answer.
 */

import { goDuration } from '../duration.ts';
import { limits } from '../limits.ts';
import { hexId, type MemberId } from '../types.ts';
import { type PeerContext, SOCKET_TIMEOUT_MS } from './context.ts';
import { exchange, reasonOf } from './exchange.ts';
import { UrlPicker } from './url-picker.ts';

const PROBE_MS = SOCKET_TIMEOUT_MS - 1000;
const REPORT_MS = 30_000;
const REPORT_TROUBLE_MS = 5000;
const CLOCK_DRIFT_MS_MAX = 1000;
/** Weight of a new round trip in the smoothed one. */
const ALPHA = 0.125;

const WAYS = [
  { connection: 'kept', name: 'ROUND_TRIPPER_SNAPSHOT' },
  { connection: 'own', name: 'ROUND_TRIPPER_RAFT_MESSAGE' },
] as const;

export class Prober {
  readonly #context: PeerContext;
  readonly #peer: MemberId;
  readonly #picker: UrlPicker;
  readonly #way: (typeof WAYS)[number];
  readonly #closing = new AbortController();
  #probedMs: number;
  #reportDueMs: number;
  #isAsking = false;
  #isHealthy = false;
  #error: string | undefined;
  /** Smoothed; 0 before the first answer. */
  #roundTripMs = 0;
  #clockDriftMs = 0;

  constructor(
    context: PeerContext,
    peer: MemberId,
    { urls, way }: { readonly urls: readonly string[]; readonly way: (typeof WAYS)[number] },
  ) {
    this.#context = context;
    this.#peer = peer;
    this.#picker = new UrlPicker(urls);
    this.#way = way;
    this.#probedMs = context.clock.monotonic();
    this.#reportDueMs = this.#probedMs + REPORT_TROUBLE_MS;
  }

  /** etcd: over each kind of connection that members have with each other. */
  static both(context: PeerContext, peer: MemberId, urls: readonly string[]): readonly Prober[] {
    return WAYS.map((way) => new Prober(context, peer, { urls, way }));
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#reportDueMs) this.#report(nowMs);
    if (this.#isAsking || nowMs - this.#probedMs < PROBE_MS) return;
    this.#probedMs = nowMs;
    this.#isAsking = true;
    this.#probe().then(() => {
      this.#isAsking = false;
    }, this.#context.onFatal);
  }

  close(): void {
    this.#closing.abort();
  }

  async #probe(): Promise<void> {
    const { clock, dialTimeoutMs } = this.#context;
    const url = this.#picker.pick();
    const startMs = clock.monotonic();
    try {
      const { status, body } = await exchange(this.#context, {
        url,
        method: 'GET',
        path: '/raft/probing',
        headers: {},
        connection: this.#way.connection,
        body: NO_BODY,
        timeoutMs: dialTimeoutMs + SOCKET_TIMEOUT_MS,
        answerBytesMax: limits.peerRefusalBytesMax,
        signal: this.#closing.signal,
      });
      if (status !== 200) throw new Error(`got unexpected HTTP status code ${status} from ${url}`);
      this.#record(clock.monotonic() - startMs, remoteTime(body.toString()));
    } catch (error) {
      this.#isHealthy = false;
      this.#error = reasonOf(error);
      this.#picker.unreachable(url);
    }
  }

  #record(roundTripMs: number, remoteMs: number): void {
    const before = this.#roundTripMs === 0 ? roundTripMs : this.#roundTripMs;
    this.#roundTripMs = (1 - ALPHA) * before + ALPHA * roundTripMs;
    this.#clockDriftMs = this.#context.clock.now() - remoteMs - this.#roundTripMs / 2;
    this.#isHealthy = true;
    this.#error = undefined;
  }

  #report(nowMs: number): void {
    const { log, observer } = this.#context;
    const names = {
      'round-tripper-name': this.#way.name,
      'remote-peer-id': hexId(this.#peer),
    };
    const trip = { rtt: goDuration(this.#roundTripMs), error: this.#error };
    if (!this.#isHealthy) log.warn('prober detected unhealthy status', { ...names, ...trip });
    if (this.#clockDriftMs > CLOCK_DRIFT_MS_MAX) {
      const drift = { 'clock-drift': goDuration(this.#clockDriftMs) };
      log.warn('prober found high clock drift', { ...names, ...drift, ...trip });
    }
    observer.roundTrip(this.#peer, this.#roundTripMs / 1000);
    this.#reportDueMs = nowMs + (this.#isHealthy ? REPORT_MS : REPORT_TROUBLE_MS);
  }
}

const NO_BODY = new Uint8Array(0);

/** Milliseconds since the epoch. Throws for an answer that is none. */
function remoteTime(text: string): number {
  const health = JSON.parse(text) as { readonly OK?: unknown; readonly Now?: unknown } | null;
  const now = typeof health?.Now === 'string' ? Date.parse(health.Now) : Number.NaN;
  if (health?.OK !== true || Number.isNaN(now)) throw new Error('not a healthy answer');
  return now;
}
