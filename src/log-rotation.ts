/**
 * A log file that is put aside when it would grow beyond its size, under names and by rules of
 * lumberjack, which etcd uses: `etcd.log` becomes `etcd-2026-01-02T15-04-05.000.log`, and of those
 * the oldest go and the others may be compressed.
 *
 * Invariants: a line is whole in one file; what is put aside is renamed and never copied; work on
 * files that were put aside goes on beside the member and never holds up a line.
 */

import {
  chownSync,
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { chown, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface LogRotation {
  /** Megabytes of 2^20; 0 means 100. */
  readonly maxSize: number;
  /** Days; 0 keeps files however old they are. */
  readonly maxAge: number;
  /** Files put aside that are kept; 0 keeps all. */
  readonly maxBackups: number;
  /** Names tell local time instead of UTC. */
  readonly localTime: boolean;
  readonly compress: boolean;
}

interface Backup {
  readonly name: string;
  readonly timeMs: number;
}

const MEGABYTE = 1024 * 1024;
const SIZE_DEFAULT = 100;
const DAY_MS = 24 * 3600 * 1000;
const COMPRESSED = '.gz';
const FILE_MODE = 0o600;
const DIR_MODE = 0o755;
const TIME = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2}\.\d{3})$/;

export class RotatedFile {
  readonly #path: string;
  readonly #rotation: LogRotation;
  readonly #onProblem: (error: unknown) => void;
  readonly #now: () => number;
  readonly #bytesMax: number;
  #descriptor: number | null = null;
  #bytes = 0;
  #closed = false;
  #tidying: Promise<void> | null = null;
  #tidyAgain = false;

  constructor(
    path: string,
    rotation: LogRotation,
    onProblem: (error: unknown) => void,
    now: () => number = Date.now,
  ) {
    this.#path = path;
    this.#rotation = rotation;
    this.#onProblem = onProblem;
    this.#now = now;
    this.#bytesMax = (rotation.maxSize === 0 ? SIZE_DEFAULT : rotation.maxSize) * MEGABYTE;
  }

  /** Throws when the line is longer than a file may be, or cannot be written. */
  write(line: Uint8Array): void {
    if (this.#closed) throw new Error('the log is closed');
    if (line.length > this.#bytesMax) {
      throw new Error(`write length ${line.length} exceeds maximum file size ${this.#bytesMax}`);
    }
    const descriptor = this.#fileFor(line.length);
    for (let at = 0; at < line.length; ) at += writeSync(descriptor, line, at);
    this.#bytes += line.length;
  }

  close(): void {
    this.#closed = true;
    this.#closeFile();
  }

  /** Resolves when what was put aside is compressed and removed as far as it should be. */
  async tidied(): Promise<void> {
    while (this.#tidying !== null) await this.#tidying;
  }

  #fileFor(bytes: number): number {
    if (this.#descriptor === null) return this.#openFirst(bytes);
    return this.#bytes + bytes > this.#bytesMax ? this.#rotate() : this.#descriptor;
  }

  /** etcd: a file that the first line would just fill is put aside already. */
  #openFirst(bytes: number): number {
    const before = statOf(this.#path);
    if (before !== null && before.size + bytes >= this.#bytesMax) return this.#rotate();
    const descriptor = before === null ? this.#open(null) : openSync(this.#path, 'a');
    this.#descriptor = descriptor;
    this.#bytes = before?.size ?? 0;
    this.#tidy();
    return descriptor;
  }

  #rotate(): number {
    this.#closeFile();
    const before = statOf(this.#path);
    if (before !== null) renameSync(this.#path, this.#backupPath());
    const descriptor = this.#open(before);
    this.#tidy();
    return descriptor;
  }

  /** A new file belongs to whom the former belonged. */
  #open(before: Stats | null): number {
    mkdirSync(dirname(this.#path), { recursive: true, mode: DIR_MODE });
    const descriptor = openSync(this.#path, 'w', before?.mode ?? FILE_MODE);
    if (before !== null) chownSync(this.#path, before.uid, before.gid);
    this.#descriptor = descriptor;
    this.#bytes = 0;
    return descriptor;
  }

  #closeFile(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #backupPath(): string {
    const now = this.#now();
    const minutes = this.#rotation.localTime ? -new Date(now).getTimezoneOffset() : 0;
    const time = new Date(now + minutes * 60_000).toISOString().slice(0, 23).replaceAll(':', '-');
    const { prefix, extension } = this.#nameParts();
    return join(dirname(this.#path), `${prefix}${time}${extension}`);
  }

  #nameParts(): { readonly prefix: string; readonly extension: string } {
    const extension = extname(this.#path);
    return { prefix: `${basename(this.#path, extension)}-`, extension };
  }

  /** One at a time; what is asked for meanwhile is one more time. */
  #tidy(): void {
    const { maxAge, maxBackups, compress } = this.#rotation;
    if (maxAge === 0 && maxBackups === 0 && !compress) return;
    if (this.#tidying !== null) {
      this.#tidyAgain = true;
      return;
    }
    this.#tidying = this.#tidyBackups()
      .catch(this.#onProblem)
      .then(() => {
        this.#tidying = null;
        if (!this.#tidyAgain) return;
        this.#tidyAgain = false;
        this.#tidy();
      });
  }

  async #tidyBackups(): Promise<void> {
    const { maxAge, maxBackups, compress } = this.#rotation;
    const folder = dirname(this.#path);
    const counted = new Set<string>();
    for (const { name, timeMs } of await this.#backups()) {
      const plain = name.endsWith(COMPRESSED) ? name.slice(0, -COMPRESSED.length) : name;
      // A file and its compressed form count as one.
      counted.add(plain);
      const tooMany = maxBackups > 0 && counted.size > maxBackups;
      const tooOld = maxAge > 0 && timeMs < this.#now() - maxAge * DAY_MS;
      if (tooMany || tooOld) await rm(join(folder, name), { force: true });
      else if (compress && plain === name) await compressFile(join(folder, name));
    }
  }

  /** The newest first. */
  async #backups(): Promise<readonly Backup[]> {
    const { prefix, extension } = this.#nameParts();
    const found: Backup[] = [];
    for (const entry of await readdir(dirname(this.#path), { withFileTypes: true })) {
      if (entry.isDirectory() || !entry.name.startsWith(prefix)) continue;
      for (const ending of [extension, extension + COMPRESSED]) {
        if (!entry.name.endsWith(ending)) continue;
        const timeMs = timeOf(entry.name.slice(prefix.length, entry.name.length - ending.length));
        if (timeMs !== null) found.push({ name: entry.name, timeMs });
      }
    }
    return found.sort((a, b) => b.timeMs - a.timeMs);
  }
}

/** etcd: a name's time is taken for UTC whatever it was written in. */
function timeOf(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, day, hours, minutes, seconds] = match;
  const timeMs = Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
  return Number.isNaN(timeMs) ? null : timeMs;
}

/** What an earlier try has left is written over. */
async function compressFile(path: string): Promise<void> {
  const { mode, uid, gid } = await stat(path);
  const target = path + COMPRESSED;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(target, { mode }));
  await chown(target, uid, gid);
  await rm(path, { force: true });
}

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
