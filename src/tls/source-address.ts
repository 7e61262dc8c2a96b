/**
 * Whether the names in a certificate are those of the address it came from, as etcd asks it of
 * other members. A certificate without names of hosts passes.
 */

import type { X509Certificate } from 'node:crypto';
import { lookup, lookupService } from 'node:dns/promises';
import { canonicalAddress, hostnameProblem, namesOf } from './certificate.ts';

/** Names for an address and addresses for a name; both reject when there are none. */
export interface Resolver {
  readonly names: (address: string) => Promise<readonly string[]>;
  readonly addresses: (name: string) => Promise<readonly string[]>;
}

export const systemResolver: Resolver = {
  names: async (address) => [(await lookupService(address, 0)).hostname],
  addresses: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};

/** What is wrong, in Go's words; `null` when nothing is. */
export async function sourceProblem(
  cert: X509Certificate,
  remoteAddress: string,
  resolver: Resolver,
): Promise<string | null> {
  const { ipAddresses, dnsNames } = namesOf(cert);
  const address = canonicalAddress(remoteAddress);
  if (ipAddresses.length > 0) {
    const problem = hostnameProblem(cert, address);
    if (problem === null || dnsNames.length === 0) return problem;
  }
  if (dnsNames.length === 0) return null;
  const found = await namesMatch(address, dnsNames, resolver);
  if (found === true) return null;
  const quoted = dnsNames.map((name) => JSON.stringify(name)).join(' ');
  return `tls: ${JSON.stringify(address)} does not match any of DNSNames [${quoted}]${found}`;
}

/** True, or the last error of a resolver for the text. */
async function namesMatch(
  address: string,
  dnsNames: readonly string[],
  resolver: Resolver,
): Promise<true | string> {
  const wildcards = dnsNames.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  const names = dnsNames.filter((name) => !name.startsWith('*.'));
  let reason = '';
  const ask = async (question: Promise<readonly string[]>): Promise<readonly string[]> => {
    try {
      return await question;
    } catch (error) {
      reason = ` (${(error as Error).message})`;
      return [];
    }
  };
  for (const found of await ask(resolver.names(address))) {
    const name = found.replace(/\.$/, '');
    if (names.includes(name) || wildcards.some((end) => name.endsWith(end))) return true;
  }
  for (const name of names) {
    const addresses = await ask(resolver.addresses(name));
    if (addresses.some((one) => canonicalAddress(one) === address)) return true;
  }
  return reason;
}
