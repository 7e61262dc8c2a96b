/** Names of hosts, as the machine's own configuration resolves them. */

import { lookup } from 'node:dns/promises';

/** The first address of a host; rejects when the name is not known. */
export async function resolveHost(host: string): Promise<string> {
  const { address } = await lookup(host);
  return address;
}
