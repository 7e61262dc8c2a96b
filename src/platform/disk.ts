/**
 * The real disk. Files belong to their owner alone (0600, directories 0700), as etcd keeps them.
 *
 * A write is one system call into the page cache, made in the event loop; everything that may wait
 * for the device goes through the thread pool, except `syncNow`. An error is thrown as it comes:
 * the owner ends the member, because after a failed fsync nobody knows what the device holds.
 */

import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { promisify } from 'node:util';
import { assert } from '../assert.ts';
import type { Disk, DiskFile, OpenMode } from '../ports.ts';

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;
const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'r+', create: 'wx+' };
/** Small steps, so that an append's sync meanwhile finds few foreign pages to write. */
const ALLOCATE_STEP_BYTES = 256 * 1024;

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);
const ftruncate = promisify(fs.ftruncate);
const read = promisify(fs.read);
const write = promisify(fs.write);

export const systemDisk: Disk = {
  makeDir: async (path) => {
    await fsp.mkdir(path, { recursive: true, mode: DIR_MODE });
  },
  list: async (path) => {
    try {
      return (await fsp.readdir(path)).sort();
    } catch (cause) {
      if (isMissing(cause)) return [];
      throw cause;
    }
  },
  open: async (path, mode) => new SystemFile(await open(path, FLAGS[mode], FILE_MODE)),
  rename: (from, to) => fsp.rename(from, to),
  remove: (path) => fsp.rm(path, { recursive: true, force: true }),
  syncDir: async (path) => {
    const fd = await open(path, 'r');
    try {
      await fsync(fd);
    } finally {
      await close(fd);
    }
  },
};

function isMissing(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

class SystemFile implements DiskFile {
  readonly #fd: number;
  /** Where an allocation in progress writes zeros; nothing else may be written there. */
  #zeroingFrom = Number.POSITIVE_INFINITY;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async size(): Promise<number> {
    return (await fstat(this.#fd)).size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const available = Math.max(0, Math.min(length, (await this.size()) - offset));
    const bytes = Buffer.allocUnsafeSlow(available);
    let filled = 0;
    while (filled < available) {
      const { bytesRead } = await read(
        this.#fd,
        bytes,
        filled,
        available - filled,
        offset + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  write(offset: number, bytes: Uint8Array): void {
    assert(offset + bytes.length <= this.#zeroingFrom, 'no write into space being reserved');
    let written = 0;
    while (written < bytes.length) {
      written += fs.writeSync(this.#fd, bytes, written, bytes.length - written, offset + written);
    }
  }

  sync(): Promise<void> {
    return fdatasync(this.#fd);
  }

  syncNow(): void {
    fs.fdatasyncSync(this.#fd);
  }

  truncate(size: number): Promise<void> {
    return ftruncate(this.#fd, size);
  }

  /**
   * Zeros are really written: Node has no fallocate, and space from ftruncate makes every sync that
   * first touches a block pay for its allocation (`docs/decisions/0002-wal-sync.md`).
   */
  async allocate(size: number): Promise<void> {
    assert(this.#zeroingFrom === Number.POSITIVE_INFINITY, 'one allocation at a time');
    // At once, so that no write can lengthen the file before zeroing begins at its end.
    let at = fs.fstatSync(this.#fd).size;
    if (at >= size) return;
    const zeros = Buffer.alloc(Math.min(ALLOCATE_STEP_BYTES, size - at));
    this.#zeroingFrom = at;
    try {
      while (at < size) {
        const { bytesWritten } = await write(
          this.#fd,
          zeros,
          0,
          Math.min(zeros.length, size - at),
          at,
        );
        at += bytesWritten;
        await fdatasync(this.#fd);
      }
    } finally {
      this.#zeroingFrom = Number.POSITIVE_INFINITY;
    }
  }

  close(): Promise<void> {
    return close(this.#fd);
  }
}
