// Real etcdctl programs against the server under test and a real etcd: output, exit code and
// error text must be equal apart from addresses, times, sizes and server-chosen lease ids.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ctl, findBinaries } from './binaries.ts';
import { GrpcClient } from './client.ts';
import { type CtlLine, SCRIPT } from './etcdctl-script.ts';
import { olderThan, Server } from './servers.ts';

const COMMAND_MS_MAX = 20_000;
const { node, go, exact, ctls } = await findBinaries();

for (const ctl of ctls) {
  describe.runIf(exact)(`etcdctl ${ctl.version}`, { timeout: 240_000 }, () => {
    let ours: Server;
    let etcd: Server;

    beforeAll(async () => {
      if (go === null) throw new Error('no etcd to compare with: set ETCD_GO_CMD');
      const options = { advertiseSelf: true };
      ours = await Server.start({ label: 'ours', command: node, ...options });
      etcd = await Server.start({ label: 'etcd', command: go, ...options });
      for (const { endpoint } of [ours, etcd]) {
        const client = new GrpcClient(endpoint);
        await client.unary('Lease/LeaseGrant', { ID: '6699', TTL: '100000' });
        client.close();
      }
    }, 60_000);

    afterAll(async () => {
      await Promise.all([ours?.close(), etcd?.close()]);
    });

    for (const [group, script] of Object.entries(SCRIPT)) {
      it(group, async () => {
        const differences: string[] = [];
        for (const line of script) {
          if (line.since37 === true && olderThan(ctl.version, 3, 7)) continue;
          for (const format of line.formats ?? ['simple']) {
            const args = format === 'simple' ? line.args : [...line.args, '-w', format];
            const one = { ...line, args };
            const [a, b] = await Promise.all([run(ctl, ours, one), run(ctl, etcd, one)]);
            if (process.env['SHOW'] !== undefined) console.log(`${args.join(' ')}\n${b}`);
            if (a !== b) differences.push(`${args.join(' ')}\n  ours ${a}\n  etcd ${b}`);
          }
        }
        expect(differences.join('\n\n')).toBe('');
      });
    }
  });
}

/** One command's exit code, output and errors as one text with all that may differ masked. */
function run(ctl: Ctl, server: Server, line: CtlLine): Promise<string> {
  const snapshot = join(server.dataDir, `snapshot-${process.hrtime.bigint()}`);
  const args = line.args.map((arg) => (arg === 'SNAPSHOT' ? snapshot : arg));
  const own = args.some((arg) => arg.startsWith('--endpoints'));
  const dashes = args.indexOf('--');
  const endpoint = own ? [] : [`--endpoints=${server.endpoint}`];
  if (dashes < 0) args.push(...endpoint);
  else args.splice(dashes, 0, ...endpoint);
  const env = { PATH: process.env['PATH'] ?? '' };
  // Needed by 3.4, and a warning to 3.7.
  if (olderThan(ctl.version, 3, 6)) Object.assign(env, { ETCDCTL_API: '3' });
  const child = spawn(ctl.path, args, { env });
  let [out, err] = ['', ''];
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS_MAX);
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('latin1');
      if (line.until?.test(out) === true) child.kill('SIGINT');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString('latin1');
    });
    child.stdin.on('error', () => undefined); // The program may end without reading.
    child.stdin.write(line.stdin ?? '');
    if (line.until === undefined) child.stdin.end();
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      // How an interrupted program ends is its own affair.
      const end = line.until === undefined ? `exit ${code ?? signal}` : 'interrupted';
      const errors = line.ignoreStderr === true || line.until !== undefined ? '' : err;
      const shown = line.until === undefined ? out : out.trimEnd();
      resolve(`${end}\n${mask(shown, server, line)}\n${mask(errors, server, line)}`);
    });
  });
}

function mask(text: string, server: Server, { args }: CtlLine): string {
  let masked = text
    .replaceAll(server.dataDir, 'DIR')
    .replace(/snapshot-\d+/g, 'snapshot')
    .replaceAll(`:${server.port}`, ':PORT')
    .replace(/\{"level":.*"msg"/g, '{LOG "msg"') // Times, addresses in memory, source lines.
    .replace(/0x[0-9a-f]{6,}/g, 'POINTER')
    .replace(/LocalAddr: '[^']*'/g, 'LocalAddr')
    .replace(/client-[0-9a-f-]{36}/g, 'CLIENT')
    .replace(/\b\d+(\.\d+)?(µ|Âµ|m|n)?s\b/g, 'TIME')
    .replace(/"attempt":\d+/g, '"attempt":N');
  if (args[0] === 'endpoint') masked = maskSizes(masked);
  if (args.includes('grant') || args.includes('list')) {
    masked = masked.replace(/lease [0-9a-f]{16}/g, 'lease ID').replace(/"ID" ?: ?\d+/g, '"ID":N');
  }
  if (args.includes('timetolive')) {
    masked = masked
      .replace(/"(ttl|TTL)" ?: ?\d+/g, '"ttl":N')
      .replace(/remaining\(\d+s\)/g, 'left');
  }
  // Keys of locks and elections end in the lease id the server chose.
  if (/lock|elect/.test(String(args[0])) || args.includes('mine') || args.includes('office')) {
    masked = masked.replace(/(mine|office)\/[0-9a-f]{16}/g, '$1/ID');
    masked = masked.replace(/"key":"[^"]*"/g, '"key":K').replace(/"lease":\d+/g, '"lease":N');
  }
  return masked;
}

/** Sizes depend on the storage engine; table columns are as wide as their contents. */
function maskSizes(text: string): string {
  return text
    .replace(/\b\d+(\.\d+)? ?(B|kB|MB|GB)\b/g, 'SIZE')
    .replace(/\b\d+%/g, 'PERCENT')
    .replace(/"(dbSize|dbSizeInUse|DBSize|DBSizeInUse)" ?: ?\d+/g, '"$1":SIZE')
    .replace(/(\xe2\x94\x80|-)+/g, '-')
    .replace(/ +/g, ' ');
}
