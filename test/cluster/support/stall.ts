// A disk that does not finish: every sync of one process takes much longer than it should, as long
// as a tracer is attached to it. This file refuses to know who is stalled and why.

import { spawn, spawnSync } from 'node:child_process';
import type { Member } from './member.ts';

const SYNCS = 'fsync,fdatasync';

export const canStall = spawnSync('strace', ['--version']).status === 0;

/** From now on each sync of the member begins `ms` late. Answers what ends that. */
export async function stallDisk(member: Member, ms: number): Promise<() => Promise<void>> {
  const inject = `inject=${SYNCS}:delay_enter=${ms * 1000}`;
  const args = [
    '-f',
    '-p',
    `${member.pid}`,
    '-e',
    `trace=${SYNCS}`,
    '-e',
    inject,
    '-o',
    '/dev/null',
  ];
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = new Promise<void>((resolve) => {
    tracer.once('exit', () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    tracer.once('error', reject);
    tracer.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (/attached/.test(said)) resolve();
    });
    tracer.once('exit', () => reject(new Error(`strace: ${said}`)));
  });
  return async () => {
    tracer.kill('SIGTERM');
    await gone;
  };
}
