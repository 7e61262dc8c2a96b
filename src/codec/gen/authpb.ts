// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import { type Key, EMPTY_BYTES } from '../../types.ts';
import type { Reader, Writer } from '../wire.ts';

export const Type = {
  READ: 0,
  WRITE: 1,
  READWRITE: 2,
} as const;

export interface UserAddOptions {
  readonly noPassword: boolean;
}

export function decodeUserAddOptions(r: Reader): UserAddOptions {
  let noPassword = false;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        noPassword = r.bool();
        break;
      default:
        r.discard(tag);
    }
  }
  return { noPassword };
}

export function encodeUserAddOptions(w: Writer, m: UserAddOptions): void {
  if (m.noPassword) {
    w.uint32(8);
    w.bool(m.noPassword);
  }
}

export interface User {
  readonly name: Uint8Array;
  readonly password: Uint8Array;
  readonly roles: readonly string[];
  readonly options: UserAddOptions | null;
}

export function decodeUser(r: Reader): User {
  let name: Uint8Array = EMPTY_BYTES;
  let password: Uint8Array = EMPTY_BYTES;
  const roles: string[] = [];
  let options: UserAddOptions | null = null;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.bytes();
        break;
      case 18:
        password = r.bytes();
        break;
      case 26:
        roles.push(r.string());
        break;
      case 34: {
        const outer = r.enter();
        options = decodeUserAddOptions(r);
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { name, password, roles, options };
}

export function encodeUser(w: Writer, m: User): void {
  if (m.name.length > 0) {
    w.uint32(10);
    w.bytes(m.name);
  }
  if (m.password.length > 0) {
    w.uint32(18);
    w.bytes(m.password);
  }
  for (const item of m.roles) {
    w.uint32(26);
    w.string(item);
  }
  if (m.options !== null) {
    w.uint32(34);
    const start = w.open();
    encodeUserAddOptions(w, m.options);
    w.close(start);
  }
}

export interface Permission {
  readonly permType: number;
  readonly key: Key;
  readonly rangeEnd: Key;
}

export function decodePermission(r: Reader): Permission {
  let permType = 0;
  let key = '' as Key;
  let rangeEnd = '' as Key;
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 8:
        permType = r.int32();
        break;
      case 18:
        key = r.key();
        break;
      case 26:
        rangeEnd = r.key();
        break;
      default:
        r.discard(tag);
    }
  }
  return { permType, key, rangeEnd };
}

export function encodePermission(w: Writer, m: Permission): void {
  if (m.permType !== 0) {
    w.uint32(8);
    w.int64(m.permType);
  }
  if (m.key !== '') {
    w.uint32(18);
    w.key(m.key);
  }
  if (m.rangeEnd !== '') {
    w.uint32(26);
    w.key(m.rangeEnd);
  }
}

export interface Role {
  readonly name: Uint8Array;
  readonly keyPermission: readonly Permission[];
}

export function decodeRole(r: Reader): Role {
  let name: Uint8Array = EMPTY_BYTES;
  const keyPermission: Permission[] = [];
  while (!r.done) {
    const tag = r.tag();
    switch (tag) {
      case 10:
        name = r.bytes();
        break;
      case 18: {
        const outer = r.enter();
        keyPermission.push(decodePermission(r));
        r.leave(outer);
        break;
      }
      default:
        r.discard(tag);
    }
  }
  return { name, keyPermission };
}

export function encodeRole(w: Writer, m: Role): void {
  if (m.name.length > 0) {
    w.uint32(10);
    w.bytes(m.name);
  }
  for (const item of m.keyPermission) {
    w.uint32(18);
    const start = w.open();
    encodePermission(w, item);
    w.close(start);
  }
}
