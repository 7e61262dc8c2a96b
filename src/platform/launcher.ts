/**
 * What the packaged `/usr/bin/etcd` leaves to the program that it becomes: sockets that Node cannot
 * open, each as `process:descriptor` in a variable of its own. The process is named because a child
 * would inherit the variable; reading takes the variable away.
 */

import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

export interface Launched {
  /** As the program was called, for the log. */
  readonly program: string;
  /** Datagram sockets, connected; `null`: not opened. */
  readonly notify: number | null;
  readonly journal: number | null;
}

export function takeLaunched(env: NodeJS.ProcessEnv, pid: number): Launched {
  const notify = take(env, 'NOTIFY_FD', pid);
  const journal = take(env, 'JOURNAL_FD', pid);
  const isLaunched = basename(process.argv0) === 'etcd';
  // So that the process has etcd's name where processes are listed by name.
  if (isLaunched && process.platform === 'linux') writeFileSync('/proc/self/comm', 'etcd');
  const program = isLaunched ? process.argv0 : (process.argv[1] ?? 'etcd');
  return { program, notify, journal };
}

function take(env: NodeJS.ProcessEnv, name: string, pid: number): number | null {
  const match = /^(\d+):(\d+)$/.exec(env[name] ?? '');
  delete env[name];
  return match !== null && Number(match[1]) === pid ? Number(match[2]) : null;
}
