// The HTTP side of the client port, answer for answer against a real etcd: routes, verbs, CORS,
// JSON decoding, error bodies, streams and the plain endpoints.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { PROBES, type Probe } from './gateway-probes.ts';
import { type HttpAnswer, httpRequest, LineStream } from './http-client.ts';
import { compactJson, newestErrorBody } from './json-text.ts';
import { Server, until } from './servers.ts';

const HEADERS = [
  'content-type',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-allow-headers',
  'allow',
  'x-content-type-options',
  'grpc-metadata-content-type',
  'www-authenticate',
  'location',
];
const WATCH = '/v3/watch';
const { node, go, exact } = await findBinaries();
let ours: Server;
let etcd: Server;

beforeAll(async () => {
  if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
  ours = await Server.start({ label: 'ours', command: node });
  etcd = await Server.start({ label: 'etcd', command: go });
  // Its monitor moves the version of the database some seconds after that of the cluster.
  await until('one version everywhere', async () => {
    const { body } = await httpRequest(etcd.port, { method: 'GET', path: '/version' });
    const { etcdcluster, storage } = JSON.parse(body);
    return etcdcluster === storage ? true : null;
  });
}, 60_000);

afterAll(async () => {
  await Promise.all([ours?.close(), etcd?.close()]);
});

// Every line of etcd before 3.7 has another gateway library, with other bodies and codes.
describe.runIf(exact)('gateway and plain HTTP', () => {
  it('answers every probe as etcd does', async () => {
    const differences: string[] = [];
    for (const probe of PROBES) {
      const [a, b] = await Promise.all([ask(ours, probe), ask(etcd, probe)]);
      if (process.env['SHOW'] !== undefined) console.log(`${probe.name}\n  ${b}`);
      if (a !== b) differences.push(`${probe.name}\n  ours ${a}\n  etcd ${b}`);
    }
    expect(differences.join('\n')).toBe('');
  });

  it('serves watch lines over a half-closed body until the client leaves', async () => {
    const streams = [ours, etcd].map(
      ({ port }) =>
        new LineStream(port, {
          method: 'POST',
          path: WATCH,
          body: '{"create_request":{"key":"dw==","progress_notify":true,"prev_kv":true}}',
        }),
    );
    for (const stream of streams) stream.halfClose();
    await lineCount(streams, 1);
    for (const { port } of [ours, etcd]) {
      await httpRequest(port, { method: 'POST', path: '/v3/kv/put', body: '{"key":"dw=="}' });
      const body = '{"key":"dw=="}';
      await httpRequest(port, { method: 'POST', path: '/v3/kv/deleterange', body });
    }
    await lineCount(streams, 3);
    const [a, b] = streams;
    expect(a?.lines).toEqual(b?.lines);
    expect(a?.status).toBe(b?.status);
    expect(pickHeaders(a?.headers ?? {})).toBe(pickHeaders(b?.headers ?? {}));
    for (const stream of streams) {
      expect(stream.ended).toBe(false);
      stream.close();
    }
  });

  it('takes further watch requests on an open body', async () => {
    const bodies = [
      '{"create_request":{"key":"YQ==","watch_id":"7"}}\n{"create_request":{"key":"Yg=="}}',
      '{"create_request":{"key":"YQ==","watch_id":"7"}}{"cancel_request":{"watch_id":"7"}}',
      '{"createRequest":{"key":"Yg==","rangeEnd":"YQ=="}}',
      '{"create_request":{"key":"Yg==","start_revision":"-1"}}',
      '{}{"create_request":{}}',
    ];
    for (const body of bodies) {
      const call = { method: 'POST', path: WATCH, body };
      const streams = [ours, etcd].map(({ port }) => new LineStream(port, call));
      await lineCount(streams, body.split('_request').length === 3 ? 2 : 1);
      expect(streams[0]?.lines, body).toEqual(streams[1]?.lines);
      for (const stream of streams) stream.close();
    }
  });

  it('streams a snapshot as JSON lines that end with a digest', async () => {
    for (const { port } of [ours, etcd]) {
      const call = { method: 'POST', path: '/v3/maintenance/snapshot', body: '{}' };
      const { status, body } = await httpRequest(port, call);
      expect(status).toBe(200);
      const lines = body.trim().split('\n');
      const last = JSON.parse(lines.at(-1) ?? '') as { result: { blob: string } };
      expect(Buffer.from(last.result.blob, 'base64')).toHaveLength(32);
    }
  });

  it('shows the variables and the metrics that etcd shows', async () => {
    const names = async ({ port }: Server) => {
      const vars = await httpRequest(port, { method: 'GET', path: '/debug/vars' });
      const metrics = await httpRequest(port, { method: 'GET', path: '/metrics' });
      const help = [...metrics.body.matchAll(/^# TYPE (\S+ \S+)$/gm)].map((match) => match[1]);
      return {
        vars: Object.keys(JSON.parse(vars.body) as object).sort(),
        varsType: vars.headers['content-type'],
        metricsType: String(metrics.headers['content-type']).split(';')[0],
        metrics: help.filter((name) => /^(etcd|grpc|os)_/.test(name ?? '')),
      };
    };
    const [a, b] = await Promise.all([names(ours), names(etcd)]);
    expect(a.vars).toEqual(b.vars);
    expect(a.varsType).toEqual(b.varsType);
    expect(a.metricsType).toEqual(b.metricsType);
    const missing = b.metrics.filter((name) => !a.metrics.includes(name));
    expect(missing).toEqual([]);
  });
});

async function lineCount(streams: readonly LineStream[], count: number): Promise<void> {
  for (const stream of streams) {
    await until(`${count} lines`, () => (stream.lines.length >= count ? true : null));
  }
}

/** One line that says everything about an answer that must be equal. */
async function ask({ port }: Server, probe: Probe): Promise<string> {
  const { name: _name, ...call } = probe;
  const answer = await httpRequest(port, call).catch((error: Error) => error);
  if (answer instanceof Error) return `no answer: ${answer.message}`;
  return `${answer.status} ${pickHeaders(answer.headers)} ${normalBody(answer)}`;
}

function pickHeaders(headers: HttpAnswer['headers']): string {
  return HEADERS.filter((name) => headers[name] !== undefined)
    .map((name) => `${name}=${String(headers[name])}`)
    .join(' ');
}

function normalBody({ headers, body }: HttpAnswer): string {
  if (!String(headers['content-type']).includes('json')) return JSON.stringify(readyzOrder(body));
  const lines = body.split('\n').map(compactJson).join('\n');
  return (
    newestErrorBody(lines)
      // protojson's errors have one of two spaces here, which varies between builds.
      .replace(/"proto:\u00a0/g, '"proto: ')
      .replace(/"(dbSize|dbSizeInUse)":"\d+"/g, '"$1":"size"')
  );
}

/** The lines of the checks come in no particular order. */
function readyzOrder(body: string): string {
  return /^\[[+-]\]/.test(body) ? body.split('\n').sort().join('\n') : body;
}
