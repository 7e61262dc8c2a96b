// The files of the packages as they will lie under /, laid out in a folder, and what systemd does
// for a service, imitated: the receiver of its notifications.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Program } from '../support/program.ts';
import type { Sandbox } from './sandbox.ts';

const run = promisify(execFile);
const RECEIVER = fileURLToPath(new URL('notify-receiver.py', import.meta.url));
const STAGE_MS_MAX = 60_000;

/** Debian's user `nobody`. */
export const NOBODY = 65534;

/** A notification with the credentials that the kernel vouches for. */
export interface Notification {
  readonly text: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Lays out the package in `folder` and tells where its etcd is. Expects a fresh build. */
export async function stage(folder: string): Promise<string> {
  const args = ['scripts/package.mjs', '--stage', folder];
  await run(process.execPath, args, { timeout: STAGE_MS_MAX });
  return join(folder, 'usr/bin/etcd');
}

/** Builds the packages into `folder` and tells where they are. Expects a fresh build. */
export async function buildPackages(folder: string): Promise<readonly string[]> {
  const args = ['scripts/package.mjs', '--out', folder];
  const { stdout } = await run(process.execPath, args, { timeout: STAGE_MS_MAX });
  return stdout.trim().split('\n');
}

export class NotifyReceiver {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** `address` as in NOTIFY_SOCKET: a path, or a name after `@`. */
  static listen(address: string): Promise<NotifyReceiver> {
    return NotifyReceiver.of(new Program(['python3', RECEIVER, address]));
  }

  /** In a sandbox, where the socket is that sandbox's. */
  static async listenIn(sandbox: Sandbox, address: string): Promise<NotifyReceiver> {
    await sandbox.copy(RECEIVER, '/tmp/notify-receiver.py');
    const command = ['python3', '/tmp/notify-receiver.py', address];
    return NotifyReceiver.of(sandbox.start(command));
  }

  private static async of(program: Program): Promise<NotifyReceiver> {
    await program.saw('listening\n');
    return new NotifyReceiver(program);
  }

  /** All so far, in order. */
  get received(): readonly Notification[] {
    return this.#program.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Notification);
  }

  /** The first notification, when it has come. */
  async first(): Promise<Notification> {
    await this.#program.saw('}\n');
    const [first] = this.received;
    if (first === undefined) throw new Error(this.#program.output);
    return first;
  }

  close(): Promise<void> {
    return this.#program.close();
  }
}
