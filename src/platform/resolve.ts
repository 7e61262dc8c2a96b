/** Names of hosts and services, as the machine's own configuration resolves them. */

import { lookup, Resolver } from 'node:dns/promises';

/** The first address of a host; rejects when the name is not known. */
export async function resolveHost(host: string): Promise<string> {
  const { address } = await lookup(host);
  return address;
}

export interface ServiceRecord {
  /** With the dot at its end. */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
}

/** As resolv.conf has them when it says nothing: each server is asked twice. */
const QUERY_MS = 5000;
const QUERY_TRIES = 2;

/** Errors have Go's texts. Both questions end, with an error, when the signal is aborted. */
export function serviceResolver(signal: AbortSignal) {
  return {
    async host(name: string): Promise<string> {
      try {
        return await orAborted(resolveHost(name), signal);
      } catch (error) {
        throw lookupError(name, new Resolver(), error);
      }
    },

    async srv(service: string, domain: string): Promise<readonly ServiceRecord[]> {
      const resolver = new Resolver({ timeout: QUERY_MS, tries: QUERY_TRIES });
      const name = `_${service}._tcp.${domain}`;
      const cancel = (): void => resolver.cancel();
      signal.addEventListener('abort', cancel);
      try {
        const records = await resolver.resolveSrv(name);
        return records.map((each) => ({ ...each, name: `${each.name.replace(/\.$/, '')}.` }));
      } catch (error) {
        throw lookupError(name, resolver, error);
      } finally {
        signal.removeEventListener('abort', cancel);
      }
    },
  };
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error('operation was canceled'));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  ENODATA: 'no such host',
  ESERVFAIL: 'server misbehaving',
  EREFUSED: 'server misbehaving',
  EAI_AGAIN: 'server misbehaving',
  ETIMEOUT: 'i/o timeout',
  ECONNREFUSED: 'connection refused',
  ECANCELLED: 'operation was canceled',
};

function lookupError(name: string, resolver: Resolver, error: unknown): Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const server = resolver.getServers()[0] ?? '';
  const on = /^[\d.]+$/.test(server) ? ` on ${server}:53` : server === '' ? '' : ` on ${server}`;
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return new Error(`lookup ${name}${on}: ${reason}`, { cause: error });
}
