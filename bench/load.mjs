// The load generator: runs one workload against a running server and prints one line of JSON.
//   node bench/load.mjs put --port 2379 --pid $(pidof etcd) --seconds 5
// Several servers, members of one cluster, are separated by commas. --tls names a folder of
// credentials.mjs, --token goes with each request; the gRPC loads of unary requests know both.
// It is its own process so that its CPU time is its own and no run inherits another's warm code.

import { parseArgs } from 'node:util';
import { credentialsIn } from './credentials.mjs';
import { Run } from './run.mjs';
import { CLUSTER_LOADS, FILL, FILL_LARGE, WORKLOADS } from './workloads.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '2379' },
    pid: { type: 'string' },
    seconds: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '1' },
    count: { type: 'string', default: '0' },
    tls: { type: 'string' },
    token: { type: 'string' },
  },
});

const workload = [...WORKLOADS, ...CLUSTER_LOADS, FILL, FILL_LARGE].find(
  ({ name }) => name === positionals[0],
);
if (workload === undefined || values.pid === undefined) {
  const names = WORKLOADS.map(({ name }) => name).join(' | ');
  process.stderr.write(`usage: load.mjs <${names}> --pid SERVER_PID [--port 2379]\n`);
  process.exit(2);
}

const run = new Run({
  host: values.host,
  ports: values.port.split(',').map(Number),
  serverPids: values.pid.split(',').map(Number),
  seconds: Number(values.seconds),
  warmupSeconds: Number(values.warmup),
  count: Number(values.count),
  security: {
    tls: values.tls === undefined ? undefined : credentialsIn(values.tls),
    token: values.token,
  },
});
const measured = await workload.run(run);
process.stdout.write(`${JSON.stringify({ ...measured, ...run.faults() })}\n`);
process.exit(0);
