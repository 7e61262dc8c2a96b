/**
 * What signals do to the program, as in etcd: SIGTERM and SIGINT stop it in good order once it is
 * ready, and it then ends by that same signal, which systemd takes for a success. Until then they
 * end it at once. It refuses to know what stopping is.
 */

/** As Go names them. */
const STOPPING = { SIGTERM: 'terminated', SIGINT: 'interrupt' } as const;
/** etcd: Go's runtime ends so on SIGQUIT, and where process 1 does not die of a signal. */
const EXIT_GO = 2;

export type StopSignal = keyof typeof STOPPING;

/** Called before anything else is done. */
export function prepareForSignals(): void {
  // etcd: of no effect. Node would open its debugger to the machine, or end.
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => undefined);
  process.on('SIGQUIT', () => process.exit(EXIT_GO));
  if (process.pid !== 1) return;
  // The kernel keeps signals from process 1 that it does not handle.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(EXIT_GO));
  }
}

/**
 * From now on the first signal calls `stop` with Go's name for it, and the process ends when that
 * resolves; more signals meanwhile change nothing. `stop` must not reject.
 */
export function stopOnSignals(stop: (name: string) => Promise<void>): void {
  let isStopping = false;
  for (const signal of Object.keys(STOPPING) as StopSignal[]) {
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      void stop(STOPPING[signal]).then(() => endBy(signal));
    });
  }
}

function endBy(signal: StopSignal): void {
  if (process.pid === 1) process.exit(0);
  for (const each of Object.keys(STOPPING)) process.removeAllListeners(each);
  process.kill(process.pid, signal);
}
