/**
 * What etcd checks before it starts anything: relations between settings, in etcd's order and with
 * its texts. Checks that need the data directory, the network or certificates come later, at start.
 */

import { goDuration } from '../duration.ts';
import { gateEnabled } from './feature-gates.ts';
import type { Settings } from './flags.ts';
import { extensionError } from './flags-extensions.ts';
import { goQuote, ValueError } from './go-text.ts';
import { type LogNote, note } from './note.ts';
import { parseRotation } from './rotation.ts';
import { bindError, hostError } from './url.ts';

export interface Verdict {
  readonly error: string | null;
  /** The log settings are sound, so notes after this point go to the configured log. */
  readonly logReady: boolean;
  /** etcd: a Go panic, exit code 2. */
  readonly panic: string | null;
  readonly notes: readonly LogNote[];
}

export const ADVERTISE_CLIENT_URLS_ERROR =
  '--advertise-client-urls is required when --listen-client-urls is set explicitly';

const ELECTION_MS_MAX = 50_000;
const SAMPLING_RATE_MAX = 1_000_000;
const ROTATION_OUTPUT_ERROR =
  '--log-outputs requires a single file path when --log-rotate-config-json is defined';
const DEFAULT_NAME_WARNING =
  "it isn't recommended to use default name, please set a value for --name. Note that etcd might " +
  'run into issue when multiple members have the same default name';

/** zap accepts both cases, and dpanic as a level between error and panic. */
const logLevels: ReadonlySet<string> = new Set([
  '',
  'debug',
  'info',
  'warn',
  'warning',
  'error',
  'dpanic',
  'panic',
  'fatal',
]);

export function validate(config: Settings): Verdict {
  const notes: LogNote[] = [];
  const panic = logLevels.has(config.logLevel.toLowerCase())
    ? null
    : `panic: unrecognized level: ${goQuote(config.logLevel)}`;
  const logError = loggingError(config, panic !== null);
  if (logError !== null) return { error: logError, logReady: false, panic: null, notes };
  if (panic !== null) return { error: null, logReady: false, panic, notes };
  const error =
    bindError(config.listenPeerUrls) ??
    bindError(config.listenClientUrls) ??
    bindError(config.listenClientHttpUrls) ??
    singlePort(config, notes) ??
    bindError(config.listenMetricsUrls) ??
    advertiseError(config) ??
    bootstrapError(config) ??
    timingError(config) ??
    (config.advertiseClientUrls.length === 0 ? ADVERTISE_CLIENT_URLS_ERROR : null) ??
    featureError(config, notes) ??
    defaultName(config, notes) ??
    tlsError(config) ??
    extensionError(config);
  return { error, logReady: true, panic: null, notes };
}

function singlePort(config: Settings, notes: LogNote[]): null {
  if (config.listenClientHttpUrls.length === 0) {
    const msg =
      'Running http and grpc server on single port. This is not recommended for production.';
    notes.push(note('configured', 'warn', msg));
  }
  return null;
}

function defaultName(config: Settings, notes: LogNote[]): null {
  if (config.name === 'default') {
    notes.push(note('configured', 'warn', DEFAULT_NAME_WARNING, { name: config.name }));
  }
  return null;
}

/** etcd: the level is judged after outputs and rotation, but before the format. */
function loggingError(config: Settings, levelIsBad: boolean): string | null {
  // A logger that older etcds had by default; zap's form is used instead (see removed flags).
  if (config.logger !== 'zap' && config.logger !== 'capnslog') {
    return `unknown logger option ${goQuote(config.logger)}`;
  }
  const outputs = config.logOutputs;
  if (outputs.length > 1 && outputs.includes('default')) {
    return 'multi logoutput for "default" is not supported yet';
  }
  if (config.enableLogRotation) {
    const error = rotationError(outputs, config.logRotationConfigJson);
    if (error !== null) return error;
  }
  if (outputs.includes('systemd/journal') && outputs.length > 1) {
    const shown = `[${outputs.map(goQuote).join(' ')}]`;
    return (
      `running with systemd/journal but other '--log-outputs' values (${shown}) are configured ` +
      "with 'default'; override 'default' value with something else"
    );
  }
  if (levelIsBad || ['', 'json', 'console'].includes(config.logFormat)) return null;
  return `unknown log format: ${config.logFormat}, supported values json, console`;
}

function rotationError(outputs: readonly string[], json: string): string | null {
  const files = outputs.filter((output) => !['default', 'stderr', 'stdout'].includes(output));
  if ((outputs.length === 1 && files.length === 0) || files.length > 1) {
    return ROTATION_OUTPUT_ERROR;
  }
  try {
    parseRotation(json);
    return null;
  } catch (error) {
    if (error instanceof ValueError) return error.message;
    throw error;
  }
}

function advertiseError(config: Settings): string | null {
  const peer = hostError(config.initialAdvertisePeerUrls);
  if (peer !== null) {
    const shown = goQuote(config.initialAdvertisePeerUrls.join(','));
    return `--initial-advertise-peer-urls ${shown} must be "host:port" (${peer})`;
  }
  const client = hostError(config.advertiseClientUrls);
  if (client === null) return null;
  const shown = goQuote(config.advertiseClientUrls.join(','));
  return (
    `--advertise-client-urls ${shown} must be in the format "host:port", "unix:/path/to/socket" ` +
    `or "unixs:/path/to/socket" (${client})`
  );
}

function bootstrapError(config: Settings): string | null {
  const discovers = config.discoveryEndpoints.length > 0;
  const sources = [config.initialCluster !== '', config.discoverySrv !== '', discovers];
  if (config.initialClusterState !== 'new' && config.initialClusterState !== 'existing') {
    return `unexpected clusterState ${goQuote(config.initialClusterState)}`;
  }
  if (sources.filter(Boolean).length > 1) {
    return (
      'multiple discovery or bootstrap flags are set. ' +
      'Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"'
    );
  }
  if ((config.discoveryToken !== '') !== discovers) {
    return 'both --discovery-token and --discovery-endpoints must be set';
  }
  if (config.discoveryEndpoints.some((endpoint) => endpoint.trim() === '')) {
    return '--discovery-endpoints must not contain empty endpoints';
  }
  return null;
}

function timingError(config: Settings): string | null {
  const { heartbeatInterval: heartbeat, electionTimeout: election } = config;
  if (heartbeat === 0) return '--heartbeat-interval must be >0 (set to 0ms)';
  if (election === 0) return '--election-timeout must be >0 (set to 0ms)';
  if (5 * heartbeat > election) {
    return (
      `--election-timeout[${election}ms] should be at least as 5 times as ` +
      `--heartbeat-interval[${heartbeat}ms]`
    );
  }
  if (election > ELECTION_MS_MAX) {
    const limit = `${ELECTION_MS_MAX}ms`;
    return `--election-timeout[${election}ms] is too long, and should be set less than ${limit}`;
  }
  return null;
}

function featureError(config: Settings, notes: LogNote[]): string | null {
  const mode = config.autoCompactionMode;
  if (mode === '') return 'undefined auto-compaction-mode';
  if (mode !== 'periodic' && mode !== 'revision') {
    return `unknown auto-compaction-mode ${goQuote(mode)}`;
  }
  if (config.enableDistributedTracing) {
    const rate = config.distributedTracingSamplingRate;
    const invalid = (reason: string) =>
      `distributed tracing configurition is not valid: (tracing sampling rate must be ${reason})`;
    if (rate < 0) return invalid('positive');
    if (rate > SAMPLING_RATE_MAX) return invalid(`less than ${SAMPLING_RATE_MAX}`);
  }
  const checkpoint = gateEnabled(config.featureGates, 'LeaseCheckpoint');
  const persist = gateEnabled(config.featureGates, 'LeaseCheckpointPersist');
  if (checkpoint && !persist) {
    const msg =
      'Detected that checkpointing is enabled without persistence. ' +
      'Consider enabling feature gate LeaseCheckpointPersist';
    notes.push(note('configured', 'warn', msg));
  }
  if (persist && !checkpoint) {
    return (
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate ' +
      'LeaseCheckpoint'
    );
  }
  if (config.compactHashCheckTime <= 0) {
    const given = goDuration(config.compactHashCheckTime);
    return `--compact-hash-check-time must be >0 (set to ${given})`;
  }
  return null;
}

function tlsError(config: Settings): string | null {
  const { tlsMinVersion: min, tlsMaxVersion: max } = config;
  for (const version of [min, max]) {
    if (['', 'TLS1.2', 'TLS1.3'].includes(version)) continue;
    return `unexpected TLS version ${goQuote(version)} (must be one of: TLS1.2, TLS1.3)`;
  }
  if (max !== '' && min > max) return `min version (${min}) is greater than max version (${max})`;
  if (min === 'TLS1.3' && config.cipherSuites.length > 0) {
    return 'cipher suites cannot be configured when only TLS1.3 is enabled';
  }
  return null;
}
