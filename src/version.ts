/**
 * The versions this server claims. etcd's clients and peers switch features by these, so they are
 * dotted integers only (Patroni parses each part as a number).
 */

/** The etcd release whose behaviour is matched. */
export const SERVER_VERSION = '3.7.1';
/** The highest cluster version this member can take part in. */
export const CLUSTER_VERSION = '3.7.0';
export const STORAGE_VERSION = '3.7.0';
/** The lowest cluster version this member can join. */
export const MIN_CLUSTER_VERSION = '3.0.0';

/** This implementation; a test holds both to package.json. */
export const PACKAGE_NAME = 'etcd-node';
export const PACKAGE_VERSION = '0.1.0';

/** What etcd prints when it was built outside its own build script. */
export const GIT_SHA = `Not provided (${PACKAGE_NAME} ${PACKAGE_VERSION})`;

/** What Go calls a processor that Node knows by another name. */
export function goArch(arch: string): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  return names[arch] ?? arch;
}

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** A semantic version, without regard to what follows its three numbers; `null`: it is none. */
export function parseVersion(text: string): Version | null {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?:[-+][0-9A-Za-z.+-]+)?$/.exec(text);
  if (match === null) return null;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

/** Negative when `a` is the lower release line; patches do not count. */
export function compareMinor(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor;
}

/** etcd: a cluster's version has no patch. */
export function clusterVersionText({ major, minor }: Version): string {
  return `${major}.${minor}.0`;
}

/** etcd: where a downgrade may lead to. */
export function oneMinorBelow({ major, minor }: Version): Version {
  return { major, minor: minor - 1, patch: 0 };
}

/** Why this server cannot be part of a cluster of that version; `null` when it can. */
export function clusterVersionProblem(cluster: string): string | null {
  const version = parseVersion(cluster);
  const own = parseVersion(SERVER_VERSION);
  if (version === null || own === null || compareMinor(own, version) >= 0) return null;
  return 'invalid downgrade; server version is lower than determined cluster version';
}
