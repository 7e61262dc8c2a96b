/**
 * The address of the interface that the default route goes through. etcd asks netlink; the same
 * table is read here as text. It refuses to know what the address is for.
 */

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { DefaultHost } from '../config/defaults.ts';
import { goArch } from '../version.ts';

/** The machine, as far as it is asked. `readFile` throws as node:fs does. */
export interface Routes {
  readonly platform: string;
  readonly arch: string;
  readonly readFile: (path: string) => string;
  readonly interfaces: () => ReturnType<typeof networkInterfaces>;
}

const REJECTS = 0x200;

/** IPv4 goes before IPv6. */
export function defaultHost(machine: Routes = thisMachine()): DefaultHost {
  const { platform, arch } = machine;
  if (platform !== 'linux') {
    return { host: null, problem: `default host not supported on ${platform}_${goArch(arch)}` };
  }
  const routes = [
    ['IPv4', interfaceV4(textOf(machine, '/proc/net/route'))],
    ['IPv6', interfaceV6(textOf(machine, '/proc/net/ipv6_route'))],
  ] as const;
  const interfaces = machine.interfaces();
  for (const [family, name] of routes) {
    if (name === null) continue;
    const found = interfaces[name]?.find((each) => each.family === family);
    if (found !== undefined) return { host: found.address, problem: null };
  }
  const isRouted = routes.some(([, name]) => name !== null);
  return { host: null, problem: `could not find default ${isRouted ? 'host' : 'route'}` };
}

function thisMachine(): Routes {
  return {
    platform: process.platform,
    arch: process.arch,
    readFile: (path) => readFileSync(path, 'utf8'),
    interfaces: networkInterfaces,
  };
}

/** A kernel without the protocol, or a sandbox, has no such file. */
function textOf({ readFile }: Routes, path: string): string {
  try {
    return readFile(path);
  } catch {
    return '';
  }
}

/** etcd: of several default routes the last. Columns: name, destination, …, mask. */
function interfaceV4(table: string): string | null {
  let name: string | null = null;
  for (const line of table.split('\n')) {
    const columns = line.split('\t');
    const isDefault = columns[1] === '00000000' && columns[7] === '00000000';
    if (isDefault) name = columns[0] ?? null;
  }
  return name;
}

/** Columns: destination, its length, …, flags, name. */
function interfaceV6(table: string): string | null {
  let name: string | null = null;
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    const isDefault = columns[1] === '00' && /^0+$/.test(columns[0] ?? '');
    const rejects = (Number.parseInt(columns[8] ?? '', 16) & REJECTS) !== 0;
    if (isDefault && !rejects) name = columns[9] ?? null;
  }
  return name;
}
