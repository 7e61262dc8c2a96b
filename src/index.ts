/** Embedding: a whole member inside another program, mostly a test. */

import type { Options } from './config/options.ts';
import { configFromOptions } from './config/options.ts';
import { createLog, type LogLevel, silentLog } from './log.ts';
import type { Registry } from './metrics/prom-registry.ts';
import { systemClock } from './platform/clock.ts';
import { type Member, type Services, startMember } from './server/member.ts';
import { hexId } from './types.ts';

export interface EtcdOptions extends Options {
  /** Nothing is written to disk, and nothing survives `close`. */
  readonly memory?: boolean;
  /** Log lines go to stderr at this level; by default there are none. */
  readonly log?: LogLevel;
  /** The member has ended because of a broken disk or a bug; without it the process ends. */
  readonly onFatal?: (error: unknown) => void;
}

export interface Etcd extends AsyncDisposable {
  /** Hex, as etcd prints it. */
  readonly memberId: string;
  readonly clusterId: string;
  /** Where clients connect, for example `http://127.0.0.1:41234`. */
  readonly clientUrls: readonly string[];
  /** The services without a network between. */
  readonly services: Services;
  /** etcd's metrics for a program that serves a registry of its own. */
  metricsRegistry(): Promise<Registry>;
  close(): Promise<void>;
}

const LOOPBACK_ANY_PORT = 'http://127.0.0.1:0';

/**
 * Starts a member of one and resolves when the first linearizable write would succeed. Options are
 * etcd's flags in camelCase; URLs default to loopback with free ports. Rejects with a `ValueError`
 * when options do not fit together, and with the system's error when something cannot be opened.
 */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const { memory = false, log: level, onFatal, ...settings } = options;
  const { config } = configFromOptions({
    listenClientUrls: [LOOPBACK_ANY_PORT],
    listenPeerUrls: [LOOPBACK_ANY_PORT],
    ...settings,
  });
  const log =
    level === undefined ? silentLog() : createLog({ level, format: 'json', outputs: ['stderr'] });
  const member: Member = await startMember({
    config,
    log,
    memory,
    onFatal:
      onFatal ??
      ((error) => {
        // Outside of any call of ours that might be in the way: this ends the process.
        systemClock.defer(() => {
          throw error;
        });
      }),
  });
  return {
    memberId: hexId(member.memberId),
    clusterId: hexId(member.clusterId),
    clientUrls: member.clientUrls,
    services: member.services,
    metricsRegistry: () => member.metricsRegistry(),
    close: () => member.close(),
    [Symbol.asyncDispose]: () => member.close(),
  };
}
