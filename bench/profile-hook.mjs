// Loaded into a Node server with --import: SIGUSR2 starts the CPU profiler, the next SIGUSR2 stops
// it and writes the profile to the file named by BENCH_PROFILE; a third one begins anew. Node's own
// --cpu-prof would profile the start as well, and writes nothing when the process ends by a signal.

import { rmSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';

const path = process.env.BENCH_PROFILE;

if (isMainThread && path !== undefined) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  let running = false;
  process.on('SIGUSR2', () => {
    running = !running;
    if (running) {
      rmSync(`${path}.done`, { force: true });
      session.post('Profiler.start');
      return;
    }
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) throw error;
      // Complete or not there at all, for the reader that waits for it.
      writeFileSync(path, JSON.stringify(result.profile));
      writeFileSync(`${path}.done`, '');
    });
  });
}
