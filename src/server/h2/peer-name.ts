/** The name of a peer: address and port as Go prints them. */

export interface Address {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

export function peerName({ remoteAddress, remotePort }: Address): string {
  // A Unix socket has no address.
  if (remoteAddress === undefined) return '@';
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`;
}
