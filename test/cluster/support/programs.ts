// The programs that members run: this build, and every etcd at hand. CLUSTER_PROGRAM names the one
// under test (ours, unless told), CLUSTER_OTHER the one it is mixed or compared with; naming one
// etcd for both shows what the tests themselves are worth. This file refuses to know how a member
// is started.

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { findBinaries, nodeCommand } from '../../compat/binaries.ts';

const run = promisify(execFile);

export interface Program {
  /** `ours`, or `go` and the version. */
  readonly label: string;
  readonly command: readonly string[];
  /** Such as 3.7.1. */
  readonly version: string;
}

export interface Programs {
  readonly tested: Program;
  /** Every etcd at hand, the oldest first; with CLUSTER_OTHER that one only. */
  readonly others: readonly Program[];
  /** An etcdctl; the newest. */
  readonly ctl: string;
}

export async function findPrograms(): Promise<Programs> {
  const { go, ctls, restorers } = await findBinaries();
  const found = new Map<string, Program>();
  const add = async (command: readonly string[], label?: string): Promise<void> => {
    const version = await versionOf(command);
    const program = { label: label ?? `go${version}`, command, version };
    found.set(program.label, program);
  };
  for (const { server } of restorers) await add([server]);
  if (go !== null) await add(go);
  const others = [...found.values()].sort((a, b) => (a.version < b.version ? -1 : 1));
  const [script = '', ...rest] = nodeCommand().toReversed();
  await add([...rest.toReversed(), resolve(script)], 'ours');
  const { CLUSTER_PROGRAM, CLUSTER_OTHER } = process.env;
  const named = (name: string): Program => {
    const program = [...found.values()].find(({ label }) => label.startsWith(name));
    if (program === undefined) throw new Error(`no ${name}; there are ${[...found.keys()]}`);
    return program;
  };
  const ctl = ctls.at(-1)?.path;
  if (ctl === undefined) throw new Error('no etcdctl');
  return {
    tested: named(CLUSTER_PROGRAM ?? 'ours'),
    others: CLUSTER_OTHER === undefined ? others : [named(CLUSTER_OTHER)],
    ctl,
  };
}

async function versionOf([program = '', ...args]: readonly string[]): Promise<string> {
  const { stdout } = await run(program, [...args, '--version']);
  const version = /etcd Version: (\S+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${program} tells no version`);
  return version;
}
