// Which executables the comparison runs. The side under test comes from ETCD_NODE_CMD, the
// reference from ETCD_GO_CMD, else an etcd 3.7.x on the PATH, else one built from the Go module
// proxy into the temp directory (kept for later runs), else whatever etcd the PATH has.
// This file refuses to know how a server is started or asked.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const REFERENCE_VERSION = '3.7.1';
const BUILD_DIR = join(tmpdir(), `etcd-${REFERENCE_VERSION}-build`);

export interface Ctl {
  readonly path: string;
  readonly version: string;
}

export interface Binaries {
  readonly node: readonly string[];
  readonly go: readonly string[] | null;
  /** Whether the reference is of the line whose answers must be met exactly. */
  readonly exact: boolean;
  readonly ctls: readonly Ctl[];
  readonly restorers: readonly Restorer[];
}

/** A tool that looks into snapshots and makes data directories of them. */
export interface Restorer extends Ctl {
  /** The etcd of its age, which starts on what it has made. */
  readonly server: string;
}

export function nodeCommand(): readonly string[] {
  const built = fileURLToPath(new URL('../../dist/etcd.js', import.meta.url));
  const given = process.env['ETCD_NODE_CMD'];
  return given === undefined ? ['node', '--no-warnings', built] : split(given);
}

/** The reference commands. `go` is null only where no etcd exists and none can be built. */
export async function findBinaries(): Promise<Binaries> {
  const explicit = process.env['ETCD_GO_CMD'];
  const onPath = findOnPath('etcd');
  let go: readonly string[] | null = null;
  if (explicit !== undefined) go = split(explicit);
  else if (onPath !== null && (await versionOf(onPath)).startsWith('3.7.')) go = [onPath];
  else go = [await builtReference('etcd')].filter((path) => path !== null);
  if (go.length === 0) go = onPath === null ? null : [onPath];
  const exact = go !== null && (await versionOf(go[0] ?? '')).startsWith('3.7.');
  return {
    node: nodeCommand(),
    go,
    exact,
    ctls: await findCtls(),
    restorers: await findRestorers(),
  };
}

/** etcdutl of the reference, and an etcdctl of the PATH from before there was one. */
async function findRestorers(): Promise<readonly Restorer[]> {
  const found: Restorer[] = [];
  const add = async (path: string | null, server: string | null): Promise<void> => {
    if (path === null || server === null) return;
    const version = await versionOf(path);
    if (version === (await versionOf(server))) found.push({ path, server, version });
  };
  const ctl = findOnPath('etcdctl');
  if (ctl !== null && /^3\.[0-4]\./.test(await versionOf(ctl))) await add(ctl, findOnPath('etcd'));
  await add(await builtReference('etcdutl'), await builtReference('etcd'));
  return found;
}

/** Every etcdctl to drive the servers with, the oldest first. */
async function findCtls(): Promise<readonly Ctl[]> {
  const explicit = process.env['ETCDCTL_CMDS'];
  const candidates =
    explicit === undefined
      ? [findOnPath('etcdctl'), await builtReference('etcdctl')]
      : explicit.split(delimiter);
  const found = new Map<string, Ctl>();
  for (const path of candidates) {
    if (path === null) continue;
    const version = await versionOf(path);
    if (!found.has(version)) found.set(version, { path, version });
  }
  return [...found.values()];
}

async function versionOf(path: string): Promise<string> {
  const argument = /(ctl|utl)$/.test(path) ? 'version' : '--version';
  const env = { PATH: process.env['PATH'] ?? '', ETCDCTL_API: '3' };
  const { stdout } = await run(path, [argument], { env });
  return /version: (\S+)/i.exec(stdout)?.[1] ?? 'unknown';
}

function findOnPath(name: string): string | null {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, name);
    if (dir !== '' && existsSync(path)) return path;
  }
  return null;
}

/** Builds the programs at once; answers null when Go or the module proxy is missing. */
async function builtReference(program: 'etcd' | 'etcdctl' | 'etcdutl'): Promise<string | null> {
  const path = join(BUILD_DIR, program);
  if (existsSync(path)) return path;
  if (findOnPath('go') === null) return null;
  const work = await mkdtemp(join(tmpdir(), 'etcd-build-'));
  try {
    const server = 'go.etcd.io/etcd/server/v3';
    const ctl = 'go.etcd.io/etcd/etcdctl/v3';
    const utl = 'go.etcd.io/etcd/etcdutl/v3';
    const env = { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false', CGO_ENABLED: '0' };
    const options = { cwd: work, env, maxBuffer: 1 << 24 };
    await writeFile(join(work, 'go.mod'), 'module etcdreference\n\ngo 1.25\n');
    const at = `@v${REFERENCE_VERSION}`;
    await run('go', ['get', `${server}${at}`, `${ctl}${at}`, `${utl}${at}`], options);
    await run('go', ['build', '-o', 'etcd', server], options);
    await run('go', ['build', '-o', 'etcdctl', ctl], options);
    await run('go', ['build', '-o', 'etcdutl', utl], options);
    // Renamed one by one into place, so that an interrupted build is never taken for a whole one.
    await mkdir(BUILD_DIR, { recursive: true });
    await rename(join(work, 'etcdutl'), join(BUILD_DIR, 'etcdutl'));
    await rename(join(work, 'etcdctl'), join(BUILD_DIR, 'etcdctl'));
    await rename(join(work, 'etcd'), join(BUILD_DIR, 'etcd'));
    return path;
  } catch (error) {
    console.warn(`no etcd ${REFERENCE_VERSION} could be built: ${String(error).slice(0, 400)}`);
    return null;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function split(command: string): readonly string[] {
  return command.split(' ').filter((part) => part !== '');
}
