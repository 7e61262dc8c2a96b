/** Settings of what the member shows to the outside: TLS, auth, monitoring, logging, tracing. */

import { bool, duration, flag, int, text, uint, urls } from './flag.ts';
import {
  originsKind,
  textListKind,
  textListOrOneKind,
  textListSetKind,
  textSetKind,
} from './kinds.ts';

const CLIENT = 'client-transport-security';
const PEER = 'peer-transport-security';

export const securityFlags = {
  'cert-file': text('', 'Certificate of the client listeners.', { yaml: `${CLIENT}.cert-file` }),
  'key-file': text('', 'Key of that certificate.', { yaml: `${CLIENT}.key-file` }),
  'client-cert-auth': bool(false, 'Demand client certificates and take the user from them.', {
    yaml: `${CLIENT}.client-cert-auth`,
  }),
  'client-cert-file': text('', 'Certificate of the member when it is itself a client.', {
    yaml: `${CLIENT}.client-cert-file`,
  }),
  'client-key-file': text('', 'Key of that certificate.', { yaml: `${CLIENT}.client-key-file` }),
  'client-crl-file': text('', 'Revoked client certificates.', { yaml: null }),
  'client-cert-allowed-hostname': flag(
    textListOrOneKind,
    [],
    'Host names of which a client certificate must carry one.',
    { yaml: `${CLIENT}.allowed-hostname` },
  ),
  'client-cert-allowed-cn': flag(
    textListOrOneKind,
    [],
    'Common names of which a client certificate must carry one.',
    { yaml: `${CLIENT}.allowed-cn`, fileOnly: true },
  ),
  'client-skip-client-san-verification': bool(false, 'Not used on client listeners.', {
    yaml: `${CLIENT}.skip-client-san-verification`,
    fileOnly: true,
  }),
  'trusted-ca-file': text('', 'Authorities of client certificates; setting it demands them.', {
    yaml: `${CLIENT}.trusted-ca-file`,
  }),
  'auto-tls': bool(false, 'Make a certificate for the client listeners.', {
    yaml: `${CLIENT}.auto-tls`,
  }),
  'peer-cert-file': text('', 'Certificate for traffic between members.', {
    yaml: `${PEER}.cert-file`,
  }),
  'peer-key-file': text('', 'Key of that certificate.', { yaml: `${PEER}.key-file` }),
  'peer-client-cert-auth': bool(false, 'Demand certificates of other members.', {
    yaml: `${PEER}.client-cert-auth`,
  }),
  'peer-client-cert-file': text('', 'Separate certificate for connections to other members.', {
    yaml: `${PEER}.client-cert-file`,
  }),
  'peer-client-key-file': text('', 'Key of that certificate.', { yaml: `${PEER}.client-key-file` }),
  'peer-trusted-ca-file': text('', 'Authorities of member certificates; setting it demands them.', {
    yaml: `${PEER}.trusted-ca-file`,
  }),
  'peer-cert-allowed-cn': flag(
    textListOrOneKind,
    [],
    'Common names of which a member certificate must carry one.',
    { yaml: `${PEER}.allowed-cn` },
  ),
  'peer-cert-allowed-hostname': flag(
    textListOrOneKind,
    [],
    'Host names of which a member certificate must carry one.',
    { yaml: `${PEER}.allowed-hostname` },
  ),
  'peer-auto-tls': bool(false, 'Make a certificate for traffic between members.', {
    yaml: `${PEER}.auto-tls`,
  }),
  'self-signed-cert-validity': uint(1, 'Years for which made certificates are valid.'),
  'peer-crl-file': text('', 'Revoked member certificates.', { yaml: null }),
  'peer-skip-client-san-verification': bool(
    false,
    'Do not compare the addresses in a member certificate with where it connects from.',
    { yaml: `${PEER}.skip-client-san-verification` },
  ),
  'cipher-suites': flag(textListKind, [], "TLS 1.2 cipher suites, by Go's names."),
  cors: flag(originsKind, ['*'], 'Origins that browsers may call from; * allows all.'),
  'host-whitelist': flag(
    textSetKind,
    ['*'],
    'Host names that plain HTTP requests may name; * allows all.',
  ),
  'tls-min-version': text('TLS1.2', 'Lowest TLS version: TLS1.2 or TLS1.3.'),
  'tls-max-version': text('', 'Highest TLS version: TLS1.2 or TLS1.3.'),
};

export const authFlags = {
  'auth-token': text('simple', 'Kind of auth tokens: simple, or jwt with its options.'),
  'bcrypt-cost': uint(10, 'Cost of hashing a password, from 4 to 31.'),
  'auth-token-ttl': uint(300, 'Seconds that a simple token lives.'),
};

export const monitoringFlags = {
  'enable-pprof': bool(false, 'Serve profiles under /debug/pprof/.'),
  metrics: text('basic', 'basic, or extensive with histograms of every gRPC method.'),
  'listen-metrics-urls': urls([], 'Additional URLs to listen on for metrics and health.'),
};

export const loggingFlags = {
  logger: text('zap', 'Only zap.'),
  'log-outputs': flag(
    textListSetKind,
    ['default'],
    'default, stderr, stdout, systemd/journal or files, comma-separated.',
  ),
  'log-level': text('info', 'debug, info, warn, error, panic or fatal.'),
  'log-format': text('json', 'json or console.'),
  'enable-log-rotation': bool(false, 'Rotate the log file that --log-outputs names.'),
  'log-rotation-config-json': text(
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    'Rotation: maxsize in MB, maxage in days, maxbackups, localtime, compress.',
  ),
  'warning-unary-request-duration': duration(300, 'Warn when a request takes longer.'),
};

export const tracingFlags = {
  'enable-distributed-tracing': bool(false, 'Export traces.'),
  'distributed-tracing-address': text('localhost:4317', 'Address of the trace collector.'),
  'distributed-tracing-service-name': text('etcd', 'Service name in traces.'),
  'distributed-tracing-instance-id': text('', 'Name of this instance in traces.'),
  'distributed-tracing-sampling-rate': int(0, 'Traces exported of a million.'),
};
