/**
 * A disk in memory, for embedded members without a data directory, tests and simulation. Same
 * contract as the real one, and a crash on demand: what was synced survives, every 4 KiB block and
 * every directory that was changed since survives or not as the caller decides.
 *
 * A file keeps the former content of its unsynced blocks until the next sync, so the price of being
 * able to crash is small enough to pay always.
 */

import { assert, must } from '../assert.ts';
import type { Disk, DiskFile, OpenMode } from '../ports.ts';

export const BLOCK_BYTES = 4096;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** What has changed since its last sync, at the moment of a crash. */
export type Unsynced =
  | { readonly kind: 'block'; readonly path: string; readonly block: number }
  | { readonly kind: 'directory'; readonly path: string };

export type DiskOperation = 'write' | 'sync' | 'read' | 'allocate' | 'truncate' | 'directory';

/** Called before an operation takes effect; what it throws is what the operation fails with. */
export type DiskFault = (operation: DiskOperation, path: string) => void;

type Node = FileNode | DirNode;

class DirNode {
  readonly kind = 'directory';
  entries = new Map<string, Node>();
  durable = new Map<string, Node>();

  isDirty(): boolean {
    if (this.entries.size !== this.durable.size) return true;
    for (const [name, node] of this.entries) if (this.durable.get(name) !== node) return true;
    return false;
  }
}

class FileNode {
  readonly kind = 'file';
  bytes: Buffer = Buffer.alloc(0);
  size = 0;
  durableSize = 0;
  /** Durable content of every block that was changed since. */
  readonly undo = new Map<number, Buffer>();

  /** Notes what the blocks of [start, end) hold before they change. */
  remember(start: number, end: number): void {
    for (let b = Math.floor(start / BLOCK_BYTES); b * BLOCK_BYTES < end; b++) {
      if (this.undo.has(b)) continue;
      const held = this.bytes.subarray(b * BLOCK_BYTES, Math.min((b + 1) * BLOCK_BYTES, this.size));
      if (held.length === 0) {
        this.undo.set(b, ZERO_BLOCK);
        continue;
      }
      const block = Buffer.alloc(BLOCK_BYTES);
      block.set(held);
      this.undo.set(b, block);
    }
  }

  /** Makes the file at least `size` long; what is new is zero. */
  extend(size: number): void {
    if (size > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.bytes.length * 2, BLOCK_BYTES));
      this.bytes.copy(grown, 0, 0, this.size);
      this.bytes = grown;
    }
    if (size <= this.size) return;
    this.bytes.fill(0, this.size, size);
    this.size = size;
  }

  sync(): void {
    this.undo.clear();
    this.durableSize = this.size;
  }

  crash(survives: (block: number) => boolean): void {
    let size = this.durableSize;
    const lost: [number, Buffer][] = [];
    for (const [block, before] of this.undo) {
      if (!survives(block)) lost.push([block, before]);
      else size = Math.max(size, Math.min((block + 1) * BLOCK_BYTES, this.size));
    }
    this.extend(size);
    for (const [block, before] of lost) {
      const start = block * BLOCK_BYTES;
      if (start < size) this.bytes.set(before.subarray(0, size - start), start);
    }
    this.size = size;
    this.sync();
  }
}

export class MemoryDisk implements Disk {
  readonly #root = new DirNode();
  #fault: DiskFault | null = null;
  /** Handles of an earlier life are dead. */
  #life = 0;

  /** Sets or, with null, ends fault injection. */
  setFault(fault: DiskFault | null): void {
    this.#fault = fault;
  }

  /** Loses power: `survives` is asked once for everything that was not synced. */
  crash(survives: (what: Unsynced) => boolean): void {
    this.#life++;
    crashDir(this.#root, '', survives);
  }

  /** Its process ends: open handles are dead, what was written stays, synced or not. */
  abandon(): void {
    this.#life++;
  }

  async makeDir(path: string): Promise<void> {
    this.#check('directory', path);
    let dir = this.#root;
    for (const name of partsOf(path)) {
      const child = dir.entries.get(name) ?? new DirNode();
      if (child.kind !== 'directory') throw failure('ENOTDIR', path);
      dir.entries.set(name, child);
      dir = child;
    }
  }

  async list(path: string): Promise<readonly string[]> {
    this.#check('read', path);
    const node = this.#find(path);
    if (node === null) return [];
    if (node.kind !== 'directory') throw failure('ENOTDIR', path);
    return [...node.entries.keys()].sort();
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    this.#check('directory', path);
    const { dir, name } = this.#parent(path);
    let node = dir.entries.get(name);
    if (mode === 'create') {
      if (node !== undefined) throw failure('EEXIST', path);
      node = new FileNode();
      dir.entries.set(name, node);
    }
    if (node === undefined) throw failure('ENOENT', path);
    if (node.kind !== 'file') throw failure('EISDIR', path);
    const life = this.#life;
    return memoryFile(node, mode !== 'read', (operation) => {
      if (life !== this.#life) throw failure('EBADF', path);
      this.#check(operation, path);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('directory', from);
    const source = this.#parent(from);
    const target = this.#parent(to);
    const node = source.dir.entries.get(source.name);
    if (node === undefined) throw failure('ENOENT', from);
    const replaced = target.dir.entries.get(target.name);
    if (replaced?.kind === 'directory' && replaced.entries.size > 0) throw failure('ENOTEMPTY', to);
    source.dir.entries.delete(source.name);
    target.dir.entries.set(target.name, node);
  }

  async remove(path: string): Promise<void> {
    this.#check('directory', path);
    const parts = partsOf(path);
    const dir = this.#find(parts.slice(0, -1).join('/'));
    if (dir?.kind === 'directory') dir.entries.delete(must(parts.at(-1), 'the root stays'));
  }

  async syncDir(path: string): Promise<void> {
    this.#check('sync', path);
    const node = this.#find(path);
    if (node === null) throw failure('ENOENT', path);
    if (node.kind !== 'directory') throw failure('ENOTDIR', path);
    node.durable = new Map(node.entries);
  }

  #check(operation: DiskOperation, path: string): void {
    this.#fault?.(operation, path);
  }

  #find(path: string): Node | null {
    let node: Node = this.#root;
    for (const name of partsOf(path)) {
      const child: Node | undefined =
        node.kind === 'directory' ? node.entries.get(name) : undefined;
      if (child === undefined) return null;
      node = child;
    }
    return node;
  }

  #parent(path: string): { dir: DirNode; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const dir = this.#find(parts.join('/'));
    if (name === undefined || dir === null) throw failure('ENOENT', path);
    if (dir.kind !== 'directory') throw failure('ENOTDIR', path);
    return { dir, name };
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: '${path}'`), { code, path });
}

function crashDir(dir: DirNode, path: string, survives: (what: Unsynced) => boolean): void {
  if (dir.isDirty() && !survives({ kind: 'directory', path })) dir.entries = new Map(dir.durable);
  dir.durable = new Map(dir.entries);
  for (const [name, node] of dir.entries) {
    const at = `${path}/${name}`;
    if (node.kind === 'directory') crashDir(node, at, survives);
    else node.crash((block) => survives({ kind: 'block', path: at, block }));
  }
}

/** `check` throws when the handle is dead or a fault is due. */
function memoryFile(
  node: FileNode,
  writable: boolean,
  check: (operation: DiskOperation) => void,
): DiskFile {
  let isOpen = true;
  const enter = (operation: DiskOperation): void => {
    assert(isOpen, 'the file is open');
    check(operation);
  };
  const change = (operation: DiskOperation): void => {
    enter(operation);
    if (!writable) throw failure('EBADF', 'opened for reading');
  };
  const syncNow = (): void => {
    enter('sync');
    node.sync();
  };
  return {
    size: async () => {
      enter('read');
      return node.size;
    },
    read: async (offset, length) => {
      enter('read');
      const end = Math.min(node.size, offset + length);
      return Uint8Array.prototype.slice.call(node.bytes, Math.min(offset, end), end);
    },
    write: (offset, bytes) => {
      change('write');
      if (bytes.length === 0) return;
      node.remember(Math.min(offset, node.size), offset + bytes.length);
      node.extend(offset + bytes.length);
      node.bytes.set(bytes, offset);
    },
    sync: async () => syncNow(),
    syncNow,
    truncate: async (size) => {
      change('truncate');
      node.remember(Math.min(size, node.size), Math.max(size, node.size));
      node.extend(size);
      node.size = size;
    },
    allocate: async (size) => {
      change('allocate');
      if (size <= node.size) return;
      node.remember(node.size, size);
      node.extend(size);
    },
    close: async () => {
      isOpen = false;
    },
  };
}
