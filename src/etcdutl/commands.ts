/** The commands of etcdutl: their flags and texts, and what each one does. */

import { createLog, type Log } from '../log.ts';
import { systemClock } from '../platform/clock.ts';
import { SERVER_VERSION } from '../version.ts';
import { type Call, type Command, CommandError, Exit, type Flag } from './command.ts';
import { completionCommand } from './completion.ts';
import { defragment } from './defragment.ts';
import { statOf } from './files.ts';
import { hashOfDatabase, hashOfFile } from './hash-kv.ts';
import { migrate } from './migrate.ts';
import { humanBytes, printerOf } from './printer.ts';
import { progressOf } from './progress.ts';
import { restoreSnapshot } from './restore.ts';
import { openSnapshot, withFile } from './snapshot-file.ts';
import { snapshotStatus } from './snapshot-status.ts';
import { databaseOf, findDatabase } from './stopped-member.ts';

const FORMATS = ['fields', 'json', 'protobuf', 'simple', 'table'];

const sharedFlags: readonly Flag[] = [
  {
    name: 'timeout',
    kind: 'duration',
    default: '10s',
    usage: 'time to wait to obtain a file lock on db file, 0 to block indefinitely',
  },
  {
    name: 'write-out',
    shorthand: 'w',
    kind: 'string',
    default: 'simple',
    usage: `set the output format (${FORMATS.join(', ')})`,
    values: FORMATS,
  },
];

const dataDirFlag: Flag = {
  name: 'data-dir',
  kind: 'string',
  default: '',
  usage: '',
  isDirectory: true,
};

function text(name: string, value: string, usage: string): Flag {
  return { name, kind: 'string', default: value, usage };
}

const statusCommand: Command = {
  use: 'status <filename>',
  short: 'Gets backend snapshot status of a given file',
  flags: [],
  commands: [],
  args: null,
  async run(call) {
    const path = onlyArg(call, 'snapshot status');
    const { size } = statOf(path);
    const print = printerOf(call);
    const progress = progressOf('Checking snapshot', size, process.stderr);
    const status = await withFile(path, async (file) =>
      snapshotStatus(await openSnapshot(file), async (bytes) => progress.advance(bytes)),
    ).finally(progress.end);
    const { hash, revision, totalKey, totalSize, version } = status;
    print({
      columns: [
        ['hash', hash.toString(16)],
        ['revision', String(revision)],
        ['total keys', String(totalKey)],
        ['total size', humanBytes(totalSize)],
        ['version', version],
      ],
      fields: [
        ['Hash', hash],
        ['Revision', revision],
        ['Keys', totalKey],
        ['Size', totalSize],
        ['Version', version],
      ],
      json: { hash, revision, totalKey, totalSize, version },
    });
  },
};

const restoreFlags: readonly Flag[] = [
  { ...dataDirFlag, usage: 'Path to the output data directory' },
  {
    ...text('wal-dir', '', 'Path to the WAL directory (use --data-dir if none given)'),
    isDirectory: true,
  },
  text(
    'initial-cluster',
    'default=http://localhost:2380',
    'Initial cluster configuration for restore bootstrap',
  ),
  text(
    'initial-cluster-token',
    'etcd-cluster',
    'Initial cluster token for the etcd cluster during restore bootstrap',
  ),
  text(
    'initial-advertise-peer-urls',
    'http://localhost:2380',
    "List of this member's peer URLs to advertise to the rest of the cluster",
  ),
  text('name', 'default', 'Human-readable name for this member'),
  {
    name: 'skip-hash-check',
    kind: 'bool',
    default: 'false',
    usage: 'Ignore snapshot integrity hash value (required if copied from data directory)',
  },
  {
    name: 'initial-memory-map-size',
    kind: 'uint',
    default: '10737418240',
    usage:
      'Initial memory map size of the database in bytes. ' +
      'It uses the default value if not defined or defined to 0',
  },
  {
    name: 'bump-revision',
    kind: 'uint',
    default: '0',
    usage: 'How much to increase the latest revision after restore',
  },
  {
    name: 'mark-compacted',
    kind: 'bool',
    default: 'false',
    usage:
      'Mark the latest revision after restore as the point of scheduled compaction ' +
      '(required if --bump-revision > 0, disallowed otherwise)',
  },
];

const restoreCommand: Command = {
  use: 'restore <filename> --data-dir {output dir} [options]',
  short: 'Restores an etcd member snapshot to an etcd directory',
  flags: restoreFlags,
  commands: [],
  args: null,
  async run(call) {
    const { flag, isSet } = call;
    const path = onlyArg(call, 'snapshot restore');
    const bumpRevision = BigInt(flag('bump-revision'));
    if (bumpRevision > 0n !== isSet('mark-compacted')) {
      const problem = '--mark-compacted required if --revision-bump > 0';
      throw new CommandError(Exit.BAD_ARGS, problem);
    }
    const dataDir = flag('data-dir') || `${flag('name')}.etcd`;
    const bytes = fileBytes(path);
    const progress = progressOf('Restoring snapshot', 2 * bytes, process.stderr);
    await interruptible((signal) =>
      restoreSnapshot({
        path,
        name: flag('name'),
        dataDir,
        walDir: flag('wal-dir') || `${databaseOf(dataDir).slice(0, -'/snap/db'.length)}/wal`,
        initialCluster: flag('initial-cluster'),
        initialClusterToken: flag('initial-cluster-token'),
        initialAdvertisePeerUrls: flag('initial-advertise-peer-urls'),
        skipHashCheck: isSet('skip-hash-check'),
        bumpRevision,
        memoryMapBytes: Number(flag('initial-memory-map-size')),
        log: consoleLog(call),
        advance: progress.advance,
        breathe,
        signal,
      }),
    ).finally(progress.end);
  },
};

/** A missing file is noticed later, after everything that etcd looks at first. */
function fileBytes(path: string): number {
  try {
    return statOf(path).size;
  } catch {
    return 0;
  }
}

const hashKvCommand: Command = {
  use: 'hashkv <filename>',
  short: 'Prints the KV history hash of a given file',
  flags: [
    {
      name: 'rev',
      kind: 'int',
      default: '0',
      usage: 'maximum revision to hash (default: latest revision)',
    },
  ],
  commands: [],
  args: 'one',
  async run(call) {
    const print = printerOf(call);
    const path = call.args[0] ?? '';
    const { size } = statOf(path);
    const database = await findDatabase(path);
    const progress = progressOf('Hashing', 2 * size, process.stderr);
    const hashing = { revision: Number(call.flag('rev')), advance: progress.advance, breathe };
    const result = await (database === null
      ? hashOfFile(path, hashing)
      : hashOfDatabase(database, Number(call.flag('timeout')), hashing)
    ).finally(progress.end);
    const { hash, hashRevision, compactRevision } = result;
    print({
      columns: [
        ['hash', String(hash)],
        ['hash revision', String(hashRevision)],
        ['compact revision', String(compactRevision)],
      ],
      fields: [
        ['Hash', hash],
        ['Hash revision', hashRevision],
        ['Compact revision', compactRevision],
      ],
      json: { hash, hashRevision, compactRevision },
    });
  },
};

const defragCommand: Command = {
  use: 'defrag',
  short: 'Defragments the storage of the etcd',
  flags: [
    {
      ...dataDirFlag,
      usage: 'Required. Defragments a data directory not in use by etcd.',
      required: true,
    },
  ],
  commands: [],
  args: null,
  async run(call) {
    const dataDir = call.flag('data-dir');
    try {
      await defragment(dataDir, Number(call.flag('timeout')), consoleLog(call));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Failed to defragment etcd data[${dataDir}] (${reason})`, { cause: error });
    }
  },
};

const migrateCommand: Command = {
  use: 'migrate',
  short:
    'Migrates schema of etcd data dir files to make them compatible with different etcd version',
  flags: [
    { ...dataDirFlag, usage: 'Path to the etcd data dir', required: true },
    {
      ...text(
        'target-version',
        '',
        'Target etcd version to migrate contents of data dir. ' +
          'Minimal value 3.5. Format "X.Y" for example 3.6.',
      ),
      required: true,
    },
    {
      name: 'force',
      kind: 'bool',
      default: 'false',
      usage: 'Ignore migration failure and forcefully override storage version. Not recommended.',
    },
  ],
  commands: [],
  args: null,
  run: (call) => migrate(call, consoleLog(call)),
};

/** Major and minor. */
const apiVersion = SERVER_VERSION.replace(/\.\d+$/, '');

const versionCommand: Command = {
  use: 'version',
  short: 'Prints the version of etcdutl',
  flags: [],
  commands: [],
  args: null,
  run({ out }) {
    out(`etcdutl version: ${SERVER_VERSION}\nAPI version: ${apiVersion}\n`);
  },
};

const snapshotCommand: Command = {
  use: 'snapshot <subcommand>',
  short: 'Manages etcd node snapshots',
  flags: [],
  commands: [restoreCommand, statusCommand],
  args: null,
  run: null,
};

export const etcdutl: Command = {
  use: 'etcdutl',
  short: 'An administrative command line tool for etcd3.',
  flags: sharedFlags,
  commands: [
    completionCommand,
    defragCommand,
    hashKvCommand,
    migrateCommand,
    snapshotCommand,
    versionCommand,
  ],
  args: null,
  run: null,
};

function onlyArg({ args }: Call, command: string): string {
  const [path] = args;
  if (args.length === 1 && path !== undefined) return path;
  throw new CommandError(Exit.BAD_ARGS, `${command} requires exactly one argument`);
}

function breathe(): Promise<void> {
  return new Promise((resolve) => systemClock.defer(resolve));
}

/** etcd's tools log for a reader, with times to the second. */
function consoleLog({ err }: Call): Log {
  return createLog({
    level: 'info',
    format: 'console',
    outputs: [],
    write: (line) => err(line.replace(/^(\S+)\.\d+(Z|[+-]\d\d)(\d\d)?/, withColon)),
  });
}

function withColon(_: string, time: string, hours: string, minutes: string | undefined): string {
  return `${time}${hours}${minutes === undefined ? '' : `:${minutes}`}`;
}

/** Work that cleans up after itself when the operator ends it. */
async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  let ended: NodeJS.Signals | null = null;
  const end = (signal: NodeJS.Signals): void => {
    ended = signal;
    controller.abort(new Error('interrupted'));
  };
  for (const signal of signals) process.once(signal, end);
  try {
    await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, end);
    // etcd: the process ends by the signal it was sent.
    if (ended !== null) process.kill(process.pid, ended);
  }
}
