/**
 * Tells systemd that the program is ready. The message is one datagram from the main process; Node
 * cannot open such a socket, so either the launcher has, or `systemd-notify` sends it, which the
 * unit must then allow by `NotifyAccess=all`. Without NOTIFY_SOCKET nothing is sent, and that is no
 * error.
 */

import { execFile } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Log } from '../log.ts';

const READY = 'READY=1';
/** It waits until systemd has read the message. */
const SENDER_MS_MAX = 10_000;

const run = promisify(execFile);

/** Never rejects: a member that nobody waits for is still a member. `socket` is closed. */
export async function notifyReady(socket: number | null, log: Log): Promise<void> {
  log.info('notifying init daemon');
  try {
    await send(socket);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error('failed to notify systemd for readiness', { error: reason });
    return;
  }
  log.info('successfully notified init daemon');
}

async function send(socket: number | null): Promise<void> {
  const { NOTIFY_SOCKET: address = '' } = process.env;
  if (socket !== null) {
    writeSync(socket, READY);
    closeSync(socket);
  } else if (address !== '') {
    await run('systemd-notify', ['--ready'], { timeout: SENDER_MS_MAX });
  }
}
