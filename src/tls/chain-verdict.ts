/** OpenSSL's verdict on the chain of the other end, once a handshake is done. */

import type { TLSSocket } from 'node:tls';
import type { ChainVerdict } from './go-errors.ts';

/** What Node itself asks, and tells to the owners of its own servers only. */
interface Handle {
  verifyError(): ChainVerdict | null | undefined;
}

/** `null` when nothing is wrong with it. */
export function chainVerdict(socket: TLSSocket): ChainVerdict | null {
  const { ssl } = socket as TLSSocket & { readonly ssl: Handle };
  return ssl.verifyError() ?? null;
}
