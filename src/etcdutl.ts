#!/usr/bin/env node
/** The program: etcd's tool for snapshots and for data folders that no server uses. */

import { writeSync } from 'node:fs';
import { execute } from './etcdutl/command-line.ts';
import { etcdutl } from './etcdutl/commands.ts';

process.exitCode = await execute(etcdutl, process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => writeSync(process.stderr.fd, text),
});
