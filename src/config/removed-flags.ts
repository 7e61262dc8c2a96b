/**
 * Flags of older etcd releases that real units, containers and test setups still pass. etcd 3.7
 * refuses them; here each is either translated or has no effect, always with one warning. Only what
 * asks for something that is gone for good is refused.
 */

import type { FeatureGate } from './feature-gates.ts';
import type { FlagName } from './flags.ts';

export type RemovedFlag =
  /** The same setting under another name. */
  | { readonly kind: 'alias'; readonly to: FlagName; readonly isBool: boolean }
  /** A boolean that became a feature gate. */
  | { readonly kind: 'gate'; readonly gate: FeatureGate; readonly isBool: true }
  /** A boolean that stands for one value of another setting. */
  | {
      readonly kind: 'switch';
      readonly to: FlagName;
      readonly value: string;
      readonly isBool: true;
    }
  /** No effect with these values, refused with any other; null: no effect at all. */
  | {
      readonly kind: 'gone';
      readonly harmless: readonly string[] | null;
      readonly isBool: boolean;
      readonly hint: string;
    };

function alias(to: FlagName, isBool = false): RemovedFlag {
  return { kind: 'alias', to, isBool };
}

function gate(name: FeatureGate): RemovedFlag {
  return { kind: 'gate', gate: name, isBool: true };
}

function ignored(hint: string, isBool = false): RemovedFlag {
  return { kind: 'gone', harmless: null, isBool, hint };
}

const proxyHint = 'the v2 proxy is gone';
const discoveryHint = 'use --discovery-token and --discovery-endpoints';

/** Became ordinary flags without `experimental-`. */
const graduated: readonly FlagName[] = [
  'bootstrap-defrag-threshold-megabytes',
  'compact-hash-check-time',
  'compaction-batch-limit',
  'compaction-sleep-interval',
  'corrupt-check-time',
  'distributed-tracing-address',
  'distributed-tracing-instance-id',
  'distributed-tracing-sampling-rate',
  'distributed-tracing-service-name',
  'downgrade-check-time',
  'max-learners',
  'snapshot-catchup-entries',
  'warning-apply-duration',
  'warning-unary-request-duration',
  'watch-progress-notify-interval',
  'backend-bbolt-freelist-type',
];
const graduatedBools: readonly FlagName[] = [
  'enable-distributed-tracing',
  'memory-mlock',
  'peer-skip-client-san-verification',
];

export const removedFlags: ReadonlyMap<string, RemovedFlag> = new Map([
  ['enable-v2', ignored('the v2 API is gone', true)],
  ['experimental-enable-v2v3', ignored('the v2 API is gone')],
  ['log-output', alias('log-outputs')],
  ['log-package-levels', ignored('use --log-level')],
  ['debug', { kind: 'switch', to: 'log-level', value: 'debug', isBool: true }],
  ['proxy', { kind: 'gone', harmless: ['', 'off'], isBool: false, hint: proxyHint }],
  ...['failure-wait', 'refresh-interval', 'dial-timeout', 'write-timeout', 'read-timeout'].map(
    (name): [string, RemovedFlag] => [`proxy-${name}`, ignored(proxyHint)],
  ),
  ['discovery', { kind: 'gone', harmless: [''], isBool: false, hint: discoveryHint }],
  ['discovery-proxy', { kind: 'gone', harmless: [''], isBool: false, hint: discoveryHint }],
  ['experimental-initial-corrupt-check', gate('InitialCorruptCheck')],
  ['experimental-compact-hash-check-enabled', gate('CompactHashCheck')],
  ['experimental-enable-lease-checkpoint', gate('LeaseCheckpoint')],
  ['experimental-enable-lease-checkpoint-persist', gate('LeaseCheckpointPersist')],
  ['experimental-txn-mode-write-with-shared-buffer', gate('TxnModeWriteWithSharedBuffer')],
  ['experimental-stop-grpc-service-on-defrag', gate('StopGRPCServiceOnDefrag')],
  ['experimental-snapshot-catch-up-entries', alias('snapshot-catchup-entries')],
  ...graduated.map((name): [string, RemovedFlag] => [`experimental-${name}`, alias(name)]),
  ...graduatedBools.map((name): [string, RemovedFlag] => [
    `experimental-${name}`,
    alias(name, true),
  ]),
] as readonly [string, RemovedFlag][]);

/** etcd has accepted these without a word since 2.x; boolean in form whatever they once were. */
export const ignoredFlags: ReadonlySet<string> = new Set([
  'cluster-active-size',
  'cluster-remove-delay',
  'cluster-sync-interval',
  'config',
  'force',
  'max-result-buffer',
  'max-retry-attempts',
  'peer-heartbeat-interval',
  'peer-election-timeout',
  'retry-interval',
  'snapshot',
  'v',
  'vv',
  'test.coverprofile',
  'test.outputdir',
]);
