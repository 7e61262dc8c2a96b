/** Settings of the cluster: bootstrap, discovery, compaction. */

import { bool, duration, flag, text, urls } from './flag.ts';
import { choiceKind, choicesKind, textListSetKind } from './kinds.ts';

const SECOND = 1000;

export const clusterFlags = {
  'initial-advertise-peer-urls': urls(
    ['http://localhost:2380'],
    'URLs of this member that other members use.',
  ),
  'initial-cluster': text(
    'default=http://localhost:2380',
    'Members of a new cluster: name=url, comma-separated.',
  ),
  'initial-cluster-state': flag(
    choiceKind(['new', 'existing']),
    'new',
    'new to start a cluster, existing to join one; ignored after the first start.',
  ),
  'initial-cluster-token': text('etcd-cluster', 'Text that sets this cluster apart from others.'),
  'advertise-client-urls': urls(['http://localhost:2379'], 'URLs of this member for clients.'),
  'discovery-token': text('', 'Token of the cluster at the discovery service.', {
    yaml: 'discovery-config.token',
  }),
  'discovery-endpoints': flag(textListSetKind, [], 'Endpoints of the discovery service.', {
    yaml: 'discovery-config.client.endpoints',
  }),
  'discovery-dial-timeout': duration(2 * SECOND, 'Timeout of connecting to it.', {
    yaml: 'discovery-config.client.dial-timeout',
  }),
  'discovery-request-timeout': duration(5 * SECOND, 'Timeout of one request to it.', {
    yaml: 'discovery-config.client.request-timeout',
  }),
  'discovery-keepalive-time': duration(2 * SECOND, 'Time between pings to it.', {
    yaml: 'discovery-config.client.keepalive-time',
  }),
  'discovery-keepalive-timeout': duration(6 * SECOND, 'Wait for the answer to such a ping.', {
    yaml: 'discovery-config.client.keepalive-timeout',
  }),
  'discovery-insecure-transport': bool(true, 'Connect to it without TLS.', {
    yaml: 'discovery-config.client.secure.insecure-transport',
  }),
  'discovery-insecure-skip-tls-verify': bool(false, 'Do not verify its certificate.', {
    yaml: 'discovery-config.client.secure.insecure-skip-tls-verify',
  }),
  'discovery-cert': text('', 'Client certificate file for it.', {
    yaml: 'discovery-config.client.secure.cert',
  }),
  'discovery-key': text('', 'Key file of that certificate.', {
    yaml: 'discovery-config.client.secure.key',
  }),
  'discovery-cacert': text('', 'File of the authorities that its certificate must come from.', {
    yaml: 'discovery-config.client.secure.cacert',
  }),
  'discovery-server-name': text('', 'Name that its certificate must carry.', {
    yaml: 'discovery-config.client.secure.server-name',
    fileOnly: true,
  }),
  'discovery-user': text('', 'User name, or name:password, at it.', {
    yaml: 'discovery-config.client.auth.username',
  }),
  'discovery-password': text('', 'Password of that user.', {
    yaml: 'discovery-config.client.auth.password',
  }),
  'discovery-fallback': flag(
    choiceKind(['exit', 'proxy']),
    'exit',
    'What to do when discovery fails; only exit is left.',
    { yaml: null },
  ),
  'discovery-srv': text('', 'DNS domain whose SRV records list the members.'),
  'discovery-srv-name': text('', 'Suffix of the service name in these records.'),
  'strict-reconfig-check': bool(true, 'Refuse member changes that would endanger the quorum.'),
  'pre-vote': bool(true, 'Ask for votes before an election disturbs the leader.'),
  'auto-compaction-retention': text(
    '0',
    'History to keep: hours, a duration such as 5m, or revisions; 0 turns compaction off.',
  ),
  'auto-compaction-mode': text('periodic', 'How the retention is read: periodic or revision.'),
  'v2-deprecation': flag(
    choicesKind(['write-only', 'write-only-skip-check', 'write-only-drop-data', 'gone']),
    'write-only',
    'Deprecated; the default is enforced.',
  ),
};
